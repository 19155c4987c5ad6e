#include "target_costs.h"

#include <algorithm>
#include <map>
#include <set>
#include <span>

namespace figment::cli {

namespace {

// Instructions for each of what an op does.
enum Work : uint8_t {
  kBlockProducts,   // multiply-adds that kernels compute four channels at a time
  kSingleProducts,  // those of the channels that are left
  kBlockSums,       // calls of the inner loop of the former
  kSingleSums,
  kOutputs,  // elements
  kGrown,    // elements of outputs, where operands grow to their shape
  kInputs,   // elements of operands that are computed
  kOnce,
  kWorkKinds
};

struct OpCost {
  const char* kind;
  bool int8;
  double instructions[kWorkKinds];
};

// The same of running a program: of elements.
enum CallWork : uint8_t { kCopiedIn, kDrawn, kCopiedOut, kCall, kCallKinds };

struct CallCost {
  double instructions[kCallKinds];
};

struct OpCode {
  const char* kind;
  const char* family;
  uint32_t own;
  uint32_t shared;  // by its family
};

#include "target_costs.inc"

struct Target {
  const char* name;
  std::span<const OpCost> ops;
  CallCost call;
};

constexpr Target kTargets[] = {{"cortex_m3", k_cortex_m3, k_cortex_m3_call},
                               {"cortex_m4f", k_cortex_m4f, k_cortex_m4f_call},
                               {"cortex_m7", k_cortex_m7, k_cortex_m7_call},
                               {"cortex_m33", k_cortex_m33, k_cortex_m33_call},
                               {"cortex_m55", k_cortex_m55, k_cortex_m55_call}};

const Target& find_target(const std::string& name) {
  const auto* found = std::ranges::find_if(kTargets, [&](const Target& target) { return target.name == name; });
  if (found == std::end(kTargets)) throw Error("there is no target " + name);
  return *found;
}

bool is_per_batch(const fig_shape& shape) {
  return std::any_of(shape.per_batch, shape.per_batch + shape.rank, [](bool per_batch) { return per_batch; });
}

double elements(const fig_shape& shape, uint32_t batch) {
  double product = 1;
  for (uint32_t i = 0; i < shape.rank; ++i) product *= shape.extents[i] * (shape.per_batch[i] ? batch : 1);
  return product;
}

bool same_extents(const fig_shape& a, const fig_shape& b) {
  return a.rank == b.rank && std::equal(a.extents, a.extents + a.rank, b.extents);
}

// What an op does for a batch.
class OpWork {
 public:
  OpWork(const OpenModel& open, uint32_t program, const fig_op_info& op, uint32_t batch)
      : kind_(op.kind), output_(open.tensor(program, op.output)) {
    bool grows = false;
    bool batched = is_per_batch(output_.shape);
    for (uint32_t i = 0; i < op.input_count; ++i) {
      inputs_.push_back(open.tensor(program, op.inputs[i]));
      if (!inputs_[i].constant) amounts_[kInputs] += elements(inputs_[i].shape, batch);
      grows = grows || !same_extents(inputs_[i].shape, output_.shape);
      batched = batched || is_per_batch(inputs_[i].shape);
    }
    static const std::set<std::string> kBinary = {"add", "subtract", "multiply", "divide", "greater", "equal"};
    amounts_[kBinary.contains(kind_) && grows ? kGrown : kOutputs] = elements(output_.shape, batch);
    amounts_[kOnce] = 1;
    if (op.multiply_adds > 0) count_products(static_cast<double>(op.multiply_adds) * (batched ? batch : 1));
  }

  // Of the table.
  const std::string& kind() const { return kind_; }
  const double* amounts() const { return amounts_; }
  bool int8() const { return output_.type == FIG_I8 || kind_ == "dequantize"; }

 private:
  // How many of `channels` are computed four at a time.
  static double in_blocks(uint32_t channels) {
    const uint32_t rest = channels % 4;
    return channels - rest;
  }

