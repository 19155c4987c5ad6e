#include "session/variables.h"

#include <cstring>

#include "core/checked.h"

namespace figment {

Status Variables::allocate(const format::ModelView& model, const Array<bool>& wanted) {
  const auto no_memory = [] { return Status::error(StatusCode::kOutOfMemory, "no memory for the variables"); };
  CheckedSize total = 0;
  const auto place = [&](const format::ConstantView& constant) {
    const CheckedSize start = total;
    total = (start + constant.bytes + kReadablePadding).aligned(kTensorAlignment);
    return start;
  };
  for (size_t i = 0; i < model.constant_count(); ++i) {
    if (wanted[i]) place(model.constant(i));
  }
  // Fresh elements are zero.
  if (!total.within(SIZE_MAX / 2) || !memory_.allocate(static_cast<size_t>(total.value())) ||
      !data_.allocate(model.constant_count())) {
    return no_memory();
  }
  total = 0;
  for (size_t i = 0; i < model.constant_count(); ++i) {
    if (!wanted[i]) continue;
    const format::ConstantView constant = model.constant(i);
    data_[i] = reinterpret_cast<float*>(memory_.data() + place(constant).value());
    if (constant.data != nullptr) std::memcpy(data_[i], constant.data, constant.bytes);
  }
  return {};
}

}  // namespace figment
