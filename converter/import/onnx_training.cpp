// ONNX files that are to be trained: which constants are parameters, and what the exporter has left out of them.
#include <algorithm>
#include <set>

#include "import/onnx_graph.h"
#include "io/terminal.h"

namespace figment::converter {

void OnnxImporter::set_origin(ValueId id, const std::string& name, bool in_layers) {
  const std::vector<uint32_t> shape = extents_of(graph_[id].shape);
  Origin origin{name, shape, shape, {}, false, false, {}};
  for (size_t i = 0; i < shape.size(); ++i) origin.permutation.push_back(static_cast<uint8_t>(i));
  origin.in_layers = in_layers;
  graph_[id].constant->origin = std::move(origin);
}

// PyTorch's spectral normalization keeps singular vectors between steps, which no exporter says how to. They stand
// beside the weight, in the names of both of its implementations.
void OnnxImporter::refuse_spectral_norm() const {
  const std::pair<std::string, std::vector<std::string>> kinds[] = {{"weight.original", {"weight.0._u", "weight.0._v"}},
                                                                    {"weight_orig", {"weight_u", "weight_v"}}};
  std::set<std::string> names;
  for (const onnx::TensorProto& tensor : model_.graph().initializer()) names.insert(tensor.name());
  for (const std::string& name : names) {
    for (const auto& [weight, vectors] : kinds) {
      if (!name.ends_with(weight)) continue;
      const std::string prefix = name.substr(0, name.size() - weight.size());
      if (std::ranges::none_of(vectors, [&](const std::string& vector) { return names.contains(prefix + vector); }))
        continue;
      throw Error(
          name +
          " is of PyTorch's spectral_norm, whose power iteration is not exported: take it off before the export "
          "(torch.nn.utils.parametrize.remove_parametrizations(layer, \"weight\"), or remove_spectral_norm), and "
          "convert with --spectral-norm, which is of the discriminator");
    }
  }
}

void OnnxImporter::fix_other_constants() {
  for (ValueId id = 0; id < graph_.values.size(); ++id) {
    if (!graph_[id].is_constant() || graph_[id].constant->origin) continue;
    set_origin(id, graph_[id].name);
    graph_[id].constant->origin->fixed = true;
  }
}

void OnnxImporter::note_left_out() const {
  // PyTorch's exporter of graphs calls a batch normalization's output "getitem", the one of TorchScript names tensors
  // that it computed "onnx::"; tf2onnx says "fused_bn".
  const bool pytorch = from_pytorch();
  std::vector<std::string> by_script;
  std::vector<std::string> by_graphs;
  std::vector<std::string> by_keras;
  std::vector<std::string> without_bias;
  for (const onnx::NodeProto& node : model_.graph().node()) {
    const bool convolution = node.op_type() == "Conv" || node.op_type() == "ConvTranspose";
    if ((!convolution && node.op_type() != "Gemm") || node.input_size() < 2) continue;
    const std::string& weights = node.input(1);
    const bool graphs = pytorch && !weights.starts_with("onnx::") && !node.name().starts_with("/");
    if (weights.starts_with("onnx::")) by_script.push_back(weights);
    if (weights.find("fused_bn") != std::string::npos) by_keras.push_back(weights);
    if (graphs && node.output_size() > 0 && node.output(0).starts_with("getitem")) by_graphs.push_back(weights);
    if (graphs && (node.input_size() < 3 || node.input(2).empty())) without_bias.push_back(weights);
  }
  const auto note = [&](const std::vector<std::string>& names, const std::string& before, const std::string& behind) {
    if (!names.empty()) graph_.warnings.push_back(before + io::list_of(names) + behind);
  };
  const std::string folded = "batch normalizations are folded into ";
  note(by_script, "the exporter computed ",
       " from other parameters, and batch normalizations may be folded into them, which then do not train: export with "
       "torch.onnx.export(..., dynamo=False, do_constant_folding=False, training=torch.onnx.TrainingMode.PRESERVE)");
  note(by_graphs, folded,
       ", and do not train: export after network.eval() with torch.onnx.export(..., dynamo=True, optimize=False, "
       "external_data=False)");
  note(by_keras, folded,
       ", and do not train: export with o = dict(tf2onnx.optimizer._get_optimizers()); o.pop('remove_back_to_back'); "
       "tf2onnx.convert.from_keras(model, optimizers=o, output_path=...)");
  // What drops zeros folds batch normalizations, too.
  const auto& nodes = model_.graph().node();
  if (std::any_of(nodes.begin(), nodes.end(),
                  [](const onnx::NodeProto& node) { return node.op_type() == "BatchNormalization"; }))
    return;
  note(without_bias, "no bias comes with ",
       ": if the network has one there, it was zero, and the exporter dropped it: export with "
       "torch.onnx.export(..., dynamo=True, optimize=False, external_data=False) to train it");
}

}  // namespace figment::converter
