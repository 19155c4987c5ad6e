// What an op is: its kind, its attributes and its shape and type rule. Kernels say how it runs (kernels/).
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <span>

#include "core/shape.h"
#include "core/status.h"

namespace figment::format {

enum class DataType : uint8_t { kF32 = 0, kI8 = 1, kI32 = 2 };

inline size_t element_size(DataType type) { return type == DataType::kI8 ? 1 : 4; }
[[gnu::const]] const char* name_of(DataType type);

// Numbered as in model.fbs; ops.def has a row for each.
enum class OpKind : uint8_t {
#define FIGMENT_OP(number, Kind, ...) k##Kind = number,
#include "figment/ops.def"
#undef FIGMENT_OP
};
inline constexpr size_t kOpKindCount = [] {
  size_t count = 0;
#define FIGMENT_OP(...) ++count;
#include "figment/ops.def"
#undef FIGMENT_OP
  return count;
}();

[[gnu::const]] const char* name_of(OpKind kind);

// What several layers need to know of an op.
enum OpTraits : uint32_t {
  kNone = 0,
  kUnary = 1 << 0,   // maps each element of one input to one element of the output by a real function
  kBinary = 1 << 1,  // the same for two inputs, which are broadcast
  kLinear = 1 << 2,  // has weights and perhaps a bias: fully connected, convolution, transposed convolution
  kUpdate = 1 << 3,  // changes variables: its first input, which is also its output, and the state beside it
  kGuards = 1 << 4,  // an update that is skipped, with its sub-step, where its input 1 is not finite
  kAlways = 1 << 5,  // an update that is made even where its sub-step is skipped
  kBounds = 1 << 6,  // can clamp its result
  kBackwardReadsInput = 1 << 7,  // the backward op of the unary function reads its input rather than its output
  kFlat = 1 << 8,                // piecewise constant: its gradient is zero
};
[[gnu::const]] uint32_t traits_of(OpKind kind);

inline bool is_unary_function(OpKind kind) { return (traits_of(kind) & kUnary) != 0; }
inline bool is_binary(OpKind kind) { return (traits_of(kind) & kBinary) != 0; }
inline bool is_linear(OpKind kind) { return (traits_of(kind) & kLinear) != 0; }
inline bool is_flat(OpKind kind) { return (traits_of(kind) & kFlat) != 0; }
inline bool is_update(OpKind kind) { return (traits_of(kind) & kUpdate) != 0; }
inline bool backward_reads_input(OpKind function) { return (traits_of(function) & kBackwardReadsInput) != 0; }

// Which gradient lstm_backward and gru_backward give: that of the gates' input, or of an initial state.
enum class RecurrentGradient : uint8_t { kGates = 0, kInitialHidden = 1, kInitialCell = 2 };

// The planes of the first dimension of what lstm and gru return, for all time steps: the gates after their functions,
// the states. `candidate` is c~ of an LSTM and h~ of a GRU; `recurrent` is what a GRU's reset gate weights (see op.h's
// list of operands).
namespace lstm_plane {
inline constexpr uint32_t kInput = 0, kOutput = 1, kForget = 2, kCandidate = 3, kCell = 4, kHidden = 5, kCount = 6;
}
namespace gru_plane {
inline constexpr uint32_t kUpdate = 0, kReset = 1, kCandidate = 2, kRecurrent = 3, kHidden = 4, kCount = 5;
}

enum class PadMode : uint8_t { kConstant = 0, kReflect = 1, kEdge = 2 };

// Convolution, transposed convolution and pooling.
struct Window {
  std::array<uint32_t, 2> kernel{1, 1};  // height, width
  std::array<uint32_t, 2> stride{1, 1};
  std::array<uint32_t, 2> dilation{1, 1};
  std::array<uint32_t, 4> padding{0, 0, 0, 0};   // top, left, bottom, right
  std::array<uint32_t, 2> output_padding{0, 0};  // bottom, right; transposed convolution
  uint32_t groups = 1;
  bool count_padding = false;

  friend bool operator==(const Window&, const Window&) = default;

