// The portable kernels: every op in plain C++, the reference for the others and the definition of int8 results.
#pragma once

#include "kernels/kernel.h"

namespace figment::kernels::portable {

// Each computes one step. But for the recurrent ones they need no scratch.
void fully_connected(const Step& step);
void conv2d(const Step& step);
void conv_transpose2d(const Step& step);
void matmul(const Step& step);
void binary(const Step& step);  // add, subtract, multiply, divide, greater, equal
void select(const Step& step);
// A function of one value, one instance each.
template <OpKind kKind>
void unary(const Step& step);
void lookup(const Step& step);
void softmax(const Step& step);
void concat(const Step& step);
void slice(const Step& step);
void pad(const Step& step);
void reshape(const Step& step);
void transpose(const Step& step);
void resize_nearest(const Step& step);
void average_pool2d(const Step& step);
void max_pool2d(const Step& step);
void mean(const Step& step);
void quantize(const Step& step);
void dequantize(const Step& step);
void requantize(const Step& step);
void sum(const Step& step);
void arg_max(const Step& step);
void log_softmax(const Step& step);
void layer_norm(const Step& step);
void group_norm(const Step& step);
void reverse(const Step& step);
void mask_sequence(const Step& step);
void recurrent(const Step& step);  // lstm and gru
CheckedSize recurrent_scratch(const Step& step);
void recurrent_i8(const Step& step);  // lstm_i8 and gru_i8
CheckedSize recurrent_i8_scratch(const Step& step);

// Training; op.h says what each computes.
void broadcast(const Step& step);  // and mean_backward
void unary_backward(const Step& step);
void softmax_backward(const Step& step);
void slice_backward(const Step& step);
void pad_backward(const Step& step);
void resize_nearest_backward(const Step& step);
void average_pool2d_backward(const Step& step);
void max_pool2d_backward(const Step& step);
void convolution_backward_input(const Step& step);    // conv2d and conv_transpose2d
void convolution_backward_weights(const Step& step);  // conv2d and conv_transpose2d
void batch_norm_statistics(const Step& step);
void batch_norm(const Step& step);
void batch_norm_backward_sums(const Step& step);
void batch_norm_backward(const Step& step);
void moving_average_update(const Step& step);
void sgd_update(const Step& step);
void adam_update(const Step& step);
void count_step(const Step& step);
void layer_norm_backward_sums(const Step& step);
void layer_norm_backward(const Step& step);
void recurrent_backward(const Step& step);
void squared_norm(const Step& step);
void assign_update(const Step& step);
void average_update(const Step& step);
void accumulate_update(const Step& step);
void clear_update(const Step& step);

}  // namespace figment::kernels::portable
