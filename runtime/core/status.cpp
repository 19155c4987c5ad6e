#include "core/status.h"

#if FIGMENT_ERROR_TEXTS
#include <cstdarg>
#include <cstdio>
#else
#include <iterator>
#endif

namespace figment {

#if FIGMENT_ERROR_TEXTS

Status Status::error(StatusCode code, const char* format, ...) {
  Status status;
  status.code_ = code;
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(status.message_, sizeof status.message_, format, arguments);
  va_end(arguments);
  return status;
}

Status Status::with_prefix(const char* format, ...) const {
  char prefix[kMaxMessage];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(prefix, sizeof prefix, format, arguments);
  va_end(arguments);
  return error(code_, "%s: %s", prefix, message_);
}

#else

namespace {

ErrorDetails g_details;

char* write_text(char* at, const char* text) {
  while (*text != '\0') *at++ = *text++;
  return at;
}

char* write_number(char* at, uint32_t number) {
  char digits[11] = "";
  size_t first = sizeof digits - 1;
  do {
    digits[--first] = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number != 0);
  return write_text(at, digits + first);
}

}  // namespace

void Status::forget_details() const {
  g_details = {};
  g_details.error = word_ & ~kCodeBits;
}

void Status::add_number(uint32_t number) {
  if (g_details.count < std::size(g_details.numbers)) g_details.numbers[g_details.count++] = number;
}

void Status::set_place(uint32_t number) const {
  if (ok()) return;
  if (g_details.error != (word_ & ~kCodeBits)) forget_details();
  if (g_details.place == ErrorDetails::kNone) g_details.place = number;
}

void Status::describe(char (&out)[kMaxMessage]) const {
  out[0] = '\0';
  if (ok()) return;
  char* at = write_text(out, "figment explain ");
  for (int shift = 28; shift >= 0; shift -= 4) *at++ = "0123456789abcdef"[word_ >> shift & 15];
  if (g_details.error == (word_ & ~kCodeBits)) {
    for (uint8_t i = 0; i < g_details.count; ++i) at = write_number(write_text(at, " "), g_details.numbers[i]);
    if (g_details.place != ErrorDetails::kNone) at = write_number(write_text(at, " at "), g_details.place);
  }
  *at = '\0';
  g_details = {};
}

#endif

}  // namespace figment
