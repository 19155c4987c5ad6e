// Adapters as files: what training has changed goes to any copy of the model, and to no other.
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>

#include "edited_model.h"
#include "training.h"

using namespace figment::test;
namespace fs = std::filesystem;
namespace schema = figment::format::schema;

namespace {

std::unique_ptr<schema::ConstantT> variable(const std::string& name, uint32_t elements) {
  auto result = std::make_unique<schema::ConstantT>();
  result->name = name;
  result->type = schema::DataType::f32;
  result->shape = {elements};
  result->variable = true;
  return result;
}

// Writes tiny_adapted with a header that `edit` has changed.
template <typename Edit>
void write_edited(const std::string& path, const Edit& edit) {
  const std::vector<uint8_t> edited = edited_file(read_bytes(model_path("tiny_adapted")), edit);
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(edited.data()), static_cast<std::streamsize>(edited.size()));
}

struct File {
  File() {
    static int number = 0;
    const std::string name = "figment_adapter_" + std::to_string(getpid()) + "_" + std::to_string(number++);
    path = (fs::temp_directory_path() / name).string();
  }
  ~File() { fs::remove(path); }
  std::string path;
};

std::vector<float> generate(const Trainer& trainer) {
  constexpr size_t kCount = 2;
  std::vector<float> labels = {1, 0, 0, 0, 0, 1};
  std::vector<float> latents(kCount * 6);
  for (size_t i = 0; i < latents.size(); ++i) latents[i] = std::sin(static_cast<float>(i));
  const fig_tensor inputs[] = {{"latent", latents.data(), latents.size(), FIG_F32},
                               {"label", labels.data(), labels.size(), FIG_F32}};
  std::vector<float> samples(kCount * 64);
  const fig_tensor output = {"sample", samples.data(), samples.size(), FIG_F32};
  REQUIRE_MESSAGE(fig_run(trainer.session, "generate", kCount, inputs, 2, &output, 1) == FIG_OK, fig_error_message());
  return samples;
}

std::vector<uint8_t> bytes_of(const Trainer& trainer, const char* program = nullptr) {
  size_t size = 0;
  CHECK(fig_adapter_get(trainer.session, program, nullptr, 0, &size) == FIG_INVALID_ARGUMENT);
  std::vector<uint8_t> bytes(size);
  CHECK(fig_adapter_get(trainer.session, program, bytes.data(), size - 1, &size) == FIG_INVALID_ARGUMENT);
  REQUIRE_MESSAGE(fig_adapter_get(trainer.session, program, bytes.data(), bytes.size(), &size) == FIG_OK,
                  fig_error_message());
  return bytes;
}

}  // namespace

TEST_CASE("an adapter carries what was trained to another session of the model") {
  const File file;
  Trainer trained("tiny_adapted");
  const std::vector<float> before = generate(trained);
  for (int i = 0; i < 5; ++i) trained.step();
  const std::vector<float> after = generate(trained);
  CHECK(before != after);
  REQUIRE_MESSAGE(fig_adapter_save(trained.session, nullptr, file.path.c_str()) == FIG_OK, fig_error_message());
  Trainer fresh("tiny_adapted");
  REQUIRE_MESSAGE(fig_adapter_load(fresh.session, file.path.c_str()) == FIG_OK, fig_error_message());
  CHECK(generate(fresh) == after);
  CHECK(fig_session_steps(fresh.session) == 0);
  // The parameters begin where their averages are, and what belongs to other programs stays.
  const auto parameters = fresh.parameters();
  const auto untouched = Trainer("tiny_adapted").parameters();
  CHECK(parameters.at("generator.4.weight.lora_b") == parameters.at("generator.4.weight.lora_b.ema"));
  CHECK(parameters.at("discriminator.0.weight.lora_b") == untouched.at("discriminator.0.weight.lora_b"));
  REQUIRE(fig_adapter_set(fresh.session, bytes_of(trained, "discriminate").data(),
                          bytes_of(trained, "discriminate").size()) == FIG_OK);
  CHECK(fresh.parameters().at("discriminator.0.weight.lora_b") ==
        trained.parameters().at("discriminator.0.weight.lora_b"));
  // The file is the same bytes, and a model that was exported has the same base.
  std::ifstream in(file.path, std::ios::binary);
  const std::vector<uint8_t> saved((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  CHECK(saved == bytes_of(trained));
  const File exported;
  REQUIRE(fig_session_export(trained.session, exported.path.c_str()) == FIG_OK);
  Trainer again("tiny_adapted", {}, exported.path);
  CHECK(bytes_of(again) == saved);
}

TEST_CASE("an adapter that is damaged or of another model is refused, and nothing changes") {
  Trainer trainer("tiny_adapted");
  trainer.step();
  const std::vector<uint8_t> good = bytes_of(trainer);
  Trainer target("tiny_adapted");
  const auto before = target.parameters();
  const auto load = [&](const std::vector<uint8_t>& bytes) {
    return fig_adapter_set(target.session, bytes.data(), bytes.size());
  };
  for (size_t size = 1; size < good.size(); size += size < 60 ? 1 : 97)
    CHECK(load({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)}) == FIG_BAD_FILE);
  for (size_t at = 0; at < good.size(); at += at < 60 ? 1 : 97) {
    std::vector<uint8_t> damaged = good;
    damaged[at] ^= 0x10;
    CHECK(load(damaged) == FIG_BAD_FILE);
  }
  std::vector<uint8_t> longer = good;
  longer.push_back(0);
  CHECK(load(longer) == FIG_BAD_FILE);
  CHECK(fig_adapter_load(target.session, "/no/such/file") == FIG_NOT_FOUND);
  CHECK(target.parameters() == before);
  REQUIRE(load(good) == FIG_OK);
  Trainer other("tiny_gan");
  CHECK(fig_adapter_set(other.session, good.data(), good.size()) == FIG_INVALID_ARGUMENT);
  CHECK(std::string(fig_error_message()).find("another model") != std::string::npos);
  size_t size = 0;
  CHECK(fig_adapter_get(other.session, "paint", nullptr, 0, &size) == FIG_NOT_FOUND);
  CHECK(fig_adapter_save(trainer.session, nullptr, "/proc/no/such") == FIG_IO_ERROR);
}

TEST_CASE("frozen weights of other values are another base") {
  // The same networks with other weights: their layout is the same.
  const File file;
  std::ifstream in(model_path("tiny_adapted"), std::ios::binary);
  std::vector<char> bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  Trainer trainer("tiny_adapted");
  const std::vector<uint8_t> adapter = bytes_of(trainer);
  size_t refused = 0;
  size_t taken = 0;
  // Weights lie behind the header, whose size the file begins with; padding and variables may change.
  uint32_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof header);
  for (size_t at = header + 64; at < bytes.size(); at += 512) {
    std::vector<char> changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    std::ofstream(file.path, std::ios::binary).write(changed.data(), static_cast<std::streamsize>(changed.size()));
    fig_model* model = nullptr;
    const bool opens = fig_model_open(file.path.c_str(), &model) == FIG_OK;
    fig_model_close(model);
    if (!opens) continue;
    fig_session_options options{};
    options.batch = 1;
    Trainer target("tiny_adapted", options, file.path);
    const fig_status status = fig_adapter_set(target.session, adapter.data(), adapter.size());
    if (status == FIG_OK) {
      ++taken;
      continue;
    }
    CHECK(status == FIG_INVALID_ARGUMENT);
    CHECK(std::string(fig_error_message()).find("other frozen weights") != std::string::npos);
    ++refused;
  }
  CHECK(refused > 0);
  CHECK(taken > 0);
}

