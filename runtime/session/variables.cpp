#include "session/variables.h"

#include <cstring>

namespace figment {

namespace {

// Where a variable starts behind `total` bytes of others, which it is added to.
CheckedSize place(const format::ConstantView& constant, CheckedSize* total) {
  const CheckedSize start = *total;
  *total = (start + constant.bytes + kReadablePadding).aligned(kTensorAlignment);
  return start;
}

}  // namespace

CheckedSize Variables::needed(const format::ModelView& model, const Array<bool>& wanted) {
  CheckedSize total = 0;
  for (size_t i = 0; i < model.constant_count(); ++i) {
    if (wanted[i]) place(model.constant(i), &total);
  }
  return total;
}

Status Variables::allocate(const format::ModelView& model, const Array<bool>& wanted) {
  CheckedSize total = needed(model, wanted);
  // Fresh elements are zero.
  if (!total.within(SIZE_MAX / 2) || !memory_.allocate(static_cast<size_t>(total.value())) ||
      !data_.allocate(model.constant_count())) {
    return Status::error(StatusCode::kOutOfMemory, "no memory for the variables");
  }
  total = 0;
  for (size_t i = 0; i < model.constant_count(); ++i) {
    if (!wanted[i]) continue;
    const format::ConstantView constant = model.constant(i);
    data_[i] = reinterpret_cast<float*>(memory_.data() + place(constant, &total).value());
    if (constant.data != nullptr) std::memcpy(data_[i], constant.data, constant.bytes);
  }
  return {};
}

}  // namespace figment
