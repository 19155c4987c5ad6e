// Between the caller's tensors and a program's ports.
#pragma once

#include <array>
#include <cstring>
#include <span>

#include "session/program_instance.h"
#include "session/session.h"

namespace figment {

template <typename... Arguments>
Status wrong(const char* format, Arguments... arguments) {
  return Status::error(StatusCode::kInvalidArgument, format, arguments...);
}

inline Status wrong(const char* text) { return Status::error(StatusCode::kInvalidArgument, "%s", text); }

// Copies between tensors of one shape whose elements lie `from_strides` and `to_strides` apart.
inline void copy_strided(const float* from, const std::array<size_t, kMaxRank>& from_strides, float* to,
                         const std::array<size_t, kMaxRank>& to_strides, const Extents& shape) {
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

// How `part` samples lie in the caller's memory and in the program's, dimension by dimension of the exporter.
struct Exchange {
  Extents shape;
  std::array<size_t, kMaxRank> callers{};
  std::array<size_t, kMaxRank> programs{};

  Exchange(const ProgramInstance& program, const Port& port, size_t part) : shape(port.exporter) {
    const Extents& ours = program.shape(port);
    if (port.batch_first) shape[0] = shape[0] / (port.exporter.elements() / port.sample_elements) * part;
    for (size_t d = 0; d < shape.rank(); ++d) {
      callers[d] = shape.product(d + 1, shape.rank());
      programs[d] = ours.product(port.to_exporter[d] + 1, ours.rank());
    }
  }
};

// Copies `part` samples from sample `done` of the caller's tensor into the program's, or back.
inline void copy_in(ProgramInstance& program, const Port& port, const float* data, size_t done, size_t part) {
  auto* target = static_cast<float*>(program.memory(port));
  if (!port.per_batch) done = 0;
  const float* source = data + done * port.sample_elements;
  if (port.same_layout) {
    const size_t count = port.per_batch ? part * port.sample_elements : port.exporter.elements();
    std::memcpy(target, source, count * sizeof(float));
    return;
  }
  const Exchange exchange(program, port, part);
  copy_strided(source, exchange.callers, target, exchange.programs, exchange.shape);
}

// Before a run: whether the program can write `part` samples straight to the caller's memory; it then will.
inline Result<bool> redirect_output(ProgramInstance& program, const Port& port, float* data, size_t done, size_t part,
                                    size_t batch) {
  if (port.direct_step < 0) return false;
  const bool whole = part == batch || !port.per_batch;
  float* target = data + (port.per_batch ? done * port.sample_elements : 0);
  const Status status = program.redirect(port, whole ? target : nullptr);
  if (!status.ok()) return status;
  return whole;
}

inline void copy_out(const ProgramInstance& program, const Port& port, float* data, size_t done, size_t part) {
  const auto* source = static_cast<const float*>(program.memory(port));
  if (!port.per_batch) done = 0;
  float* target = data + done * port.sample_elements;
  if (port.same_layout) {
    const size_t count = port.per_batch ? part * port.sample_elements : port.exporter.elements();
    std::memcpy(target, source, count * sizeof(float));
    return;
  }
  const Exchange exchange(program, port, part);
  copy_strided(source, exchange.programs, target, exchange.callers, exchange.shape);
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
  const size_t expected = port.per_batch ? port.sample_elements * count : port.exporter.elements();
  if (tensor.elements != expected) {
    return wrong("tensor \"%s\" has %zu elements, %zu samples need %zu", tensor.name, tensor.elements, count, expected);
  }
  return {};
}

}  // namespace figment
