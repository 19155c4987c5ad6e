// The one list of kernels, best first for each op.
#include <array>
#include <new>

#include "kernels/gemm/gemm_kernels.h"
#include "kernels/kernel.h"
#include "kernels/portable/portable.h"
#include "kernels/recurrent/recurrent.h"
#if FIGMENT_XNNPACK
#include "kernels/xnnpack/xnnpack_kernels.h"
#endif

namespace figment::kernels {

namespace {

// A portable kernel: a function of the step alone.
template <void (*kFunction)(const Step&)>
class Portable final : public Kernel {
 public:
  const char* name() const override { return "portable"; }
  Status prepare(const Step& /*step*/, const Environment& /*environment*/) override { return {}; }
  Status bind(const Step& step) override {
    step_ = &step;
    return {};
  }
  void run() override { kFunction(*step_); }

 private:
  const Step* step_ = nullptr;
};

bool always(const Step& /*step*/) { return true; }

template <void (*kFunction)(const Step&)>
Kernel* create_portable(void* memory) {
  return new (memory) Portable<kFunction>;
}

using InPlace = KernelEntry::InPlace;

template <void (*kFunction)(const Step&)>
constexpr KernelEntry portable_entry(OpKind kind, InPlace in_place = InPlace::kNo) {
  return {kind, always, create_portable<kFunction>, in_place};
}

#if FIGMENT_XNNPACK
constexpr InPlace kFirst = InPlace::kFirstInput;
constexpr InPlace kEither = InPlace::kEitherInput;
// Prepared for one batch.
constexpr std::array kXnnpackKernels = {
    KernelEntry{OpKind::kFullyConnected, xnnpack::accepts_fully_connected, xnnpack::create_fully_connected,
                InPlace::kNo},
    KernelEntry{OpKind::kConv2d, xnnpack::accepts_convolution_as_fully_connected, xnnpack::create_fully_connected,
                InPlace::kNo},
    KernelEntry{OpKind::kConv2d, xnnpack::accepts_convolution, xnnpack::create_convolution, InPlace::kNo},
    KernelEntry{OpKind::kConvTranspose2d, xnnpack::accepts_deconvolution_as_fully_connected,
                xnnpack::create_deconvolution_as_fully_connected, InPlace::kNo},
    KernelEntry{OpKind::kConvTranspose2d, xnnpack::accepts_deconvolution_by_phases,
                xnnpack::create_deconvolution_by_phases, InPlace::kNo},
    KernelEntry{OpKind::kConvTranspose2d, xnnpack::accepts_deconvolution_by_merged_phases,
                xnnpack::create_deconvolution_by_merged_phases, InPlace::kNo},
    KernelEntry{OpKind::kConvTranspose2d, xnnpack::accepts_deconvolution_by_columns,
                xnnpack::create_deconvolution_by_columns, InPlace::kNo},
    KernelEntry{OpKind::kConvTranspose2d, xnnpack::accepts_deconvolution, xnnpack::create_deconvolution, InPlace::kNo},
    KernelEntry{OpKind::kSoftmax, xnnpack::accepts_softmax, xnnpack::create_softmax, InPlace::kNo},
};
// For any batch.
constexpr std::array kXnnpackElementwise = {
    KernelEntry{OpKind::kClamp, xnnpack::accepts_unary, xnnpack::create_unary, kFirst},
    KernelEntry{OpKind::kLeakyRelu, xnnpack::accepts_unary, xnnpack::create_unary, kFirst},
    KernelEntry{OpKind::kElu, xnnpack::accepts_unary, xnnpack::create_unary, kFirst},
    KernelEntry{OpKind::kSigmoid, xnnpack::accepts_unary, xnnpack::create_sigmoid, kFirst},
    KernelEntry{OpKind::kTanh, xnnpack::accepts_unary, xnnpack::create_unary, kFirst},
    KernelEntry{OpKind::kAbs, xnnpack::accepts_unary, xnnpack::create_unary, kFirst},
    KernelEntry{OpKind::kNegate, xnnpack::accepts_unary, xnnpack::create_unary, kFirst},
    KernelEntry{OpKind::kAdd, xnnpack::accepts_binary, xnnpack::create_binary, kEither},
    KernelEntry{OpKind::kSubtract, xnnpack::accepts_binary, xnnpack::create_binary, kEither},
    KernelEntry{OpKind::kMultiply, xnnpack::accepts_binary, xnnpack::create_binary, kEither},
    KernelEntry{OpKind::kDivide, xnnpack::accepts_binary, xnnpack::create_binary, kEither},
};
#else
constexpr std::array<KernelEntry, 0> kXnnpackKernels{};
constexpr std::array<KernelEntry, 0> kXnnpackElementwise{};
#endif

constexpr std::array kGemmKernels = {
    KernelEntry{OpKind::kLstm, always, recurrent::create_recurrent, InPlace::kNo},
    KernelEntry{OpKind::kGru, always, recurrent::create_recurrent, InPlace::kNo},
    KernelEntry{OpKind::kLstmBackward, always, recurrent::create_recurrent_backward, InPlace::kNo},
    KernelEntry{OpKind::kGruBackward, always, recurrent::create_recurrent_backward, InPlace::kNo},
    KernelEntry{OpKind::kMatmul, gemm::accepts_matmul, gemm::create_matmul, InPlace::kNo},
    KernelEntry{OpKind::kFullyConnected, gemm::accepts_fully_connected, gemm::create_fully_connected, InPlace::kNo},
    KernelEntry{OpKind::kConv2d, gemm::accepts_convolution, gemm::create_convolution, InPlace::kNo},
    KernelEntry{OpKind::kConvTranspose2d, gemm::accepts_convolution, gemm::create_convolution, InPlace::kNo},
    KernelEntry{OpKind::kConv2dBackwardInput, gemm::accepts_convolution, gemm::create_convolution, InPlace::kNo},
    KernelEntry{OpKind::kConv2dBackwardWeights, gemm::accepts_convolution, gemm::create_convolution, InPlace::kNo},
    KernelEntry{OpKind::kConvTranspose2dBackwardInput, gemm::accepts_convolution, gemm::create_convolution,
                InPlace::kNo},
    KernelEntry{OpKind::kConvTranspose2dBackwardWeights, gemm::accepts_convolution, gemm::create_convolution,
                InPlace::kNo},
};

constexpr InPlace kSame = InPlace::kFirstInput;

constexpr std::array<KernelEntry, format::kOpKindCount> kPortableKernels = {
    portable_entry<portable::fully_connected>(OpKind::kFullyConnected),
    portable_entry<portable::conv2d>(OpKind::kConv2d),
    portable_entry<portable::conv_transpose2d>(OpKind::kConvTranspose2d),
    portable_entry<portable::matmul>(OpKind::kMatmul),
    portable_entry<portable::binary>(OpKind::kAdd, InPlace::kEitherInput),
    portable_entry<portable::binary>(OpKind::kSubtract, InPlace::kEitherInput),
    portable_entry<portable::binary>(OpKind::kMultiply, InPlace::kEitherInput),
    portable_entry<portable::binary>(OpKind::kDivide, InPlace::kEitherInput),
    portable_entry<portable::unary_function>(OpKind::kClamp, kSame),
    portable_entry<portable::unary_function>(OpKind::kLeakyRelu, kSame),
    portable_entry<portable::unary_function>(OpKind::kElu, kSame),
    portable_entry<portable::unary_function>(OpKind::kSigmoid, kSame),
    portable_entry<portable::unary_function>(OpKind::kTanh, kSame),
    portable_entry<portable::unary_function>(OpKind::kExp, kSame),
    portable_entry<portable::unary_function>(OpKind::kLog, kSame),
    portable_entry<portable::unary_function>(OpKind::kSqrt, kSame),
    portable_entry<portable::unary_function>(OpKind::kAbs, kSame),
    portable_entry<portable::unary_function>(OpKind::kNegate, kSame),
    portable_entry<portable::unary_function>(OpKind::kSoftplus, kSame),
    portable_entry<portable::lookup>(OpKind::kLookup, kSame),
    portable_entry<portable::softmax>(OpKind::kSoftmax, kSame),
    portable_entry<portable::concat>(OpKind::kConcat),
    portable_entry<portable::slice>(OpKind::kSlice),
    portable_entry<portable::pad>(OpKind::kPad),
    portable_entry<portable::reshape>(OpKind::kReshape, kSame),
    portable_entry<portable::transpose>(OpKind::kTranspose),
    portable_entry<portable::resize_nearest>(OpKind::kResizeNearest),
    portable_entry<portable::average_pool2d>(OpKind::kAveragePool2d),
    portable_entry<portable::max_pool2d>(OpKind::kMaxPool2d),
    portable_entry<portable::mean>(OpKind::kMean),
    portable_entry<portable::quantize>(OpKind::kQuantize),
    portable_entry<portable::dequantize>(OpKind::kDequantize),
    portable_entry<portable::requantize>(OpKind::kRequantize, kSame),
    portable_entry<portable::sum>(OpKind::kSum),
    portable_entry<portable::broadcast>(OpKind::kBroadcast),
    portable_entry<portable::broadcast>(OpKind::kMeanBackward),
    portable_entry<portable::unary_backward>(OpKind::kUnaryBackward, InPlace::kEitherInput),
    portable_entry<portable::softmax_backward>(OpKind::kSoftmaxBackward),
    portable_entry<portable::slice_backward>(OpKind::kSliceBackward),
    portable_entry<portable::pad_backward>(OpKind::kPadBackward),
    portable_entry<portable::resize_nearest_backward>(OpKind::kResizeNearestBackward),
    portable_entry<portable::average_pool2d_backward>(OpKind::kAveragePool2dBackward),
    portable_entry<portable::max_pool2d_backward>(OpKind::kMaxPool2dBackward),
    portable_entry<portable::convolution_backward_input>(OpKind::kConv2dBackwardInput),
    portable_entry<portable::convolution_backward_weights>(OpKind::kConv2dBackwardWeights),
    portable_entry<portable::convolution_backward_input>(OpKind::kConvTranspose2dBackwardInput),
    portable_entry<portable::convolution_backward_weights>(OpKind::kConvTranspose2dBackwardWeights),
    portable_entry<portable::batch_norm_statistics>(OpKind::kBatchNormStatistics),
    portable_entry<portable::batch_norm>(OpKind::kBatchNorm, kSame),
    portable_entry<portable::batch_norm_backward_sums>(OpKind::kBatchNormBackwardSums),
    portable_entry<portable::batch_norm_backward>(OpKind::kBatchNormBackward, kSame),
    portable_entry<portable::moving_average_update>(OpKind::kMovingAverageUpdate),
    portable_entry<portable::sgd_update>(OpKind::kSgdUpdate),
    portable_entry<portable::adam_update>(OpKind::kAdamUpdate),
    portable_entry<portable::count_step>(OpKind::kCountStep),
    portable_entry<portable::log_softmax>(OpKind::kLogSoftmax, kSame),
    portable_entry<portable::layer_norm>(OpKind::kLayerNorm, kSame),
    portable_entry<portable::layer_norm_backward_sums>(OpKind::kLayerNormBackwardSums),
    portable_entry<portable::layer_norm_backward>(OpKind::kLayerNormBackward),
    KernelEntry{OpKind::kLstm, always, recurrent::create_portable_recurrent, InPlace::kNo},
    KernelEntry{OpKind::kLstmBackward, always, recurrent::create_portable_recurrent_backward, InPlace::kNo},
    KernelEntry{OpKind::kGru, always, recurrent::create_portable_recurrent, InPlace::kNo},
    KernelEntry{OpKind::kGruBackward, always, recurrent::create_portable_recurrent_backward, InPlace::kNo},
    portable_entry<portable::reverse>(OpKind::kReverse),
    portable_entry<portable::mask_sequence>(OpKind::kMaskSequence, kSame),
    portable_entry<portable::squared_norm>(OpKind::kSquaredNorm),
    portable_entry<portable::assign_update>(OpKind::kAssignUpdate),
    portable_entry<portable::average_update>(OpKind::kAverageUpdate),
    portable_entry<portable::accumulate_update>(OpKind::kAccumulateUpdate),
    portable_entry<portable::clear_update>(OpKind::kClearUpdate),
};

}  // namespace

const KernelEntry* find_kernel(const Step& step, KernelSet set) {
  const auto find = [&](std::span<const KernelEntry> entries) -> const KernelEntry* {
    for (const KernelEntry& entry : entries) {
      if (entry.kind == step.kind && entry.accepts(step)) return &entry;
    }
    return nullptr;
  };
  if (set == KernelSet::kBest) {
    if (const KernelEntry* entry = step.any_batch ? nullptr : find(kXnnpackKernels)) return entry;
    if (const KernelEntry* entry = find(kXnnpackElementwise)) return entry;
    if (const KernelEntry* entry = find(kGemmKernels)) return entry;
  }
  return find(kPortableKernels);
}

const char* kernel_set_name(KernelSet set) {
  return set == KernelSet::kBest && !kXnnpackKernels.empty() ? "xnnpack" : "portable";
}

}  // namespace figment::kernels
