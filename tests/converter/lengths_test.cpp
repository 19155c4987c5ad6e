// Networks whose length is open (tests/zoo/lengths.py): one file for all lengths, against what PyTorch computed.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <random>
#include <set>

#include "convert.h"
#include "io/arrays.h"
#include "onnx_builder.h"
#include "support.h"

namespace fs = std::filesystem;
using namespace figment;
using namespace figment::converter;

namespace {

Converted convert_file(const std::string& path, ConvertOptions options = {}) {
  options.sources = {{"", path}};
  options.fallback_name = "network";
  return convert(options, {});
}

// Of a program with one input, x, and one output; kInvalidArgument's message if the length is refused.
std::vector<float> run_at(fig_model* model, const io::Array& x, size_t batch, uint32_t length, std::string* refused) {
  fig_session_options options{};
  options.struct_size = sizeof options;
  options.batch = static_cast<uint32_t>(batch);
  options.length = length;
  fig_session* session = nullptr;
  if (const fig_status status = fig_session_create(model, &options, &session); status != FIG_OK) {
    CHECK(status == FIG_INVALID_ARGUMENT);
    *refused = fig_error_message();
    return {};
  }
  fig_port_info input{};
  fig_port_info output{};
  REQUIRE(fig_session_input(session, 0, 0, &input) == FIG_OK);
  REQUIRE(fig_session_output(session, 0, 0, &output) == FIG_OK);
  size_t taken = 1;
  size_t made = 1;
  for (uint32_t d = 0; d < input.shape.rank; ++d)
    taken *= input.shape.extents[d] * (input.shape.per_batch[d] ? batch : 1);
  for (uint32_t d = 0; d < output.shape.rank; ++d)
    made *= output.shape.extents[d] * (output.shape.per_batch[d] ? batch : 1);
  CHECK(taken == x.values.size());
  std::vector<float> y(made);
  const fig_tensor given = {input.name, const_cast<float*>(x.values.data()), x.values.size(), FIG_F32};
  const fig_tensor wanted = {output.name, y.data(), y.size(), FIG_F32};
  CHECK_MESSAGE(fig_run(session, nullptr, batch, &given, 1, &wanted, 1) == FIG_OK, fig_error_message());
  fig_session_destroy(session);
  return y;
}

struct Opened {
  explicit Opened(const std::vector<uint8_t>& bytes) : file(bytes) {
    REQUIRE_MESSAGE(fig_model_open_memory(file.data(), file.size(), &model) == FIG_OK, fig_error_message());
  }
  ~Opened() { fig_model_close(model); }
  test::AlignedBytes file;
  fig_model* model = nullptr;
};

const std::string kZoo = FIGMENT_LENGTHS;

}  // namespace

TEST_CASE("one file computes all lengths, f32 and portable, in any order") {
  size_t compared = 0;
  for (const auto& entry : fs::directory_iterator(kZoo)) {
    const std::string file = entry.path().filename().string();
    // Of one length: see below.
    if (!file.ends_with(".onnx") || file == "attention.one.onnx" || file == "cut.ts.onnx") continue;
    INFO(file);
    const Opened opened(convert_file(entry.path().string()).file);
    fig_length_info length{};
    REQUIRE(fig_model_length(opened.model, &length) == FIG_OK);
    CHECK(std::string(length.name) == "time");
    for (const auto& other : fs::directory_iterator(kZoo)) {
      const std::string recording = other.path().filename().string();
      const std::string network = file.substr(0, file.find('.'));
      if (!recording.starts_with(network + ".") || !recording.ends_with(".npz")) continue;
      const auto wanted = static_cast<uint32_t>(std::stoul(recording.substr(network.size() + 1)));
      INFO(wanted);
      std::map<std::string, io::Array> arrays = io::read_archive(other.path().string());
      std::string refused;
      const std::vector<float> y = run_at(opened.model, arrays.at("x"), arrays.at("x").shape[0], wanted, &refused);
      REQUIRE_MESSAGE(refused.empty(), refused);
      CHECK(test::relative_error(y, arrays.at("y").values) < 1e-5);
      ++compared;
    }
  }
  CHECK(compared >= 30);
}

