// Text in UTF-8, or what is to become so.
#pragma once

#include <string>
#include <string_view>

namespace figment::io {

// Bytes of the character at `i`, or 0 if what stands there is none.
size_t utf8_length(std::string_view text, size_t i);
bool is_utf8(std::string_view text);
// Of text in Latin-1 (ISO 8859-1), in which every byte is a character.
std::string utf8_of_latin1(std::string_view text);
// The first characters, of at most `bytes` bytes.
std::string cut_utf8(const std::string& text, size_t bytes);

}  // namespace figment::io
