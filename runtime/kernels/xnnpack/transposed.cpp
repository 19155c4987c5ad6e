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

class Deconvolution final : public PreparedKernel {
 public:
  const char* name() const override { return "xnnpack deconvolution"; }

  CheckedSize operator_bytes(const Step& step) const override {
    const Window& window = step.attributes.window;
    const CheckedSize phases = CheckedSize(window.stride[0]) * window.stride[1];
    // The rows of each slice, one for each residue of the stride, are rounded up to a tile on their own.
    constexpr size_t kTile = 16;
    const CheckedSize row = step.output.shape[2] / window.stride[1] + 1 + kTile;
    const CheckedSize pixels = CheckedSize(step.output.shape[1]) * window.stride[1] * row;
    return LinearOperator::pool_bytes(step.output.type, step.output.shape[3]) + indirection_bytes(window, pixels) +
           phases * 1024 + zero_bytes(step.inputs[0].type, step.inputs[0].shape[3]);
  }

  Status prepare(const Step& step, Packer* packer) override {
    const Extents& x = step.inputs[0].shape;
    const Window& window = step.attributes.window;
    FIGMENT_RETURN_IF_ERROR(operator_.packing().begin(packer, {step.program, step.index, 0, 0}));
    const Status created = operator_.create_deconvolution(weights_of(step), window, x[3], step.output.shape[3]);
    operator_.packing().end();
    FIGMENT_RETURN_IF_ERROR(created);
    return operator_.reshape_deconvolution(window, x[0], x[1], x[2], threads_for(multiply_adds(step), step));
  }

  Status bind(const Step& step) override { return operator_.setup(step.inputs[0].data, step.output.data); }
  void run() override { operator_.run(); }

 private:
  LinearOperator operator_;
};

// XNNPACK reads the scales of all channels even where the weights are packed: those of several groups of the step's
// output channels are kept with the packings. nullptr for f32. Called under the packer's lock; false: no memory.
bool repeat_scales(const Step& step, size_t groups, Packer* packer, PackingKey key, const float** scales) {
  *scales = nullptr;
  const std::span<const float> given = step.inputs[1].quantization.scales;
  if (given.empty()) return true;
  PackingEntry* entry = packer->find(key);
  if (entry == nullptr) {
    entry = packer->add(key, groups * given.size_bytes());
    if (entry == nullptr) return false;
    for (size_t i = 0; i < groups; ++i) {
      std::memcpy(static_cast<float*>(entry->weights()) + i * given.size(), given.data(), given.size_bytes());
    }
  }
  *scales = static_cast<const float*>(entry->weights());
  return true;
}

// The slot of repeated scales.
constexpr uint32_t kScalesSlot = 1;

// Weights [O, h, w, I] as those of a fully connected layer that computes every tap: row (y*w + x)*O + o is tap
// (y, x) of output channel o. A bias of one value per channel is repeated for each tap if `repeat_bias`.
class TapWeights {
 public:
  explicit TapWeights(Packer* packer) : kernel_(packer), bias_(packer) {}

  // False when there is no memory.
  bool make(const Step& step, bool repeat_bias, Weights* weights) {
    const Extents& shape = step.inputs[1].shape;
    const size_t outputs = shape[0];
    const size_t taps = shape[1] * shape[2];
    const size_t row = shape[3] * format::element_size(step.inputs[1].type);
    if (!kernel_.allocate(outputs * taps * row)) return false;
    auto* kernel = static_cast<uint8_t*>(kernel_.data());
    const auto* from = static_cast<const uint8_t*>(step.inputs[1].data);
    for (size_t tap = 0; tap < taps; ++tap) {
      for (size_t o = 0; o < outputs; ++o) {
        std::memcpy(kernel + (tap * outputs + o) * row, from + (o * taps + tap) * row, row);
      }
    }
    weights->kernel = kernel;
    weights->bias = nullptr;
    if (!repeat_bias || !step.has_bias()) return true;
    if (!bias_.allocate(outputs * taps * kBiasBytes)) return false;
    auto* bias = static_cast<uint8_t*>(bias_.data());
    for (size_t i = 0; i < taps; ++i) {
      std::memcpy(bias + i * outputs * kBiasBytes, step.inputs[2].data, outputs * kBiasBytes);
    }
    weights->bias = bias;
    return true;
  }

 private:
  static constexpr size_t kBiasBytes = 4;  // f32 or i32

  PackingMemory kernel_;
  PackingMemory bias_;
};

