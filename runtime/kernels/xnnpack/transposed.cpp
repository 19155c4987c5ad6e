// Transposed convolution in its five formulations; transposed_choice.h says when each is used.
#include <algorithm>
#include <cstring>
#include <optional>

#include "kernels/xnnpack/operators.h"
#include "kernels/xnnpack/preconditions.h"
#include "kernels/xnnpack/transposed_choice.h"
#include "kernels/xnnpack/xnnpack_kernels.h"

namespace figment::kernels::xnnpack {

namespace {

Status no_memory() { return Status::error(StatusCode::kOutOfMemory, "no memory to rearrange weights"); }

size_t multiply_adds(const Step& step) {
  return step.inputs[0].elements() * step.inputs[1].elements() / step.inputs[0].shape[3];
}

class Deconvolution final : public Kernel {
 public:
  const char* name() const override { return "xnnpack deconvolution"; }

  CheckedSize pool_bytes(const Step& step) const override {
    const Window& window = step.attributes.window;
    const CheckedSize phases = CheckedSize(window.stride[0]) * window.stride[1];
    // The rows of each slice, one for each residue of the stride, are rounded up to a tile on their own.
    constexpr size_t kTile = 16;
    const CheckedSize row = step.output.shape[2] / window.stride[1] + 1 + kTile;
    const CheckedSize pixels = CheckedSize(step.output.shape[1]) * window.stride[1] * row;
    return CheckedSize(LinearOperator::kPoolBytes) + indirection_bytes(window, pixels) + phases * 1024 +
           zero_bytes(step.inputs[0].type, step.inputs[0].shape[3]);
  }

  Status prepare(const Step& step, const Environment& environment) override {
    const Extents& x = step.inputs[0].shape;
    const Window& window = step.attributes.window;
    operator_.packing().begin(environment.weights, {step.program, step.index, 0, 0});
    const Status created = operator_.create_deconvolution(weights_of(step), window, x[3], step.output.shape[3]);
    operator_.packing().end();
    FIGMENT_RETURN_IF_ERROR(created);
    return operator_.reshape_deconvolution(window, x[0], x[1], x[2], threads_for(multiply_adds(step), environment));
  }

  Status bind(const Step& step) override { return operator_.setup(step.inputs[0].data, step.output.data); }
  void run() override { operator_.run(); }

 private:
  LinearOperator operator_;
};

// Weights [O, h, w, I] as those of a fully connected layer that computes every tap: row (y*w + x)*O + o is tap
// (y, x) of output channel o. A bias of one value per channel is repeated for each tap if `repeat_bias`.
class TapWeights {
 public:
  // False when there is no memory.
  bool make(const Step& step, bool repeat_bias) {
    const Extents& shape = step.inputs[1].shape;
    const size_t outputs = shape[0];
    const size_t taps = shape[1] * shape[2];
    const size_t size = format::element_size(step.inputs[1].type);
    const size_t row = shape[3] * size;
    if (!kernel_.allocate(outputs * taps * row)) return false;
    const auto* from = static_cast<const uint8_t*>(step.inputs[1].data);
    for (size_t tap = 0; tap < taps; ++tap) {
      for (size_t o = 0; o < outputs; ++o) {
        std::memcpy(kernel_.data() + (tap * outputs + o) * row, from + (o * taps + tap) * row, row);
      }
    }
    if (repeat_bias && step.has_bias()) {
      if (!bias_.allocate(outputs * taps)) return false;
      for (size_t i = 0; i < bias_.size(); ++i)
        std::memcpy(&bias_[i], static_cast<const uint8_t*>(step.inputs[2].data) + i % outputs * 4, 4);
    }
    const std::span<const float> scales = step.inputs[1].quantization.scales;
    if (!scales.empty()) {
      if (!scales_.allocate(outputs * taps)) return false;
      for (size_t i = 0; i < scales_.size(); ++i) scales_[i] = scales[i % outputs];
    }
    return true;
  }

  void apply(Weights* weights) const {
    weights->kernel = kernel_.data();
    weights->bias = bias_.data();
    weights->scales = scales_.data();
  }

 private:
  Array<uint8_t> kernel_;
  Array<uint32_t> bias_;  // the bits of f32 or i32
  Array<float> scales_;
};

class DeconvolutionAsFullyConnected final : public Kernel {
 public:
  const char* name() const override { return "deconvolution from 1x1"; }
  CheckedSize pool_bytes(const Step& /*step*/) const override { return LinearOperator::kPoolBytes; }

