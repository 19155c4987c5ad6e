// The ONNX project's own tests of single ops and of PyTorch's exports, through converter and runtime, on the best and
// on the portable kernels. In scope is every test that uses only ops the converter claims; each one that is skipped has
// its reason in conformance_skips.txt.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <sstream>

#include "convert.h"
#include "figment/ops.h"
#include "import/evaluate.h"
#include "import/import_onnx.h"
#include "import/onnx_proto.h"
#include "kernels/kernel.h"
#include "passes/optimize.h"
#include "support.h"
#include "write/runner.h"
#include "write/write_model.h"

namespace fs = std::filesystem;
using namespace figment::converter;

namespace {

// Every op that the converter imports.
const std::set<std::string>& claimed() {
  static const std::set<std::string> names = [] {
    std::set<std::string> result;
    for (const OnnxOp& op : imported_ops()) result.insert(op.name);
    return result;
  }();
  return names;
}

// A program of one ONNX node, and of casts of what it gives, has no ops but those that the table says it may
// become.
void check_kinds(const onnx::ModelProto& model, const Graph& graph) {
  for (int i = 1; i < model.graph().node_size(); ++i) {
    if (model.graph().node(i).op_type() != "Cast") return;
  }
  const std::vector<OnnxOp> ops = imported_ops();
  const auto row = std::ranges::find(ops, model.graph().node(0).op_type(), &OnnxOp::name);
  if (row == ops.end() || row->name == "If" || row->name == "Loop") return;  // those become what their bodies do
  for (const Node& node : graph.nodes) {
    const bool moves = node.kind == OpKind::kReshape || node.kind == OpKind::kTranspose;
    // Outputs that are constants are copied.
    const bool copies = node.kind == OpKind::kBroadcast && node.name == model.graph().output(0).name();
    CHECK_MESSAGE((moves || copies || std::ranges::find(row->kinds, node.kind) != row->kinds.end()), row->name,
                  " becomes ", std::string(figment::format::name_of(node.kind)));
  }
}

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

onnx::TensorProto read_tensor(const fs::path& path) {
  onnx::TensorProto tensor;
  REQUIRE(tensor.ParseFromString(read_text(path)));
  return tensor;
}

std::vector<float> floats_of(const onnx::TensorProto& tensor) {
  TensorReader reader("");
  if (is_float_type(tensor.data_type())) return reader.floats(tensor);
  std::vector<float> values;
  for (int64_t value : reader.integers(tensor)) values.push_back(static_cast<float>(value));
  return values;
}

// Patterns (a trailing * matches anything) and reasons.
std::vector<std::pair<std::string, std::string>> read_skips() {
  std::ifstream file(FIGMENT_TEST_SOURCE "/converter/conformance_skips.txt");
  REQUIRE(file);
  std::vector<std::pair<std::string, std::string>> skips;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    const size_t space = line.find(' ');
    REQUIRE(space != std::string::npos);
    skips.emplace_back(line.substr(0, space), line.substr(line.find_first_not_of(' ', space)));
  }
  return skips;
}

bool matches(const std::string& name, const std::string& pattern) {
  if (pattern.back() == '*') return name.starts_with(pattern.substr(0, pattern.size() - 1));
  return name == pattern;
}

// How a case may be run: by the program, or while converting, with all inputs frozen.
struct Scope {
  bool program = false;
  bool constants = false;
};

bool is_number(const onnx::ValueInfoProto& port) {
  const int32_t type = port.type().tensor_type().elem_type();
  return port.type().has_tensor_type() && (is_float_type(type) || is_integer_type(type));
}

