// libFuzzer target: any bytes as a checkpoint, as they are and as what a checkpoint of the session would hold.
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "figment/figment.h"
#include "format/checkpoint.h"
#include "support.h"

namespace {

// A training session, and a folder for its checkpoints, for the whole run.
struct Target {
  Target() : folder(std::filesystem::temp_directory_path() / ("figment_fuzz_" + std::to_string(getpid()))) {
    std::filesystem::create_directory(folder);
    fig_session_options options{};
    options.struct_size = sizeof options;
    options.training = true;
    if (fig_model_open(figment::test::model_path("tiny_vae").c_str(), &model) != FIG_OK ||
        fig_session_create(model, &options, &session) != FIG_OK) {
      std::abort();
    }
    // The header of a checkpoint that fits the session.
    if (fig_checkpoint_save(session, folder.c_str(), nullptr, 0) != FIG_OK) std::abort();
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      const std::vector<uint8_t> saved = figment::test::read_bytes(entry.path().string());
      figment::format::CheckpointHeaderBytes head;
      if (saved.size() < head.size()) std::abort();
      std::copy_n(saved.begin(), head.size(), head.begin());
      if (!figment::format::decode(head, &header)) std::abort();
    }
    std::filesystem::remove_all(folder);
    std::filesystem::create_directory(folder);
  }
  ~Target() {
    fig_session_destroy(session);
    fig_model_close(model);
    std::filesystem::remove_all(folder);
  }
  fig_status load(const std::vector<uint8_t>& bytes) const {
    std::ofstream(folder / "a.checkpoint", std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    uint8_t caller[64];
    size_t size = 0;
    return fig_checkpoint_load(session, folder.c_str(), caller, sizeof caller, &size);
  }

  std::filesystem::path folder;
  figment::format::CheckpointHeader header;
  fig_model* model = nullptr;
  fig_session* session = nullptr;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace figment::format;
  static const Target target;
  target.load({data, data + size});
  if (size == 0) return 0;
  const CheckpointHeader& header = target.header;
  std::vector<uint8_t> payload(static_cast<size_t>(header.variable_bytes + header.caller_bytes));
  for (size_t i = 0; i < payload.size(); ++i) payload[i] = data[i % size];
  const CheckpointHeaderBytes head = encode(header);
  const CheckpointTrailerBytes tail = encode_trailer(header, crc32(0, payload.data(), payload.size()));
  std::vector<uint8_t> bytes(head.begin(), head.end());
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  bytes.insert(bytes.end(), tail.begin(), tail.end());
  // Zeros at least are taken, else nothing behind the header is.
  if (target.load(bytes) != FIG_OK && std::all_of(data, data + size, [](uint8_t byte) { return byte == 0; }))
    std::abort();
  return 0;
}
