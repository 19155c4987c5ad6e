// What training has changed of a program, as bytes that fit any copy of the model: an adapter, where all but some
// parameters are frozen.
#pragma once

#include <span>

#include "core/status.h"
#include "session/session.h"

namespace figment {

// The bytes of an adapter are a header of kAdapterHeaderBytes and the values of the variables that a program reads, in
// the order of the model's constants; docs/file_format.md has the details.
inline constexpr size_t kAdapterHeaderBytes = 40;

class Adapter {
 public:
  // Of a program, by its name; nullptr: of the one that generates. kNotFound, kInvalidArgument where it reads no
  // variable, kUnsupported where there are too many.
  static Result<Adapter> of_program(const Session& session, const char* program);

  // kInvalidArgument if a value is not finite.
  Status check() const;
  uint64_t bytes() const { return kAdapterHeaderBytes + value_bytes_; }
  // Calls write(data, size), which returns a Status, with one part after the other.
  template <typename Write>
  Status write(const Write& write) const {
    uint8_t header[kAdapterHeaderBytes];
    encode(header);
    FIGMENT_RETURN_IF_ERROR(write(header, sizeof header));
    const format::ModelView& view = session_->model()->view();
    for (size_t i = 0; i < view.constant_count(); ++i) {
      if (holds(i)) FIGMENT_RETURN_IF_ERROR(write(session_->variables().data(i), view.constant(i).bytes));
    }
    return {};
  }

 private:
  Adapter(const Session& session, size_t program);
  friend Status load_adapter(Session* session, std::span<const uint8_t> bytes, const char* name);

  // Whether the program reads constant number i, which is a variable.
  bool holds(size_t constant) const;
  // Of the constants beside the variables.
  uint64_t base_hash() const;
  void encode(uint8_t* header) const;

  const Session* session_;
  size_t program_;
  uint64_t variables_ = 0;  // hash of names and shapes
  uint64_t value_bytes_ = 0;
};

// Sets the variables, and those that they are averages of. `name` is the file's, for messages. kBadFile if the bytes
// are no adapter, or not whole; kInvalidArgument if they are of another model, kUnsupported if it has too
// many variables. Then nothing has changed.
Status load_adapter(Session* session, std::span<const uint8_t> bytes, const char* name);

}  // namespace figment
