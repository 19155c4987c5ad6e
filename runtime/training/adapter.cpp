#include "training/adapter.h"

#include <cstring>

#include "core/finite.h"
#include "core/text.h"
#include "format/bytes.h"
#include "format/checkpoint.h"
#include "format/frozen.h"
#include "session/exchange.h"
#include "training/trainer.h"

namespace figment {

namespace {

constexpr uint8_t kMagic[] = {'F', 'I', 'G', 'A', 'D', 'P', 'T', '1'};
constexpr size_t kBase = 8, kVariables = 16, kBytes = 24, kValueCrc = 32, kHeaderCrc = 36;
constexpr uint64_t kMostLookUps = uint64_t{1} << 28;
constexpr const char* kAverage = ".ema";

// Whether `name` is that of an average of `of`.
bool is_average(const char* name, const char* of) {
  const size_t length = std::strlen(of);
  return std::strncmp(name, of, length) == 0 && same_text(name + length, kAverage);
}

// Every variable is looked for among all tensors and constants. A model of thousands of variables takes a part of a
// second; a file made to take minutes is refused.
Status check_counts(const Session& session) {
  const format::ModelView& view = session.model()->view();
  uint64_t variables = 0;
  uint64_t places = view.constant_count();
  for (size_t i = 0; i < view.constant_count(); ++i) variables += session.variables().data(i) != nullptr ? 1 : 0;
  for (size_t i = 0; i < view.program_count(); ++i) places += view.program(i).tensor_count();
  if (variables * places <= kMostLookUps) return {};
  return Status::plain(StatusCode::kUnsupported, "the model has too many parameters for an adapter");
}

}  // namespace

Result<Adapter> Adapter::of_program(const Session& session, const char* program) {
  FIGMENT_RETURN_IF_ERROR(check_training(session));
  FIGMENT_RETURN_IF_ERROR(check_counts(session));
  const format::ModelView& view = session.model()->view();
  if (program == nullptr) {
    if (!view.has_latent()) return wrong("no program of the model generates: name one");
    program = view.latent().program;
  }
  for (size_t i = 0; i < view.program_count(); ++i) {
    if (view.program(i).updates() || !same_text(view.program(i).name(), program)) continue;
    Adapter adapter(session, i);
    if (adapter.value_bytes_ == 0) return wrong("program \"%s\" reads nothing that is trained", program);
    return adapter;
  }
  return Status::error(StatusCode::kNotFound, "the model has no program \"%s\" beside those that train", program);
}

bool Adapter::holds(size_t constant) const {
  if (session_->variables().data(constant) == nullptr) return false;
  const format::ProgramView program = session_->model()->view().program(program_);
  for (size_t i = 0; i < program.tensor_count(); ++i) {
    if (program.constant_of(i) == static_cast<int32_t>(constant)) return true;
  }
  return false;
}

Adapter::Adapter(const Session& session, size_t program) : session_(&session), program_(program) {
  const format::ModelView& view = session.model()->view();
  format::Hash variables;
  for (size_t i = 0; i < view.constant_count(); ++i) {
    if (!holds(i)) continue;
    const format::ConstantView constant = view.constant(i);
    variables.add_text(constant.name);
    for (const Dimension& dimension : constant.shape) variables.add_number(dimension.extent, 4);
    value_bytes_ += constant.bytes;
  }
  variables_ = variables.value();
}

uint64_t Adapter::base_hash() const {
  const format::ModelView& view = session_->model()->view();
  return format::frozen_hash(view, view.program(program_));
}

Status Adapter::check() const {
  const format::ModelView& view = session_->model()->view();
  for (size_t i = 0; i < view.constant_count(); ++i) {
    const format::ConstantView constant = view.constant(i);
    if (holds(i) && !all_finite(session_->variables().data(i), constant.bytes / sizeof(float)))
      return wrong("\"%s\" has become NaN or infinite", constant.name);
  }
  return {};
}

void Adapter::encode(uint8_t* header) const {
  const format::ModelView& view = session_->model()->view();
  uint32_t crc = 0;
  for (size_t i = 0; i < view.constant_count(); ++i) {
    if (holds(i)) crc = format::crc32(crc, session_->variables().data(i), view.constant(i).bytes);
  }
  std::memcpy(header, kMagic, sizeof kMagic);
  format::put(header + kBase, base_hash(), 8);
  format::put(header + kVariables, variables_, 8);
  format::put(header + kBytes, value_bytes_, 8);
  format::put(header + kValueCrc, crc, 4);
  format::put(header + kHeaderCrc, format::crc32(0, header, kHeaderCrc), 4);
}

Status load_adapter(Session* session, std::span<const uint8_t> bytes, const char* name) {
  FIGMENT_RETURN_IF_ERROR(check_training(*session));
  FIGMENT_RETURN_IF_ERROR(check_counts(*session));
  const uint8_t* header = bytes.data();
  if (bytes.size() < sizeof kMagic || std::memcmp(header, kMagic, sizeof kMagic) != 0)
    return Status::error(StatusCode::kBadFile, "%s is no adapter", name);
  const bool whole = bytes.size() >= kAdapterHeaderBytes &&
                     format::get(header + kHeaderCrc, 4) == format::crc32(0, header, kHeaderCrc) &&
                     format::get(header + kBytes, 8) == bytes.size() - kAdapterHeaderBytes;
  const std::span<const uint8_t> values = whole ? bytes.subspan(kAdapterHeaderBytes) : bytes;
  if (!whole || format::get(header + kValueCrc, 4) != format::crc32(0, values.data(), values.size()))
    return Status::error(StatusCode::kBadFile, "%s is truncated or corrupt", name);
  const format::ModelView& view = session->model()->view();
  bool known = false;
  for (size_t p = 0; p < view.program_count(); ++p) {
    if (view.program(p).updates()) continue;
    const Adapter adapter(*session, p);
    if (adapter.variables_ != format::get(header + kVariables, 8) || adapter.value_bytes_ != values.size()) continue;
    known = true;
    if (adapter.base_hash() != format::get(header + kBase, 8)) continue;
    // Values may lie at any address.
    const uint8_t* from = values.data();
    for (const uint8_t* at = from; at < from + values.size(); at += sizeof(float)) {
      float value = 0;
      std::memcpy(&value, at, sizeof value);
      if (!(value - value == 0)) return Status::error(StatusCode::kBadFile, "%s has NaN or infinite values", name);
    }
    for (size_t i = 0; i < view.constant_count(); ++i) {
      if (!adapter.holds(i)) continue;
      const format::ConstantView constant = view.constant(i);
      std::memcpy(session->variables().data(i), from, constant.bytes);
      for (size_t j = 0; j < view.constant_count(); ++j) {
        float* trained = session->variables().data(j);
        const format::ConstantView averaged = view.constant(j);
        const bool same_size = averaged.bytes == constant.bytes;
        if (trained != nullptr && same_size && is_average(constant.name, averaged.name))
          std::memcpy(trained, from, constant.bytes);
      }
      from += constant.bytes;
    }
    return {};
  }
  return known ? wrong("%s is an adapter of the same networks with other frozen weights", name)
               : wrong("%s is an adapter of another model", name);
}

}  // namespace figment
