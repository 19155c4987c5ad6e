// The kernels that XNNPACK runs better than the portable ones. Those with weights and softmax are prepared for one
// batch, the others for any.
#pragma once

#include "kernels/kernel.h"

namespace figment::kernels::xnnpack {

extern const fig_op kFullyConnected;
extern const fig_op kConvolutionAsFullyConnected;
extern const fig_op kConvolution;

// Four formulations of transposed convolution beside XNNPACK's own operator; transposed_choice.h says which one a
// step gets, and exactly one of the five accepts it if any does.
extern const fig_op kDeconvolutionAsFullyConnected;
extern const fig_op kDeconvolutionByPhases;
extern const fig_op kDeconvolutionByMergedPhases;
extern const fig_op kDeconvolutionByColumns;
extern const fig_op kDeconvolution;

extern const fig_op kSoftmax;

extern const fig_op kClamp;
extern const fig_op kLeakyRelu;
extern const fig_op kElu;
extern const fig_op kSigmoid;
extern const fig_op kTanh;
extern const fig_op kAbs;
extern const fig_op kNegate;
extern const fig_op kAdd;
extern const fig_op kSubtract;
extern const fig_op kMultiply;
extern const fig_op kDivide;

// bound.cpp.
extern const fig_op kLookup;
extern const fig_op kQuantize;
extern const fig_op kDequantize;
extern const fig_op kRequantize;
extern const fig_op kReshape;

}  // namespace figment::kernels::xnnpack
