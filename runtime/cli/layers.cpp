#include "layers.h"

#include <fmt/format.h>
#include <algorithm>
#include <cstring>
#include <exception>

namespace figment::cli {

namespace {

// What an observer of a session needs.
struct Recording {
  const OpenModel* open;
  size_t batch;
  bool ours;
  std::vector<Layer>* layers;
  std::map<std::string, int>* names;
  std::exception_ptr error;
};

float element(const fig_tensor_info& tensor, const void* values, size_t i) {
  if (tensor.type == FIG_I8)
    return tensor.scale * static_cast<float>(static_cast<const int8_t*>(values)[i] - tensor.zero_point);
  return static_cast<const float*>(values)[i];
}

int32_t batch_axis(const fig_shape& shape, const uint32_t* permutation) {
  for (uint32_t i = 0; i < shape.rank; ++i) {
    if (shape.per_batch[i]) return static_cast<int32_t>(permutation == nullptr ? i : permutation[i]);
  }
  return -1;
}

// A tensor that a session computed, in the exporter's layout.
io::Array exported(const fig_tensor_info& tensor, const void* values, size_t batch) {
  const uint32_t rank = tensor.shape.rank;
  const std::vector<size_t> ours = resolved(tensor.shape, batch);
  io::Array result;
  result.shape.resize(rank);
  for (uint32_t i = 0; i < rank; ++i) result.shape[tensor.permutation[i]] = ours[i];
  // How far apart the elements of our dimensions lie in the exporter's tensor.
  std::vector<size_t> strides(rank);
  for (uint32_t i = 0; i < rank; ++i) {
    strides[i] = 1;
    for (size_t d = tensor.permutation[i] + size_t{1}; d < rank; ++d) strides[i] *= result.shape[d];
  }
  size_t count = 1;
  for (size_t extent : ours) count *= extent;
  result.values.resize(count);
  std::vector<size_t> index(rank);
  size_t target = 0;
  for (size_t i = 0; i < count; ++i) {
    result.values[target] = element(tensor, values, i);
    for (size_t d = rank; d > 0; --d) {
      target += strides[d - 1];
      if (++index[d - 1] < ours[d - 1]) break;
      target -= strides[d - 1] * ours[d - 1];
      index[d - 1] = 0;
    }
  }
  return result;
}

// Whether an op reshapes the tensor: what is flat before then, or behind, may lie in another order in another
// conversion.
bool is_reshaped(const OpenModel& open, uint32_t program, uint32_t tensor) {
  fig_program_info info{};
  check(fig_model_program(open.model(), program, &info));
  for (uint32_t i = 0; i < info.ops; ++i) {
    fig_op_info op{};
    check(fig_model_op(open.model(), program, i, &op));
    if (std::strcmp(op.kind, "reshape") == 0 && op.input_count > 0 && op.inputs[0] == tensor) return true;
  }
  return false;
}

void add_layer(Recording* recording, uint32_t program, uint32_t op, const void* values) {
  fig_op_info info{};
  fig_tensor_info tensor{};
  check(fig_model_op(recording->open->model(), program, op, &info));
  tensor = recording->open->tensor(program, info.output);
  if (tensor.type != FIG_F32 && tensor.type != FIG_I8) return;
  ++(*recording->names)[tensor.name];
  if (!tensor.exporters) {
    if (!recording->ours || is_reshaped(*recording->open, program, info.output)) return;
    for (uint32_t i = 0; i < tensor.shape.rank; ++i) tensor.permutation[i] = i;
  }
  recording->layers->push_back({tensor.name, info.kind, info.name, info.output, tensor.type == FIG_I8,
                                batch_axis(tensor.shape, tensor.permutation),
                                exported(tensor, values, recording->batch)});
}

// Nothing may be thrown through the library: it is kept, and nothing more recorded.
void record(void* context, uint32_t program, uint32_t op, const void* values) {
  auto* recording = static_cast<Recording*>(context);
  if (recording->error) return;
  try {
    add_layer(recording, program, op, values);
  } catch (...) {
    recording->error = std::current_exception();
  }
}

}  // namespace

std::vector<size_t> resolved(const fig_shape& shape, size_t count) {
  std::vector<size_t> result;
  for (uint32_t i = 0; i < shape.rank; ++i) result.push_back(shape.extents[i] * (shape.per_batch[i] ? count : 1));
  return result;
}

size_t batch_of(const std::string& name, const fig_shape& shape, const io::Array& array) {
  const std::string actual = io::to_string(array.shape);
  const Error wrong("input " + name + " has shape " + actual + ", expected " + to_string(shape));
  if (array.shape.size() != shape.rank) throw wrong;
  size_t batch = 0;
  for (uint32_t i = 0; i < shape.rank; ++i) {
    if (!shape.per_batch[i]) {
      if (i == 0 && shape.rank > 1 && array.shape[i] != shape.extents[i]) {
        throw Error(
            fmt::format("{}; if dimension 0 is the batch, it was fixed when the network was exported: give {} "
                        "at a time, or convert it with an open batch",
                        wrong.what(), shape.extents[0]));
      }
      if (array.shape[i] != shape.extents[i]) throw wrong;
    } else {
      if (array.shape[i] == 0) {
        throw Error("input " + name + " holds no samples: its shape is " + actual + ", and " + to_string(shape) +
                    " needs at least one");
      }
      if (array.shape[i] % shape.extents[i] != 0) throw wrong;
      batch = array.shape[i] / shape.extents[i];
    }
  }
  return batch;
}

uint32_t fitting_length(const OpenModel& open, uint32_t program, const std::map<std::string, io::Array>& arrays) {
  fig_length_info length{};
  fig_program_info info{};
  if (fig_model_length(open.model(), &length) != FIG_OK) return 0;
  check(fig_model_program(open.model(), program, &info));
  for (uint32_t i = 0; i < info.inputs; ++i) {
    fig_port_info port{};
    check(fig_model_input(open.model(), program, i, &port));
    const auto found = arrays.find(port.name);
    if (found == arrays.end() || found->second.shape.size() != port.shape.rank) continue;
    for (uint32_t d = 0; d < port.shape.rank; ++d) {
      if (port.growth[d] == 0 || port.shape.per_batch[d]) continue;
      const auto difference = static_cast<int64_t>(found->second.shape[d]) - int64_t{port.shape.extents[d]};
      // The dimension is the length: whether it may be that is said when it is chosen.
      if (port.growth[d] == length.unit) {
        const int64_t given = int64_t{length.length} + difference;
        return given < 1 || given > UINT32_MAX ? 0 : static_cast<uint32_t>(given);
      }
      if (difference % int64_t{port.growth[d]} != 0) return 0;  // the shape is refused then
      const int64_t wanted = int64_t{length.length} + difference / int64_t{port.growth[d]} * int64_t{length.unit};
      return wanted < 1 || wanted > UINT32_MAX ? 0 : static_cast<uint32_t>(wanted);
    }
  }
  return 0;
}

Inputs Inputs::part(const OpenModel& open, uint32_t program, size_t begin, size_t samples) const {
  Inputs result{samples, arrays, drawn};
  fig_program_info info{};
  check(fig_model_program(open.model(), program, &info));
  for (uint32_t i = 0; i < info.inputs; ++i) {
    const fig_port_info port = open.input(program, i);
    io::Array& array = result.arrays.at(port.name);
    for (uint32_t d = 0; d < port.shape.rank; ++d) {
      if (!port.shape.per_batch[d]) continue;
      size_t outer = 1;
      size_t inner = 1;
      for (uint32_t e = 0; e < d; ++e) outer *= array.shape[e];
      for (uint32_t e = d + 1; e < port.shape.rank; ++e) inner *= array.shape[e];
      const size_t kept = port.shape.extents[d] * samples;
      std::vector<float> values;
      for (size_t o = 0; o < outer; ++o) {
        const size_t first = o * array.shape[d] + port.shape.extents[d] * begin;
        const auto from = array.values.begin() + static_cast<ptrdiff_t>(first * inner);
        values.insert(values.end(), from, from + static_cast<ptrdiff_t>(kept * inner));
      }
      array.shape[d] = kept;
      array.values = std::move(values);
    }
  }
  return result;
}

std::vector<Layer> run_layers(OpenModel* open, uint32_t program, const Inputs& inputs, bool ours) {
  fig_program_info info{};
  check(fig_model_program(open->model(), program, &info));
  fig_session_options options{};
  options.struct_size = sizeof options;
  options.batch = static_cast<uint32_t>(inputs.count);
  open->open_within_budget(options, info);
  std::vector<Layer> layers;
  std::vector<fig_tensor> given;
  for (uint32_t i = 0; i < info.inputs; ++i) {
    const fig_port_info port = open->input(program, i);
    const fig_tensor_info tensor = open->tensor(program, port.tensor);
    const io::Array& array = inputs.arrays.at(port.name);
    given.push_back({port.name, const_cast<float*>(array.values.data()), array.values.size(), FIG_F32});
    // What a node of the file draws.
    if (tensor.exporters)
      layers.push_back({tensor.name, "input", "", port.tensor, false, batch_axis(port.shape, nullptr), array});
  }
  std::vector<Layer> outputs;
  std::vector<fig_tensor> taken;
  for (uint32_t i = 0; i < info.outputs; ++i) {
    const fig_port_info port = open->output(program, i);
    outputs.push_back({port.name, "output", "", port.tensor, false, batch_axis(port.shape, nullptr), {}});
    io::Array& array = outputs.back().values;
    array.shape = resolved(port.shape, inputs.count);
    array.values.resize(inputs.count * sample_elements(port.shape));
    if (outputs.back().batch_axis < 0) array.values.resize(sample_elements(port.shape));
    taken.push_back({port.name, nullptr, array.values.size(), FIG_F32});
  }
  for (uint32_t i = 0; i < info.outputs; ++i) taken[i].data = outputs[i].values.values.data();
  std::map<std::string, int> names;
  Recording recording{open, inputs.count, ours, &layers, &names, nullptr};
  check(fig_session_observe(open->session(), record, &recording));
  const fig_status status =
      fig_run(open->session(), info.name, inputs.count, given.data(), given.size(), taken.data(), taken.size());
  if (recording.error) std::rethrow_exception(recording.error);
  check(status);
  // Outputs have the exporter's layout, whatever computes them.
  for (const Layer& output : outputs) names[output.name] = 2;
  std::erase_if(layers, [&](const Layer& layer) { return names[layer.name] > 1; });
  std::ranges::move(outputs, std::back_inserter(layers));
  return layers;
}

namespace {

// `more` behind `array` along an axis.
void append(io::Array* array, const io::Array& more, size_t axis) {
  size_t outer = 1;
  for (size_t d = 0; d < axis; ++d) outer *= array->shape[d];
  std::vector<float> values;
  for (size_t o = 0; o < outer; ++o) {
    for (const io::Array* part : {static_cast<const io::Array*>(array), &more}) {
      const size_t rows = part->values.size() / outer;
      const auto from = part->values.begin() + static_cast<ptrdiff_t>(o * rows);
      values.insert(values.end(), from, from + static_cast<ptrdiff_t>(rows));
    }
  }
  array->shape[axis] += more.shape[axis];
  array->values = std::move(values);
}

}  // namespace

std::vector<Layer> run_layers_in_parts(OpenModel* open, uint32_t program, const Inputs& inputs, bool ours,
                                       size_t batch) {
  std::vector<Layer> layers;
  for (size_t begin = 0; begin + batch <= inputs.count; begin += batch) {
    std::vector<Layer> part = run_layers(open, program, inputs.part(*open, program, begin, batch), ours);
    if (begin == 0) {
      layers = std::move(part);
      continue;
    }
    for (size_t i = 0; i < layers.size(); ++i) {
      if (layers[i].batch_axis >= 0)
        append(&layers[i].values, part.at(i).values, static_cast<size_t>(layers[i].batch_axis));
    }
  }
  return layers;
}

}  // namespace figment::cli