class DeconvolutionAsFullyConnected final : public PreparedKernel {
 public:
  const char* name() const override { return "deconvolution from 1x1"; }
  CheckedSize operator_bytes(const Step& step) const override {
    return LinearOperator::pool_bytes(step.output.type, step.output.elements() / step.output.shape[0]);
  }

  Status prepare(const Step& step, Packer* packer) override {
    const size_t inputs = step.inputs[0].shape[3];
    const size_t outputs = step.output.elements() / step.output.shape[0];
    const size_t rows = step.output.shape[0];
    FIGMENT_RETURN_IF_ERROR(operator_.packing().begin(packer, {step.program, step.index, 1, 0}));
    TapWeights taps(packer);
    Weights weights = weights_of(step);
    Status created = no_memory();
    const size_t groups = outputs / step.inputs[1].shape[0];
    if ((operator_.packing().packed() || taps.make(step, true, &weights)) &&
        repeat_scales(step, groups, packer, {step.program, step.index, 1, kScalesSlot}, &weights.scales)) {
      created = operator_.create_fully_connected(weights, inputs, outputs, rows);
    }
    operator_.packing().end();
    FIGMENT_RETURN_IF_ERROR(created);
    return operator_.reshape_fully_connected(threads_for(rows * inputs * outputs, step));
  }

  Status bind(const Step& step) override { return operator_.setup(step.inputs[0].data, step.output.data); }
  void run() override { operator_.run(); }

 private:
  LinearOperator operator_;
};

// For each row phase a buffer of [N, H'/s, W', O] that the column phases' convolutions fill with interleaved pixels;
// then the rows are interleaved into the output.
class DeconvolutionByPhases final : public PreparedKernel {
 public:
  const char* name() const override { return "xnnpack convolution per phase"; }

  CheckedSize operator_bytes(const Step& step) const override {
    const Window& window = step.attributes.window;
    const size_t phases = size_t{window.stride[0]} * window.stride[1];
    const CheckedSize pixels = step.output.shape[1] * step.output.shape[2] / phases;
    const CheckedSize taps = CheckedSize(window.kernel[0]) * window.kernel[1];
    const CheckedSize zeros = zero_bytes(step.inputs[0].type, step.inputs[0].shape[3]);
    return indirection_bytes(window, pixels) + taps * 256 +
           CheckedSize(phases) * (zeros + LinearOperator::pool_bytes(step.output.type, step.output.shape[3]));
  }

  Status prepare(const Step& step, Packer* packer) override {
    const Extents& x = step.inputs[0].shape;
    const size_t outputs = step.output.shape[3];
    const Window& window = step.attributes.window;
    const size_t element = format::element_size(step.output.type);
    strides_[0] = window.stride[0];
    strides_[1] = window.stride[1];
    row_bytes_ = step.output.shape[2] * outputs * element;
    rows_ = step.output.shape[0] * step.output.shape[1];
    pixel_bytes_ = outputs * element;
    PackingMemory kernel(packer);
    for (uint32_t y = 0; y < strides_[0]; ++y) {
      for (uint32_t c = 0; c < strides_[1]; ++c) {
        Phase rows{};
        Phase columns{};
        if (!transposed_phase(step, 0, y, &rows) || !transposed_phase(step, 1, c, &columns)) {
          return Status::error(StatusCode::kInternal, "no phases for this transposed convolution");
        }
        const uint32_t slot = y * strides_[1] + c;
        LinearOperator& convolution = operators_[slot];
        const Window phase = phase_window(rows, columns);
        Weights weights = weights_of(step);
        FIGMENT_RETURN_IF_ERROR(convolution.packing().begin(packer, {step.program, step.index, 2, slot}));
        Status created = no_memory();
        if (convolution.packing().packed() || kernel.data() != nullptr || kernel.allocate(step.inputs[1].bytes())) {
          if (!convolution.packing().packed()) {
            extract(step, rows, columns, static_cast<uint8_t*>(kernel.data()));
            weights.kernel = kernel.data();
          }
          created = convolution.create_convolution(weights, phase, x[3], outputs, outputs * strides_[1]);
        }
        convolution.packing().end();
        FIGMENT_RETURN_IF_ERROR(created);
        FIGMENT_RETURN_IF_ERROR(convolution.reshape_convolution(
            phase, x[0], x[1], x[2], threads_for(multiply_adds(step) / (strides_[0] * strides_[1]), step)));
      }
    }
    return {};
  }

  static CheckedSize scratch(const Step& step) {
    return step.attributes.window.stride[0] == 1 ? 0 : step.output.bytes();
  }