  Status prepare(const Step& step, const Environment& environment) override {
    const size_t inputs = step.inputs[0].shape[3];
    const size_t outputs = step.output.elements() / step.output.shape[0];
    TapWeights taps;
    if (!taps.make(step, true)) return no_memory();
    Weights weights = weights_of(step);
    taps.apply(&weights);
    operator_.packing().begin(environment.weights, {step.program, step.index, 1, 0});
    const size_t rows = step.output.shape[0];
    const Status created = operator_.create_fully_connected(weights, inputs, outputs, rows);
    operator_.packing().end();
    FIGMENT_RETURN_IF_ERROR(created);
    return operator_.reshape_fully_connected(threads_for(rows * inputs * outputs, environment));
  }

  Status bind(const Step& step) override { return operator_.setup(step.inputs[0].data, step.output.data); }
  void run() override { operator_.run(); }

 private:
  LinearOperator operator_;
};

// For each row phase a buffer of [N, H'/s, W', O] that the column phases' convolutions fill with interleaved pixels;
// then the rows are interleaved into the output.
class DeconvolutionByPhases final : public Kernel {
 public:
  const char* name() const override { return "xnnpack convolution per phase"; }

  CheckedSize pool_bytes(const Step& step) const override {
    const Window& window = step.attributes.window;
    const size_t phases = size_t{window.stride[0]} * window.stride[1];
    const CheckedSize pixels = step.output.shape[1] * step.output.shape[2] / phases;
    const CheckedSize taps = CheckedSize(window.kernel[0]) * window.kernel[1];
    const CheckedSize zeros = zero_bytes(step.inputs[0].type, step.inputs[0].shape[3]);
    return indirection_bytes(window, pixels) + taps * 256 +
           CheckedSize(kMaxPhases) * (zeros + LinearOperator::kPoolBytes);
  }

  ~DeconvolutionByPhases() override {
    for (size_t i = 0; i < kMaxPhases; ++i) {
      if (operators_[i] != nullptr) operators_[i]->~LinearOperator();
    }
    release_memory(memory_);
  }

  Status prepare(const Step& step, const Environment& environment) override {
    const Extents& x = step.inputs[0].shape;
    const size_t outputs = step.output.shape[3];
    const Window& window = step.attributes.window;
    const size_t element = format::element_size(step.output.type);
    strides_[0] = window.stride[0];
    strides_[1] = window.stride[1];
    row_bytes_ = step.output.shape[2] * outputs * element;
    rows_ = step.output.shape[0] * step.output.shape[1];
    pixel_bytes_ = outputs * element;
    memory_ = allocate_memory(kMaxPhases * sizeof(LinearOperator));
    if (memory_ == nullptr) return no_memory();
    Array<uint8_t> kernel;
    if (!kernel.allocate(step.inputs[1].elements() * element)) return no_memory();
    for (uint32_t y = 0; y < strides_[0]; ++y) {
      for (uint32_t c = 0; c < strides_[1]; ++c) {
        Phase rows{};
        Phase columns{};
        if (!transposed_phase(step, 0, y, &rows) || !transposed_phase(step, 1, c, &columns)) {
          return Status::error(StatusCode::kInternal, "no phases for this transposed convolution");
        }
        const uint32_t slot = y * strides_[1] + c;
        operators_[slot] = new (static_cast<LinearOperator*>(memory_) + slot) LinearOperator;
        LinearOperator& convolution = *operators_[slot];
        const Window phase = phase_window(rows, columns);
        Weights weights = weights_of(step);
        weights.kernel = kernel.data();
        convolution.packing().begin(environment.weights, {step.program, step.index, 2, slot});
        if (!convolution.packing().packed()) extract(step, rows, columns, kernel.data());
        const Status created = convolution.create_convolution(weights, phase, x[3], outputs, outputs * strides_[1]);
        convolution.packing().end();
        FIGMENT_RETURN_IF_ERROR(created);
        FIGMENT_RETURN_IF_ERROR(convolution.reshape_convolution(
            phase, x[0], x[1], x[2], threads_for(multiply_adds(step) / (strides_[0] * strides_[1]), environment)));
      }
    }
    return {};
  }

  size_t scratch_bytes() const override { return strides_[0] == 1 ? 0 : rows_ * row_bytes_; }

  Status bind(const Step& step) override {
    scratch_ = static_cast<uint8_t*>(step.scratch);
    output_ = static_cast<uint8_t*>(step.output.data);
    const size_t part = rows_ / strides_[0] * row_bytes_;
    uint8_t* base = strides_[0] == 1 ? output_ : scratch_;
    for (uint32_t y = 0; y < strides_[0]; ++y) {
      for (uint32_t c = 0; c < strides_[1]; ++c) {
        uint8_t* target = base + y * part + c * pixel_bytes_;
        FIGMENT_RETURN_IF_ERROR(operators_[y * strides_[1] + c]->setup(step.inputs[0].data, target));
      }
    }
    return {};
  }

