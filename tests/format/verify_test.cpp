// Broken files: whatever is done to a model, opening it ends in an error or in a model that can be run.
#include <doctest/doctest.h>

#include <cstring>
#include <limits>
#include <string>

#include "edited_model.h"
#include "figment/figment.h"
#include "format/model_view.h"
#include "model_generated.h"
#include "support.h"

using namespace figment;
namespace schema = figment::format::schema;

namespace {

// Opens, and if that succeeds creates a small session and generates. Never crashes, or the test has failed.
void open_and_run(const uint8_t* data, size_t size) {
  fig_model* model = nullptr;
  if (fig_model_open_memory(data, size, &model) != FIG_OK) return;
  fig_session_options options{};
  options.struct_size = sizeof options;
  options.memory_limit = 64 << 20;
  fig_session* session = nullptr;
  if (fig_session_create(model, &options, &session) == FIG_OK) {
    std::vector<float> out(28 * 28);
    (void)fig_generate(session, 1, nullptr, out.data(), out.size());
  }
  fig_session_destroy(session);
  fig_model_close(model);
}

// The same with a training session and a step of it.
void open_and_train(const uint8_t* data, size_t size) {
  fig_model* model = nullptr;
  if (fig_model_open_memory(data, size, &model) != FIG_OK) return;
  fig_session_options options{};
  options.struct_size = sizeof options;
  options.memory_limit = 16 << 20;
  options.batch = 3;
  options.training = true;
  options.kernels = FIG_KERNELS_PORTABLE;
  fig_session* session = nullptr;
  if (fig_session_create(model, &options, &session) == FIG_OK) {
    std::vector<float> sample(3 * 7 * 2, 0.5F);
    const fig_tensor input = {"sample", sample.data(), sample.size(), FIG_F32};
    const fig_batch batch{sizeof(fig_batch), 3, &input, 1, nullptr, 0};
    fig_metrics metrics{};
    (void)fig_train_step(session, &batch, &metrics);
    std::vector<float> values(36 * 9);
    (void)fig_parameter_get(session, "generator.0.weight_hh", values.data(), values.size());
    const char* number = "";
    for (uint32_t i = 0; fig_model_scalar(model, i, &number) == FIG_OK; ++i)
      (void)fig_session_set_scalar(session, number, 0.1);
  }
  fig_session_destroy(session);
  fig_model_close(model);
}

// The same with the int8 form that a session writes. Whether it did.
bool open_and_requantize(const uint8_t* data, size_t size) {
  fig_model* model = nullptr;
  if (fig_model_open_memory(data, size, &model) != FIG_OK) return false;
  fig_session_options options{};
  options.struct_size = sizeof options;
  options.memory_limit = 16 << 20;
  options.batch = 32;
  options.training = true;
  options.program = "int8";
  fig_session* session = nullptr;
  bool written = false;
  size_t bytes = 0;
  if (fig_session_create(model, &options, &session) == FIG_OK && fig_requantize_size(session, &bytes) == FIG_OK &&
      bytes < (16 << 20)) {
    test::AlignedBytes memory((std::vector<uint8_t>(bytes)));
    size_t model_size = 0;
    written = fig_requantize(session, memory.data(), bytes, &model_size) == FIG_OK;
    if (written) open_and_run(memory.data(), model_size);
  }
  fig_session_destroy(session);
  fig_model_close(model);
  return written;
}

std::vector<uint8_t> model_bytes() { return test::read_bytes(test::model_path("dcgan_int8")); }

uint32_t header_size(const std::vector<uint8_t>& bytes) {
  uint32_t size = 0;
  std::memcpy(&size, bytes.data(), sizeof size);
  return size + 4;
}

}  // namespace