  Status bind(const Step& step) override {
    scratch_ = static_cast<uint8_t*>(step.scratch);
    output_ = static_cast<uint8_t*>(step.output.data);
    const size_t part = rows_ / strides_[0] * row_bytes_;
    uint8_t* base = strides_[0] == 1 ? output_ : scratch_;
    for (uint32_t y = 0; y < strides_[0]; ++y) {
      for (uint32_t c = 0; c < strides_[1]; ++c) {
        uint8_t* target = base + y * part + c * pixel_bytes_;
        FIGMENT_RETURN_IF_ERROR(operators_[y * strides_[1] + c].setup(step.inputs[0].data, target));
      }
    }
    return {};
  }

  void run() override {
    for (uint32_t i = 0; i < strides_[0] * strides_[1]; ++i) operators_[i].run();
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

  LinearOperator operators_[kMaxPhases];
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
class DeconvolutionByMergedPhases final : public PreparedKernel {
 public:
  const char* name() const override { return "xnnpack convolution of all phases"; }

  CheckedSize operator_bytes(const Step& step) const override {
    const MergedPhases merged = merge_phases(step);
    const CheckedSize taps = CheckedSize(merged.window.kernel[0]) * merged.window.kernel[1];
    const CheckedSize pixels = step.output.shape[1] * step.output.shape[2] / (merged.block[0] * merged.block[1]);
    const CheckedSize outputs = CheckedSize(step.output.shape[3]) * merged.block[0] * merged.block[1];
    return LinearOperator::pool_bytes(step.output.type, outputs) + indirection_bytes(merged.window, pixels) +
           taps * 256 + zero_bytes(step.inputs[0].type, step.inputs[0].shape[3]);
  }

  Status prepare(const Step& step, Packer* packer) override {
    const Extents& x = step.inputs[0].shape;
    const size_t outputs = step.inputs[1].shape[0];
    const MergedPhases merged = merge_phases(step);
    block_ = merged.block;
    const size_t groups = size_t{block_[0]} * block_[1];
    FIGMENT_RETURN_IF_ERROR(operator_.packing().begin(packer, {step.program, step.index, 4, 0}));
    Weights weights = weights_of(step);
    PackingMemory kernel(packer);
    PackingMemory bias(packer);
    Status created = no_memory();
    if ((operator_.packing().packed() || merge_weights(step, merged, &kernel, &bias, &weights)) &&
        repeat_scales(step, groups, packer, {step.program, step.index, 4, kScalesSlot}, &weights.scales)) {
      created = operator_.create_convolution(weights, merged.window, x[3], groups * outputs, groups * outputs);
    }
    operator_.packing().end();
    FIGMENT_RETURN_IF_ERROR(created);
    rows_ = step.output.shape[0] * step.output.shape[1];
    width_ = step.output.shape[2] / block_[1];
    pixel_bytes_ = outputs * format::element_size(step.output.type);
    const size_t taps = size_t{merged.window.kernel[0]} * merged.window.kernel[1];
    const size_t multiply_adds = step.output.elements() * taps * x[3];
    return operator_.reshape_convolution(merged.window, x[0], x[1], x[2], threads_for(multiply_adds, step));
  }

  static CheckedSize scratch(const Step& step) { return step.output.bytes(); }

  Status bind(const Step& step) override {
    from_ = static_cast<const uint8_t*>(step.scratch);
    output_ = static_cast<uint8_t*>(step.output.data);
    return operator_.setup(step.inputs[0].data, step.scratch);
  }

  void run() override {
    operator_.run();
    const size_t run_bytes = block_[1] * pixel_bytes_;  // a row of a block is adjacent on both sides
    const size_t group_bytes = block_[0] * run_bytes;
    uint8_t* out = output_;
    for (size_t row = 0; row < rows_; ++row) {
      const uint8_t* source = from_ + row / block_[0] * width_ * group_bytes + row % block_[0] * run_bytes;
      if (run_bytes == 2) {
        copy_runs<2>(source, group_bytes, width_, out);
      } else if (run_bytes == 4) {
        copy_runs<4>(source, group_bytes, width_, out);
      } else {
        for (size_t x = 0; x < width_; ++x) std::memcpy(out + x * run_bytes, source + x * group_bytes, run_bytes);
      }
      out += width_ * run_bytes;
    }
  }

 private:
  // Weights and biases of the convolution, into memory of the system's; false when there is none.
  static bool merge_weights(const Step& step, const MergedPhases& merged, PackingMemory* kernel, PackingMemory* bias,
                            Weights* weights) {
    const Extents& shape = step.inputs[1].shape;
    const Window& window = step.attributes.window;
    const size_t outputs = shape[0];
    const size_t row = shape[3] * format::element_size(step.output.type);
    const size_t channels = merged.block[0] * merged.block[1] * outputs;
    const auto& [height, width] = merged.window.kernel;
    if (!kernel->allocate(channels * height * width * row, true) ||
        (step.has_bias() && !bias->allocate(channels * sizeof(uint32_t)))) {
      return false;
    }
    auto* to = static_cast<uint8_t*>(kernel->data());
    auto* biases = static_cast<uint32_t*>(bias->data());
    const auto* from = static_cast<const uint8_t*>(step.inputs[1].data);
    for (size_t channel = 0; channel < channels; ++channel) {
      const size_t o = channel % outputs;
      const std::array<uint32_t, 2> pixel = {static_cast<uint32_t>(channel / outputs / merged.block[1]),
                                             static_cast<uint32_t>(channel / outputs % merged.block[1])};
      if (step.has_bias()) std::memcpy(&biases[channel], static_cast<const uint8_t*>(step.inputs[2].data) + o * 4, 4);
      for (uint32_t ky = 0; ky < window.kernel[0]; ++ky) {
        const std::optional<uint32_t> my = merged.tap(window, 0, pixel[0], ky);
        for (uint32_t kx = 0; my && kx < window.kernel[1]; ++kx) {
          const std::optional<uint32_t> mx = merged.tap(window, 1, pixel[1], kx);
          if (!mx) continue;
          std::memcpy(to + ((channel * height + *my) * width + *mx) * row,
                      from + ((o * shape[1] + ky) * shape[2] + kx) * row, row);
        }
      }
    }
    weights->kernel = to;
    weights->bias = biases;
    return true;
  }

  // `count` runs of kBytes that are `stride` apart, made adjacent.
  template <size_t kBytes>
  static void copy_runs(const uint8_t* source, size_t stride, size_t count, uint8_t* out) {
    for (size_t i = 0; i < count; ++i) std::memcpy(out + i * kBytes, source + i * stride, kBytes);
  }

  LinearOperator operator_;
  std::array<uint32_t, 2> block_{1, 1};
  size_t rows_ = 0;         // of the output, in all images
  size_t width_ = 0;        // of an image in blocks
  size_t pixel_bytes_ = 0;  // of the output
  const uint8_t* from_ = nullptr;
  uint8_t* output_ = nullptr;
};

// f32 with few output channels: [N*H*W, I] times all taps gives columns [N*H*W, h*w*O]; each output pixel adds up the
// taps that land on it. The batch is cut into parts whose columns stay in the cache.
class DeconvolutionByColumns final : public PreparedKernel {
 public:
  const char* name() const override { return "fully connected + col2im"; }
  CheckedSize operator_bytes(const Step& /*step*/) const override { return LinearOperator::kPoolBytes; }

  Status prepare(const Step& step, Packer* packer) override {
    const Extents& x = step.inputs[0].shape;
    const size_t inputs = x[3];
    taps_ = step.inputs[1].elements() / inputs;
    window_ = step.attributes.window;
    min_ = step.attributes.clamp_min;
    max_ = step.attributes.clamp_max;
    clamps_ = step.attributes.clamps();
    bias_ = step.has_bias() ? step.inputs[2].f32() : nullptr;
    batch_ = x[0];
    input_ = {x[1], x[2], x[3]};
    output_ = {step.output.shape[1], step.output.shape[2], step.output.shape[3]};
    part_ = part_of(step);
    const size_t rows = part_ * x[1] * x[2];
    FIGMENT_RETURN_IF_ERROR(operator_.packing().begin(packer, {step.program, step.index, 3, 0}));
    TapWeights taps(packer);
    Weights weights = weights_of(step);
    weights.min = -std::numeric_limits<float>::infinity();
    weights.max = std::numeric_limits<float>::infinity();
    Status created = no_memory();
    if (operator_.packing().packed() || taps.make(step, false, &weights)) {
      weights.bias = nullptr;  // added with the taps
      created = operator_.create_fully_connected(weights, inputs, taps_, rows);
    }
    operator_.packing().end();
    FIGMENT_RETURN_IF_ERROR(created);
    return operator_.reshape_fully_connected(threads_for(rows * inputs * taps_, step));
  }

  static CheckedSize scratch(const Step& step) { return image_bytes(step) * part_of(step); }

  Status bind(const Step& step) override {
    from_ = step.inputs[0].f32();
    columns_ = static_cast<float*>(step.scratch);
    out_ = static_cast<float*>(step.output.data);
    return {};
  }

  void run() override {
    const size_t pixels = input_[0] * input_[1];
    const size_t out_image = output_[0] * output_[1] * output_[2];
    for (size_t n = 0; n < batch_; n += part_) {
      // Succeeded when the session was created; only the addresses differ.
      if (!operator_.setup(from_ + n * pixels * input_[2], columns_).ok()) return;
      operator_.run();
      for (size_t i = 0; i < part_; ++i) add_up(columns_ + i * pixels * taps_, out_ + (n + i) * out_image);
    }
  }

 private:
  using Image = std::array<size_t, 3>;  // height, width, channels

  static constexpr size_t kColumnsBytes = 256 * 1024;

  static CheckedSize image_bytes(const Step& step) {
    const Extents& x = step.inputs[0].shape;
    return CheckedSize(x[1]) * x[2] * (step.inputs[1].elements() / x[3]) * sizeof(float);
  }
  // The images whose columns are computed at a time.
  static size_t part_of(const Step& step) {
    const size_t batch = step.inputs[0].shape[0];
    size_t part = batch;
    while (part > 1 && (!(image_bytes(step) * part).within(kColumnsBytes) || batch % part != 0)) --part;
    return part;
  }

  // One image: out[oy, ox, :] = bias + sum of columns[iy, ix, ky, kx, :] over oy = iy*s + ky*d - padding, likewise x.
  void add_up(const float* columns, float* out) const {
    const Window& window = window_;
    const auto& [in_height, in_width, in_channels] = input_;
    const auto& [height, width, channels] = output_;
    const size_t row = width * channels;
    for (size_t oy = 0; oy < height; ++oy, out += row) {
      for (size_t i = 0; i < row; ++i) out[i] = bias_ == nullptr ? 0 : bias_[i % channels];
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
          const int64_t last =
              std::min<int64_t>(static_cast<int64_t>(in_width) - 1, (static_cast<int64_t>(width) - 1 - shift) / stride);
          if (static_cast<int64_t>(width) - 1 - shift < 0) continue;
          const float* tap = columns + (iy * in_width * taps_) + (size_t{ky} * window.kernel[1] + kx) * channels;
          for (int64_t ix = first; ix <= last; ++ix) {
            float* target = out + static_cast<size_t>(ix * stride + shift) * channels;
            const float* source = tap + static_cast<size_t>(ix) * taps_;
            for (size_t c = 0; c < channels; ++c) target[c] += source[c];
          }
        }
      }
      if (clamps_) {
        for (size_t i = 0; i < row; ++i) out[i] = std::min(std::max(out[i], min_), max_);
      }
    }
  }

