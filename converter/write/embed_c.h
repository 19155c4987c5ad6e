// A model as sources of C, for firmware.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace figment::converter {

struct EmbedOptions {
  uint32_t batch = 1;
  bool trains = false;       // sessions are created for training
  uint32_t micro_batch = 0;  // and with this
};

struct EmbeddedFile {
  std::string name;
  std::string text;
};

struct Embedded {
  std::vector<EmbeddedFile> files;
  uint64_t flash_bytes = 0;  // of the model
  uint64_t arena_bytes = 0;  // of model and session, on Cortex-M
};

// NAME.h and NAME.c: the file as an aligned array, the table of the kernels that it needs, what it takes of a device,
// and a function that opens it. Throws Error. Equal files and options give equal texts.
Embedded embed_c(const std::vector<uint8_t>& file, const EmbedOptions& options);

}  // namespace figment::converter