TEST_CASE("truncated models are refused at every length") {
  const std::vector<uint8_t> bytes = model_bytes();
  const uint32_t header = header_size(bytes);
  for (size_t size = 0; size < bytes.size(); size += size < header + 128 ? 13 : 4099) {
    test::AlignedBytes part(std::span<const uint8_t>(bytes).first(size));
    fig_model* model = nullptr;
    CHECK(fig_model_open_memory(part.data(), size, &model) == FIG_BAD_FILE);
  }
  std::vector<uint8_t> longer = bytes;
  longer.push_back(0);
  test::AlignedBytes more(longer);
  fig_model* model = nullptr;
  CHECK(fig_model_open_memory(more.data(), more.size(), &model) == FIG_BAD_FILE);
}

TEST_CASE("flipping any byte of the header never crashes") {
  const std::vector<uint8_t> bytes = model_bytes();
  const uint32_t header = header_size(bytes);
  test::AlignedBytes copy(bytes);
  int refused = 0;
  int accepted = 0;
  constexpr uint8_t kFlips[] = {0x01, 0x80, 0xFF};
  // Where each takes ten times as long, a quarter of them.
  constexpr uint32_t kStep = FIGMENT_EMULATED ? 4 : 1;
  for (uint32_t i = 0; i < header; i += kStep) {
    const uint8_t flip = kFlips[i % 3];
    copy.data()[i] ^= flip;
    fig_model* model = nullptr;
    if (fig_model_open_memory(copy.data(), copy.size(), &model) == FIG_OK) {
      // Running takes a hundred times as long as opening.
      if (++accepted % 16 == 0) open_and_run(copy.data(), copy.size());
    } else {
      ++refused;
    }
    fig_model_close(model);
    copy.data()[i] ^= flip;
  }
  // Names and scales may change and still be valid; structure may not.
  CHECK(refused > accepted);
  CHECK(accepted > 0);
}

TEST_CASE("flipping bytes in the header of a model that trains never crashes") {
  const std::vector<uint8_t> bytes = test::read_bytes(test::model_path("tiny_crgan"));
  test::AlignedBytes copy(bytes);
  open_and_train(copy.data(), copy.size());
  constexpr uint8_t kFlips[] = {0x01, 0x80, 0xFF, 0x10};
  int accepted = 0;
  constexpr uint32_t kStep = FIGMENT_EMULATED ? 21 : 5;
  for (uint32_t i = 0; i < header_size(bytes); i += kStep) {
    const uint8_t flip = kFlips[i % 4];
    copy.data()[i] ^= flip;
    fig_model* model = nullptr;
    if (fig_model_open_memory(copy.data(), copy.size(), &model) == FIG_OK && ++accepted % 8 == 0) {
      open_and_train(copy.data(), copy.size());
    }
    fig_model_close(model);
    copy.data()[i] ^= flip;
  }
  CHECK(accepted > 0);
}

TEST_CASE("flipping bytes of the int8 form that a model carries never crashes") {
  constexpr uint8_t kFlips[] = {0x01, 0x80, 0xFF, 0x10};
  for (const char* name : {"tiny_dcgan_int8", "tiny_crgan_int8"}) {
    CAPTURE(std::string(name));
    const std::vector<uint8_t> bytes = test::read_bytes(test::model_path(name));
    test::AlignedBytes copy(bytes);
    const auto* model = schema::GetSizePrefixedModel(copy.data());
    REQUIRE(model->requantization() != nullptr);
    REQUIRE(open_and_requantize(copy.data(), copy.size()));
    int written = 0;
    int refused = 0;
    const auto flip_all = [&](const auto* vector, uint32_t step) {
      const size_t begin = static_cast<size_t>(reinterpret_cast<const uint8_t*>(vector->data()) - copy.data());
      for (size_t i = 0; i < vector->size() * sizeof(*vector->data()); i += step) {
        copy.data()[begin + i] ^= kFlips[i % 4];
        open_and_requantize(copy.data(), copy.size()) ? ++written : ++refused;
        copy.data()[begin + i] ^= kFlips[i % 4];
      }
    };
    constexpr uint32_t kSlower = FIGMENT_EMULATED ? 7 : 1;
    flip_all(model->requantization()->model(), 5 * kSlower);
    flip_all(model->requantization()->sources(), kSlower);
    flip_all(model->requantization()->limits(), kSlower);
    CHECK(written > 0);
    CHECK(refused > 0);
  }
}