TEST_CASE("one-dimensional networks are computed without a transpose, in one layout from end to end") {
  for (const char* file : {"vocoder.ts.onnx", "vocoder.dyn.onnx", "encoder.dyn.onnx", "causal.ts.onnx"}) {
    INFO(std::string(file));
    const ConvertReport report = convert_file(kZoo + "/" + file).report;
    size_t reshapes = 0;
    for (const ProgramReport::Op& op : report.programs[0].ops) {
      CHECK(op.kind != "transpose");
      reshapes += op.kind == "reshape" ? 1 : 0;
    }
    CHECK(reshapes <= 4);  // at the ends, and around what is cut off
  }
}

TEST_CASE("lengths that cannot be are refused, and say which can") {
  const Opened opened(convert_file(kZoo + "/encoder.dyn.onnx").file);
  fig_length_info length{};
  REQUIRE(fig_model_length(opened.model, &length) == FIG_OK);
  CHECK(length.unit == 8);
  CHECK(length.least == 8);
  const io::Array none;
  for (const uint32_t wrong : {1U, 7U, 12U, 100U, 1U << 31, UINT32_MAX - 7}) {
    INFO(wrong);
    std::string refused;
    run_at(opened.model, none, 1, wrong, &refused);
    CHECK_MESSAGE(refused.find("time cannot be") != std::string::npos, refused);
  }
  const Opened fixed(convert_file(std::string(FIGMENT_MODELS) + "/dcgan/generator.onnx").file);
  CHECK(fig_model_length(fixed.model, &length) == FIG_NOT_FOUND);
  std::string refused;
  run_at(fixed.model, none, 1, 5, &refused);
  CHECK_MESSAGE(refused.find("no length to choose") != std::string::npos, refused);
}

TEST_CASE("int8 models have any length, and so have their conversions from f32 files") {
  std::map<std::string, io::Array> recorded = io::read_archive(kZoo + "/vocoder.100.npz");
  ConvertOptions options;
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  io::Array examples{{40, 8, 64}, std::vector<float>(40 * 8 * 64)};
  for (float& value : examples.values) value = normal(random);
  options.calibration_data["x"] = examples;
  options.int8 = true;
  const Opened opened(convert_file(kZoo + "/vocoder.ts.onnx", options).file);
  std::string refused;
  const std::vector<float> y = run_at(opened.model, recorded.at("x"), 2, 100, &refused);
  REQUIRE_MESSAGE(refused.empty(), refused);
  CHECK(test::relative_error(y, recorded.at("y").values) < 0.05);

  // By a file of ours: the same program but for its name.
  const std::string path = (fs::temp_directory_path() / "figment_lengths_test.figment").string();
  io::write_file(path, convert_file(kZoo + "/vocoder.ts.onnx").file);
  options.sources.clear();
  options.model = path;
  const Opened again(convert(options, {}).file);
  fs::remove(path);
  CHECK(run_at(again.model, recorded.at("x"), 2, 100, &refused) == y);
}

TEST_CASE("a length is given or stays fixed where it must") {
  // --length: that of sessions which do not choose.
  ConvertOptions options;
  options.length = 100;
  const Opened opened(convert_file(kZoo + "/vocoder.one.onnx", options).file);
  fig_length_info length{};
  fig_port_info input{};
  REQUIRE(fig_model_length(opened.model, &length) == FIG_OK);
  CHECK(length.length == 100);
  REQUIRE(fig_model_input(opened.model, 0, 0, &input) == FIG_OK);
  CHECK(input.shape.extents[2] == 100);
  // --dim: fixed.
  options = {};
  options.dimensions["time"] = 48;
  const Opened fixed(convert_file(kZoo + "/vocoder.ts.onnx", options).file);
  CHECK(fig_model_length(fixed.model, &length) == FIG_NOT_FOUND);
  std::map<std::string, io::Array> arrays = io::read_archive(kZoo + "/vocoder.48.npz");
  std::string refused;
  CHECK(test::relative_error(run_at(fixed.model, arrays.at("x"), 2, 0, &refused), arrays.at("y").values) < 1e-5);
  // An exporter traced attention at one length, which the file holds as numbers.
  try {
    convert_file(kZoo + "/attention.one.onnx");
    FAIL("converted");
  } catch (const Error& error) {
    CHECK_MESSAGE(std::string(error.what()).find("--dim time=N") != std::string::npos, error.what());
  }
  options.dimensions["time"] = 20;
  const Opened traced(convert_file(kZoo + "/attention.one.onnx", options).file);
  arrays = io::read_archive(kZoo + "/attention.20.npz");
  CHECK(test::relative_error(run_at(traced.model, arrays.at("x"), 2, 0, &refused), arrays.at("y").values) < 1e-5);
}

