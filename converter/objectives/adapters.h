// Adapters: what learns beside frozen weights, and frozen weights in int8.
#pragma once

#include <set>

#include "objectives/network.h"

namespace figment::converter {

// The weights that are better trained whole: those of layers that read nothing but an input that is to be learned, and
// those that the two matrices of the rank would outweigh. Throws Error if an input is unknown or no layer reads it.
std::set<ValueId> better_whole(const std::string& network, const Graph& graph, const Adapters& adapters);

// Beside each layer of frozen weights W, two matrices whose product is added to W, the second of which begins as zeros,
// so that nothing changes at first: y = W x + B A x (LoRA; Hu et al. 2021). Of a convolution, one of the two has the
// window and the other is of single pixels: the window goes where that takes fewer parameters. Where a layer reads an
// input that is to be learned beside others, weights for it are added, which begin as zeros, too.
void add_adapters(Network* network, const Adapters& adapters);

// Frozen weights of linear layers become int8, with a scale for each output channel. Returns how many values.
size_t store_frozen_in_int8(Network* network);

}  // namespace figment::converter