  void count_products(double products) {
    const auto& weights = inputs_[1].shape.extents;
    uint32_t channels = 4;  // that are computed together
    double inner = 1;       // products of a sum that is computed at a time
    if (kind_ == "fully_connected") {
      channels = weights[0];
      inner = weights[1];
    } else if (kind_ == "conv2d" || kind_ == "conv_transpose2d") {
      const uint32_t groups = inputs_[0].shape.extents[3] / weights[3];
      // Channels that have one of their own are a kernel of its own.
      if (groups > 1 && weights[3] == 1 && weights[0] == groups) {
        kind_.insert(0, "depthwise_");
        channels = groups;
        add(products * in_blocks(channels) / channels, products * (1 - in_blocks(channels) / channels), 4, 1, 1);
        return;
      }
      channels = weights[0] / groups;
      // Taps of a row read pixels that lie side by side.
      inner = weights[3] * (kind_ == "conv2d" && groups == 1 ? weights[2] : 1);
    } else if (kind_.ends_with("_backward_input")) {
      channels = weights[3];
      inner = static_cast<double>(weights[0]) * weights[3] / output_.shape.extents[3];
    } else if (kind_.ends_with("_backward_weights")) {
      const auto& out = output_.shape.extents;
      const double pairs = static_cast<double>(out[0]) * out[3];
      const double blocks = in_blocks(out[0]) * in_blocks(out[3]) / pairs;
      inner = std::max(products / (pairs * out[1] * out[2]), 1.0);
      add(products * blocks, products * (1 - blocks), 16, 4, inner);
      return;
    }
    const double whole = in_blocks(channels) / channels;
    add(products * whole, products * (1 - whole), 4, 1, inner);
  }

  void add(double blocked, double single, double block, double single_block, double inner) {
    amounts_[kBlockProducts] = blocked;
    amounts_[kSingleProducts] = single;
    amounts_[kBlockSums] = blocked / block / inner;
    amounts_[kSingleSums] = single / single_block / inner;
  }

  std::string kind_;
  fig_tensor_info output_;
  std::vector<fig_tensor_info> inputs_;
  double amounts_[kWorkKinds] = {};
};

bool is_drawn(const OpenModel& open, uint32_t program, const fig_port_info& port, bool trains) {
  if (!trains) return port.drawn;
  fig_program_info info{};
  check(fig_model_program(open.model(), program, &info));
  fig_drawn_info drawn{};
  for (uint32_t i = 0; fig_model_drawn(open.model(), i, &drawn) == FIG_OK; ++i) {
    if (std::string(drawn.program) == info.name && std::string(drawn.input) == port.name) return true;
  }
  return false;
}

}  // namespace

std::vector<std::string> target_names() {
  std::vector<std::string> names;
  for (const Target& target : kTargets) names.emplace_back(target.name);
  return names;
}

ProgramCost::ProgramCost(const OpenModel& open, const std::string& target, uint32_t program, uint32_t batch) {
  const Target& costs = find_target(target);
  fig_program_info info{};
  check(fig_model_program(open.model(), program, &info));
  for (uint32_t i = 0; i < info.ops; ++i) {
    fig_op_info op{};
    check(fig_model_op(open.model(), program, i, &op));
    const OpWork work(open, program, op, batch);
    work_.emplace_back(work.kind() + (work.int8() ? "/i8" : "/f32"),
                       std::vector<double>(work.amounts(), work.amounts() + kWorkKinds));
    const auto found = std::ranges::find_if(
        costs.ops, [&](const OpCost& cost) { return cost.kind == work.kind() && cost.int8 == work.int8(); });
    if (found == costs.ops.end()) {
      if (std::ranges::find(unknown_, work.kind()) == unknown_.end()) unknown_.push_back(work.kind());
      continue;
    }
    for (size_t w = 0; w < kWorkKinds; ++w) instructions_ += work.amounts()[w] * found->instructions[w];
  }
  std::vector<double> call(kCallKinds);
  for (uint32_t i = 0; i < info.inputs; ++i) {
    const fig_port_info port = open.input(program, i);
    const double values = elements(port.shape, batch);
    call[kCopiedIn] += values;
    if (is_drawn(open, program, port, info.trains)) call[kDrawn] += values;
  }
  for (uint32_t i = 0; i < info.outputs; ++i) call[kCopiedOut] += elements(open.output(program, i).shape, batch);
  call[kCall] = 1;
  for (size_t i = 0; i < kCallKinds; ++i) instructions_ += call[i] * costs.call.instructions[i];
  work_.emplace_back("call", call);
}

uint64_t code_bytes(const OpenModel& open, const std::vector<uint32_t>& programs, bool training) {
  std::set<std::string> kinds;
  for (const uint32_t program : programs) {
    fig_program_info info{};
    check(fig_model_program(open.model(), program, &info));
    for (uint32_t i = 0; i < info.ops; ++i) {
      fig_op_info op{};
      check(fig_model_op(open.model(), program, i, &op));
      kinds.insert(op.kind);
    }
  }
  uint64_t bytes = kInferenceCode + (training ? kTrainingCode : 0);
  std::set<std::string> families;
  for (const OpCode& code : kOpCode) {
    if (!kinds.contains(code.kind)) continue;
    bytes += code.own + (families.insert(code.family).second ? code.shared : 0);
  }
  return bytes;
}

}  // namespace figment::cli