namespace {

// What opening a file says whose header `edit` has changed, and in which then all entries of a list are its last one.
template <typename Edit, typename List>
std::string message_of_repeated(const std::vector<uint8_t>& bytes, const Edit& edit, const List& list) {
  std::vector<uint8_t> file = test::edited_file(bytes, edit);
  const auto* entries = list(schema::GetSizePrefixedModel(file.data()));
  auto* offsets = const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(entries->Data()));
  const auto* last = reinterpret_cast<const uint8_t*>(entries->Get(entries->size() - 1));
  for (uint32_t i = 0; i < entries->size(); ++i) {
    const auto offset = static_cast<uint32_t>(last - (offsets + i * sizeof(uint32_t)));
    std::memcpy(offsets + i * sizeof offset, &offset, sizeof offset);
  }
  test::AlignedBytes copy(file);
  fig_model* opened = nullptr;
  CHECK(fig_model_open_memory(copy.data(), copy.size(), &opened) == FIG_BAD_FILE);
  fig_model_close(opened);
  return fig_error_message();
}

}  // namespace

TEST_CASE("lists that name one large thing many times are refused before they take minutes") {
  const std::string trained = message_of_repeated(
      test::read_bytes(test::model_path("tiny_gan")),
      [](schema::ModelT* model) {
        const schema::TrainedT first = *model->trained[0];
        model->trained.clear();
        for (int i = 0; i < 20000; ++i) model->trained.push_back(std::make_unique<schema::TrainedT>(first));
        model->trained.back()->state.assign(20000, first.constant);
      },
      [](const schema::Model* model) { return model->trained(); });
  CHECK_MESSAGE(trained.find("overlap") != std::string::npos, trained);
  const std::string ops = message_of_repeated(
      test::read_bytes(test::model_path("dgan_int8")),
      [](schema::ModelT* model) {
        schema::ProgramT& program = *model->programs[0];
        schema::OpT layer;
        for (const auto& op : program.ops) {
          if (op->kind == schema::OpKind::fully_connected) layer = *op;  // the last has 784 outputs
        }
        program.ops.clear();
        for (int i = 0; i < 60000; ++i) program.ops.push_back(std::make_unique<schema::OpT>());
        *program.ops.back() = layer;
      },
      [](const schema::Model* model) { return model->programs()->Get(0)->ops(); });
  CHECK_MESSAGE(ops.find("overlap") != std::string::npos, ops);
}

TEST_CASE("a schedule of too many inputs is refused") {
  const std::string message = message_of_repeated(
      test::read_bytes(test::model_path("tiny_gan")),
      [](schema::ModelT* model) {
        const schema::ScheduleEntryT first = *model->schedule[0];
        for (auto& program : model->programs) {
          if (program->name != first.program) continue;
          const schema::PortT port = *program->inputs[0];
          for (int i = 0; i < 100; ++i) {
            program->inputs.push_back(std::make_unique<schema::PortT>(port));
            program->inputs.back()->name += std::to_string(i);
            program->inputs.back()->tensor = static_cast<uint32_t>(program->tensors.size());
            program->tensors.push_back(std::make_unique<schema::TensorT>(*program->tensors[port.tensor]));
          }
        }
        model->schedule.clear();
        for (int i = 0; i < 30; ++i) model->schedule.push_back(std::make_unique<schema::ScheduleEntryT>(first));
      },
      [](const schema::Model* model) { return model->schedule(); });
  CHECK_MESSAGE(message.find("more than 2048 inputs") != std::string::npos, message);
}