Scope scope_of(const onnx::ModelProto& model) {
  const onnx::GraphProto& graph = model.graph();
  bool imported = graph.input_size() > 0 && graph.input(0).type().tensor_type().elem_type() == onnx::TensorProto::FLOAT;
  bool evaluated = true;
  for (const onnx::NodeProto& node : graph.node()) {
    const bool standard = node.domain().empty() || node.domain() == "ai.onnx";
    imported = imported && standard && claimed().contains(node.op_type());
    const bool control = node.op_type() == "Constant" || node.op_type() == "If" || node.op_type() == "Loop";
    evaluated = evaluated && standard && (control || can_evaluate(node.op_type()));
  }
  for (const onnx::ValueInfoProto& output : graph.output()) {
    imported = imported && output.type().tensor_type().elem_type() == onnx::TensorProto::FLOAT;
    evaluated = evaluated && is_number(output);
  }
  for (const onnx::ValueInfoProto& input : graph.input()) evaluated = evaluated && is_number(input);
  return {imported, evaluated};
}

struct Case {
  onnx::ModelProto model;
  std::vector<onnx::TensorProto> inputs;
  std::vector<onnx::TensorProto> outputs;
};

Case read_case(const fs::path& folder) {
  Case result;
  REQUIRE(result.model.ParseFromString(read_text(folder / "model.onnx")));
  for (int i = 0; fs::exists(folder / "test_data_set_0" / ("input_" + std::to_string(i) + ".pb")); ++i) {
    result.inputs.push_back(read_tensor(folder / "test_data_set_0" / ("input_" + std::to_string(i) + ".pb")));
  }
  for (int i = 0; fs::exists(folder / "test_data_set_0" / ("output_" + std::to_string(i) + ".pb")); ++i) {
    result.outputs.push_back(read_tensor(folder / "test_data_set_0" / ("output_" + std::to_string(i) + ".pb")));
  }
  return result;
}

// Runs the case with its inputs from number `first_constant` on frozen as initializers. Throws Error; returns the
// largest relative error.
double run_case(Case test, int first_constant, fig_kernels kernels) {
  onnx::GraphProto& graph = *test.model.mutable_graph();
  std::vector<onnx::ValueInfoProto> inputs;
  for (const onnx::ValueInfoProto& input : graph.input()) {
    const bool initialized = std::any_of(graph.initializer().begin(), graph.initializer().end(),
                                         [&](const onnx::TensorProto& t) { return t.name() == input.name(); });
    if (!initialized) inputs.push_back(input);
  }
  TensorMap tensors;
  graph.clear_input();
  for (size_t i = 0; i < inputs.size() && i < test.inputs.size(); ++i) {
    if (static_cast<int>(i) < first_constant) {
      onnx::ValueInfoProto* input = graph.add_input();
      *input = inputs[i];
      // Optional inputs carry no shape; the data has it.
      onnx::TensorShapeProto* shape = input->mutable_type()->mutable_tensor_type()->mutable_shape();
      shape->clear_dim();
      for (int64_t extent : test.inputs[i].dims()) shape->add_dim()->set_dim_value(extent);
      tensors[inputs[i].name()] = floats_of(test.inputs[i]);
    } else {
      onnx::TensorProto tensor = test.inputs[i];
      tensor.set_name(inputs[i].name());
      *graph.add_initializer() = tensor;
    }
  }
  if (first_constant == 0) {
    // Figment's outputs are floats.
    for (int i = 0; i < graph.output_size(); ++i) {
      onnx::NodeProto* cast = graph.add_node();
      cast->set_op_type("Cast");
      cast->add_input(graph.output(i).name());
      graph.mutable_output(i)->set_name(graph.output(i).name() + ".float");
      cast->add_output(graph.output(i).name());
      onnx::AttributeProto* to = cast->add_attribute();
      to->set_name("to");
      to->set_type(onnx::AttributeProto::INT);
      to->set_i(onnx::TensorProto::FLOAT);
    }
  }
  ModelDefinition model;
  model.name = "case";
  model.programs.push_back(import_onnx(test.model.SerializeAsString(), "case", "run"));
  check_kinds(test.model, model.programs[0]);
  optimize(&model.programs[0]);
  Runner runner(write_model(model), 1, kernels);
  const TensorMap results = runner.run("run", tensors, 1);
  double worst = 0;
  for (int i = 0; i < graph.output_size(); ++i) {
    const std::vector<float> expected = floats_of(test.outputs[static_cast<size_t>(i)]);
    const std::vector<float>& actual = results.at(graph.output(i).name());
    if (actual.size() != expected.size()) throw Error("output " + graph.output(i).name() + " has the wrong size");
    worst = std::max(worst, figment::test::relative_error(actual, expected));
  }
  return worst;
}

}  // namespace

