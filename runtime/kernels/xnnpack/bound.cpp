// Kernels that are the portable ones with their operands read ahead: in a small int8 network reading them from the file
// in each run would take as long as the arithmetic.
#include <cstring>

#include "kernels/conversions.h"
#include "kernels/xnnpack/xnnpack_kernels.h"

namespace figment::kernels::xnnpack {

namespace {

class Bound : public PreparedKernel {
 public:
  const char* name() const override { return "portable"; }
  CheckedSize operator_bytes(const Step& /*step*/) const override { return 0; }
  Status prepare(const Step& /*step*/, Packer* /*packer*/) override { return {}; }
  Status bind(const Step& step) override {
    in_ = step.inputs[0].data;
    out_ = step.output.data;
    count_ = step.output.elements();
    return {};
  }
  Status resize(const Step& step) override { return bind(step); }

 protected:
  template <typename T>
  const T* in() const {
    return static_cast<const T*>(in_);
  }
  template <typename T>
  T* out() const {
    return static_cast<T*>(out_);
  }

  const void* in_ = nullptr;
  void* out_ = nullptr;
  size_t count_ = 0;
};

class Lookup final : public Bound {
 public:
  Status bind(const Step& step) override {
    table_ = step.inputs[1].i8();
    return Bound::bind(step);
  }
  void run() override { lookup(in<int8_t>(), table_, out<int8_t>(), count_); }

 private:
  const int8_t* table_ = nullptr;
};

class Quantize final : public Bound {
 public:
  Status bind(const Step& step) override {
    scale_ = step.output.quantization.scale();
    zero_point_ = step.output.quantization.zero_point;
    return Bound::bind(step);
  }
  void run() override { quantize(in<float>(), scale_, zero_point_, out<int8_t>(), count_); }

 private:
  float scale_ = 0;
  int32_t zero_point_ = 0;
};

class Dequantize final : public Bound {
 public:
  Status bind(const Step& step) override {
    scale_ = step.inputs[0].quantization.scale();
    zero_point_ = step.inputs[0].quantization.zero_point;
    return Bound::bind(step);
  }
  void run() override { dequantize(in<int8_t>(), scale_, zero_point_, out<float>(), count_); }

 private:
  float scale_ = 0;
  int32_t zero_point_ = 0;
};

class Requantize final : public Bound {
 public:
  Status bind(const Step& step) override {
    from_ = step.inputs[0].quantization;
    to_ = step.output.quantization;
    return Bound::bind(step);
  }
  void run() override { requantize(in<int8_t>(), from_, to_, out<int8_t>(), count_); }

 private:
  Quantization from_;
  Quantization to_;
};

class Reshape final : public Bound {
 public:
  Status bind(const Step& step) override {
    FIGMENT_RETURN_IF_ERROR(Bound::bind(step));
    count_ = in_ == out_ ? 0 : step.output.bytes();
    return {};
  }
  void run() override {
    if (count_ != 0) std::memcpy(out_, in_, count_);
  }
};

}  // namespace

const fig_op kLookup = prepared_kernel<Lookup>(OpKind::kLookup, nullptr, InPlace::kFirstInput);
const fig_op kQuantize = prepared_kernel<Quantize>(OpKind::kQuantize, nullptr);
const fig_op kDequantize = prepared_kernel<Dequantize>(OpKind::kDequantize, nullptr);
const fig_op kRequantize = prepared_kernel<Requantize>(OpKind::kRequantize, nullptr, InPlace::kFirstInput);
const fig_op kReshape = prepared_kernel<Reshape>(OpKind::kReshape, nullptr, InPlace::kFirstInput);

}  // namespace figment::kernels::xnnpack