TEST_CASE("an int8 form whose parts overlap never crashes") {
  for (const char* name : {"tiny_gan_int8", "tiny_dcgan_int8", "tiny_crgan_int8"}) {
    CAPTURE(std::string(name));
    const std::vector<uint8_t> bytes = test::read_bytes(test::model_path(name));
    test::AlignedBytes copy(bytes);
    const auto* entry = schema::GetSizePrefixedModel(copy.data())->requantization();
    const auto* form = schema::GetSizePrefixedModel(entry->model()->data());
    const auto* tensors = form->programs()->Get(0)->tensors();
    // A zero point that lies on whatever stands behind: indices, lengths, places of values.
    uint32_t ranged = 0;
    while (entry->limits()->Get(ranged) < 0) ++ranged;
    const auto* quantization = reinterpret_cast<const uint8_t*>(tensors->Get(ranged)->quantization());
    int32_t to_vtable = 0;
    std::memcpy(&to_vtable, quantization, sizeof to_vtable);
    const auto place =
        static_cast<size_t>(quantization - to_vtable - copy.data()) + schema::Quantization::VT_ZERO_POINT;
    uint16_t before = 0;
    std::memcpy(&before, copy.data() + place, sizeof before);
    int written = 0;
    for (uint16_t offset = 4; offset < 4000; offset = static_cast<uint16_t>(offset + (FIGMENT_EMULATED ? 61 : 7))) {
      std::memcpy(copy.data() + place, &offset, sizeof offset);
      written += open_and_requantize(copy.data(), copy.size()) ? 1 : 0;
    }
    std::memcpy(copy.data() + place, &before, sizeof before);
    CHECK(written > 0);
    CHECK(open_and_requantize(copy.data(), copy.size()));
  }
}

TEST_CASE("requantizations that do not fit are refused") {
  const std::vector<uint8_t> bytes = test::read_bytes(test::model_path("tiny_gan_int8"));
  const auto message_of = [&](auto change) {
    test::AlignedBytes copy(bytes);
    auto* model = flatbuffers::GetMutableRoot<schema::Model>(copy.data() + 4);
    change(reinterpret_cast<flatbuffers::Table*>(const_cast<void*>(static_cast<const void*>(model->requantization()))),
           model->requantization());
    fig_model* opened = nullptr;
    const fig_status status = fig_model_open_memory(copy.data(), copy.size(), &opened);
    CHECK(status == FIG_BAD_FILE);
    fig_model_close(opened);
    return std::string(fig_error_message());
  };
  const auto set = [](const auto* vector, uint32_t i, auto value) {
    std::memcpy(const_cast<void*>(static_cast<const void*>(vector->data() + i)), &value, sizeof value);
  };
  using Entry = const schema::Requantization*;
  using Fields = flatbuffers::Table*;
  const auto holds = [](const std::string& text, const char* part) {
    CHECK_MESSAGE(text.find(part) != std::string::npos, text);
  };
  holds(message_of([&](Fields, Entry entry) { set(entry->program(), 0, 'x'); }), "there is no program \"xnt8\"");
  holds(message_of(
            [&](Fields fields, Entry) { fields->SetField<uint32_t>(schema::Requantization::VT_SAMPLES, 4097, 0); }),
        "number of samples");
  holds(message_of([&](Fields, Entry entry) { set(entry->sources(), 0, uint32_t{60000}); }), "a source is no tensor");
  holds(message_of([&](Fields, Entry entry) { set(entry->limits(), 0, std::numeric_limits<float>::quiet_NaN()); }),
        "a limit is no number");
  holds(message_of([&](Fields, Entry entry) { set(entry->limits(), 0, -2.0F); }), "a limit is no number");
  test::AlignedBytes copy(bytes);
  auto* model = flatbuffers::GetMutableRoot<schema::Model>(copy.data() + 4);
  auto* length = reinterpret_cast<uint32_t*>(const_cast<void*>(static_cast<const void*>(model->schedule())));
  *length = 0;
  fig_model* opened = nullptr;
  CHECK(fig_model_open_memory(copy.data(), copy.size(), &opened) == FIG_BAD_FILE);
  holds(fig_error_message(), "does not train");
}

