// What programs read.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "io/terminal.h"

namespace figment::cli {

// JSON as text: bytes that are no UTF-8 are replaced, and control characters that JSON allows but that steer a terminal
// (DEL, and U+0080 to U+009F) are escaped. `indent` < 0: one line.
template <typename Json>
std::string json_text(const Json& json, int indent = -1) {
  std::string result;
  const std::string text = json.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const auto next = static_cast<unsigned char>(i + 1 < text.size() ? text[i + 1] : 0);
    constexpr const char* kDigits = "0123456789abcdef";
    if (byte == 0x7F) {
      result += "\\u007f";
    } else if (byte == 0xC2 && next < 0xA0) {
      result += std::string("\\u00") + kDigits[next >> 4] + kDigits[next & 15];
      ++i;
    } else {
      result += text[i];
    }
  }
  return result;
}

}  // namespace figment::cli
