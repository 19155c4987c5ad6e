// Status and Result: how every fallible function of Figment reports failure. Nothing here allocates or throws.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

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

// A code and one line of text that says what is wrong and what to do. Messages longer than the buffer are cut.
class [[nodiscard]] Status {
 public:
  Status() = default;

  [[gnu::format(printf, 2, 3)]] static Status error(StatusCode code, const char* format, ...);

  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  const char* message() const { return message_; }

  // The same error with "prefix: " before its text.
  Status with_prefix(const char* prefix) const;

 private:
  StatusCode code_ = StatusCode::kOk;
  char message_[311] = "";
};

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
