// What the portable kernels cost on Cortex-M: instructions of an op, and bytes of code.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "commands.h"

namespace figment::cli {

// "cortex_m7", ...
std::vector<std::string> target_names();

// Instructions of a program for a batch. Throws Error for a target that is none.
class ProgramCost {
 public:
  ProgramCost(const OpenModel& open, const std::string& target, uint32_t program, uint32_t batch);

  double instructions() const { return instructions_; }
  // What they are computed from: of each op its kind ("conv2d/i8") and what the columns of the table count; at last of
  // the "call" the values that are copied in, drawn, and copied out, and 1.
  using Work = std::vector<std::pair<std::string, std::vector<double>>>;
  const Work& work() const { return work_; }
  // Kinds of ops that the table lacks, and that count for nothing.
  const std::vector<std::string>& unknown() const { return unknown_; }

 private:
  double instructions_ = 0;
  Work work_;
  std::vector<std::string> unknown_;
};

// Code that a session of the programs links, at most: ops of one family share more of it than is known.
uint64_t code_bytes(const OpenModel& open, const std::vector<uint32_t>& programs, bool training);

}  // namespace figment::cli
