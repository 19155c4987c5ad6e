// Runs the graphs of tests/fuzz/graphs.py in every configuration, and compares: graphs_check FILE.zip [LEAST-WHOLE
// [NUMBER [STEP]]]. LEAST-WHOLE graphs must be int8 as a whole; NUMBER is the only graph to run, or with STEP the
// first.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "convert.h"
#include "core/philox.h"
#include "figment/figment.h"
#include "io/arrays.h"
#include "io/files.h"
#include "support.h"

namespace {

using namespace figment;
using converter::Converted;
using converter::ConvertOptions;

constexpr size_t kRows = 16;           // computed in f32, by repeating those recorded
constexpr size_t kExamples = 512;      // that int8 is calibrated on
constexpr size_t kJudged = 512;        // other examples, that int8 is compared on with f32
constexpr double kTolerance = 5e-5;    // of the largest value
constexpr double kSignalToNoise = 20;  // dB, of int8

struct Tensor {
  std::string name;
  std::vector<float> values;
  std::vector<size_t> sample;  // shape
};

struct Case {
  std::vector<uint8_t> onnx;
  size_t rows = kRows;
  std::vector<Tensor> inputs;
  std::vector<Tensor> outputs;
};

// kRows rows of a recorded array, which are fewer.
std::vector<float> repeated(const io::Array& array) {
  const size_t rows = array.shape.at(0);
  const size_t row = array.values.size() / rows;
  std::vector<float> result;
  for (size_t i = 0; i < kRows; ++i) {
    const auto start = array.values.begin() + static_cast<std::ptrdiff_t>(i % rows * row);
    result.insert(result.end(), start, start + static_cast<std::ptrdiff_t>(row));
  }
  return result;
}

Tensor tensor_of(const std::string& name, const io::Array& array) {
  return {name, repeated(array), {array.shape.begin() + 1, array.shape.end()}};
}

// Examples of an input, from the distribution that graphs.py draws from.
io::Array examples_of(const Tensor& tensor, uint64_t seed, uint32_t stream, size_t rows) {
  io::Array array;
  array.shape = tensor.sample;
  array.shape.insert(array.shape.begin(), rows);
  array.values.resize(tensor.values.size() / kRows * rows);
  draw_latent(Prior::kNormal, seed, stream, 0, array.values.size(), array.values.data());
  return array;
}

std::map<size_t, Case> read_cases(const std::string& path) {
  std::map<size_t, Case> cases;
  const std::vector<uint8_t> archive = io::read_file(path);
  for (const io::ZipEntry& entry : io::parse_zip(archive, path)) {
    const std::vector<uint8_t> bytes = io::unpack(entry, path, io::Budget(archive.size()));
    Case& one = cases[std::stoul(entry.name)];
    const size_t dot = entry.name.find('.');
    if (entry.name.substr(dot) == ".onnx") {
      one.onnx = bytes;
      continue;
    }
    const bool input = entry.name.compare(dot, 4, ".in.") == 0;
    const size_t start = dot + (input ? 4 : 5);
    const std::string name = entry.name.substr(start, entry.name.size() - start - 4);
    (input ? one.inputs : one.outputs).push_back(tensor_of(name, io::parse_npy(bytes, entry.name)));
  }
  return cases;
}

struct Configuration {
  fig_kernels kernels;
  uint32_t threads;
  uint32_t batch;
};

std::string to_string(const Configuration& c) {
  return std::string(c.kernels == FIG_KERNELS_BEST ? "best" : "portable") + " kernels, " + std::to_string(c.threads) +
         " threads, batch " + std::to_string(c.batch);
}

// All outputs for the case's samples, or an exception with the library's message.
std::vector<std::vector<float>> run(const std::vector<uint8_t>& file, const Case& one, const Configuration& c) {
  test::AlignedBytes copy(file);
  const auto check = [](fig_status status) {
    if (status != FIG_OK) throw std::runtime_error(fig_error_message());
  };
  fig_model* model = nullptr;
  check(fig_model_open_memory(copy.data(), copy.size(), &model));
  const std::unique_ptr<fig_model, void (*)(fig_model*)> closes(model, fig_model_close);
  fig_session_options options{};
  options.struct_size = sizeof options;
  options.kernels = c.kernels;
  options.threads = c.threads;
  options.batch = c.batch;
  fig_session* session = nullptr;
  check(fig_session_create(model, &options, &session));
  const std::unique_ptr<fig_session, void (*)(fig_session*)> destroys(session, fig_session_destroy);
  std::vector<fig_tensor> inputs;
  for (const Tensor& tensor : one.inputs)
    inputs.push_back({tensor.name.c_str(), const_cast<float*>(tensor.values.data()), tensor.values.size(), FIG_F32});
  std::vector<std::vector<float>> results;
  std::vector<fig_tensor> outputs;
  results.reserve(one.outputs.size());
  for (const Tensor& tensor : one.outputs) {
    results.emplace_back(tensor.values.size());
    outputs.push_back({tensor.name.c_str(), results.back().data(), results.back().size(), FIG_F32});
  }
  check(fig_run(session, nullptr, one.rows, inputs.data(), inputs.size(), outputs.data(), outputs.size()));
  return results;
}

// The power of what varies from row to row (of all, if nothing does) over that of the difference, in dB. One row in 100
// may differ: where a function jumps, as a layer normalization does where all values are nearly equal, any rounding
// decides between two results.
double signal_to_noise(const std::vector<float>& actual, const std::vector<float>& expected, size_t rows) {
  const size_t row = expected.size() / rows;
  double power = 0;
  double varying = 0;
  std::vector<double> noise(rows);
  for (size_t j = 0; j < row; ++j) {
    double mean = 0;
    for (size_t i = 0; i < rows; ++i) mean += static_cast<double>(expected[i * row + j]) / static_cast<double>(rows);
    for (size_t i = 0; i < rows; ++i) {
      const auto value = static_cast<double>(expected[i * row + j]);
      power += value * value;
      varying += (value - mean) * (value - mean);
      noise[i] += std::pow(static_cast<double>(actual[i * row + j]) - value, 2);
    }
  }
  double total = 0;
  for (const double one : noise) {
    if (!std::isfinite(one)) return -INFINITY;
  }
  std::sort(noise.begin(), noise.end());
  for (size_t i = 0; i + rows / 100 < rows; ++i) total += noise[i];
  return total == 0 ? INFINITY : 10 * std::log10((varying > kTolerance * kTolerance * power ? varying : power) / total);
}

class Checker {
 public:
  explicit Checker(std::string folder) : onnx_(std::move(folder) + "/graph.onnx") {}