TEST_CASE("schedules and parameters that do not fit are refused") {
  const std::vector<uint8_t> bytes = test::read_bytes(test::model_path("tiny_crgan"));
  const auto refused = [&](auto change, const char* part) {
    test::AlignedBytes copy(bytes);
    change(flatbuffers::GetMutableRoot<schema::Model>(copy.data() + 4));
    fig_model* opened = nullptr;
    CHECK(fig_model_open_memory(copy.data(), copy.size(), &opened) == FIG_BAD_FILE);
    CHECK_MESSAGE(std::string(fig_error_message()).find(part) != std::string::npos, fig_error_message());
  };
  const auto table = [](const void* view) { return reinterpret_cast<flatbuffers::Table*>(const_cast<void*>(view)); };
  // The last entry is of a level of parts.
  const auto last = [&](schema::Model* model) { return table(model->schedule()->Get(model->schedule()->size() - 1)); };
  refused(
      [&](schema::Model* model) { last(model)->SetField<uint32_t>(schema::ScheduleEntry::VT_LEVEL, 3000000000, 0); },
      "level is out of range");
  refused(
      [&](schema::Model* model) {
        auto* vector = const_cast<flatbuffers::Vector<uint8_t>*>(model->parameters()->Get(0)->permutation());
        vector->Mutate(0, 192);
      },
      "permutation");
}

TEST_CASE("scalings that are none of the model's are refused") {
  const std::vector<uint8_t> bytes = test::read_bytes(test::model_path("tiny_crgan"));
  const auto message_of = [&](uint32_t constant) {
    test::AlignedBytes copy(bytes);
    auto* model = flatbuffers::GetMutableRoot<schema::Model>(copy.data() + 4);
    REQUIRE(model->scalings() != nullptr);
    auto* scaling =
        reinterpret_cast<flatbuffers::Table*>(const_cast<void*>(static_cast<const void*>(model->scalings()->Get(0))));
    scaling->SetField<uint32_t>(schema::Scaling::VT_CONSTANT, constant, 0);
    fig_model* opened = nullptr;
    CHECK(fig_model_open_memory(copy.data(), copy.size(), &opened) == FIG_BAD_FILE);
    return std::string(fig_error_message());
  };
  CHECK(message_of(3000000000).find("scaling 0 names no constant") != std::string::npos);
  // A weight.
  CHECK(message_of(0).find("scaling 0 is not f32 [channels, 50]") != std::string::npos);
}

TEST_CASE("a tensor's layout that is no permutation is refused") {
  test::AlignedBytes copy(test::read_bytes(test::model_path("dcgan")));
  auto* model = flatbuffers::GetMutableRoot<schema::Model>(copy.data() + 4);
  size_t changed = 0;
  for (const schema::Tensor* tensor : *model->programs()->Get(0)->tensors()) {
    if (tensor->permutation() == nullptr || tensor->permutation()->size() < 2) continue;
    auto* vector = const_cast<flatbuffers::Vector<uint8_t>*>(tensor->permutation());
    vector->Mutate(0, vector->Get(1));
    ++changed;
  }
  REQUIRE(changed > 0);
  fig_model* opened = nullptr;
  CHECK(fig_model_open_memory(copy.data(), copy.size(), &opened) == FIG_BAD_FILE);
  CHECK(std::string(fig_error_message()).find("permutation") != std::string::npos);
}

