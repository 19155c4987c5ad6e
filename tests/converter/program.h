// Programs of the converter's IR, written by hand.
#pragma once

#include "ir/builder.h"

namespace figment::test {

using converter::Attributes;
using converter::OpKind;
using converter::ValueId;

// A program of one input x of that shape.
struct Program {
  explicit Program(const Shape& shape) : build(&graph, "node") {
    graph.name = "run";
    converter::Value value;
    value.name = "x";
    value.shape = shape;
    converter::PortDefinition port{"x", graph.add_value(value), shape, {}, 0};
    for (uint32_t i = 0; i < shape.rank(); ++i) port.permutation.push_back(i);
    graph.inputs.push_back(port);
  }
  void output(ValueId id) {
    converter::PortDefinition port{"y", id, graph[id].shape, {}, 0};
    for (uint32_t i = 0; i < port.shape.rank(); ++i) port.permutation.push_back(i);
    graph.outputs.push_back(port);
  }
  ValueId x() const { return graph.inputs[0].value; }
  ValueId transpose(ValueId id, const Permutation& permutation) {
    Attributes attributes;
    attributes.permutation = permutation;
    return build.add(OpKind::kTranspose, {id}, attributes);
  }

  converter::Graph graph;
  converter::Builder build;
};

}  // namespace figment::test
