// The int8 form that a model that trains carries: what a session writes is what the converter makes of the same
// weights.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include "convert.h"
#include "core/memory.h"
#include "format/model_view.h"
#include "io/files.h"
#include "support.h"
#include "write/int8_form.h"
#include "write/runner.h"

using namespace figment::converter;

namespace {

// With options that leave no choice to the weights.
Converted with_form(const std::string& path) {
  ConvertOptions options;
  options.model = path;
  options.int8 = true;
  options.keep_training = true;
  options.psnr_goal_db = -100;
  options.snr_goal_db = -100;
  return convert(options, {});
}

std::vector<uint8_t> form_of(const std::vector<uint8_t>& file) {
  figment::Array<uint8_t> memory;
  REQUIRE(memory.allocate(file.size()));
  std::memcpy(memory.data(), file.data(), file.size());
  const auto view = figment::format::ModelView::open(memory.data(), file.size());
  REQUIRE(view.ok());
  const std::span<const uint8_t> model = view->requantization().model;
  return {model.begin(), model.end()};
}

// The file with other values in the place of its parameters.
std::vector<uint8_t> scrambled(const std::vector<uint8_t>& file, uint64_t seed) {
  Runner runner(file, 1, FIG_KERNELS_BEST, true);
  figment::test::Random random(seed);
  fig_parameter_info info{};
  for (uint32_t i = 0; fig_model_parameter(runner.model(), i, &info) == FIG_OK; ++i) {
    const std::string name = info.name;
    size_t elements = 1;
    for (uint32_t d = 0; d < info.shape.rank; ++d) elements *= info.shape.extents[d];
    std::vector<float> values(elements);
    if (name.find(".adam_") != std::string::npos ||
        fig_parameter_get(runner.session(), info.name, values.data(), elements) != FIG_OK)
      continue;
    const bool variance = name.find("running_var") != std::string::npos;
    for (float& value : values) value = variance ? 1.1F + random.real() : value + 0.4F * random.real();
    REQUIRE(fig_parameter_set(runner.session(), info.name, values.data(), elements) == FIG_OK);
  }
  const figment::io::TemporaryFolder folder;
  const std::string path = folder.file("model");
  REQUIRE(fig_session_export(runner.session(), path.c_str()) == FIG_OK);
  return figment::io::read_file(path);
}

}  // namespace

TEST_CASE("a session writes the int8 form that the converter makes of the same weights") {
  for (const char* name : {"tiny_gan", "tiny_dcgan", "tiny_cgan", "tiny_crgan", "tiny_vae", "tiny_infogan"}) {
    CAPTURE(std::string(name));
    const Converted before = with_form(figment::test::model_path(name));
    const std::vector<uint8_t> changed = scrambled(before.file, 3);
    const std::vector<uint8_t> written = requantized(changed);
    CHECK(written != form_of(before.file));
    const figment::io::TemporaryFolder folder;
    const std::string path = folder.file("changed.figment");
    figment::io::write_file(path, changed);
    // Of these weights the converter finds ranges, tables and integers by itself.
    CHECK(written == form_of(with_form(path).file));
    // Without the training, it is the form.
    ConvertOptions options;
    options.model = path;
    options.int8 = true;
    const Converted plain = convert(options, {});
    CHECK(written == plain.file);
    REQUIRE(!plain.report.notes.empty());
    CHECK(plain.report.notes.back().find("signal to noise") != std::string::npos);
  }
}