  void check(size_t number, const Case& one) {
    number_ = number;
    io::write_file(onnx_, one.onnx);
    ConvertOptions options;
    options.sources = {{"run", onnx_}};
    options.name = "graph";
    try {
      const Converted f32 = converter::convert(options, {});
      check_float(one, f32);
      options.int8 = true;
      for (uint32_t i = 0; i < one.inputs.size(); ++i)
        options.calibration_data[one.inputs[i].name] = examples_of(one.inputs[i], number, i, kExamples);
      check_int8(judged(one, f32), converter::convert(options, {}));
    } catch (const std::exception& error) {
      fail(error.what());
    }
    ++graphs_;
  }

  // `least_whole`: graphs that must be int8 as a whole.
  int report(size_t least_whole) const {
    std::printf(
        "%zu graphs in %zu configurations: %zu failures; f32 differs by %.1e of the largest value at most; int8, "
        "%zu graphs whole: %.1f dB at the least\n",
        graphs_, runs_, failures_, worst_, whole_, least_);
    if (whole_ < least_whole) std::printf("fewer than %zu graphs are whole in int8\n", least_whole);
    return failures_ == 0 && graphs_ > 0 && whole_ >= least_whole ? 0 : 1;
  }

 private:
  void fail(const std::string& what) {
    ++failures_;
    std::printf("graph %zu: %s\n", number_, what.c_str());
  }

  // The same graph on `rows` examples, with what it computes for them in f32.
  Case computed(const Case& one, const Converted& f32, uint64_t seed, size_t rows) const {
    Case fresh = one;
    fresh.rows = rows;
    for (uint32_t i = 0; i < fresh.inputs.size(); ++i)
      fresh.inputs[i].values = examples_of(one.inputs[i], seed, i, rows).values;
    for (Tensor& output : fresh.outputs) output.values.resize(output.values.size() / kRows * rows);
    const auto results = run(f32.file, fresh, {FIG_KERNELS_BEST, 1, 16});
    for (size_t i = 0; i < results.size(); ++i) fresh.outputs[i].values = results[i];
    return fresh;
  }