  void run() override {
    for (uint32_t i = 0; i < strides_[0] * strides_[1]; ++i) operators_[i]->run();
    if (strides_[0] == 1) return;
    const size_t part = rows_ / strides_[0] * row_bytes_;
    for (size_t row = 0; row < rows_; ++row) {
      std::memcpy(output_ + row * row_bytes_, scratch_ + row % strides_[0] * part + row / strides_[0] * row_bytes_,
                  row_bytes_);
    }
  }

 private:
  static constexpr size_t kMaxPhases = 4;

  // The taps of one phase in reverse order, as the weights [O, rows.taps, columns.taps, I] of a convolution.
  static void extract(const Step& step, const Phase& rows, const Phase& columns, uint8_t* out) {
    const Extents& shape = step.inputs[1].shape;
    const Window& window = step.attributes.window;
    const size_t channel_bytes = shape[3] * format::element_size(step.inputs[1].type);
    const auto* from = static_cast<const uint8_t*>(step.inputs[1].data);
    for (size_t o = 0; o < shape[0]; ++o) {
      for (uint32_t y = 0; y < rows.taps; ++y) {
        const size_t ky = rows.first_tap + size_t{window.stride[0]} * (rows.taps - 1 - y);
        for (uint32_t x = 0; x < columns.taps; ++x, out += channel_bytes) {
          const size_t kx = columns.first_tap + size_t{window.stride[1]} * (columns.taps - 1 - x);
          std::memcpy(out, from + ((o * shape[1] + ky) * shape[2] + kx) * channel_bytes, channel_bytes);
        }
      }
    }
  }

  void* memory_ = nullptr;
  LinearOperator* operators_[kMaxPhases] = {};
  uint32_t strides_[2] = {1, 1};
  size_t row_bytes_ = 0;
  size_t pixel_bytes_ = 0;
  size_t rows_ = 0;
  uint8_t* scratch_ = nullptr;
  uint8_t* output_ = nullptr;
};

// One convolution whose channels are the output pixels of a block (all phases of one input pixel or of several) over
// the union of their windows (taps that a pixel does not have are zero weights, which change no result); then each
// channel group goes to its pixel.
class DeconvolutionByMergedPhases final : public Kernel {
 public:
  const char* name() const override { return "xnnpack convolution of all phases"; }

  CheckedSize pool_bytes(const Step& step) const override {
    const MergedPhases merged = merge_phases(step);
    const CheckedSize taps = CheckedSize(merged.window.kernel[0]) * merged.window.kernel[1];
    const CheckedSize pixels = step.output.shape[1] * step.output.shape[2] / (merged.block[0] * merged.block[1]);
    return CheckedSize(LinearOperator::kPoolBytes) + indirection_bytes(merged.window, pixels) + taps * 256 +
           zero_bytes(step.inputs[0].type, step.inputs[0].shape[3]);
  }

  Status prepare(const Step& step, const Environment& environment) override {
    const Extents& x = step.inputs[0].shape;
    const Extents& shape = step.inputs[1].shape;
    const Window& window = step.attributes.window;
    const size_t element = format::element_size(step.output.type);
    const size_t outputs = shape[0];
    const size_t row = shape[3] * element;
    const MergedPhases merged = merge_phases(step);
    block_ = merged.block;
    const size_t groups = size_t{block_[0]} * block_[1];
    const auto& [height, width] = merged.window.kernel;
    Array<uint8_t> kernel;
    Array<uint32_t> bias;
    Array<float> scales;
    const std::span<const float> channel_scales = step.inputs[1].quantization.scales;
    if (!kernel.allocate(groups * outputs * height * width * row) ||
        (step.has_bias() && !bias.allocate(groups * outputs)) ||
        (!channel_scales.empty() && !scales.allocate(groups * outputs))) {
      return no_memory();
    }
    const auto* from = static_cast<const uint8_t*>(step.inputs[1].data);
    for (size_t channel = 0; channel < groups * outputs; ++channel) {
      const size_t o = channel % outputs;
      const std::array<uint32_t, 2> pixel = {static_cast<uint32_t>(channel / outputs / block_[1]),
                                             static_cast<uint32_t>(channel / outputs % block_[1])};
      if (step.has_bias()) std::memcpy(&bias[channel], static_cast<const uint8_t*>(step.inputs[2].data) + o * 4, 4);
      if (!channel_scales.empty()) scales[channel] = channel_scales[o];
      for (uint32_t ky = 0; ky < window.kernel[0]; ++ky) {
        const std::optional<uint32_t> my = merged.tap(window, 0, pixel[0], ky);
        for (uint32_t kx = 0; my && kx < window.kernel[1]; ++kx) {
          const std::optional<uint32_t> mx = merged.tap(window, 1, pixel[1], kx);
          if (!mx) continue;
          std::memcpy(kernel.data() + ((channel * height + *my) * width + *mx) * row,
                      from + ((o * shape[1] + ky) * shape[2] + kx) * row, row);
        }
      }
    }
    Weights weights = weights_of(step);
    weights.kernel = kernel.data();
    weights.bias = bias.data();
    weights.scales = scales.data();
    operator_.packing().begin(environment.weights, {step.program, step.index, 4, 0});
    const Status created =
        operator_.create_convolution(weights, merged.window, x[3], groups * outputs, groups * outputs);
    operator_.packing().end();
    FIGMENT_RETURN_IF_ERROR(created);
    pixel_bytes_ = outputs * element;
    scratch_bytes_ = step.output.elements() * element;
    const size_t positions = step.output.elements() / (groups * outputs);
    return operator_.reshape_convolution(merged.window, x[0], x[1], x[2],
                                         threads_for(kernel.size() * positions, environment));
  }

