#include "format/checker.h"

#include "core/text.h"

namespace figment::format {

Status Checker::spend(uint64_t bytes) {
  if (bytes > left_) return bad("its parts overlap: together they are larger than twice the file");
  left_ -= bytes;
  return {};
}

Status Checker::check_text(const flatbuffers::String* text, const char* what) {
  if (text == nullptr) return {};
  FIGMENT_RETURN_IF_ERROR(spend(text->size()));
  for (uint32_t i = 0; i < text->size(); ++i) {
    if (text->c_str()[i] == '\0') return bad("%s contains a zero byte", what);
  }
  return {};
}

Status Checker::check_name(const flatbuffers::String* name) {
  if (name == nullptr || name->size() == 0) return bad("a name is missing");
  if (name->size() > kMaxName) return bad("a name is longer than %zu bytes", kMaxName);
  return check_text(name, "a name");
}

PortView Checker::find_port(const flatbuffers::String* program, const flatbuffers::String* port, bool input) const {
  for (size_t p = 0; p < view_.program_count() && program != nullptr && port != nullptr; ++p) {
    const ProgramView view = view_.program(p);
    if (!same_text(view.name(), program->c_str())) continue;
    for (size_t i = 0; i < (input ? view.input_count() : view.output_count()); ++i) {
      const PortView found = input ? view.input(i) : view.output(i);
      if (same_text(found.name, port->c_str())) return found;
    }
  }
  return {nullptr, 0, {}, {}};
}

Status Checker::latent(const schema::Latent* latent) {
  const PortView port = find_port(latent->program(), latent->input(), true);
  if (port.name == nullptr) return bad("the latent names no input of a program");
  if (latent->prior() > schema::Prior::MAX) return bad("the latent has an unknown prior");
  if (latent == root().latent() && latent->prior() == schema::Prior::dropout)
    return bad("the latent is a dropout mask, which only train steps draw");
  const int64_t size = int64_t{latent->size()} + int64_t{latent->growth()} * view_.units_;
  if (size < 0 || element_count(port.shape, 1).value() != static_cast<uint64_t>(size))
    return bad("the latent does not have its input's size");
  if (latent->growth() != 0 && length(latent->codes()) > 0) return bad("a latent with codes has one size");
  if (latent->prior() == schema::Prior::dropout && !(latent->rate() >= 0 && latent->rate() < 1)) {
    return bad("a dropout rate must be in [0, 1)");
  }
  if (latent->stream() >= kMaxStreams) return bad("the latent's stream is out of range");
  if (length(latent->codes()) > kMaxPorts) return bad("more than %zu codes", kMaxPorts);
  CheckedSize codes = 0;
  for (uint32_t i = 0; i < length(latent->codes()); ++i) {
    const schema::Code* code = latent->codes()->Get(i);
    FIGMENT_RETURN_IF_ERROR(check_name(code->name()));
    if (code->size() < 1 || code->prior() >= schema::Prior::dropout) return bad("a code is empty or has no prior");
    codes += code->size();
  }
  if (!codes.within(static_cast<uint64_t>(size))) return bad("the codes are larger than their latent");
  return {};
}

}  // namespace figment::format
