// Between the caller's tensors and a program's ports.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "session/program.h"
#include "session/session.h"

namespace figment {

template <typename... Arguments>
Status wrong(const char* format, Arguments... arguments) {
  return Status::error(StatusCode::kInvalidArgument, format, arguments...);
}

inline Status wrong(const char* text) { return Status::error(StatusCode::kInvalidArgument, "%s", text); }

// How `part` samples lie in the caller's memory and in the program's, dimension by dimension of the exporter.
struct Exchange {
  Extents shape;
  std::array<size_t, kMaxRank> callers{};
  std::array<size_t, kMaxRank> programs{};

  Exchange(const Program& program, const Port& port, bool input, size_t part) {
    const size_t index = static_cast<size_t>(&port - (input ? program.inputs() : program.outputs()).data());
    const format::PortView view = input ? program.view().input(index) : program.view().output(index);
    shape = resolve_extents(view.shape, port.batch_first ? part : program.batch());
    size_t ours = 1;
    for (size_t d = shape.rank(); d > 0; --d) {
      const uint32_t axis = view.permutation[d - 1];
      programs[axis] = ours;
      ours *= resolve_extents(view.shape, program.batch())[axis];
      callers[d - 1] = shape.product(d, shape.rank());
    }
  }

  // Copies between tensors of the shape whose elements lie so far apart.
  void copy(const float* from, const std::array<size_t, kMaxRank>& from_strides, float* to,
            const std::array<size_t, kMaxRank>& to_strides) const {
    const size_t last = shape.rank() - 1;
    const size_t rows = shape.product(0, last);
    for (size_t row = 0; row < rows; ++row) {
      size_t rest = row;
      const float* source = from;
      float* target = to;
      for (size_t d = last; d > 0; --d) {
        source += rest % shape[d - 1] * from_strides[d - 1];
        target += rest % shape[d - 1] * to_strides[d - 1];
        rest /= shape[d - 1];
      }
      for (size_t i = 0; i < shape[last]; ++i) target[i * to_strides[last]] = source[i * from_strides[last]];
    }
  }
};

// Copies `part` samples to the program; `data` are the first of them.
inline void copy_in(Program& program, const Port& port, const float* data, size_t part) {
  auto* target = static_cast<float*>(program.memory(port));
  if (port.same_layout) {
    std::memcpy(target, data, (port.per_batch ? part : 1) * port.sample_elements * sizeof(float));
    return;
  }
  const Exchange exchange(program, port, true, part);
  exchange.copy(data, exchange.callers, target, exchange.programs);
}

inline void copy_out(const Program& program, const Port& port, float* data, size_t part) {
  const auto* source = static_cast<const float*>(program.memory(port));
  if (port.same_layout) {
    std::memcpy(data, source, (port.per_batch ? part : 1) * port.sample_elements * sizeof(float));
    return;
  }
  const Exchange exchange(program, port, false, part);
  exchange.copy(source, exchange.programs, data, exchange.callers);
}

// Computes `part` samples, at most the planned batch. `input(port)` is their first value of an input; `output(port)`
// where their first value of an output is to go, or nullptr.
template <typename Input, typename Output>
Status compute(Program& program, size_t part, Input input, Output output) {
  if (program.any_batch()) FIGMENT_RETURN_IF_ERROR(program.resize(part));
  for (const Port& port : program.inputs()) copy_in(program, port, input(port), part);
  const bool whole = part == program.batch();
  const auto is_direct = [&](const Port& port) { return port.direct_step >= 0 && (whole || !port.per_batch); };
  for (const Port& port : program.outputs()) {
    float* target = output(port);
    if (target != nullptr && is_direct(port)) program.redirect(port, target);
  }
  FIGMENT_RETURN_IF_ERROR(program.run());
  for (const Port& port : program.outputs()) {
    float* target = output(port);
    if (target != nullptr && !is_direct(port)) copy_out(program, port, target, part);
  }
  return {};
}

// The port of that name, or nullptr.
inline const Port* find_port(std::span<const Port> ports, const char* name) {
  for (const Port& port : ports) {
    if (name != nullptr && std::strcmp(port.name, name) == 0) return &port;
  }
  return nullptr;
}

inline const NamedTensor* find_tensor(std::span<const NamedTensor> tensors, const char* name) {
  for (const NamedTensor& tensor : tensors) {
    if (tensor.name != nullptr && std::strcmp(tensor.name, name) == 0) return &tensor;
  }
  return nullptr;
}

// Where sample `done` of a port begins in a tensor.
inline float* at(const NamedTensor& tensor, const Port& port, size_t done) {
  return tensor.data + (port.per_batch ? done * port.sample_elements : 0);
}

// kInvalidArgument if a name is missing or given twice.
inline Status check_names(std::span<const NamedTensor> tensors) {
  for (const NamedTensor& tensor : tensors) {
    if (tensor.name == nullptr) return wrong("a tensor has no name");
    if (find_tensor(tensors, tensor.name) != &tensor) return wrong("tensor \"%s\" is given twice", tensor.name);
  }
  return {};
}

inline Status check_tensor(const NamedTensor& tensor, const Port& port, size_t count) {
  if (tensor.data == nullptr) return wrong("tensor \"%s\" has no data", tensor.name);
  const CheckedSize expected = CheckedSize(port.sample_elements) * (port.per_batch ? count : 1);
  if (!expected.valid() || tensor.elements != expected.value()) {
    return wrong("tensor \"%s\" has %zu elements, %zu samples need %llu", tensor.name, tensor.elements, count,
                 static_cast<unsigned long long>(expected.value()));
  }
  return {};
}

}  // namespace figment
