// What the verification of a file's parts shares: verify.cpp those that running needs, verify_training.cpp the others.
#pragma once

#include "format/bad.h"
#include "format/model_view.h"
#include "format/schema_access.h"

namespace figment::format {

constexpr size_t kMaxPrograms = 256;
constexpr size_t kMaxPorts = 256;
constexpr size_t kMaxName = 1024;      // bytes
constexpr size_t kMaxStreams = 65536;  // of a seed, before those of codes

template <typename Vector>
Status check_dimensions(const Vector* shape) {
  if (length(shape) > kMaxRank) return bad("more than %zu dimensions", kMaxRank);
  return {};
}

class Checker {
 public:
  // Parts of a file may overlap, and be named many times: what looks at all of them would take long, and tools that
  // list them much memory. So all that is looked at together must not be larger than twice the file, indices counted
  // both as they stand and as what they read.
  Status spend(uint64_t bytes);
  Status check_text(const flatbuffers::String* text, const char* what);
  Status check_name(const flatbuffers::String* name);

  const ModelView& view() const { return view_; }
  // Set before anything else runs.
  // NOLINTNEXTLINE(clang-analyzer-core.uninitialized.UndefReturn)
  const schema::Model& root() const { return *view_.model_; }

  // The index of `port` among the inputs or outputs of `program`, as a view; nullptr name when there is none.
  PortView find_port(const flatbuffers::String* program, const flatbuffers::String* port, bool input) const;
  Status latent(const schema::Latent* latent);

 protected:
  ModelView view_;
  uint64_t left_ = 0;  // bytes that may still be looked at
};

// Verifies what training reads: parameters, scalings, the objective, and the schedule.
using TrainingVerifier = Status(Checker* checker);
TrainingVerifier verify_training;
// That of the program, which may be linked without training: nullptr. The layer of sessions defines it.
TrainingVerifier* linked_training_verifier();

}  // namespace figment::format