  LinearOperator operator_;
  Window window_;
  float min_ = 0;
  float max_ = 0;
  bool clamps_ = false;
  const float* bias_ = nullptr;
  size_t batch_ = 0;
  Image input_{};
  Image output_{};
  size_t taps_ = 0;
  size_t part_ = 1;
  const float* from_ = nullptr;
  float* columns_ = nullptr;
  float* out_ = nullptr;
};

template <TransposedFormulation kFormulation>
bool chosen(const Step& step) {
  return choose_transposed(step) == kFormulation;
}

template <typename T, TransposedFormulation kFormulation>
constexpr fig_op deconvolution(CheckedSize (*scratch)(const Step&) = nullptr) {
  return prepared_kernel<T>(OpKind::kConvTranspose2d, chosen<kFormulation>, InPlace::kNo, scratch);
}

}  // namespace

const fig_op kDeconvolutionAsFullyConnected =
    deconvolution<DeconvolutionAsFullyConnected, TransposedFormulation::kFullyConnected>();
const fig_op kDeconvolutionByPhases =
    deconvolution<DeconvolutionByPhases, TransposedFormulation::kPhases>(DeconvolutionByPhases::scratch);
const fig_op kDeconvolutionByMergedPhases =
    deconvolution<DeconvolutionByMergedPhases, TransposedFormulation::kMergedPhases>(
        DeconvolutionByMergedPhases::scratch);
const fig_op kDeconvolutionByColumns =
    deconvolution<DeconvolutionByColumns, TransposedFormulation::kColumns>(DeconvolutionByColumns::scratch);
const fig_op kDeconvolution = deconvolution<Deconvolution, TransposedFormulation::kOperator>();

}  // namespace figment::kernels::xnnpack
