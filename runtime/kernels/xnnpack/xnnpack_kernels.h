// The kernels that XNNPACK runs better than the portable ones: for each, whether it takes a step, and its maker.
#pragma once

#include "kernels/kernel.h"

namespace figment::kernels::xnnpack {

bool accepts_fully_connected(const Step& step);
Kernel* create_fully_connected(void* memory);

bool accepts_convolution_as_fully_connected(const Step& step);  // create_fully_connected
bool accepts_convolution(const Step& step);
Kernel* create_convolution(void* memory);

// Four formulations of transposed convolution beside XNNPACK's own operator; transposed_choice.h says which one a
// step gets, and exactly one of the five accepts it if any does.
bool accepts_deconvolution(const Step& step);
Kernel* create_deconvolution(void* memory);
bool accepts_deconvolution_as_fully_connected(const Step& step);
Kernel* create_deconvolution_as_fully_connected(void* memory);
bool accepts_deconvolution_by_phases(const Step& step);
Kernel* create_deconvolution_by_phases(void* memory);
bool accepts_deconvolution_by_merged_phases(const Step& step);
Kernel* create_deconvolution_by_merged_phases(void* memory);
bool accepts_deconvolution_by_columns(const Step& step);
Kernel* create_deconvolution_by_columns(void* memory);

bool accepts_unary(const Step& step);
Kernel* create_unary(void* memory);
Kernel* create_sigmoid(void* memory);
bool accepts_binary(const Step& step);
Kernel* create_binary(void* memory);
bool accepts_softmax(const Step& step);
Kernel* create_softmax(void* memory);

}  // namespace figment::kernels::xnnpack
