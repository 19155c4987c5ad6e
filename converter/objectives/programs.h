// What the objectives' programs share.
#pragma once

#include "objectives/network.h"

namespace figment::converter {

// The only port of a kind; throws Error, naming the network and `what`, if there is another number.
const PortDefinition& only(const std::vector<PortDefinition>& ports, const Network& network, const char* what);

// Elements of one sample.
uint32_t sample_size(const PortDefinition& port);

// Adds `value`, of one element, to the program's outputs.
void add_number_output(Builder& build, const std::string& name, ValueId value);

// A program that runs a network, with running statistics, on its own ports.
Graph inference_program(const std::string& name, const Network& network);

}  // namespace figment::converter
