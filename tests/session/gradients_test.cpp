// The gradients of every op on this target, from files that the x86-64 build wrote (converter/gradient_test.cpp): each
// a program, its inputs, and central differences in double precision.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "figment/figment.h"
#include "io/arrays.h"
#include "support.h"

namespace fs = std::filesystem;

namespace {

constexpr uint32_t kBatch = 3;
using Tensors = std::map<std::string, std::vector<float>>;

// NAME -> values, of the files STEM.KIND.NAME.npy.
Tensors read_tensors(const fs::path& file, const std::string& kind) {
  Tensors result;
  const std::string prefix = file.stem().string() + "." + kind + ".";
  for (const auto& entry : fs::directory_iterator(file.parent_path())) {
    const std::string name = entry.path().filename().string();
    if (name.rfind(prefix, 0) != 0) continue;
    result[entry.path().stem().string().substr(prefix.size())] = figment::io::read_npy(entry.path().string()).values;
  }
  return result;
}

std::vector<fig_tensor> named(Tensors* tensors) {
  std::vector<fig_tensor> result;
  for (auto& [name, values] : *tensors) result.push_back({name.c_str(), values.data(), values.size(), FIG_F32});
  return result;
}

void check_case(const fs::path& file, fig_kernels kernels) {
  INFO(file.string());
  fig_model* model = nullptr;
  fig_session* session = nullptr;
  fig_session_options options{};
  options.struct_size = sizeof options;
  options.batch = kBatch;
  options.kernels = kernels;
  REQUIRE_MESSAGE(fig_model_open(file.c_str(), &model) == FIG_OK, fig_error_message());
  REQUIRE_MESSAGE(fig_session_create(model, &options, &session) == FIG_OK, fig_error_message());
  Tensors inputs = read_tensors(file, "input");
  Tensors outputs = read_tensors(file, "output");
  const Tensors expected = outputs;
  const std::vector<fig_tensor> given = named(&inputs);
  const std::vector<fig_tensor> wanted = named(&outputs);
  REQUIRE(!wanted.empty());
  REQUIRE_MESSAGE(fig_run(session, "run", kBatch, given.data(), given.size(), wanted.data(), wanted.size()) == FIG_OK,
                  fig_error_message());
  for (const auto& [name, values] : expected) {
    // Of large operands every few elements are known, as the recorder decided.
    const size_t stride = values.size() / 61 + 1;
    double largest = 1e-3;
    double worst = 0;
    for (size_t i = 0; i < values.size(); i += stride) {
      largest = std::max(largest, std::fabs(static_cast<double>(values[i])));
      worst = std::max(worst, std::fabs(static_cast<double>(outputs.at(name)[i]) - static_cast<double>(values[i])));
    }
    CHECK_MESSAGE(worst / largest < 1e-4, name);
  }
  fig_session_destroy(session);
  fig_model_close(model);
}

}  // namespace

TEST_CASE("gradients are those of central differences in double precision") {
  const fs::path folder = FIGMENT_TEST_MODELS "/gradients";
  REQUIRE_MESSAGE(fs::exists(folder), "build for x86-64 first: it writes ", folder.string());
  size_t cases = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".figment") continue;
    for (const fig_kernels kernels : {FIG_KERNELS_BEST, FIG_KERNELS_PORTABLE}) check_case(entry.path(), kernels);
    ++cases;
  }
  CHECK(cases > 100);
}
