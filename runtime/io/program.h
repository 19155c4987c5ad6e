// How a command line program ends.
#pragma once

#include <functional>
#include <string>

namespace figment::io {

// Runs a program's main function: what it throws becomes one line on standard error and status 1. A limit of file sizes
// (ulimit -f) is an error of the write, and output that cannot be written an error of the program.
int run_program(const std::string& name, const std::function<int()>& run);

}  // namespace figment::io