TEST_CASE("constants in f16 that are infinite, or have no place as f32, are refused") {
  const std::vector<uint8_t> bytes = test::read_bytes(test::model_path("dgan_f16"));
  const auto refused = [&](auto change, const char* part) {
    test::AlignedBytes copy(bytes);
    auto* model = flatbuffers::GetMutableRoot<schema::Model>(copy.data() + 4);
    for (const schema::Constant* constant : *model->constants()) {
      if (!constant->half()) continue;
      change(&copy, model, reinterpret_cast<flatbuffers::Table*>(const_cast<schema::Constant*>(constant)));
    }
    fig_model* opened = nullptr;
    CHECK(fig_model_open_memory(copy.data(), copy.size(), &opened) == FIG_BAD_FILE);
    CHECK_MESSAGE(std::string(fig_error_message()).find(part) != std::string::npos, fig_error_message());
  };
  refused(
      [&](test::AlignedBytes* copy, const schema::Model* model, const flatbuffers::Table*) {
        const uint16_t infinity = 0x7C00;
        std::memcpy(copy->data() + (bytes.size() - model->blob_section_size()), &infinity, sizeof infinity);
      },
      "infinite");
  refused(
      [](const test::AlignedBytes*, const schema::Model* model, flatbuffers::Table* constant) {
        constant->SetField<uint64_t>(schema::Constant::VT_WIDENED, model->widened_size(), 0);
      },
      "place");
  refused(
      [](const test::AlignedBytes*, schema::Model* model, const flatbuffers::Table*) {
        reinterpret_cast<flatbuffers::Table*>(model)->SetField<uint64_t>(schema::Model::VT_WIDENED_SIZE, 1ULL << 40, 0);
      },
      "more than they can");
  refused([](const test::AlignedBytes*, const schema::Model*,
             flatbuffers::Table* constant) { constant->SetField<uint8_t>(schema::Constant::VT_HALF, 0, 0); },
          "length of its shape");
}

TEST_CASE("another schema version is named in the message") {
  std::vector<uint8_t> bytes = model_bytes();
  auto* model = flatbuffers::GetMutableRoot<schema::Model>(bytes.data() + 4);
  auto* table = reinterpret_cast<flatbuffers::Table*>(model);
  REQUIRE(table->SetField<uint32_t>(schema::Model::VT_SCHEMA_VERSION, 99, 0));
  test::AlignedBytes copy(bytes);
  fig_model* opened = nullptr;
  CHECK(fig_model_open_memory(copy.data(), copy.size(), &opened) == FIG_UNSUPPORTED_VERSION);
  CHECK(std::string(fig_error_message()).find("99") != std::string::npos);
}

TEST_CASE("misaligned memory is refused with what to do") {
  const std::vector<uint8_t> bytes = model_bytes();
  std::vector<uint8_t> shifted(8);
  shifted.insert(shifted.end(), bytes.begin(), bytes.end());
  test::AlignedBytes copy(shifted);
  fig_model* opened = nullptr;
  CHECK(fig_model_open_memory(copy.data() + 8, bytes.size(), &opened) == FIG_INVALID_ARGUMENT);
  CHECK(std::string(fig_error_message()).find("64") != std::string::npos);
}

TEST_CASE("NaN and infinity in weights are refused") {
  std::vector<uint8_t> bytes = test::read_bytes(test::model_path("dcgan"));
  for (uint32_t bits : {0x7FC00000U, 0x7F800000U, 0xFF800000U, 0x7F800001U}) {
    test::AlignedBytes copy(bytes);
    // The last constant's last value, before its padding.
    const auto* model = flatbuffers::GetSizePrefixedRoot<schema::Model>(copy.data());
    const schema::Constant* constant = model->constants()->Get(0);
    const uint64_t blobs = copy.size() - model->blob_section_size();
    std::memcpy(copy.data() + blobs + constant->blob()->offset() + constant->blob()->size() - 4, &bits, 4);
    fig_model* opened = nullptr;
    CHECK(fig_model_open_memory(copy.data(), copy.size(), &opened) == FIG_BAD_FILE);
    CHECK(std::string(fig_error_message()).find("NaN") != std::string::npos);
  }
}

TEST_CASE("parameters lead back to the exporter's shape") {
  const std::vector<uint8_t> bytes = test::read_bytes(test::model_path("dgan"));
  test::AlignedBytes copy(bytes);
  const Result<format::ModelView> view = format::ModelView::open(copy.data(), copy.size());
  REQUIRE(view.ok());
  REQUIRE(view->parameter_count() == 8);
  const format::ParameterView weight = view->parameter(0);
  CHECK(std::string(weight.name).find("weight") != std::string::npos);
  CHECK(weight.shape == Dimensions<uint32_t>{256, 100});
  CHECK_FALSE(weight.folded);
}
