#include "lengths.h"

#include <fmt/format.h>
#include <algorithm>
#include <functional>
#include <optional>
#include <set>

#include "import/import_onnx.h"
#include "passes/optimize.h"

namespace figment::converter {

namespace {

constexpr uint32_t kMaxGrowth = UINT16_MAX;
constexpr uint32_t kCheckedUnits = 64;  // lengths that are tried, one after the other

// By how much a number grows for each of `units`.
uint32_t growth_of(const std::string& name, uint32_t at_length, uint32_t at_other, uint32_t units) {
  const int64_t difference = int64_t{at_other} - int64_t{at_length};
  if (difference < 0 || difference % units != 0 || difference / units > int64_t{kMaxGrowth}) {
    throw Error(fmt::format("a size of {} is {}, and {} where the length is {} units more, which is not linear", name,
                            at_length, at_other, units));
  }
  return static_cast<uint32_t>(difference / units);
}

// The growth of all dimensions, which must be the one that is known already, if any is.
void fit(Dimensions<uint32_t>* growth, const std::string& name, const Dimensions<uint32_t>& found) {
  if (growth->rank() == 0) *growth = found;
  if (!(*growth == found)) throw Error("a size of " + name + " does not follow the length linearly");
}

Dimensions<uint32_t> growth_of(const std::string& name, const Shape& shape, const Shape& other, uint32_t units) {
  if (shape.rank() != other.rank()) throw Error(name + " has another number of dimensions");
  Dimensions<uint32_t> result;
  for (size_t d = 0; d < shape.rank(); ++d) {
    if (shape[d].per_batch != other[d].per_batch) throw Error(name + " has its batch elsewhere");
    result.push_back(growth_of(name, shape[d].extent, other[d].extent, units));
  }
  return result;
}

Shape at(const Shape& shape, const Dimensions<uint32_t>& growth, int64_t units) {
  Shape result = shape;
  for (size_t d = 0; d < growth.rank(); ++d) {
    const int64_t extent = int64_t{shape[d].extent} + int64_t{growth[d]} * units;
    if (extent < 1 || extent > static_cast<int64_t>(kMaxExtent)) throw Error("a dimension would be empty or too large");
    result[d].extent = static_cast<uint32_t>(extent);
  }
  return result;
}

// Whether the ops of the program fit together at another length: throws Error.
void check_at(const Graph& graph, int64_t units) {
  Graph other;
  for (const Value& value : graph.values) {
    Value resized;
    resized.type = value.type;
    resized.shape = at(value.shape, value.growth, units);
    if (value.constant) resized.constant.emplace();
    other.add_value(std::move(resized));
  }
  for (const Node& node : graph.nodes) {
    Attributes attributes = node.attributes;
    for (size_t d = 0; d < node.start_growth.rank(); ++d)
      attributes.starts[d] = static_cast<uint32_t>(int64_t{attributes.starts[d]} + node.start_growth[d] * units);
    const format::TensorType found = infer(other, node.kind, attributes, node.inputs, other[node.output], node.name);
    if (!(found.shape == other[node.output].shape)) throw Error("node " + node.name + " would have another shape");
  }
}

// The product of all strides: lengths in its multiples are halved without a rest.
uint32_t unit_of(const Graph& graph) {
  uint64_t unit = 1;
  for (const Node& node : graph.nodes) {
    if (node.kind != OpKind::kConv2d && node.kind != OpKind::kAveragePool2d && node.kind != OpKind::kMaxPool2d)
      continue;
    unit *= std::max(node.attributes.window.stride[0], node.attributes.window.stride[1]);
    if (unit > kMaxGrowth) return 0;
  }
  return static_cast<uint32_t>(unit);
}

std::string advice_for(const std::string& name) {
  return fmt::format(
      "\nThe dimension {} is open: where the exporter has traced the network at one size, give that, --dim {}=N", name,
      name);
}

struct Opened {
  Graph graph;
  std::vector<std::string> notes;
  uint32_t length = 0;
};

// Up to how many units more all sizes are known to follow the length: a network may cut what is long. Such a change
// stays for all lengths beyond, so that it shows far away, as far as the network can be imported there.
uint32_t farthest_fit(Graph* graph, const std::function<Graph(uint32_t)>& make) {
  constexpr uint64_t kMostBytes = uint64_t{256} << 20;  // to be read again and again for the exact place
  // None where it is too long to be imported.
  const auto follows = [&](uint32_t units) -> std::optional<bool> {
    std::optional<Graph> far;
    try {
      far = make(units);
    } catch (const Error&) {
      return std::nullopt;
    }
    try {
      fit_growth(graph, *far, units);
      return true;
    } catch (const Error&) {
      return false;
    }
  };
  uint32_t good = 0;
  uint32_t bad = 0;
  bool differs = false;
  for (const uint32_t units : {1U << 24, 1U << 20, 1U << 16, 4096U, 512U, 64U, 8U, 2U}) {
    const std::optional<bool> found = follows(units);
    if (found == true) {
      good = units;
      break;
    }
    bad = units;
    differs = differs || found.has_value();
    // Near by, that is no cut: sizes are rounded, as by strides.
    if (found && units <= kCheckedUnits) break;
  }
  if (good == 0) throw Error(differs ? "a size does not follow it linearly" : "it cannot be longer");
  for (uint64_t read = 0; bad > good + 1 && read <= kMostBytes; read += graph->source_bytes) {
    const uint32_t middle = good + (bad - good) / 2;
    (follows(middle).value_or(false) ? good : bad) = middle;
  }
  return good;
}

// `make` imports and optimizes at a length.
Opened with_length(const std::string& name, uint32_t wanted, const std::function<Opened(uint32_t)>& make) {
  std::string reason;
  // Tables of positions may be shorter than the first.
  std::vector<uint32_t> bases = {64, 256, 1024, 4096, 16384, 32, 16};
  if (wanted != 0) bases = {wanted};
  std::optional<Opened> fixed;
  for (const uint32_t base : bases) {
    try {
      fixed.emplace(make(base));
    } catch (const Error& error) {
      // Too short for the network, or nothing that a length changes.
      if (reason.empty() || base == bases.back()) reason = error.what();
      continue;
    }
    std::set<uint32_t> units = {1, unit_of(fixed->graph)};
    units.erase(0);
    for (const uint32_t unit : units) {
      if (wanted != 0 && wanted % unit != 0) continue;
      const uint32_t length = (base + unit - 1) / unit * unit;
      try {
        Opened result = length == base ? *fixed : make(length);
        fit_growth(&result.graph, make(length + unit).graph, 1);
        const uint32_t more = farthest_fit(&result.graph, [&](uint32_t units_more) {
          const uint64_t longer = length + uint64_t{units_more} * unit;
          if (longer > kMaxExtent) throw Error("a dimension would be too large");
          return make(static_cast<uint32_t>(longer)).graph;
        });
        // The least length that fits, and whether all above do.
        int64_t least = 0;
        while (int64_t{length} + (least - 1) * unit >= 1) {
          try {
            check_at(result.graph, least - 1);
          } catch (const Error&) {
            break;
          }
          --least;
        }
        for (int64_t units_more = 1; units_more <= std::min(kCheckedUnits, more); ++units_more)
          check_at(result.graph, units_more);
        result.graph.length = LengthDefinition{
            name, length, unit, static_cast<uint32_t>(int64_t{length} + least * unit), length + more * unit};
        const LengthDefinition& found = *result.graph.length;
        result.graph.notes.push_back(fmt::format(
            "{} may be any{} from {} to {}, chosen when a session is created; {} where it is not", name,
            unit == 1 ? "" : fmt::format(" multiple of {}", unit), found.least, found.greatest, found.length));
        return result;
      } catch (const Error& error) {
        reason = error.what();
      }
    }
    break;
  }
  if (!fixed) throw Error(reason + advice_for(name));
  fixed->graph.notes.push_back(
      fmt::format("{} stays fixed at {}: {}; --dim {}=N gives another size", name, fixed->length, reason, name));
  return std::move(*fixed);
}

}  // namespace

void fit_growth(Graph* graph, const Graph& longer, uint32_t units) {
  if (graph->nodes.size() != longer.nodes.size() || graph->values.size() != longer.values.size() ||
      graph->inputs.size() != longer.inputs.size() || graph->outputs.size() != longer.outputs.size())
    throw Error("the number of its ops changes with it");
  for (size_t i = 0; i < graph->nodes.size(); ++i) {
    Node& node = graph->nodes[i];
    const Node& other = longer.nodes[i];
    Attributes attributes = other.attributes;
    const Dimensions<uint32_t>& starts = node.attributes.starts;
    if (starts.rank() > 0 && starts.rank() == attributes.starts.rank()) {
      Dimensions<uint32_t> found;
      for (size_t d = 0; d < starts.rank(); ++d)
        found.push_back(growth_of(node.name, starts[d], attributes.starts[d], units));
      fit(&node.start_growth, node.name, found);
      attributes.starts = starts;
    }
    if (node.kind != other.kind || node.inputs != other.inputs || !(node.attributes == attributes))
      throw Error("what node " + node.name + " does changes with it");
  }
  for (ValueId id = 0; id < graph->values.size(); ++id) {
    Value& value = (*graph)[id];
    if (value.is_constant() != longer[id].is_constant()) throw Error(value.name + " is a constant at some lengths");
    if (!value.is_constant()) {
      fit(&value.growth, value.name, growth_of(value.name, value.shape, longer[id].shape, units));
    } else if (value.constant->bytes != longer[id].constant->bytes) {
      throw Error("the constant " + value.name + " depends on it");
    }
  }
  const auto fit_ports = [units](std::vector<PortDefinition>* ports, const std::vector<PortDefinition>& others) {
    for (size_t i = 0; i < ports->size(); ++i) {
      PortDefinition& port = (*ports)[i];
      fit(&port.growth, port.name, growth_of(port.name, port.shape, others[i].shape, units));
    }
  };
  fit_ports(&graph->inputs, longer.inputs);
  fit_ports(&graph->outputs, longer.outputs);
}

void check_dimensions(const std::vector<std::string>& paths, const ConvertOptions& options) {
  if (options.dimensions.empty() && options.length == 0) return;
  std::set<std::string> names;
  bool length = false;
  for (const std::string& path : paths) {
    const OpenDimensions open = open_dimensions(path, {});
    names.insert(open.all.begin(), open.all.end());
    length = length || open_dimensions(path, options.dimensions).may_have_length();
  }
  for (const auto& [name, size] : options.dimensions) {
    if (names.contains(name)) continue;
    std::string known;
    for (const std::string& other : names) known += (known.empty() ? "" : ", ") + other;
    throw Error(fmt::format("--dim {}={}: no input has an open dimension of that name; {}", name, size,
                            known.empty() ? "none is open" : "there are " + known));
  }
  if (options.length != 0 && !length) throw Error("--length: no dimension of the inputs stays open beside the batch");
}

Graph import_with_length(const Source& source, const ConvertOptions& options, std::vector<std::string>* notes) {
  const auto make = [&](const std::string& name, uint32_t length) {
    ImportOptions import{Purpose::kInference, !options.fixed_batch, options.dimensions, length != 0};
    if (length != 0) import.dimensions[name] = length;
    Opened result;
    result.graph = import_onnx_file(source.path, source.program, import);
    result.notes = optimize(&result.graph);
    result.length = length;
    return result;
  };
  const OpenDimensions open = open_dimensions(source.path, options.dimensions);
  Opened result;
  if (open.others.size() > 1) {
    std::string names;
    for (const std::string& name : open.others) names += " --dim " + name + "=N";
    throw Error(fmt::format("{}: {} dimensions are open beside the batch, and one may be: give the others a size,{}",
                            source.path, open.others.size(), names));
  }
  if (open.others.size() == 1) {
    const std::string name = open.others[0];
    result = with_length(name, options.length, [&](uint32_t length) { return make(name, length); });
  } else {
    try {
      result = make("", 0);
    } catch (const Error& error) {
      // What is open may be a length, of a batch that the exporter has fixed.
      if (open.batch.empty() || open.batch_in_front) throw;
      try {
        result = with_length(open.batch, options.length, [&](uint32_t length) { return make(open.batch, length); });
      } catch (const Error&) {
        throw Error(error.what() + advice_for(open.batch));
      }
    }
  }
  notes->insert(notes->end(), result.notes.begin(), result.notes.end());
  return std::move(result.graph);
}

}  // namespace figment::converter
