#include "write/int8_form.h"

#include <algorithm>
#include <memory>

#include "core/memory.h"
#include "format/model_view.h"
#include "write/model_parts.h"
#include "write/runner.h"
#include "write/write_model.h"

namespace figment::converter {

namespace schema = format::schema;
using format::RequantizationView;

std::vector<uint8_t> with_int8_form(const std::vector<uint8_t>& file, const Int8Form& form) {
  ModelParts parts(file);
  schema::ModelT& model = parts.model();
  if (model.requantization) {
    std::erase_if(model.programs, [&](const auto& program) { return program->name == model.requantization->program; });
  }
  ModelDefinition definition;
  definition.name = form.source.name;
  definition.programs.push_back(form.source);
  const std::vector<uint8_t> source_file = write_model(definition);
  ModelParts source(source_file);
  std::unique_ptr<schema::ProgramT>& program = source.model().programs[0];
  for (const auto& tensor : program->tensors) {
    if (tensor->constant < 0) continue;
    const schema::ConstantT& constant = *source.model().constants[static_cast<size_t>(tensor->constant)];
    const auto same = std::ranges::find_if(model.constants, [&](const auto& other) {
      if (other->variable != constant.variable || other->name != constant.name || other->type != constant.type ||
          other->shape != constant.shape || other->quantization || constant.quantization)
        return false;
      return constant.variable || std::ranges::equal(parts.values(*other), source.values(constant));
    });
    tensor->constant = same != model.constants.end() ? static_cast<int32_t>(same - model.constants.begin())
                                                     : parts.add(source, constant);
  }
  model.programs.push_back(std::move(program));
  model.requantization = std::make_unique<schema::RequantizationT>();
  schema::RequantizationT& entry = *model.requantization;
  entry.program = form.source.name;
  entry.samples = static_cast<uint32_t>(form.samples);
  entry.model = form.model;
  for (const Value& value : form.program.values) {
    entry.sources.push_back(value.follows.value_or(RequantizationView::kNone));
    if (!value.is_constant() && value.type == DataType::kI8 && !value.follows)
      throw Error("tensor " + value.name + " is int8 by no range of the f32 program");
    const bool ranged = value.follows && !value.is_constant();
    entry.limits.push_back((ranged ? form.limits[*value.follows] : std::nullopt).value_or(RequantizationView::kFixed));
  }
  return parts.write();
}

std::vector<uint8_t> requantized(const std::vector<uint8_t>& file, uint32_t batch) {
  fig_session_options options{};
  options.struct_size = sizeof options;
  options.training = true;
  options.program = kInt8Source;
  options.batch = batch;
  Runner runner(file, options);
  size_t bytes = 0;
  if (fig_requantize_size(runner.session(), &bytes) != FIG_OK) throw Error(fig_error_message());
  Array<uint8_t> memory;
  if (!memory.allocate(bytes)) throw Error("no memory for the int8 form");
  size_t size = 0;
  if (fig_requantize(runner.session(), memory.data(), bytes, &size) != FIG_OK) throw Error(fig_error_message());
  return {memory.data(), memory.data() + size};
}

}  // namespace figment::converter
