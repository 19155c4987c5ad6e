// A step of a kernel under test.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "format/quantized.h"
#include "guarded_memory.h"
#include "kernels/backend.h"
#include "kernels/kernel.h"
#include "kernels/packed_weights.h"
#include "support.h"

namespace figment::test {

using namespace figment::kernels;

// Owns the memory of a step: operands, output and scratch between guard pages, scales.
class StepBuilder {
 public:
  explicit StepBuilder(OpKind kind) {
    step.kind = kind;
    step.name = "test";
  }

  Operand& add(DataType type, const Extents& shape, bool constant = false) {
    Operand operand;
    operand.type = type;
    operand.shape = shape;
    operand.constant = constant;
    operand.data = memory(operand.elements() * format::element_size(type));
    operands.push_back(operand);
    return operands.back();
  }
  void fill(Operand& operand, Random* random, int limit = 127) {
    for (size_t i = 0; i < operand.elements(); ++i) {
      if (operand.type == DataType::kF32) static_cast<float*>(operand.data)[i] = random->real();
      if (operand.type == DataType::kI8)
        static_cast<int8_t*>(operand.data)[i] =
            static_cast<int8_t>(static_cast<int>(random->integer(0, 2 * static_cast<uint32_t>(limit))) - limit);
      if (operand.type == DataType::kI32)
        static_cast<int32_t*>(operand.data)[i] = static_cast<int32_t>(random->integer(0, 20000)) - 10000;
    }
  }
  Quantization quantization(std::vector<float> scales, int32_t zero_point) {
    scale_memory.push_back(std::make_unique<std::vector<float>>(std::move(scales)));
    return {*scale_memory.back(), zero_point};
  }
  // The bytes that `set`'s kernel computes.
  std::vector<uint8_t> run(KernelSet set, std::string* name = nullptr) {
    step.inputs = operands;
    const size_t bytes = step.output.elements() * format::element_size(step.output.type);
    step.output.data = memory(bytes);
    const fig_op* kernel = find_kernel(step, set);
    REQUIRE(kernel != nullptr);
    step.scratch = kernel->scratch == nullptr ? nullptr : memory(static_cast<size_t>(kernel->scratch(step).value()));
    if (kernel->create == nullptr) {
      if (name != nullptr) *name = kernel->name;
      kernel->run(step);
    } else {
      run_prepared(*kernel, name);
    }
    const auto* out = static_cast<const uint8_t*>(step.output.data);
    std::vector<uint8_t> result(out, out + bytes);
    for (const auto& block : blocks) CHECK(block->intact());
    return result;
  }

  Step step;
  std::vector<Operand> operands;
  std::vector<std::unique_ptr<std::vector<float>>> scale_memory;

 private:
  void run_prepared(const fig_op& kernel, std::string* name) {
    REQUIRE(start_backend().ok());
    const Buffer state(kernel.state_bytes);
    PreparedKernel* prepared = kernel.create(state.data());
    PackedWeights weights;
    Packer packer(&weights, Packer::Mode::kSystem);
    const Buffer operators(static_cast<size_t>(prepared->operator_bytes(step).value()));
    OperatorPool pool(operators.data(), operators.size());
    {
      const OperatorPool::Scope scope(&pool);
      const Status status = prepared->prepare(step, &packer);
      REQUIRE_MESSAGE(status.ok(), status.message());
    }
    CHECK_MESSAGE(pool.overflow() == 0, prepared->name(), " took ", pool.overflow(), " bytes beside the pool of ",
                  operators.size());
    if (name != nullptr) *name = prepared->name();
    REQUIRE(prepared->bind(step).ok());
    prepared->run();
    prepared->~PreparedKernel();
  }

  // Memory as sessions take it.
  class Buffer {
   public:
    explicit Buffer(size_t bytes) : size_(bytes), data_(allocate_memory(bytes)) {}
    ~Buffer() { release_memory(data_); }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    void* data() const { return data_; }
    size_t size() const { return size_; }

   private:
    size_t size_;
    void* data_;
  };

  void* memory(size_t bytes) {
    blocks.push_back(std::make_unique<GuardedMemory>(bytes));
    return blocks.back()->data();
  }
  std::vector<std::unique_ptr<GuardedMemory>> blocks;
};

inline std::span<const float> as_floats(const std::vector<uint8_t>& bytes) {
  return {reinterpret_cast<const float*>(bytes.data()), bytes.size() / 4};
}

inline void check_equal(StepBuilder& builder, const std::string& what) {
  std::string name;
  const std::vector<uint8_t> best = builder.run(KernelSet::kBest, &name);
  const std::vector<uint8_t> portable = builder.run(KernelSet::kPortable);
  if (builder.step.output.type == DataType::kF32) {
    CHECK_MESSAGE(relative_error(as_floats(best), as_floats(portable)) < 2e-5, what, " on ", name);
  } else {
    CHECK_MESSAGE(best == portable, what, " on ", name);
  }
}

// A linear step with random weights, quantized so that results spread over the range.
inline void add_weights(StepBuilder& builder, Random* random, bool i8, const Extents& x, const Extents& weights,
                        const Extents& output, bool bias) {
  const DataType type = i8 ? DataType::kI8 : DataType::kF32;
  builder.operands.reserve(3);
  Operand& input = builder.add(type, x);
  builder.fill(input, random, 128 - 1);
  Operand& kernel = builder.add(type, weights, true);
  builder.fill(kernel, random);
  const size_t outputs = weights[0];
  builder.step.output.type = type;
  builder.step.output.shape = output;
  if (i8) {
    input.quantization = builder.quantization({0.02F}, static_cast<int32_t>(random->integer(0, 255)) - 128);
    std::vector<float> scales(outputs);
    for (float& scale : scales) scale = 0.002F + 0.003F * std::fabs(random->real());
    kernel.quantization = builder.quantization(scales, 0);
    const double terms = static_cast<double>(kernel.elements()) / static_cast<double>(outputs);
    builder.step.output.quantization = builder.quantization({static_cast<float>(0.02 * 0.003 * 60 * std::sqrt(terms))},
                                                            static_cast<int32_t>(random->integer(0, 255)) - 128);
  }
  if (bias) builder.fill(builder.add(i8 ? DataType::kI32 : DataType::kF32, {outputs}, true), random);
}

}  // namespace figment::test
