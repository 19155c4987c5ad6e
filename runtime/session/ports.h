// Between the caller's tensors and a program's ports.
#pragma once

#include <cstring>
#include <span>

#include "kernels/portable/portable.h"
#include "session/program_instance.h"
#include "session/session.h"

namespace figment {

template <typename... Arguments>
Status wrong(const char* format, Arguments... arguments) {
  return Status::error(StatusCode::kInvalidArgument, format, arguments...);
}

inline Status wrong(const char* text) { return Status::error(StatusCode::kInvalidArgument, "%s", text); }

// Copies `part` samples from sample `done` of the caller's tensor into the program's, or back.
inline void copy_in(ProgramInstance& program, const Port& port, const float* data, size_t done, size_t part) {
  auto* target = static_cast<float*>(program.memory(port));
  const size_t elements = port.exporter.elements();
  if (!port.per_batch) done = 0;
  const float* source = data + done * port.sample_elements;
  if (port.same_layout) {
    std::memcpy(target, source, (port.per_batch ? part * port.sample_elements : elements) * sizeof(float));
    return;
  }
  Extents shape = port.exporter;
  if (port.batch_first) shape[0] = shape[0] / (elements / port.sample_elements) * part;
  kernels::portable::permute(source, target, shape, port.to_ours, sizeof(float));
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
  const size_t elements = port.exporter.elements();
  if (!port.per_batch) done = 0;
  float* target = data + done * port.sample_elements;
  if (port.same_layout) {
    std::memcpy(target, source, (port.per_batch ? part * port.sample_elements : elements) * sizeof(float));
    return;
  }
  // Our tensor has the exporter's dimension 0 first as well whenever parts of the batch are copied.
  Extents shape = program.shape(port);
  if (port.batch_first) shape[0] = shape[0] / (elements / port.sample_elements) * part;
  kernels::portable::permute(source, target, shape, port.to_exporter, sizeof(float));
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

inline Status check_tensor(const NamedTensor& tensor, const Port& port, size_t count) {
  if (tensor.data == nullptr) return wrong("tensor \"%s\" has no data", tensor.name);
  const size_t expected = port.per_batch ? port.sample_elements * count : port.exporter.elements();
  if (tensor.elements != expected) {
    return wrong("tensor \"%s\" has %zu elements, %zu samples need %zu", tensor.name, tensor.elements, count, expected);
  }
  return {};
}

}  // namespace figment
