// Networks of public packages as exporters and other tools write them (tests/zoo), against what PyTorch, Keras or, of
// quantized files, ONNX Runtime computed.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <map>

#include "convert.h"
#include "io/arrays.h"
#include "io/files.h"
#include "support.h"
#include "write/runner.h"

namespace fs = std::filesystem;
using namespace figment::converter;

namespace {

// What a recording holds: in_NAME, out_NAME, and of quantized files ort_NAME.
struct Recording {
  std::map<std::string, figment::io::Array> inputs;
  std::map<std::string, figment::io::Array> outputs;
  std::map<std::string, figment::io::Array> by_runtime;
};

Recording read_recording(const std::string& path) {
  Recording result;
  for (const figment::io::ZipEntry& entry : figment::io::parse_zip(figment::io::read_file(path), path)) {
    const std::string name = entry.name.substr(0, entry.name.size() - 4);  // .npy
    auto& group = name.starts_with("in_")    ? result.inputs
                  : name.starts_with("out_") ? result.outputs
                                             : result.by_runtime;
    group[name.substr(name.find('_') + 1)] = figment::io::read_array(path + ":" + name);
  }
  return result;
}

// The largest difference over the largest value.
double error_of(const std::vector<float>& actual, const std::vector<float>& expected) {
  double difference = 0;
  double largest = 1e-12;
  for (size_t i = 0; i < expected.size(); ++i) {
    difference = std::max(difference, std::fabs(static_cast<double>(actual[i]) - static_cast<double>(expected[i])));
    largest = std::max(largest, std::fabs(static_cast<double>(expected[i])));
  }
  return difference / largest;
}

// Row `row` of `rows`, `times` times.
std::vector<float> repeated(const std::vector<float>& values, size_t rows, size_t row, size_t times) {
  const size_t size = values.size() / rows;
  std::vector<float> result;
  for (size_t i = 0; i < times; ++i) {
    const auto begin = values.begin() + static_cast<std::ptrdiff_t>(row * size);
    result.insert(result.end(), begin, begin + static_cast<std::ptrdiff_t>(size));
  }
  return result;
}

// Five samples that differ give row by row what each gives alone.
void check_reopened(const std::vector<uint8_t>& file, const std::string& program, const Recording& recording,
                    const std::string& name) {
  TensorMap five;
  for (const auto& [input, array] : recording.inputs) {
    std::vector<float>& values = five[input];
    values = repeated(array.values, array.shape[0], 0, 5);
    // Whole numbers may be labels, and stay.
    const bool whole = std::ranges::all_of(array.values, [](float x) { return x == std::floor(x); });
    for (size_t i = 0; i < values.size() && !whole; ++i)
      values[i] *= 1 + 0.05F * static_cast<float>(i / (values.size() / 5));
  }
  Runner together(file, 5);
  const TensorMap all = together.run(program, five, 5);
  Runner alone(file, 1);
  for (size_t row = 0; row < 5; ++row) {
    TensorMap one;
    for (const auto& [input, values] : five) one[input] = repeated(values, 5, row, 1);
    for (const auto& [output, values] : alone.run(program, one, 1))
      CHECK_MESSAGE(error_of(repeated(all.at(output), 5, row, 1), values) <= 1e-5, name, " ", output, " row ", row);
  }
}

}  // namespace

TEST_CASE("networks of public packages convert, and compute what they were recorded to") {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(FIGMENT_ZOO)) {
    if (entry.path().extension() == ".onnx") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  double worst = 0;
  size_t reopened = 0;
  for (const std::string& name : names) {
    const std::string path = std::string(FIGMENT_ZOO) + "/" + name;
    const Recording recording = read_recording(path + ".npz");
    const std::string tool = name.substr(name.rfind('.') + 1);
    const bool quantized = !recording.by_runtime.empty();
    try {
      ConvertOptions options;
      options.sources = {{"run", path + ".onnx"}};
      const Converted converted = convert(options, {});
      TensorMap inputs;
      size_t batch = 1;
      for (const auto& [input, array] : recording.inputs) {
        inputs[input] = array.values;
        batch = array.shape.empty() ? 1 : array.shape[0];
      }
      Runner runner(converted.file, static_cast<uint32_t>(batch));
      const TensorMap outputs = runner.run("run", inputs, batch);
      for (const auto& [output, array] : recording.outputs) {
        REQUIRE(outputs.at(output).size() == array.values.size());
        const double error = error_of(outputs.at(output), array.values);
        double limit = tool == "f16" ? 2e-3 : 1e-4;
        // As far from the original as ONNX Runtime, or nearer.
        if (quantized) limit = std::max(5e-2, 1.2 * error_of(recording.by_runtime.at(output).values, array.values));
        CHECK_MESSAGE(error <= limit, name, " ", output, " differs by ", error);
        if (!quantized && tool != "f16") worst = std::max(worst, error);
      }
      const bool open = std::ranges::any_of(converted.report.notes, [](const std::string& note) {
        return note.find("which the exporter has fixed at 1, is open") != std::string::npos;
      });
      if (open) check_reopened(converted.file, "run", recording, name);
      reopened += open ? 1 : 0;
    } catch (const std::exception& error) {
      FAIL_CHECK(name, ": ", error.what());
    }
  }
  std::cout << "zoo: " << names.size() << " files, f32 differs by " << worst << " at most; " << reopened
            << " batches reopened\n";
  CHECK(names.size() > 180);
  CHECK(reopened >= 30);
}

TEST_CASE(
    "int8 keeps the scales of a quantized file: its integers are those of ONNX Runtime, without calibration data") {
  for (const std::string name : {"monai-fcn_var.ts.qdq", "torch-clamp_min_max.ts.qdq"}) {
    const std::string path = std::string(FIGMENT_ZOO) + "/" + name;
    const Recording recording = read_recording(path + ".npz");
    ConvertOptions options;
    options.sources = {{"run", path + ".onnx"}};
    options.int8 = true;
    const Converted converted = convert(options, {});
    const std::vector<LayerReport>& layers = converted.report.programs[0].int8->layers;
    CHECK(std::ranges::any_of(layers, [](const LayerReport& layer) { return layer.range_choice == "the file's"; }));
    TensorMap inputs;
    size_t batch = 1;
    for (const auto& [input, array] : recording.inputs) {
      inputs[input] = array.values;
      batch = array.shape[0];
    }
    Runner runner(converted.file, static_cast<uint32_t>(batch));
    for (const auto& [output, values] : runner.run("run", inputs, batch))
      CHECK_MESSAGE(error_of(values, recording.by_runtime.at(output).values) < 1e-6, name, " ", output);
  }
}