  // Fresh examples without those whose results lie outside of what calibration could know of.
  Case judged(const Case& one, const Converted& f32) {
    const Case known = computed(one, f32, number_, kExamples);
    Case fresh = computed(one, f32, ~uint64_t{number_}, kJudged);
    std::vector<bool> keep(kJudged, true);
    for (size_t i = 0; i < fresh.outputs.size(); ++i) {
      const auto [low, high] = std::ranges::minmax(known.outputs[i].values);
      const std::vector<float>& values = fresh.outputs[i].values;
      for (size_t j = 0; j < values.size(); ++j) {
        if (values[j] < low || values[j] > high) keep[j / (values.size() / kJudged)] = false;
      }
    }
    fresh.rows = static_cast<size_t>(std::count(keep.begin(), keep.end(), true));
    if (fresh.rows < kJudged * 3 / 4) fail("many examples are beyond those of calibration");
    for (std::vector<Tensor>* tensors : {&fresh.inputs, &fresh.outputs}) {
      for (Tensor& tensor : *tensors) {
        const size_t row = tensor.values.size() / kJudged;
        std::vector<float> kept;
        for (size_t i = 0; i < tensor.values.size(); ++i) {
          if (keep[i / row]) kept.push_back(tensor.values[i]);
        }
        tensor.values = std::move(kept);
      }
    }
    return fresh;
  }

  void check_float(const Case& one, const Converted& converted) {
    for (const fig_kernels kernels : {FIG_KERNELS_BEST, FIG_KERNELS_PORTABLE}) {
      for (const uint32_t threads : {1U, 2U}) {
        for (const uint32_t batch : {1U, 2U, 3U, 16U}) {
          const Configuration c{kernels, threads, batch};
          const auto results = run(converted.file, one, c);
          ++runs_;
          for (size_t i = 0; i < results.size(); ++i) {
            const double error = test::relative_error(results[i], one.outputs[i].values);
            worst_ = std::max(worst_, error);
            if (!(error <= kTolerance)) {
              char text[64];
              std::snprintf(text, sizeof text, " differs by %.2e, ", error);
              fail("output " + one.outputs[i].name + text + to_string(c));
            }
          }
        }
      }
    }
  }

  void check_int8(const Case& one, const Converted& converted) {
    const bool whole = converted.report.programs.at(0).int8->fully_int8;
    whole_ += whole ? 1 : 0;
    std::vector<std::vector<float>> first;
    for (const fig_kernels kernels : {FIG_KERNELS_BEST, FIG_KERNELS_PORTABLE}) {
      for (const uint32_t threads : {1U, 2U}) {
        for (const uint32_t batch : {1U, 3U, 16U}) {
          const Configuration c{kernels, threads, batch};
          const auto results = run(converted.file, one, c);
          ++runs_;
          for (size_t i = 0; i < results.size(); ++i) {
            const double ratio = signal_to_noise(results[i], one.outputs[i].values, one.rows);
            least_ = std::min(least_, ratio);
            if (!(ratio >= kSignalToNoise)) {
              char text[64];
              std::snprintf(text, sizeof text, " has %.1f dB in int8, ", ratio);
              fail("output " + one.outputs[i].name + text + to_string(c));
            }
          }
          if (first.empty()) first = results;
          if (whole && results != first) fail("fully int8, but other bits with " + to_string(c));
        }
      }
    }
  }

  std::string onnx_;
  size_t number_ = 0;
  size_t graphs_ = 0;
  size_t runs_ = 0;
  size_t failures_ = 0;
  size_t whole_ = 0;
  double worst_ = 0;
  double least_ = INFINITY;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("figment_graphs_" + std::to_string(getpid()));
  std::filesystem::create_directory(folder);
  Checker checker(folder.string());
  for (const auto& [number, one] : read_cases(argv[1])) {
    const auto first = argc > 3 ? std::stoul(argv[3]) : 0;
    const bool chosen = argc > 4   ? number >= first && (number - first) % std::max(1UL, std::stoul(argv[4])) == 0
                        : argc > 3 ? number == first
                                   : true;
    if (chosen) checker.check(number, one);
  }
  std::filesystem::remove_all(folder);
  return checker.report(argc > 2 ? std::stoul(argv[2]) : 0);
}