TEST_CASE("a model of too many variables is refused rather than searched for minutes") {
  const File file;
  write_edited(file.path, [](schema::ModelT* model) {
    for (int i = 0; i < 17000; ++i) model->constants.push_back(variable("more." + std::to_string(i), 1));
  });
  const Trainer trainer("tiny_adapted", {}, file.path);
  const std::vector<uint8_t> adapter = bytes_of(Trainer("tiny_adapted"));
  size_t size = 0;
  CHECK(fig_adapter_get(trainer.session, nullptr, nullptr, 0, &size) == FIG_UNSUPPORTED);
  CHECK(std::string(fig_error_message()).find("too many parameters") != std::string::npos);
  CHECK(fig_adapter_set(trainer.session, adapter.data(), adapter.size()) == FIG_UNSUPPORTED);
}

TEST_CASE("a variable that is called an average of another is none if it is larger") {
  const File file;
  write_edited(file.path, [](schema::ModelT* model) {
    model->constants.push_back(variable("short", 1));
    model->constants.push_back(variable("short.ema", 100000));
    auto tensor = std::make_unique<schema::TensorT>();
    tensor->name = "read";
    tensor->constant = static_cast<int32_t>(model->constants.size() - 1);
    for (auto& program : model->programs) {
      if (program->name == "generate") program->tensors.push_back(std::move(tensor));
    }
  });
  const Trainer trainer("tiny_adapted", {}, file.path);
  const std::vector<uint8_t> adapter = bytes_of(trainer);
  CHECK(adapter.size() > 400000);
  CHECK_MESSAGE(fig_adapter_set(trainer.session, adapter.data(), adapter.size()) == FIG_OK, fig_error_message());
}

TEST_CASE("a checkpoint of other frozen weights is of another model") {
  const File folder;
  const File file;
  const Trainer trained("tiny_adapted");
  const std::string checkpoints = folder.path + ".run";
  REQUIRE(fig_checkpoint_save(trained.session, checkpoints.c_str(), nullptr, 0) == FIG_OK);
  const Trainer same("tiny_adapted");
  CHECK(fig_checkpoint_load(same.session, checkpoints.c_str(), nullptr, 0, nullptr) == FIG_OK);
  // Another bit of a frozen weight, which lies at the beginning of the values.
  std::ifstream in(model_path("tiny_adapted"), std::ios::binary);
  std::vector<char> bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const schema::Model* model = schema::GetSizePrefixedModel(bytes.data());
  uint32_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof header);
  const size_t values = (header + sizeof header + 63) / 64 * 64;
  for (const schema::Constant* constant : *model->constants()) {
    if (constant->type() != schema::DataType::i8) continue;
    bytes[values + static_cast<size_t>(constant->blob()->offset())] ^= 1;
    break;
  }
  std::ofstream(file.path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  const Trainer other("tiny_adapted", {}, file.path);
  CHECK(fig_checkpoint_load(other.session, checkpoints.c_str(), nullptr, 0, nullptr) == FIG_INVALID_ARGUMENT);
  CHECK(std::string(fig_error_message()).find("another model") != std::string::npos);
  fs::remove_all(checkpoints);
}