  size_t scratch_bytes() const override { return scratch_bytes_; }

  Status bind(const Step& step) override {
    step_ = &step;
    return operator_.setup(step.inputs[0].data, step.scratch);
  }

  void run() override {
    operator_.run();
    const Extents& shape = step_->output.shape;
    const size_t width = shape[2] / block_[1];
    const auto* from = static_cast<const uint8_t*>(step_->scratch);
    auto* out = static_cast<uint8_t*>(step_->output.data);
    const size_t run_bytes = block_[1] * pixel_bytes_;  // a row of a block is adjacent on both sides
    const size_t group_bytes = block_[0] * run_bytes;
    for (size_t row = 0; row < shape[0] * shape[1]; ++row) {
      const uint8_t* source = from + row / block_[0] * width * group_bytes + row % block_[0] * run_bytes;
      if (run_bytes == 2) {
        copy_runs<2>(source, group_bytes, width, out);
      } else if (run_bytes == 4) {
        copy_runs<4>(source, group_bytes, width, out);
      } else {
        for (size_t x = 0; x < width; ++x) std::memcpy(out + x * run_bytes, source + x * group_bytes, run_bytes);
      }
      out += width * run_bytes;
    }
  }

 private:
  // `count` runs of kBytes that are `stride` apart, made adjacent.
  template <size_t kBytes>
  static void copy_runs(const uint8_t* source, size_t stride, size_t count, uint8_t* out) {
    for (size_t i = 0; i < count; ++i) std::memcpy(out + i * kBytes, source + i * stride, kBytes);
  }

  LinearOperator operator_;
  const Step* step_ = nullptr;
  std::array<uint32_t, 2> block_{1, 1};
  size_t pixel_bytes_ = 0;
  size_t scratch_bytes_ = 0;
};

// f32 with few output channels: [N*H*W, I] times all taps gives columns [N*H*W, h*w*O]; each output pixel adds up the
// taps that land on it. The batch is cut into parts whose columns stay in the cache.
class DeconvolutionByColumns final : public Kernel {
 public:
  const char* name() const override { return "fully connected + col2im"; }
  CheckedSize pool_bytes(const Step& /*step*/) const override { return LinearOperator::kPoolBytes; }

  Status prepare(const Step& step, const Environment& environment) override {
    const Extents& x = step.inputs[0].shape;
    const size_t inputs = x[3];
    taps_ = step.inputs[1].elements() / inputs;
    const size_t image_bytes = x[1] * x[2] * taps_ * sizeof(float);
    part_ = x[0];
    while (part_ > 1 && (part_ * image_bytes > kColumnsBytes || x[0] % part_ != 0)) --part_;
    columns_bytes_ = part_ * image_bytes;
    TapWeights taps;
    if (!taps.make(step, false)) return no_memory();
    Weights weights = weights_of(step);
    taps.apply(&weights);
    weights.min = -std::numeric_limits<float>::infinity();
    weights.max = std::numeric_limits<float>::infinity();
    operator_.packing().begin(environment.weights, {step.program, step.index, 3, 0});
    const size_t rows = part_ * x[1] * x[2];
    const Status created = operator_.create_fully_connected(weights, inputs, taps_, rows);
    operator_.packing().end();
    FIGMENT_RETURN_IF_ERROR(created);
    return operator_.reshape_fully_connected(threads_for(rows * inputs * taps_, environment));
  }