TEST_CASE("the ops that are said to have kernels of XNNPACK are those that do") {
  std::set<OpKind> kinds;
  for (const fig_op* const* row = fig_ops; *row != nullptr; ++row) {
    // XNNPACK's are operators, with a state.
    if ((*row)->create != nullptr) kinds.insert((*row)->kind);
  }
  if (kinds.empty()) return;  // a build without XNNPACK
  for (size_t i = 0; i < figment::format::kOpKindCount; ++i) {
    const auto kind = static_cast<OpKind>(i);
    CHECK_MESSAGE(kinds.contains(kind) == xnnpack_kinds().contains(kind), figment::format::name_of(kind));
  }
}

TEST_CASE("the ONNX project's tests pass for every op that is claimed") {
  const fs::path root = FIGMENT_ONNX_TESTS;
  const fs::path newer = FIGMENT_NEWER_ONNX_TESTS;
  const auto skips = read_skips();
  std::set<std::string> used_skips;
  int passed = 0;
  int evaluated = 0;
  int failed = 0;
  int skipped = 0;
  for (const fs::path& suite :
       {root / "node", newer / "node", root / "pytorch-operator", root / "pytorch-converted", root / "simple"}) {
    std::vector<fs::path> folders;
    for (const fs::directory_entry& entry : fs::directory_iterator(suite)) folders.push_back(entry.path());
    std::sort(folders.begin(), folders.end());
    for (const fs::path& folder : folders) {
      onnx::ModelProto model;
      if (!model.ParseFromString(read_text(folder / "model.onnx"))) continue;
      const Scope scope = scope_of(model);
      if (!scope.program && !scope.constants) continue;
      const std::string name = folder.filename();
      const auto skip =
          std::find_if(skips.begin(), skips.end(), [&](const auto& entry) { return matches(name, entry.first); });
      const Case test = read_case(folder);
      std::string problem;
      bool by_program = scope.program;
      for (fig_kernels kernels : {FIG_KERNELS_BEST, FIG_KERNELS_PORTABLE}) {
        // With all inputs fed, then with all but the first frozen: many ops need constant weights or shapes.
        std::vector<int> ways;
        if (scope.program) ways = {1000, 1};
        if (scope.constants) ways.push_back(0);
        std::string errors;
        for (int constants : ways) {
          bool refused = false;
          try {
            const double error = run_case(test, constants, kernels);
            errors = error <= 1e-4 ? "" : "relative error " + std::to_string(error);
          } catch (const Error& caught) {
            errors = caught.what();
            refused = true;
          }
          by_program = by_program && constants != 0;
          // What is wrong one way is not made good by another.
          if (!refused) break;
        }
        if (!errors.empty()) problem = errors;
      }
      if (skip != skips.end()) {
        used_skips.insert(skip->first);
        ++skipped;
        // A skip that has become unnecessary must go.
        CHECK_MESSAGE(!problem.empty(), name, " passes although it is in conformance_skips.txt");
      } else if (problem.empty()) {
        ++(by_program ? passed : evaluated);
      } else {
        ++failed;
        FAIL_CHECK(name, ": ", problem);
      }
    }
  }
  for (const auto& [pattern, reason] : skips) CHECK_MESSAGE(used_skips.contains(pattern), pattern, " skips nothing");
  std::cout << "ONNX conformance: " << passed << " pass, and " << evaluated << " on constants, " << failed << " fail, "
            << skipped << " skipped (conformance_skips.txt)\n";
  CHECK(passed > 200);
}
