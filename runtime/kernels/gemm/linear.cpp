// Matrix products and fully connected layers.
#include <algorithm>

#include "kernels/gemm/finish.h"
#include "kernels/gemm/gemm.h"
#include "kernels/gemm/gemm_kernels.h"

namespace figment::kernels::gemm {

namespace {

class Matmul final : public Kernel {
 public:
  const char* name() const override { return "gemm"; }

  Status prepare(const Step& step, const Environment& environment) override {
    threads_ = environment.threads;
    columns_ = step.output.shape.from_end(0);
    depth_ = step.inputs[0].shape.from_end(step.attributes.transpose_a ? 1 : 0);
    return {};
  }
  Status resize(const Step& step) override { return prepare(step, {threads_, nullptr}); }

  size_t scratch_bytes() const override { return scratch_floats(depth_, threads_) * sizeof(float); }

  Status bind(const Step& step) override {
    step_ = &step;
    return {};
  }

  void run() override {
    const size_t rows = step_->output.shape.from_end(1);
    const size_t matrices = step_->output.elements() / (rows * columns_);
    const bool ta = step_->attributes.transpose_a;
    const bool tb = step_->attributes.transpose_b;
    for (size_t m = 0; m < matrices; ++m) {
      Product product{};
      product.a = {step_->inputs[0].f32() + m * rows * depth_, ta ? 1 : depth_, ta ? rows : 1};
      product.b = {step_->inputs[1].f32() + m * depth_ * columns_, tb ? 1 : columns_, tb ? depth_ : 1};
      product.c = static_cast<float*>(step_->output.data) + m * rows * columns_;
      product.c_row = columns_;
      product.rows = rows;
      product.depth = depth_;
      product.columns = columns_;
      multiply(product, static_cast<float*>(step_->scratch), threads_);
    }
  }

 private:
  const Step* step_ = nullptr;
  pthreadpool* threads_ = nullptr;
  size_t columns_ = 0;
  size_t depth_ = 0;
};

class FullyConnected final : public Kernel {
 public:
  const char* name() const override { return "gemm fully connected"; }

  Status prepare(const Step& step, const Environment& environment) override {
    threads_ = environment.threads;
    outputs_ = step.inputs[1].shape[0];
    inputs_ = step.inputs[1].shape[1];
    return {};
  }

  size_t scratch_bytes() const override { return scratch_floats(inputs_, threads_) * sizeof(float); }

  Status bind(const Step& step) override {
    step_ = &step;
    return {};
  }

  void run() override {
    Product product{};
    product.a = {step_->inputs[0].f32(), inputs_, 1};
    product.b = {step_->inputs[1].f32(), 1, inputs_};
    product.c = static_cast<float*>(step_->output.data);
    product.c_row = outputs_;
    product.rows = step_->inputs[0].elements() / inputs_;
    product.depth = inputs_;
    product.columns = outputs_;
    multiply(product, static_cast<float*>(step_->scratch), threads_);
    finish_rows(*step_, product.c, product.rows, outputs_);
  }

 private:
  const Step* step_ = nullptr;
  pthreadpool* threads_ = nullptr;
  size_t outputs_ = 0;
  size_t inputs_ = 0;
};

}  // namespace

void finish_rows(const Step& step, float* rows, size_t count, size_t channels) {
  const float* bias = step.has_bias() ? step.inputs[2].f32() : nullptr;
  const float min = step.attributes.clamp_min;
  const float max = step.attributes.clamp_max;
  for (size_t row = 0; row < count; ++row, rows += channels) {
    if (bias != nullptr) {
      for (size_t i = 0; i < channels; ++i) rows[i] += bias[i];
    }
    if (step.attributes.clamps()) {
      for (size_t i = 0; i < channels; ++i) rows[i] = std::min(std::max(rows[i], min), max);
    }
  }
}

bool accepts_matmul(const Step& /*step*/) { return true; }
Kernel* create_matmul(void* memory) { return new (memory) Matmul; }

bool accepts_fully_connected(const Step& step) { return step.output.type == DataType::kF32 && weights_change(step); }
Kernel* create_fully_connected(void* memory) { return new (memory) FullyConnected; }

static_assert(sizeof(Matmul) <= kMaxKernelBytes && sizeof(FullyConnected) <= kMaxKernelBytes);

}  // namespace figment::kernels::gemm
