#include "session/model.h"

#include <cstring>
#include <new>

#include "core/memory.h"
#include "core/text.h"

namespace figment {

namespace {

Status no_memory() { return Status::error(StatusCode::kOutOfMemory, "no memory for a model"); }

}  // namespace

Result<Model*> Model::open_file(const char* path) {
  void* memory = allocate_memory(object_bytes());
  if (memory == nullptr) return no_memory();
  auto* model = new (memory) Model;
  Status status = model->file_.open(path);
  if (status.ok()) {
    Result<format::ModelView> view = format::ModelView::open(model->file_.data(), model->file_.size());
    if (view.ok()) {
      model->view_ = *view;
      model->data_ = model->file_.data();
      model->bytes_ = model->file_.size();
      status = model->widen();
      if (status.ok()) return model;
    } else {
      status = view.status().with_prefix("%s", path);
    }
  }
  model->release();
  return status;
}

size_t Model::object_bytes() { return (sizeof(Model) + kTensorAlignment - 1) & ~(kTensorAlignment - 1); }

Result<Model*> Model::open_memory(const void* data, size_t size) {
  void* memory = allocate_memory(object_bytes());
  if (memory == nullptr) return no_memory();
  Result<Model*> model = make(data, size, memory);
  if (!model.ok()) {
    release_memory(memory);
    return model;
  }
  (*model)->owns_memory_ = true;
  if (Status status = (*model)->widen(); !status.ok()) {
    (*model)->release();
    return status;
  }
  return model;
}

Model::~Model() { release_memory(widened_); }

Status Model::widen() {
  if (view_.widened_bytes() == 0) return {};
  widened_ = allocate_memory(view_.widened_bytes());
  if (widened_ == nullptr) {
    return Status::error(StatusCode::kOutOfMemory, "no memory for %zu bytes of weights that are stored in f16",
                         view_.widened_bytes());
  }
  view_.widen(widened_);
  return {};
}

Result<Model*> Model::open_in(const void* data, size_t size, void* memory, size_t bytes) {
  if (bytes < object_bytes() || reinterpret_cast<uintptr_t>(memory) % kTensorAlignment != 0) {
    return Status::error(StatusCode::kInvalidArgument, "a model needs %zu bytes aligned to %zu, not %zu",
                         object_bytes(), kTensorAlignment, bytes);
  }
  Result<Model*> model = make(data, size, memory);
  if (!model.ok() || (*model)->view_.widened_bytes() == 0) return model;
  (*model)->release();
  return Status::error(StatusCode::kUnsupported,
                       "its weights are stored in f16 and take memory of the system's: convert without --f16");
}

Result<Model*> Model::make(const void* data, size_t size, void* memory) {
  Result<format::ModelView> view = format::ModelView::open(data, size);
  if (!view.ok()) return view.status();
  auto* model = new (memory) Model;
  model->owns_memory_ = false;
  model->view_ = *view;
  model->data_ = data;
  model->bytes_ = size;
  return model;
}

void Model::release() {
  if (--references_ != 0) return;
  const bool owned = owns_memory_;
  this->~Model();
  if (owned) release_memory(this);
}

Result<size_t> Model::find_program(const char* name) const {
  const size_t count = view_.program_count();
  if (name == nullptr) {
    if (count == 1) return size_t{0};
    return Status::error(StatusCode::kInvalidArgument, "the model has %zu programs: name one, such as \"%s\"", count,
                         view_.program(0).name());
  }
  for (size_t i = 0; i < count; ++i) {
    if (same_text(view_.program(i).name(), name)) return i;
  }
  return Status::error(StatusCode::kNotFound, "the model has no program \"%s\"; its first is \"%s\"", name,
                       view_.program(0).name());
}

}  // namespace figment
