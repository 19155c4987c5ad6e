// Kernels of lstm, gru and their backward ops: a loop over time steps, of a product with the recurrent matrix and of
// what the cells compute (gates.h). The matrix is packed once a run, or read as it is by plain loops.
#pragma once

#include "kernels/kernel.h"

namespace figment::kernels::recurrent {

// On the matrix products of gemm/.
Kernel* create_recurrent(void* memory);
Kernel* create_recurrent_backward(void* memory);
// On plain loops.
Kernel* create_portable_recurrent(void* memory);
Kernel* create_portable_recurrent_backward(void* memory);

}  // namespace figment::kernels::recurrent
