#include "output.h"

#include <fmt/format.h>
#include <algorithm>
#include <cmath>
#include <string_view>

#include "io/arrays.h"
#include "io/files.h"
#include "io/pictures.h"
#include "io/plot.h"
#include "io/table.h"
#include "io/terminal.h"

namespace figment::cli {

namespace {

std::string to_csv(std::span<const float> samples, const Generated& generated) {
  const fig_shape& shape = generated.port.shape;
  const size_t steps = generated.sequence() ? shape.extents[1] : 1;
  const size_t values = generated.sample / steps;
  std::string text = generated.sequence() ? "sample,step" : "sample";
  for (size_t i = 0; i < values; ++i) text += "," + io::csv_cell(generated.scaling.label(i));
  text += "\n";
  for (size_t row = 0; row * values < samples.size(); ++row) {
    text += std::to_string(row / steps);
    if (generated.sequence()) text += fmt::format(",{}", row % steps);
    for (size_t i = 0; i < values; ++i) text += fmt::format(",{:.7g}", samples[row * values + i]);
    text += "\n";
  }
  return text;
}

// What a plot of sequences shows: the model's range, and what lies beyond it.
std::pair<float, float> plotted_range(std::span<const float> samples, const fig_output_info& output) {
  std::pair range{output.range_min, output.range_max};
  for (const float value : samples) {
    if (!std::isfinite(value)) continue;
    range = {std::min(range.first, value), std::max(range.second, value)};
  }
  return range;
}

// "temperature (°C), -3.1 to 35.2": each channel with what lies at the bottom and at the top of a plot.
std::vector<std::string> legend_of(const Generated& generated, std::pair<float, float> range) {
  std::vector<std::string> legend;
  if (!generated.scaling.known()) return legend;
  const size_t channels = generated.port.shape.extents[2];
  std::vector<float> low(channels, range.first);
  std::vector<float> high(channels, range.second);
  generated.scaling.to_measured(low);
  generated.scaling.to_measured(high);
  for (size_t c = 0; c < channels; ++c)
    legend.push_back(fmt::format("{}, {:.3g} to {:.3g}", generated.scaling.label(c), low[c], high[c]));
  return legend;
}

}  // namespace

Generated generated_of(const OpenModel& open) {
  Generated result;
  check(fig_model_generated(open.model(), &result.output));
  result.program = result.output.program;
  const uint32_t program = open.find_program(result.program);
  fig_program_info info{};
  check(fig_model_program(open.model(), program, &info));
  for (uint32_t i = info.outputs; i > 0; --i) {
    result.port = open.output(program, i - 1);
    if (std::string(result.output.port) == result.port.name) break;
  }
  result.sample = sample_elements(result.port.shape);
  if (!result.output.image) result.scaling = Scaling::of(open, nullptr);
  return result;
}

Generated learned_of(const OpenModel& open) {
  Generated result;
  if (fig_model_generated(open.model(), &result.output) == FIG_OK) return generated_of(open);
  if (fig_model_batch_input(open.model(), 0, &result.port) != FIG_OK) return result;
  const fig_shape& shape = result.port.shape;
  result.output.port = result.port.name;
  result.output.image = shape.rank == 4 && (shape.extents[1] == 1 || shape.extents[1] == 3);
  result.output.range_min = -1;
  result.output.range_max = 1;
  result.output.bounded = result.output.image;
  result.sample = sample_elements(shape);
  return result;
}

std::vector<fig_port_info> conditions_of(const OpenModel& open) {
  const fig_latent_info latent = open.latent();
  const uint32_t program = open.find_program(latent.program);
  fig_program_info info{};
  check(fig_model_program(open.model(), program, &info));
  std::vector<fig_port_info> result;
  for (uint32_t i = 0; i < info.inputs; ++i) {
    const fig_port_info port = open.input(program, i);
    if (std::string(port.name) != latent.input && !port.drawn) result.push_back(port);
  }
  return result;
}

std::vector<fig_port_info> batch_inputs_of(const OpenModel& open) {
  std::vector<fig_port_info> result;
  fig_port_info port{};
  for (uint32_t i = 0; fig_model_batch_input(open.model(), i, &port) == FIG_OK; ++i) result.push_back(port);
  fig_output_info output{};
  if (fig_model_generated(open.model(), &output) != FIG_OK) return result;
  // A condition may have as many values.
  const size_t generated = generated_of(open).sample;
  const std::vector<fig_port_info> conditions = conditions_of(open);
  const auto learned = std::ranges::find_if(result, [&](const fig_port_info& input) {
    return sample_elements(input.shape) == generated &&
           std::ranges::none_of(conditions, [&](const fig_port_info& condition) {
             return std::string_view(condition.name) == input.name;
           });
  });
  if (learned != result.end()) std::rotate(result.begin(), learned, learned + 1);
  return result;
}

void check_kind(const std::string& path, const Generated& generated) {
  if (path.ends_with(".npy") || path.ends_with(".csv")) return;
  if (path.ends_with(".png")) {
    if (generated.output.image) return;
    throw Error(path + ": the model does not generate images; write " +
                (generated.sequence() ? ".svg, .csv or .npy" : ".csv or .npy"));
  }
  if (path.ends_with(".svg")) {
    if (generated.sequence()) return;
    throw Error(path + ": the model does not generate sequences; write " +
                (generated.output.image ? ".png or .npy" : ".csv or .npy"));
  }
  throw Error(path + ": the output must be a .png, .svg, .csv or .npy file");
}

void write_samples(const std::string& path, std::span<const float> values, const Generated& generated,
                   const Layout& layout) {
  check_kind(path, generated);
  std::vector<float> measured;
  std::span<const float> samples = values;
  if (generated.scaling.known() && !path.ends_with(".png") && !path.ends_with(".svg")) {
    measured.assign(values.begin(), values.end());
    generated.scaling.to_measured(measured);
    samples = measured;
  }
  const fig_shape& shape = generated.port.shape;
  const fig_output_info& output = generated.output;
  const size_t count = samples.size() / generated.sample;
  const uint32_t columns =
      layout.columns != 0 ? layout.columns : static_cast<uint32_t>(std::ceil(std::sqrt(static_cast<double>(count))));
  if (path.ends_with(".npy")) {
    io::Array array{{}, {samples.begin(), samples.end()}};
    for (uint32_t i = 0; i < shape.rank; ++i)
      array.shape.push_back(shape.extents[i] * (shape.per_batch[i] ? count : 1));
    io::write_file(path, io::format_npy(array));
  } else if (path.ends_with(".csv")) {
    io::write_file(path, to_csv(samples, generated));
  } else if (path.ends_with(".svg")) {
    const auto range = plotted_range(samples, output);
    io::write_file(path, io::plot_sequences(samples, shape.extents[1], shape.extents[2], range.first, range.second,
                                            columns, legend_of(generated, range)));
  } else {
    const io::Picture picture = io::make_grid(samples, shape.extents[1], shape.extents[2], shape.extents[3],
                                              output.range_min, output.range_max, columns, layout.scale);
    io::write_file(path, io::encode_png(picture.pixels, picture.width, picture.height, picture.channels));
  }
}

}  // namespace figment::cli
