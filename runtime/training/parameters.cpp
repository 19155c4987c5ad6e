#include "training/parameters.h"

#include <cstring>

#include "core/finite.h"
#include "core/text.h"
#include "format/scaling.h"
#include "kernels/permute.h"
#include "session/exchange.h"
#include "training/trainer.h"

namespace figment {

namespace {

Result<float*> find_parameter(const Session& session, const char* name, size_t elements,
                              format::ParameterView* parameter) {
  FIGMENT_RETURN_IF_ERROR(check_training(session));
  const format::ModelView& view = session.model()->view();
  for (size_t i = 0; i < view.parameter_count(); ++i) {
    *parameter = view.parameter(i);
    float* data = session.variables().data(parameter->constant);
    if (data == nullptr || !same_text(parameter->name, name)) continue;
    const size_t expected = parameter->elements();
    if (elements != expected) return wrong("parameter \"%s\" has %zu values, not %zu", name, expected, elements);
    return data + parameter->offset;
  }
  return Status::error(StatusCode::kNotFound, "the model trains no parameter \"%s\"", name);
}

Extents extents_of(const Dimensions<uint32_t>& shape) {
  Extents extents;
  for (uint32_t extent : shape) extents.push_back(extent);
  return extents;
}

}  // namespace

Result<float*> find_scalar(Session* session, const char* name) {
  FIGMENT_RETURN_IF_ERROR(check_training(*session));
  const format::ModelView& view = session->model()->view();
  for (size_t i = 0; i < view.scalar_count(); ++i) {
    const format::ScalarView scalar = view.scalar(i);
    if (same_text(scalar.name, name)) return session->variables().data(scalar.constant) + scalar.index;
  }
  return Status::error(StatusCode::kNotFound, "the model has no scalar \"%s\"%s%s", name,
                       view.scalar_count() == 0 ? "" : "; its first is ",
                       view.scalar_count() == 0 ? "" : view.scalar(0).name);
}

Result<float*> scaling_values(const Session& session, const char* input, uint32_t channel) {
  FIGMENT_RETURN_IF_ERROR(check_training(session));
  const format::ModelView& view = session.model()->view();
  const Result<format::ScalingView> found = format::find_scaling(view, input, channel);
  if (!found.ok()) return found.status();
  float* values = session.variables().data(found->constant);
  if (values == nullptr) return Status::error(StatusCode::kNotFound, "the model's scaling does not change");
  return values + channel * format::ChannelScaling::kValues;
}

Status check_variables(const Session& session, bool with_state) {
  const format::ModelView& view = session.model()->view();
  for (size_t i = 0; i < view.constant_count(); ++i) {
    const format::ConstantView constant = view.constant(i);
    const float* data = session.variables().data(i);
    if (constant.transient || data == nullptr || (constant.data == nullptr && !with_state)) continue;
    if (!all_finite(data, constant.bytes / sizeof(float))) {
      return wrong("\"%s\" has become NaN or infinite: go back to an earlier checkpoint with a lower learning rate",
                   constant.name);
    }
  }
  return {};
}

Status get_parameter(const Session& session, const char* name, std::span<float> out) {
  format::ParameterView parameter{};
  Result<float*> data = find_parameter(session, name, out.size(), &parameter);
  if (!data.ok()) return data.status();
  // Ours is the exporter's `split`, transposed by `permutation`: back.
  Extents ours;
  Permutation back = parameter.permutation;
  for (uint32_t i = 0; i < parameter.permutation.rank(); ++i) {
    ours.push_back(parameter.split[parameter.permutation[i]]);
    back[parameter.permutation[i]] = i;
  }
  kernels::permute(*data, out.data(), ours, back, sizeof(float));
  return {};
}

Status set_parameter(Session* session, const char* name, std::span<const float> values) {
  format::ParameterView parameter{};
  Result<float*> data = find_parameter(*session, name, values.size(), &parameter);
  if (!data.ok()) return data.status();
  for (float value : values) {
    if (!(value - value == 0)) return wrong("parameter \"%s\": a value is NaN or infinite", name);
  }
  kernels::permute(values.data(), *data, extents_of(parameter.split), parameter.permutation, sizeof(float));
  return {};
}

}  // namespace figment
