// Status and Result: how every fallible function of Figment reports failure. Nothing here allocates or throws.
//
// Errors carry a line of text, or on small targets (FIGMENT_ERROR_TEXTS=0) its hash: texts and their formatting are a
// third of the library's code. `figment explain` knows the texts by their hashes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

#include "core/build.h"

namespace figment {

enum class StatusCode : uint8_t {
  kOk = 0,
  kInvalidArgument,     // the caller's mistake: a wrong name, shape, count or pointer
  kBadFile,             // the file is truncated, corrupt or inconsistent
  kUnsupportedVersion,  // a Figment file of another schema version
  kUnsupported,         // well-formed, but this build cannot run it
  kOutOfMemory,         // the system refused an allocation
  kMemoryLimit,         // the caller's limit is below what is needed
  kIo,                  // the operating system refused to read or write
  kNotFound,            // no program, tensor or file of that name
  kInternal,            // a defect in Figment
};

#if !defined(FIGMENT_ERROR_TEXTS)
#define FIGMENT_ERROR_TEXTS 1
#endif

// FNV-1a of an error's text, as it stands in the source.
constexpr uint32_t hash_of_text(const char* text) {
  uint32_t hash = 0x811C9DC5;
  for (; *text != '\0'; ++text) hash = (hash ^ static_cast<uint8_t>(*text)) * 0x01000193;
  return hash;
}

// The longest message and its NUL.
inline constexpr size_t kMaxMessage = FIGMENT_ERROR_TEXTS ? 311 : 64;

#if FIGMENT_ERROR_TEXTS

// The text of an error, maybe with conversions of printf for its arguments; nullptr: none.
using Message = const char*;

// A code and one line of text that says what is wrong and what to do. Messages longer than the buffer are cut.
class [[nodiscard]] Status {
 public:
  Status() = default;

  [[gnu::format(printf, 2, 3)]] static Status error(StatusCode code, const char* format, ...);
  // Without arguments.
  static Status plain(StatusCode code, Message text) { return error(code, "%s", text); }

  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  const char* message() const { return message_; }
  // The same error under another code.
  Status as(StatusCode code) const {
    Status status = *this;
    status.code_ = code;
    return status;
  }
  // The same error with "PREFIX: " before its text.
  [[gnu::format(printf, 2, 3)]] Status with_prefix(const char* format, ...) const;

 private:
  StatusCode code_ = StatusCode::kOk;
  char message_[kMaxMessage] = "";
};

#else

class Message {
 public:
  constexpr Message(std::nullptr_t) : hash_(0) {}                     // NOLINT(google-explicit-constructor)
  consteval Message(const char* text) : hash_(hash_of_text(text)) {}  // NOLINT(google-explicit-constructor)

  constexpr explicit operator bool() const { return hash_ != 0; }
  constexpr uint32_t hash() const { return hash_; }

 private:
  uint32_t hash_;
};

// The numbers of the last error, of which there is one at a time: small targets have one thread.
struct ErrorDetails {
  static constexpr uint32_t kNone = UINT32_MAX;

  uint32_t error = 0;  // whose numbers these are, as a Status holds it
  uint8_t count = 0;
  uint32_t numbers[2] = {};
  uint32_t place = kNone;  // of an op, a tensor, a constant
};

// One word, which functions return in a register.
class [[nodiscard]] Status {
 public:
  constexpr Status() = default;

  template <typename... Arguments>
  static Status error(StatusCode code, Message text, const Arguments&... arguments) {
    const Status status = plain(code, text);
    if constexpr (sizeof...(arguments) > 0) {
      status.forget_details();
      (add(arguments), ...);
    }
    return status;
  }
  static constexpr Status plain(StatusCode code, Message text) {
    Status status;
    status.word_ = (text.hash() & ~kCodeBits) | static_cast<uint32_t>(code);
    return status;
  }

  constexpr bool ok() const { return word_ == 0; }
  constexpr StatusCode code() const { return static_cast<StatusCode>(word_ & kCodeBits); }
  constexpr Status as(StatusCode code) const {
    Status status;
    status.word_ = (word_ & ~kCodeBits) | static_cast<uint32_t>(code);
    return status;
  }
  // Writes what to type to see the message, "figment explain 1a2b3c4d 7 12 at 3", and forgets the numbers: the same
  // error may come again elsewhere.
  void describe(char (&out)[kMaxMessage]) const;

  // The innermost text says most: of the others one number is kept.
  template <typename... Arguments>
  Status with_prefix(Message /*format*/, const Arguments&... arguments) const {
    (place(arguments), ...);
    return *this;
  }

 private:
  static constexpr uint32_t kCodeBits = 15;

  void forget_details() const;
  void set_place(uint32_t number) const;
  static void add_number(uint32_t number);

  // Of the arguments, those that are numbers.
  template <typename Argument>
  static void add(const Argument& argument) {
    if constexpr (std::is_integral_v<Argument>) add_number(static_cast<uint32_t>(argument));
  }
  template <typename Argument>
  void place(const Argument& argument) const {
    if constexpr (std::is_integral_v<Argument>) set_place(static_cast<uint32_t>(argument));
  }

  uint32_t word_ = 0;  // the text's hash, but for its last bits, which are the code's
};

#endif

// A value, or the Status that says why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(const Status& status) : status_(status) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }
  T& operator*() { return *value_; }
  const T& operator*() const { return *value_; }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }

 private:
  Status status_;
  std::optional<T> value_;
};

}  // namespace figment

// Returns the error of `expression` (a Status) from the enclosing function.
#define FIGMENT_RETURN_IF_ERROR(expression)                                                              \
  do {                                                                                                   \
    if (::figment::Status figment_status_ = (expression); !figment_status_.ok()) return figment_status_; \
  } while (false)
