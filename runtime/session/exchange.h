// Between the caller's tensors and a program's ports.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <span>

#include "core/text.h"
#include "platform/threading.h"
#include "session/program.h"
#include "session/session.h"

namespace figment {

template <typename... Arguments>
Status wrong(Message format, Arguments... arguments) {
  return Status::error(StatusCode::kInvalidArgument, format, arguments...);
}

inline Status wrong(Message text) { return Status::plain(StatusCode::kInvalidArgument, text); }

// A value as the caller's integer, at its limits where it lies outside; NaN is 0.
template <typename To>
To converted(float value) {
  // The greatest integer itself is no float.
  constexpr auto kLimit = static_cast<float>(std::numeric_limits<To>::max());
  if (value >= kLimit) return std::numeric_limits<To>::max();
  if (value <= -kLimit) return std::numeric_limits<To>::min();
  if (value != value) return To{0};
  return static_cast<To>(value);
}

// Whether callers may hold integers of 64 bits: their conversion takes soft arithmetic on small targets.
inline constexpr bool kWideElements = platform::kHasThreads;

// Copies `count` elements that lie so far apart, one side of which is f32.
inline void copy_elements(const Elements& from, size_t from_stride, const Elements& to, size_t to_stride,
                          size_t count) {
  const auto* source = static_cast<const float*>(from.data);
  auto* target = static_cast<float*>(to.data);
  if (from.type == to.type) {
    for (size_t i = 0; i < count; ++i) target[i * to_stride] = source[i * from_stride];
    return;
  }
  const bool wide = kWideElements && (from.type == ElementType::kI64 || to.type == ElementType::kI64);
  for (size_t i = 0; i < count; ++i) {
    const Elements element = from.behind(i * from_stride);
    const Elements place = to.behind(i * to_stride);
    if (to.type == ElementType::kF32) {
      *static_cast<float*>(place.data) = wide ? static_cast<float>(*static_cast<const int64_t*>(element.data))
                                              : static_cast<float>(*static_cast<const int32_t*>(element.data));
    } else if (wide) {
      *static_cast<int64_t*>(place.data) = converted<int64_t>(source[i * from_stride]);
    } else {
      *static_cast<int32_t*>(place.data) = converted<int32_t>(source[i * from_stride]);
    }
  }
}

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
  void copy(const Elements& from, const std::array<size_t, kMaxRank>& from_strides, const Elements& to,
            const std::array<size_t, kMaxRank>& to_strides) const {
    const size_t last = shape.rank() - 1;
    const size_t rows = shape.product(0, last);
    for (size_t row = 0; row < rows; ++row) {
      size_t rest = row;
      size_t source = 0;
      size_t target = 0;
      for (size_t d = last; d > 0; --d) {
        source += rest % shape[d - 1] * from_strides[d - 1];
        target += rest % shape[d - 1] * to_strides[d - 1];
        rest /= shape[d - 1];
      }
      copy_elements(from.behind(source), from_strides[last], to.behind(target), to_strides[last], shape[last]);
    }
  }
};

// kInvalidArgument unless all are integers of the port's range.
inline Status check_integers(const Port& port, const float* values, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const float value = values[i];
    if (value >= static_cast<float>(port.least) && value <= static_cast<float>(port.greatest) &&
        value == static_cast<float>(static_cast<int32_t>(value)))
      continue;
    return wrong("input \"%s\" holds %g, and takes integers from %d to %d", port.name, static_cast<double>(value),
                 static_cast<int>(port.least), static_cast<int>(port.greatest));
  }
  return {};
}

// Copies `part` samples to the program; `given` are the first of them.
inline Status copy_in(Program& program, const Port& port, const Elements& given, size_t part) {
  const Elements target{program.memory(port)};
  const size_t count = (port.per_batch ? part : 1) * port.sample_elements;
  if (!port.same_layout) {
    const Exchange exchange(program, port, true, part);
    exchange.copy(given, exchange.callers, target, exchange.programs);
  } else if (given.type == ElementType::kF32) {
    std::memcpy(target.data, given.data, count * sizeof(float));
  } else {
    copy_elements(given, 1, target, 1, count);
  }
  return port.integers ? check_integers(port, static_cast<const float*>(target.data), count) : Status();
}

inline void copy_out(const Program& program, const Port& port, const Elements& wanted, size_t part) {
  const Elements source{program.memory(port)};
  if (port.same_layout) return copy_elements(source, 1, wanted, 1, (port.per_batch ? part : 1) * port.sample_elements);
  const Exchange exchange(program, port, false, part);
  exchange.copy(source, exchange.programs, wanted, exchange.callers);
}

// Computes `part` samples, at most the planned batch. `input(port)` are their values of an input from the first on;
// `output(port)` is where their values of an output are to go; no data: nowhere.
template <typename Input, typename Output>
Status compute(Program& program, size_t part, Input input, Output output) {
  if (program.any_batch()) FIGMENT_RETURN_IF_ERROR(program.resize(part));
  for (const Port& port : program.inputs()) FIGMENT_RETURN_IF_ERROR(copy_in(program, port, input(port), part));
  const bool whole = part == program.batch();
  const auto is_direct = [&](const Port& port, const Elements& target) {
    return port.direct_step >= 0 && (whole || !port.per_batch) && target.type == ElementType::kF32;
  };
  for (const Port& port : program.outputs()) {
    const Elements target = output(port);
    const bool direct = target.data != nullptr && is_direct(port, target);
    if (direct) program.redirect(port, static_cast<float*>(target.data));
    if (!direct && !program.has_place(port)) {
      return wrong("the session was created with outputs_given: give f32 memory for output \"%s\", of whole batches",
                   port.name);
    }
  }
  FIGMENT_RETURN_IF_ERROR(program.run());
  for (const Port& port : program.outputs()) {
    const Elements target = output(port);
    if (target.data != nullptr && !is_direct(port, target)) copy_out(program, port, target, part);
  }
  return {};
}

// The port of that name, or nullptr.
inline const Port* find_port(std::span<const Port> ports, const char* name) {
  for (const Port& port : ports) {
    if (name != nullptr && same_text(port.name, name)) return &port;
  }
  return nullptr;
}

inline const NamedTensor* find_tensor(std::span<const NamedTensor> tensors, const char* name) {
  for (const NamedTensor& tensor : tensors) {
    if (tensor.name != nullptr && same_text(tensor.name, name)) return &tensor;
  }
  return nullptr;
}

// Where sample `done` of a port begins in a tensor.
inline Elements at(const NamedTensor& tensor, const Port& port, size_t done) {
  return Elements{tensor.data, tensor.type}.behind(port.per_batch ? done * port.sample_elements : 0);
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
  if (tensor.type != ElementType::kF32 && tensor.type != ElementType::kI32 &&
      !(kWideElements && tensor.type == ElementType::kI64))
    return wrong("tensor \"%s\" is of type %u: f32, i32 and i64 are taken", tensor.name,
                 static_cast<unsigned>(tensor.type));
  if (tensor.type != ElementType::kF32 && !port.integers)
    return wrong("tensor \"%s\" holds integers, and real numbers are needed", tensor.name);
  const CheckedSize expected = CheckedSize(port.sample_elements) * (port.per_batch ? count : 1);
  if (!expected.valid() || tensor.elements != expected.value()) {
    return wrong("tensor \"%s\" has %zu elements, %zu samples need %llu", tensor.name, tensor.elements, count,
                 static_cast<unsigned long long>(expected.value()));
  }
  return {};
}

}  // namespace figment