  // Extent of the dilated kernel along `axis` (0: height, 1: width).
  uint64_t span(size_t axis) const { return (uint64_t{kernel[axis]} - 1) * dilation[axis] + 1; }
};

// Which of the attribute groups below an op reads.
enum class AttributeGroup : uint8_t {
  kNone,
  kWindow,
  kAxes,
  kTranspose,
  kSlice,
  kPad,
  kAlpha,
  kMatmul,
  kFunction,
  kRecurrent,
  kGroupNorm
};
AttributeGroup attribute_group(OpKind kind);

struct Attributes {
  Window window;
  Permutation axes;                    // softmax, concat: one; mean, sum: those that become 1
  Permutation permutation;             // transpose: output dimension i is input dimension permutation[i]
  Dimensions<uint32_t> starts, steps;  // slice
  Dimensions<uint32_t> before, after;  // pad
  PadMode pad_mode = PadMode::kConstant;
  float pad_value = 0;
  float alpha = 0;
  uint32_t groups = 1;  // group_norm
  bool transpose_a = false;
  bool transpose_b = false;
  OpKind function{};  // unary_backward
  bool linear_before_reset = false;
  RecurrentGradient recurrent_gradient = RecurrentGradient::kGates;
  // Real-valued bounds of the result.
  float clamp_min = -std::numeric_limits<float>::infinity();
  float clamp_max = std::numeric_limits<float>::infinity();

  friend bool operator==(const Attributes&, const Attributes&) = default;

  bool clamps() const {
    return clamp_min != -std::numeric_limits<float>::infinity() || clamp_max != std::numeric_limits<float>::infinity();
  }
};

// How real numbers are stored as integers: real = scale * (q - zero_point). `scales` has no elements for tensors
// that are not quantized, one for per-tensor and dimension 0's extent for per-channel quantization.
struct Quantization {
  std::span<const float> scales;
  int32_t zero_point = 0;

