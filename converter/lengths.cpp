#include "lengths.h"

#include <fmt/format.h>
#include <algorithm>
#include <functional>
#include <optional>
#include <set>

#include "import/import_onnx.h"

namespace figment::converter {

namespace {

constexpr uint32_t kMaxGrowth = UINT16_MAX;
constexpr int64_t kCheckedUnits = 64;  // lengths that are tried, one after the other

// By how much a number grows for each unit.
uint32_t growth_of(const std::string& name, uint32_t at_first, uint32_t at_second, uint32_t at_third) {
  const int64_t growth = int64_t{at_second} - int64_t{at_first};
  if (int64_t{at_third} - int64_t{at_second} != growth || growth < 0 || growth > int64_t{kMaxGrowth})
    throw Error(
        fmt::format("a size of {} is {}, {}, {}, which is not linear in it", name, at_first, at_second, at_third));
  return static_cast<uint32_t>(growth);
}

Dimensions<uint32_t> growth_of(const std::string& name, const Shape& a, const Shape& b, const Shape& c) {
  Dimensions<uint32_t> result;
  for (size_t d = 0; d < a.rank(); ++d) {
    if (a.rank() != b.rank() || a.rank() != c.rank() || a[d].per_batch != b[d].per_batch ||
        a[d].per_batch != c[d].per_batch)
      throw Error(name + " has other dimensions");
    result.push_back(growth_of(name, a[d].extent, b[d].extent, c[d].extent));
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

// `make` imports and optimizes at a length.
Opened with_length(const std::string& name, uint32_t wanted, const std::function<Opened(uint32_t)>& make) {
  std::string reason;
  std::vector<uint32_t> bases = {64, 256, 1024, 4096, 16384};
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
        const Opened longer = make(length + unit);
        const Opened longest = make(length + 2 * unit);
        fit_growth(&result.graph, longer.graph, longest.graph);
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
        for (int64_t units_more = 1; units_more <= kCheckedUnits; ++units_more) check_at(result.graph, units_more);
        result.graph.length =
            LengthDefinition{name, length, unit, static_cast<uint32_t>(int64_t{length} + least * unit)};
        const LengthDefinition& found = *result.graph.length;
        result.notes.push_back(
            fmt::format("{} may be any{} from {} on, chosen when a session is created; {} where it is not", name,
                        unit == 1 ? "" : fmt::format(" multiple of {}", unit), found.least, found.length));
        return result;
      } catch (const Error& error) {
        reason = error.what();
      }
    }
    break;
  }
  if (!fixed) throw Error(reason + advice_for(name));
  fixed->notes.push_back(
      fmt::format("{} stays fixed at {}: {}; --dim {}=N gives another size", name, fixed->length, reason, name));
  return std::move(*fixed);
}

}  // namespace

void fit_growth(Graph* graph, const Graph& longer, const Graph& longest) {
  const auto same_size = [&](const auto& part) {
    return part(*graph).size() == part(longer).size() && part(*graph).size() == part(longest).size();
  };
  if (!same_size([](const Graph& g) -> const auto& { return g.nodes; }) ||
      !same_size([](const Graph& g) -> const auto& { return g.values; }) ||
      !same_size([](const Graph& g) -> const auto& { return g.inputs; }) ||
      !same_size([](const Graph& g) -> const auto& { return g.outputs; }))
    throw Error("the number of its ops changes with it");
  for (size_t i = 0; i < graph->nodes.size(); ++i) {
    Node& node = graph->nodes[i];
    Attributes attributes[2] = {longer.nodes[i].attributes, longest.nodes[i].attributes};
    if (node.attributes.starts.rank() > 0) {
      for (size_t d = 0; d < node.attributes.starts.rank(); ++d) {
        node.start_growth.push_back(
            growth_of(node.name, node.attributes.starts[d], attributes[0].starts[d], attributes[1].starts[d]));
      }
      attributes[0].starts = attributes[1].starts = node.attributes.starts;
    }
    const bool same = node.kind == longer.nodes[i].kind && node.kind == longest.nodes[i].kind &&
                      node.inputs == longer.nodes[i].inputs && node.inputs == longest.nodes[i].inputs &&
                      node.attributes == attributes[0] && node.attributes == attributes[1];
    if (!same) throw Error("what node " + node.name + " does changes with it");
  }
  for (ValueId id = 0; id < graph->values.size(); ++id) {
    Value& value = (*graph)[id];
    if (value.is_constant() != longer[id].is_constant() || value.is_constant() != longest[id].is_constant())
      throw Error(value.name + " is a constant at some lengths");
    if (!value.is_constant()) {
      value.growth = growth_of(value.name, value.shape, longer[id].shape, longest[id].shape);
    } else if (value.constant->bytes != longer[id].constant->bytes ||
               value.constant->bytes != longest[id].constant->bytes) {
      throw Error("the constant " + value.name + " depends on it");
    }
  }
  const auto fit_ports = [](std::vector<PortDefinition>* ports, const auto& longer_ports, const auto& longest_ports) {
    for (size_t i = 0; i < ports->size(); ++i) {
      PortDefinition& port = (*ports)[i];
      port.growth = growth_of(port.name, port.shape, longer_ports[i].shape, longest_ports[i].shape);
    }
  };
  fit_ports(&graph->inputs, longer.inputs, longest.inputs);
  fit_ports(&graph->outputs, longer.outputs, longest.outputs);
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