TEST_CASE("a network that cuts what is long has lengths up to there") {
  const Opened opened(convert_file(kZoo + "/cut.ts.onnx").file);
  fig_length_info length{};
  REQUIRE(fig_model_length(opened.model, &length) == FIG_OK);
  CHECK(length.greatest == 500);
  const io::Array none;
  std::string refused;
  run_at(opened.model, none, 1, 501, &refused);
  CHECK_MESSAGE(refused.find("time cannot be 501: it is from 1 to 500") != std::string::npos, refused);
}

TEST_CASE("what repeats each step has lengths as long as memory goes") {
  test::OnnxBuilder model;
  model.input("x", {1, 8});
  model.output("y", {1, 32});
  const auto open = [](onnx::ValueInfoProto* port) {
    port->mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim(2)->set_dim_param("time");
  };
  open(model.graph()->mutable_input(0));
  onnx::NodeProto* node = model.node("Resize", {"x", "", model.floats("scales", {3}, {1, 1, 4})}, {"y"});
  test::OnnxBuilder::attribute(node, "nearest_mode", "floor");
  test::OnnxBuilder::attribute(node, "coordinate_transformation_mode", "asymmetric");
  const test::OnnxFile file(model.model);
  const Opened opened(convert_file(file.path()).file);
  fig_length_info length{};
  REQUIRE(fig_model_length(opened.model, &length) == FIG_OK);
  CHECK(length.greatest > 4000000);
  const io::Array x{{1, 1, 70000}, std::vector<float>(70000, 3)};
  std::string refused;
  const std::vector<float> y = run_at(opened.model, x, 1, 70000, &refused);
  REQUIRE_MESSAGE(y.size() == 280000, refused);
  CHECK(y.back() == 3);
}

TEST_CASE("a cut far beyond the lengths that are tried nearby is found, from the front and from the end") {
  for (const int64_t from : {int64_t{0}, int64_t{-16000}}) {
    test::OnnxBuilder model;
    model.input("x", {1, 8});
    model.output("y", {1, 8});
    model.graph()
        ->mutable_input(0)
        ->mutable_type()
        ->mutable_tensor_type()
        ->mutable_shape()
        ->mutable_dim(2)
        ->set_dim_param("time");
    const int64_t end = from == 0 ? 16000 : INT64_MAX;
    model.node(
        "Slice",
        {"x", model.integers("from", {1}, {from}), model.integers("to", {1}, {end}), model.integers("axis", {1}, {2})},
        {"y"});
    const test::OnnxFile file(model.model);
    const Opened opened(convert_file(file.path()).file);
    fig_length_info length{};
    REQUIRE(fig_model_length(opened.model, &length) == FIG_OK);
    CHECK(length.least == 1);
    CHECK(length.greatest == 16000);
  }
}

TEST_CASE("what a session draws follows the length") {
  ConvertOptions options;
  options.latent = "x";
  const Opened opened(convert_file(kZoo + "/lstm.one.onnx", options).file);
  fig_length_info length{};
  REQUIRE(fig_model_length(opened.model, &length) == FIG_OK);
  std::vector<float> drawn(25 * 6);
  REQUIRE(fig_model_draw_latent(opened.model, 3, 1, drawn.data(), drawn.size()) == FIG_OK);
  fig_session_options session_options{};
  session_options.struct_size = sizeof session_options;
  session_options.batch = 2;
  session_options.length = 25;
  session_options.seed = 3;
  fig_session* session = nullptr;
  REQUIRE_MESSAGE(fig_session_create(opened.model, &session_options, &session) == FIG_OK, fig_error_message());
  std::vector<float> samples(2 * 25 * 3);
  std::vector<float> latents(2 * 25 * 6);
  fig_generate_options generate{};
  generate.struct_size = sizeof generate;
  generate.latents_out = latents.data();
  REQUIRE_MESSAGE(fig_generate(session, 2, &generate, samples.data(), samples.size()) == FIG_OK, fig_error_message());
  CHECK(std::equal(drawn.begin(), drawn.end(), latents.begin() + 25 * 6));
  fig_session_destroy(session);
  std::string refused;
  io::Array x{{2, 25, 6}, latents};
  CHECK(run_at(opened.model, x, 2, 25, &refused) == samples);
}
