// ONNX ops on tensors that are known while converting.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "import/known_tensor.h"
#include "import/onnx_graph.h"

namespace figment::converter {

// What the node computes from its inputs, all of them known (nullptr: not given). Nothing where the op has no rule, or
// where its result is not known: of a size that depends on the batch. Fails where the op's operands are wrong, or the
// result depends on the batch in another way than as a multiple of it.
std::optional<std::vector<KnownTensor>> evaluate(const OnnxNode& node, const std::vector<const KnownTensor*>& inputs);

// Whether the op has a rule.
bool can_evaluate(const std::string& op);

}  // namespace figment::converter