  bool present() const { return !scales.empty(); }
  float scale() const { return scales[0]; }
};

// The type of a tensor as the rules below see it.
struct TensorType {
  DataType type = DataType::kF32;
  Shape shape;
  Quantization quantization;
  bool constant = false;  // holds its values all through the program: a constant of the file, or a variable
  bool variable = false;
};

// Optimizers read their numbers from one variable: hyper[kLearningRate] and so on.
enum HyperParameter : uint32_t {
  kLearningRate,
  kBeta1,  // of Adam; the momentum of SGD
  kBeta2,
  kEpsilon,
  kWeightDecay,
  kSteps,         // updates made
  kClipValue,     // bound of a gradient's magnitude; 0: none
  kClipNorm,      // bound of the norm of all gradients together, positive; applied by the program's own ops
  kClipWeights,   // bound of a parameter's magnitude (Wasserstein; Arjovsky et al. 2017); 0: none
  kWarmUpSteps,   // over which the rate grows linearly to its value
  kRateSchedule,  // 0: constant, 1: a factor every period, 2: half a cosine over the period
  kRatePeriod,    // steps
  kRateFactor,    // of each period, or what is left at the end of the cosine
  kHyperParameters
};

// The layouts of the ops' operands, outermost dimension first; N is the batch:
//   fully_connected   x [..., K], weights [O, K], bias [O]                  -> [..., O]
//   conv2d            x [N, H, W, I], weights [O, h, w, I/groups], bias [O] -> [N, H', W', O]
//   conv_transpose2d  as conv2d; channel o of the output belongs to group o / (O/groups)
//   matmul            a [..., M, K], b [..., K, L], equal leading dimensions -> [..., M, L]; transpose_a
//                     and transpose_b swap the last two dimensions of a and b
//   add ... divide    a, b of equal rank, each dimension equal or 1
//   greater, equal    likewise: 1 where a > b, a == b, else 0
//   select            c, a, b of equal rank, each dimension equal or 1: a where c is not 0, else b
//   arg_max           x -> the index of the first of the greatest along an axis, which becomes 1
//   lookup            x i8, table i8 [256] indexed by q + 128
//   softmax           x; if it is i8, also table i32 [256] indexed by max - q
//   resize_nearest    x [N, H, W, C], rows i32 [H'], columns i32 [W']       -> [N, H', W', C]
//   pooling           x [N, H, W, C]                                        -> [N, H', W', C]
//   broadcast         x of the output's rank, each dimension equal or 1
//   mean_backward     g, as broadcast, divided by the number of elements that each value goes to
//   layer_norm        x [..., C], gamma, beta, each [C] or [1]: over the last dimension (Ba et al. 2016)
//   group_norm        x [N, ..., C] of three dimensions or more, the batch in none but the first; gamma, beta, each [C]
//                     or [1]: of each sample, over all positions and the channels of a group, which lie side by side
//                     (Wu and He 2018); a group for each channel is instance normalization (Ulyanov et al. 2016)
//   reverse           x, maybe lengths                                      -> x in reverse order along an axis
//   mask_sequence     x [T, N, ...], lengths                                -> x, zeros from step lengths[n] on
// Sequences are [T, N, ...]; lengths [N] are f32, and steps from lengths[n] on do not count: states stay as they are,
// and reverse leaves what lies behind (its axis is then 0).
//   lstm              g [T, N, 4 H], R [4 H, H], h0 and c0 [N or 1, H], maybe lengths -> [6, T, N, H], see lstm_plane.
//     g is W x + b; the blocks of rows are i, o, f, c as in ONNX. With a = g + R h(t-1): i, o, f = sigmoid(a), c~ =
//     tanh(a), c(t) = f c(t-1) + i c~, h(t) = o tanh c(t) (Hochreiter and Schmidhuber 1997, with forget gates).
//   lstm_i8, gru_i8   the same on i8 g and R -> h [T, N, H] in i8
//   gru               g [T, N, 3 H], R [3 H, H], Rb [3 H], h0, maybe lengths -> [5, T, N, H], see gru_plane.
//     The blocks are z, r, h. With a = g + R h(t-1) + Rb: z, r = sigmoid(a); h~ = tanh(g + r q) with q = R h(t-1) + Rb
//     if the linear map comes before the reset, else h~ = tanh(g + R q + Rb) with q = r h(t-1); h(t) = (1 - z) h~ + z
//     h(t-1) (Cho et al. 2014).
// Backward ops take what they need of the forward op and the gradient g of its output, and give that of an input:
//   unary_backward    v, g: v is the function's output, or its input (backward_reads_input)
//   softmax_backward  y, g
//   slice_backward, pad_backward, resize_nearest_backward (g, rows, columns), average_pool2d_backward   g
//   max_pool2d_backward                x, g: to the first of equal maxima
//   conv2d_backward_input              g, weights;  conv2d_backward_weights  x, g; without bias; so transposed ones
//   layer_norm_backward_sums           x, g -> [2, C]: gradients of beta and gamma
//   layer_norm_backward                x, gamma, g
//   lstm_backward   states, R, c0, gradients of h [T, N, H] and of c (the same, or a constant [1, 1, 1]: none),
//                   maybe lengths -> gradient of g [T, N, 4 H], or of an initial state [N, H]
//   gru_backward    states, R, h0, gradient of h [T, N, H], maybe lengths -> [T, N, 4 H], blocks z, r, h of the
//                   gradient of g and that of R h(t-1) + Rb in q's place (unused unless the linear map comes before
//                   the reset), or of the initial state [N, H]
//   squared_norm                       x -> [1]: the sum of the squares of all elements
// Batch normalization (Ioffe and Szegedy 2015) over all but the last dimension, of C channels:
//   batch_norm_statistics              x -> [3, C]: mean, variance (divided by n), variance (divided by n - 1)
//   batch_norm                         x, statistics (rows 0 and 1 of [2, C] or [3, C]), gamma [C], beta [C]
//   batch_norm_backward_sums           x, statistics, g -> [2, C]: gradients of beta and gamma
//   batch_norm_backward                x, statistics, gamma, g, sums -> gradient of x, the statistics being x's own
// Updates (their gradients may be computed, all else are variables):
//   moving_average_update              running [2, C], statistics [3, C]: running += alpha * (mean, row 2 - running)
//   sgd_update                         p, g, maybe velocity, hyper: v = beta1 v + g + decay p; p -= rate v; without, v
//   is
//                                      g + decay p
//   adam_update                        p, g, m, v, hyper: Adam (Kingma and Ba 2015, algorithm 1), with AdamW's decay
//   count_step                         hyper: steps += 1
//   assign_update                      v, x: v = x
//   average_update                     average, v, numbers: average += (1 - numbers[0]) (v - average)
//   accumulate_update                  sum, g, numbers: sum += numbers[0] g; also where g is not finite
//   clear_update                       v: v = 0; also where its sub-step is skipped
// Weights and biases of int8 ops are constants; a bias may be left out. Everything else may be planned memory.
// Of f32 x or g, weights may be i8 constants with a scale for each output channel, dimension 0: in fully_connected,
// convolutions, their backward_input, and as b [M, L] of matmul. What is computed is that of weights scale * q, in f32;
// a bias is f32 then.

// Checks the inputs and attributes of an op and says what its output is. `declared` is the output as the file (or
// the converter) declares it: rules that cannot derive the shape or the quantization take it from there.
// Returns kBadFile with the reason when the op is not valid, and kUnsupported when the program is linked without it.
Result<TensorType> infer_output(OpKind kind, const Attributes& attributes, std::span<const TensorType> inputs,
                                const TensorType& declared);

}  // namespace figment::format