  size_t scratch_bytes() const override { return columns_bytes_; }

  Status bind(const Step& step) override {
    step_ = &step;
    return {};
  }

  void run() override {
    const Extents& x = step_->inputs[0].shape;
    const Extents& y = step_->output.shape;
    const size_t in_image = x[1] * x[2] * x[3];
    const size_t out_image = y[1] * y[2] * y[3];
    auto* columns = static_cast<float*>(step_->scratch);
    for (size_t n = 0; n < x[0]; n += part_) {
      // Succeeded when the session was created; only the addresses differ.
      if (!operator_.setup(step_->inputs[0].f32() + n * in_image, columns).ok()) return;
      operator_.run();
      for (size_t i = 0; i < part_; ++i) {
        add_up(columns + i * x[1] * x[2] * taps_, static_cast<float*>(step_->output.data) + (n + i) * out_image);
      }
    }
  }

 private:
  static constexpr size_t kColumnsBytes = 256 * 1024;

  // One image: out[oy, ox, :] = bias + sum of columns[iy, ix, ky, kx, :] over oy = iy*s + ky*d - padding, likewise x.
  void add_up(const float* columns, float* out) const {
    const Window& window = step_->attributes.window;
    const size_t in_height = step_->inputs[0].shape[1];
    const size_t in_width = step_->inputs[0].shape[2];
    const Extents& shape = step_->output.shape;
    const size_t channels = shape[3];
    const float* bias = step_->has_bias() ? step_->inputs[2].f32() : nullptr;
    const float min = step_->attributes.clamp_min;
    const float max = step_->attributes.clamp_max;
    const size_t row = shape[2] * channels;
    for (size_t oy = 0; oy < shape[1]; ++oy, out += row) {
      for (size_t i = 0; i < row; ++i) out[i] = bias == nullptr ? 0 : bias[i % channels];
      for (uint32_t ky = 0; ky < window.kernel[0]; ++ky) {
        const int64_t scaled = static_cast<int64_t>(oy) + window.padding[0] - int64_t{ky} * window.dilation[0];
        if (scaled < 0 || scaled % window.stride[0] != 0) continue;
        const auto iy = static_cast<size_t>(scaled / window.stride[0]);
        if (iy >= in_height) continue;
        for (uint32_t kx = 0; kx < window.kernel[1]; ++kx) {
          const int64_t shift = int64_t{kx} * window.dilation[1] - window.padding[1];
          const auto stride = static_cast<int64_t>(window.stride[1]);
          // Inputs ix with 0 <= ix*stride + shift < width.
          const int64_t first = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
          const int64_t last = std::min<int64_t>(static_cast<int64_t>(in_width) - 1,
                                                 (static_cast<int64_t>(shape[2]) - 1 - shift) / stride);
          if (static_cast<int64_t>(shape[2]) - 1 - shift < 0) continue;
          const float* tap = columns + (iy * in_width * taps_) + (size_t{ky} * window.kernel[1] + kx) * channels;
          for (int64_t ix = first; ix <= last; ++ix) {
            float* target = out + static_cast<size_t>(ix * stride + shift) * channels;
            const float* source = tap + static_cast<size_t>(ix) * taps_;
            for (size_t c = 0; c < channels; ++c) target[c] += source[c];
          }
        }
      }
      if (step_->attributes.clamps()) {
        for (size_t i = 0; i < row; ++i) out[i] = std::min(std::max(out[i], min), max);
      }
    }
  }

  LinearOperator operator_;
  const Step* step_ = nullptr;
  size_t taps_ = 0;
  size_t part_ = 1;
  size_t columns_bytes_ = 0;
};

}  // namespace

Kernel* create_deconvolution(void* memory) { return new (memory) Deconvolution; }

Kernel* create_deconvolution_as_fully_connected(void* memory) { return new (memory) DeconvolutionAsFullyConnected; }

Kernel* create_deconvolution_by_phases(void* memory) { return new (memory) DeconvolutionByPhases; }

Kernel* create_deconvolution_by_merged_phases(void* memory) { return new (memory) DeconvolutionByMergedPhases; }

Kernel* create_deconvolution_by_columns(void* memory) { return new (memory) DeconvolutionByColumns; }

static_assert(sizeof(DeconvolutionByMergedPhases) <= kMaxKernelBytes && sizeof(Deconvolution) <= kMaxKernelBytes &&
              sizeof(DeconvolutionByPhases) <= kMaxKernelBytes && sizeof(DeconvolutionByColumns) <= kMaxKernelBytes);

}  // namespace figment::kernels::xnnpack
