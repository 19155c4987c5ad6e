// libFuzzer target: any bytes as a checkpoint, as they are and with checksums that fit.
#include <unistd.h>

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
  }
  ~Target() {
    fig_session_destroy(session);
    fig_model_close(model);
    std::filesystem::remove_all(folder);
  }
  void load(const std::vector<uint8_t>& bytes) const {
    std::ofstream(folder / "a.checkpoint", std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    uint8_t caller[64];
    size_t size = 0;
    (void)fig_checkpoint_load(session, folder.c_str(), caller, sizeof caller, &size);
  }

  std::filesystem::path folder;
  fig_model* model = nullptr;
  fig_session* session = nullptr;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace figment::format;
  static const Target target;
  std::vector<uint8_t> bytes(data, data + size);
  target.load(bytes);
  if (size < kCheckpointHeaderBytes + kCheckpointTrailerBytes) return 0;
  CheckpointHeader header;
  uint32_t crc = 0;
  const size_t payload = size - kCheckpointHeaderBytes - kCheckpointTrailerBytes;
  if (!decode_checkpoint(data, size, &header, &crc)) {
    // The bytes as the payload of a checkpoint that would fit.
    header.variable_bytes = payload;
    header.caller_bytes = 0;
    std::memcpy(&header.layout, data, sizeof header.layout);
  }
  const CheckpointHeaderBytes head = encode(header);
  const CheckpointTrailerBytes tail = encode_trailer(header, crc32(0, bytes.data() + kCheckpointHeaderBytes, payload));
  std::memcpy(bytes.data(), head.data(), head.size());
  std::memcpy(bytes.data() + kCheckpointHeaderBytes + payload, tail.data(), tail.size());
  target.load(bytes);
  return 0;
}
