#!/usr/bin/env python3
"""Random small ONNX graphs over the ops that Figment imports, with what another implementation computes for them.

usage: graphs.py N SEED OUTPUT.zip

OUTPUT holds for each graph i: i.onnx, and i.NAME.npy for each input and output, on ROWS different samples. Samples do
not depend on each other. Computed by ONNX Runtime where it is installed, else by ONNX's reference evaluator; needs the
Python packages onnx and numpy. tests/fuzz/graphs.cpp reads it.
"""
import io
import sys
import zipfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROWS = 5
LARGEST = 400  # elements of a sample, so that runs are short
OUTPUT = 80  # elements of an output's sample, so that files are small


def reference(model):
    """A function from inputs to outputs, by name."""
    try:
        import onnxruntime

        onnxruntime.set_default_logger_severity(4)
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    except ImportError:
        from onnx.reference import ReferenceEvaluator

        session = ReferenceEvaluator(model)
    return lambda inputs: session.run(None, inputs)


class Reject(Exception):
    """The graph is of no use: start another."""


class Builder:
    """A graph that grows by one op at a time; `shape` is without the batch."""

    def __init__(self, random):
        self.random = random
        self.nodes = []
        self.initializers = []
        self.values = {}  # name -> shape

    def integer(self, low, high):
        return int(self.random.integers(low, high + 1))

    def chance(self, share):
        return self.random.random() < share

    def pick(self, values):
        return values[self.integer(0, len(values) - 1)]

    def constant(self, values, kind=np.float32):
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def weights(self, shape, scale):
        """Coarse numbers, which compress well."""
        return self.constant(np.round(self.random.standard_normal(shape) * scale * 64) / 64)

    def node(self, op, inputs, shape, outputs=1, **attributes):
        names = [f"t{len(self.values) + i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, **attributes))
        shapes = shape if outputs > 1 else [shape]
        for name, one in zip(names, shapes):
            if min(one, default=1) < 1 or np.prod(one, dtype=int) > LARGEST:
                raise Reject
            self.values[name] = tuple(int(extent) for extent in one)
        return names if outputs > 1 else names[0]

    # ---- ops; each takes a tensor's name and returns the result's.

    def unary(self, x):
        shape = self.values[x]
        op = self.pick("Relu LeakyRelu Elu Sigmoid Tanh Softplus Softsign HardSigmoid HardSwish Exp Abs Neg Sqrt Log Clip Pow Identity Dropout Cast Erf Sin Cos Atan Selu Celu Mish Gelu PRelu Shrink".split())
        if op in ("LeakyRelu", "Elu"):
            return self.node(op, [x], shape, alpha=self.pick([0.01, 0.2, 1.0]))
        if op == "Exp":
            return self.node(op, [self.node("Clip", [x, self.constant(-4.0), self.constant(2.0)], shape)], shape)
        if op in ("Sqrt", "Log"):
            positive = self.node("Add", [self.node("Abs", [x], shape), self.constant(0.5)], shape)
            return self.node(op, [positive], shape)
        if op == "Clip":
            bounds = [self.constant(-0.75) if self.chance(0.7) else "", self.constant(1.5)]
            return self.node(op, [x] + bounds, shape)
        if op == "Pow":
            bounded = self.node("Clip", [x, self.constant(-3.0), self.constant(3.0)], shape)
            return self.node(op, [bounded, self.constant(2.0)], shape)
        if op == "Cast":
            return self.node(op, [x], shape, to=TensorProto.FLOAT)
        if op == "PRelu":
            return self.node(op, [x, self.constant(0.25)], shape)
        if op == "Shrink":  # where it jumps, rounding decides
            return self.node(op, [x], shape, lambd=0.5, bias=0.5)
        if op == "Mish":  # an op since opset 18
            return self.node("Mul", [x, self.node("Tanh", [self.node("Softplus", [x], shape)], shape)], shape)
        if op == "Gelu":  # an op since opset 20
            error = self.node("Erf", [self.node("Div", [x, self.constant(np.sqrt(2))], shape)], shape)
            half = self.node("Mul", [self.node("Add", [error, self.constant(1.0)], shape), self.constant(0.5)], shape)
            return self.node("Mul", [x, half], shape)
        return self.node(op, [x], shape)

    def softplus(self, x):
        """As exporters guard it for large values."""
        large = f"g{len(self.nodes)}"
        self.nodes.append(helper.make_node("Greater", [x, self.constant(20.0)], [large]))
        softplus = self.node("Softplus", [x], self.values[x])
        return self.node("Where", [large, x, softplus], self.values[x])

    def shape_arithmetic(self, x):
        """A reshape to what exporters compute from the shape."""
        shape = self.values[x]
        names = [f"i{len(self.nodes) + i}" for i in range(4)]
        self.nodes.append(helper.make_node("Shape", [x], [names[0]]))
        self.nodes.append(helper.make_node("Slice", [names[0]] + [self.constant([v], np.int64) for v in (0, 1)], [names[1]]))
        total = int(np.prod(shape))
        first = self.pick([d for d in range(1, total + 1) if total % d == 0])
        rest = [self.constant([2 * total // first], np.int64), self.constant([2], np.int64)]
        self.nodes.append(helper.make_node("Div", rest, [names[3]]))
        parts = [names[1], self.constant([first], np.int64), names[3]]
        self.nodes.append(helper.make_node("Concat", parts, [names[2]], axis=0))
        return self.node("Reshape", [x, names[2]], [first, total // first])

    def filled(self, x):
        """Plus a constant that is made from its shape."""
        shape = self.values[x]
        name = f"f{len(self.nodes)}"
        value = numpy_helper.from_array(np.array([0.5], np.float32))
        self.nodes.append(helper.make_node("ConstantOfShape", [self.constant([1, *shape], np.int64)], [name], value=value))
        return self.node("Add", [x, name], shape)

    def binary(self, x):
        shape = self.values[x]
        op = self.pick(["Add", "Sub", "Mul", "Div"])
        others = [name for name, other in self.values.items() if other == shape and name != x]
        if others and self.chance(0.5) and op != "Div":
            return self.node(op, [x, self.pick(others)] if self.chance(0.5) else [self.pick(others), x], shape)
        broadcast = [extent if self.chance(0.6) else 1 for extent in shape]
        if self.chance(0.3):
            broadcast = broadcast[self.integer(0, len(broadcast)) :]
        values = np.round(self.random.standard_normal(broadcast) * 64) / 64
        if op == "Div":
            values = np.abs(values) + 0.75
        constant = self.constant(values)
        return self.node(op, [constant, x] if op in ("Sub", "Mul", "Add") and self.chance(0.3) else [x, constant], shape)

    def softmax(self, x):
        return self.node(self.pick(["Softmax", "LogSoftmax"]), [x], self.values[x], axis=self.pick([-1, 1]))

    def mean(self, x):
        shape = self.values[x]
        axes = sorted({self.integer(1, len(shape)) for _ in range(self.integer(1, 2))})
        keep = self.chance(0.5) or len(axes) == len(shape)
        left = [1 if i + 1 in axes else e for i, e in enumerate(shape) if keep or i + 1 not in axes]
        return self.node("ReduceMean", [x], left, axes=axes, keepdims=int(keep))

    def layer_norm(self, x):
        shape = self.values[x]
        axis = self.integer(1, len(shape))
        # Of two values it is the sign of their difference, which any rounding of nearly equal ones turns over.
        if np.prod(shape[axis - 1 :]) < 4:
            raise Reject
        scale, shift = self.weights(shape[axis - 1 :], 1), self.weights(shape[axis - 1 :], 1)
        return self.node("LayerNormalization", [x, scale, shift], shape, axis=axis)

    def batch_norm(self, x):
        channels = self.values[x][0]
        inputs = [self.weights([channels], 1) for _ in range(3)]
        variance = self.constant(np.round(self.random.uniform(0.5, 2, channels) * 64) / 64)
        return self.node("BatchNormalization", [x] + inputs + [variance], self.values[x], epsilon=1e-3)

    def slice(self, x):
        shape = self.values[x]
        axis = self.integer(1, len(shape))
        extent = shape[axis - 1]
        start, end, step = self.integer(0, extent - 1), extent, self.integer(1, 2)
        if self.chance(0.5):
            end = self.integer(start + 1, extent)
        result = list(shape)
        result[axis - 1] = (end - start + step - 1) // step
        arguments = [self.constant([v], np.int64) for v in (start, end, axis, step)]
        return self.node("Slice", [x] + arguments, result)

    def split(self, x):
        shape = self.values[x]
        axis = self.integer(1, len(shape))
        first = self.integer(1, shape[axis - 1] - 1) if shape[axis - 1] > 1 else 0
        if first == 0:
            raise Reject
        parts = [list(shape), list(shape)]
        parts[0][axis - 1], parts[1][axis - 1] = first, shape[axis - 1] - first
        sizes = self.constant([first, shape[axis - 1] - first], np.int64)
        return self.pick(self.node("Split", [x, sizes], parts, outputs=2, axis=axis))

    def gather(self, x):
        shape = self.values[x]
        if len(shape) < 2:
            raise Reject
        axis = self.integer(1, len(shape))
        index = self.constant(self.integer(-1, shape[axis - 1] - 1), np.int64)
        return self.node("Gather", [x, index], shape[: axis - 1] + shape[axis:], axis=axis)

    def transpose(self, x):
        shape = self.values[x]
        order = list(self.random.permutation(len(shape)))
        return self.node("Transpose", [x], [shape[i] for i in order], perm=[0] + [int(i) + 1 for i in order])

    def concat(self, x):
        shape = self.values[x]
        axis = self.integer(1, len(shape))
        same = lambda other: len(other) == len(shape) and all(
            a == b for i, (a, b) in enumerate(zip(shape, other)) if i != axis - 1
        )
        others = [name for name, other in self.values.items() if same(other)]
        other = self.pick(others)
        result = list(shape)
        result[axis - 1] += self.values[other][axis - 1]
        return self.node("Concat", [x, other], result, axis=axis)

    def pad(self, x):
        shape = self.values[x]
        mode = self.pick(["constant", "reflect", "edge"])
        most = lambda extent: min(2, extent - 1) if mode == "reflect" else 2
        before = [self.integer(0, most(e)) for e in shape]
        after = [self.integer(0, most(e)) for e in shape]
        if mode == "reflect" and len(shape) > 2:
            before[0] = after[0] = 0
        inputs = [x, self.constant([0] + before + [0] + after, np.int64)]
        if mode == "constant" and self.chance(0.5):
            inputs.append(self.constant(self.pick([0.0, 0.5, -1.0])))
        return self.node("Pad", inputs, [e + b + a for e, b, a in zip(shape, before, after)], mode=mode)

    def reshape(self, x):
        shape = self.values[x]
        total = int(np.prod(shape))
        kind = self.integer(0, 3)
        if kind == 0 or len(shape) == 1 and kind == 1:
            return self.node("Flatten", [x], [total])
        if kind == 1:
            axes = [i for i, extent in enumerate(shape) if extent == 1]
            if axes and len(shape) > 1:
                axis = self.pick(axes)
                return self.node("Squeeze", [x, self.constant([axis + 1], np.int64)], shape[:axis] + shape[axis + 1 :])
        if kind <= 2 and len(shape) < 3:
            axis = self.integer(0, len(shape))
            result = shape[:axis] + (1,) + shape[axis:]
            return self.node("Unsqueeze", [x, self.constant([axis + 1], np.int64)], result)
        divisors = [d for d in range(1, total + 1) if total % d == 0]
        first = self.pick(divisors)
        rest = total // first
        second = self.pick([d for d in divisors if rest % d == 0])
        result = self.pick([(first, rest), (first, second, rest // second)])
        return self.node("Reshape", [x, self.constant([-1] + list(result), np.int64)], result)

    def expand(self, x):
        shape = self.values[x]
        if 1 not in shape:
            raise Reject
        result = [e if e > 1 else self.integer(1, 4) for e in shape]
        return self.node("Expand", [x, self.constant([1] + result, np.int64)], result)

    def dense(self, x):
        shape = self.values[x]
        units = self.integer(1, 9)
        scale = 1 / np.sqrt(shape[-1])
        if len(shape) == 1 and self.chance(0.7):
            transposed = self.chance(0.5)
            weights = self.weights([units, shape[0]] if transposed else [shape[0], units], scale)
            inputs = [x, weights] + ([self.weights(self.pick([[units], [1, units], [1]]), 0.5)] if self.chance(0.7) else [])
            attributes = {"alpha": self.pick([1.0, 0.5]), "beta": self.pick([1.0, 2.0])} if self.chance(0.3) else {}
            return self.node("Gemm", inputs, [units], transB=int(transposed), **attributes)
        return self.node("MatMul", [x, self.weights([shape[-1], units], scale)], shape[:-1] + (units,))

    def window(self, shape, transposed=False):
        """Attributes of a window over the dimensions behind the channels, and the output's extents."""
        rank = len(shape) - 1
        kernel = [self.integer(1, 4) for _ in range(rank)]
        stride = [self.integer(1, 3) for _ in range(rank)]
        dilation = [self.integer(1, 2) if self.chance(0.3) else 1 for _ in range(rank)]
        pads = [self.integer(0, 2) if self.chance(0.6) else 0 for _ in range(2 * rank)]
        attributes = {"kernel_shape": kernel, "strides": stride, "dilations": dilation, "pads": pads}
        extents = []
        extra = [self.integer(0, s - 1) if transposed and self.chance(0.3) else 0 for s in stride]
        for i in range(rank):
            span = (kernel[i] - 1) * dilation[i] + 1
            total = pads[i] + pads[i + rank]
            extent = shape[i + 1]
            if transposed:
                extents.append((extent - 1) * stride[i] + span - total + extra[i])
            else:
                extents.append((extent + total - span) // stride[i] + 1 if extent + total >= span else 0)
        if any(extra):
            attributes["output_padding"] = extra
        return attributes, extents

    def convolution(self, x):
        shape = self.values[x]
        attributes, extents = self.window(shape)
        channels = shape[0]
        groups = self.pick([1, 1, channels, 2 if channels % 2 == 0 else 1])
        outputs = groups * self.integer(1, max(1, 8 // groups))
        fan = channels // groups * np.prod(attributes["kernel_shape"])
        weights = self.weights([outputs, channels // groups] + attributes["kernel_shape"], 1 / np.sqrt(fan))
        bias = [self.weights([outputs], 0.5)] if self.chance(0.7) else []
        if self.chance(0.15):
            attributes.pop("pads")
            attributes["dilations"] = [1] * len(extents)
            attributes["auto_pad"] = self.pick(["SAME_UPPER", "SAME_LOWER"])
            extents = [-(-e // s) for e, s in zip(shape[1:], attributes["strides"])]
        return self.node("Conv", [x, weights] + bias, [outputs] + extents, group=groups, **attributes)

    def transposed_convolution(self, x):
        shape = self.values[x]
        attributes, extents = self.window(shape, transposed=True)
        channels = shape[0]
        groups = self.pick([1, 1, channels, 2 if channels % 2 == 0 else 1])
        outputs = self.integer(1, max(1, 8 // groups))
        fan = channels // groups * np.prod(attributes["kernel_shape"])
        weights = self.weights([channels, outputs] + attributes["kernel_shape"], 1 / np.sqrt(fan))
        bias = [self.weights([outputs * groups], 0.5)] if self.chance(0.7) else []
        return self.node("ConvTranspose", [x, weights] + bias, [outputs * groups] + extents, group=groups, **attributes)

    def pool(self, x):
        shape = self.values[x]
        if self.chance(0.2):
            op = self.pick(["GlobalAveragePool", "GlobalMaxPool"]) if len(shape) == 3 else "GlobalAveragePool"
            return self.node(op, [x], [shape[0]] + [1] * (len(shape) - 1))
        attributes, extents = self.window(shape)
        rank = len(shape) - 1
        kernel, pads = attributes["kernel_shape"], attributes["pads"]
        # A window may not lie in the padding alone.
        if any(pads[i] >= kernel[i] or pads[i + rank] >= kernel[i] for i in range(rank)):
            raise Reject
        ceil = self.chance(0.25)
        if ceil:
            attributes["ceil_mode"] = 1
            for i in range(rank):
                span = (kernel[i] - 1) * attributes["dilations"][i] + 1
                stride, padded = attributes["strides"][i], shape[i + 1] + pads[i] + pads[i + rank]
                extents[i] = -(-(padded - span) // stride) + 1 if padded >= span else 0
                # A last window that would begin in the padding behind is left out.
                if extents[i] > 0 and (extents[i] - 1) * stride >= shape[i + 1] + pads[i]:
                    extents[i] -= 1
        if ceil or self.chance(0.5):
            return self.node("MaxPool", [x], [shape[0]] + extents, **attributes)
        attributes.pop("dilations")
        extents = [(shape[i + 1] + pads[i] + pads[i + rank] - kernel[i]) // attributes["strides"][i] + 1 for i in range(rank)]
        if any(shape[i + 1] + pads[i] + pads[i + rank] < kernel[i] for i in range(rank)):
            raise Reject
        include = int(self.chance(0.5))
        return self.node("AveragePool", [x], [shape[0]] + extents, count_include_pad=include, **attributes)

    def resize(self, x):
        shape = self.values[x]
        factors = [self.integer(1, 3) for _ in shape[1:]]
        result = [shape[0]] + [e * f for e, f in zip(shape[1:], factors)]
        scales = self.constant([1.0, 1.0] + [float(f) for f in factors])
        return self.node("Resize", [x, "", scales], result, mode="nearest",
                         coordinate_transformation_mode="asymmetric", nearest_mode="floor")

    def recurrent(self, x):
        steps, features = self.values[x]
        units = self.integer(1, 6)
        op, gates = self.pick([("LSTM", 4), ("GRU", 3)])
        direction = self.pick(["forward", "reverse", "bidirectional"])
        directions = 2 if direction == "bidirectional" else 1
        scale = 1 / np.sqrt(units)
        inputs = [self.weights([directions, gates * units, features], scale),
                  self.weights([directions, gates * units, units], scale),
                  self.weights([directions, 2 * gates * units], scale)]
        sequence = f"s{len(self.nodes)}"
        self.nodes.append(helper.make_node("Transpose", [x], [sequence], perm=[1, 0, 2]))
        states = f"s{len(self.nodes)}"
        last = self.chance(0.3)
        attributes = {"linear_before_reset": self.integer(0, 1)} if op == "GRU" else {}
        if self.chance(0.3):
            functions = ["HardSigmoid", "Softsign", "Relu"] if op == "LSTM" else ["HardSigmoid", "Relu"]
            attributes.update(activations=functions * directions, activation_alpha=[0.25] * directions, activation_beta=[0.5] * directions)
        if self.chance(0.3):
            attributes["clip"] = 0.75
        if op == "LSTM" and self.chance(0.3):
            inputs += ["", "", "", self.weights([directions, 3 * units], scale)]
        self.nodes.append(helper.make_node(op, [sequence] + inputs, ["", states] if last else [states], hidden_size=units, direction=direction,
                                           **attributes))
        ordered = f"s{len(self.nodes)}"
        if last:
            self.nodes.append(helper.make_node("Transpose", [states], [ordered], perm=[1, 0, 2]))
            return self.node("Reshape", [ordered, self.constant([-1, directions * units], np.int64)], [directions * units])
        self.nodes.append(helper.make_node("Transpose", [states], [ordered], perm=[2, 0, 1, 3]))
        shape = self.constant([-1, steps, directions * units], np.int64)
        return self.node("Reshape", [ordered, shape], [steps, directions * units])

    def choice(self, x):
        """A function of two pieces that meet where the condition turns."""
        shape = self.values[x]
        op, low, high = self.pick([("Greater", 0.5, 1.0), ("Less", 1.0, 0.5), ("GreaterOrEqual", 0.25, 1.0), ("LessOrEqual", 1.0, 0.25)])
        condition = f"b{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, [x, self.constant(0.0)], [condition]))
        if self.chance(0.3):
            turned = f"b{len(self.nodes)}"
            self.nodes.append(helper.make_node("Not", [condition], [turned]))
            condition, low, high = turned, high, low
        pieces = [self.node("Mul", [x, self.constant(factor)], shape) for factor in (high, low)]
        return self.node("Where", [condition, *pieces], shape)

    def mask(self, x):
        """Where a constant says so, a number, or what another tensor holds."""
        shape = self.values[x]
        condition = self.constant(self.random.random(shape) < 0.5, np.bool_)
        other = self.pick([name for name, other in self.values.items() if other == shape] + [self.constant(0.5)])
        return self.node("Where", [condition, x, other], shape)

    def extreme(self, x):
        shape = self.values[x]
        others = [name for name, other in self.values.items() if other == shape]
        other = self.pick(others) if self.chance(0.6) else self.weights([shape[-1]], 0.5)
        return self.node(self.pick(["Max", "Min", "Sum", "Mean"]), [x, other], shape)

    def reduction(self, x):
        shape = self.values[x]
        op = self.pick("ReduceMax ReduceMin ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSumExp ReduceSum".split())
        axes = sorted({self.integer(1, len(shape)) for _ in range(self.integer(1, 2))})
        keep = self.chance(0.5) or len(axes) == len(shape)
        left = [1 if i + 1 in axes else e for i, e in enumerate(shape) if keep or i + 1 not in axes]
        if op == "ReduceSum":
            return self.node(op, [x, self.constant(axes, np.int64)], left, keepdims=int(keep))
        return self.node(op, [x], left, axes=axes, keepdims=int(keep))

    def greatest(self, x):
        """The greatest or least of an axis, in order."""
        shape = self.values[x]
        axis = self.integer(1, len(shape))
        count = self.integer(1, min(3, shape[axis - 1]))
        result = list(shape)
        result[axis - 1] = count
        name = f"t{len(self.values)}"
        inputs = [x, self.constant([count], np.int64)]
        self.nodes.append(helper.make_node("TopK", inputs, [name, f"u{len(self.nodes)}"], axis=axis, largest=self.integer(0, 1)))
        self.values[name] = tuple(result)
        return name

    def cumulative(self, x):
        shape = self.values[x]
        return self.node("CumSum", [x, self.constant(self.integer(1, len(shape)), np.int64)], shape,
                         exclusive=self.integer(0, 1), reverse=self.integer(0, 1))

    def tile(self, x):
        repeats = [self.integer(1, 2) for _ in self.values[x]]
        return self.node("Tile", [x, self.constant([1] + repeats, np.int64)], [e * r for e, r in zip(self.values[x], repeats)])

    def einsum(self, x):
        shape = self.values[x]
        letters = "jklm"[: len(shape)]
        units = self.integer(1, 5)
        weights = self.weights([shape[-1], units], 1 / np.sqrt(shape[-1]))
        equation = self.pick([f"b{letters},{letters[-1]}o->b{letters[:-1]}o", f"...{letters[-1]},{letters[-1]}o->...o"])
        return self.node("Einsum", [x, weights], shape[:-1] + (units,), equation=equation)

    def scatter(self, x):
        """Rows that are replaced, the batch last meanwhile."""
        shape = self.values[x]
        if len(shape) < 2:
            raise Reject
        order = list(range(1, len(shape) + 1)) + [0]
        turned, changed = f"s{len(self.nodes)}", f"s{len(self.nodes) + 1}"
        self.nodes.append(helper.make_node("Transpose", [x], [turned], perm=order))
        rows = sorted({self.integer(0, shape[0] - 1) for _ in range(2)})
        picked = f"s{len(self.nodes) + 1}"
        indices = self.constant([[row] for row in rows], np.int64)
        self.nodes.append(helper.make_node("GatherND", [turned, self.constant([[shape[0] - 1 - row] for row in rows], np.int64)], [picked]))
        self.nodes.append(helper.make_node("ScatterND", [turned, indices, picked], [changed]))
        return self.node("Transpose", [changed], shape, perm=[len(shape)] + list(range(len(shape))))

    def instance_norm(self, x):
        shape = self.values[x]
        if np.prod(shape[1:], dtype=int) < 4:
            raise Reject
        if self.chance(0.5):
            return self.node("InstanceNormalization", [x, self.weights([shape[0]], 1), self.weights([shape[0]], 1)], shape, epsilon=1e-2)
        # Of groups, as PyTorch writes it.
        groups = self.pick([g for g in range(1, shape[0] + 1) if shape[0] % g == 0])
        rows, normal, back, scaled = (f"g{len(self.nodes) + i}" for i in range(4))
        scale, shift = (np.ones(groups), np.zeros(groups)) if self.chance(0.7) else self.random.standard_normal((2, groups))
        self.nodes.append(helper.make_node("Reshape", [x, self.constant([0, groups, -1], np.int64)], [rows]))
        self.nodes.append(helper.make_node("InstanceNormalization", [rows, self.constant(scale), self.constant(shift)], [normal], epsilon=1e-2))
        self.nodes.append(helper.make_node("Shape", [x], [rows + "s"]))
        self.nodes.append(helper.make_node("Reshape", [normal, rows + "s"], [back]))
        columns = [shape[0]] + [1] * (len(shape) - 1)
        self.nodes.append(helper.make_node("Mul", [back, self.weights(columns, 1)], [scaled]))
        return self.node("Add", [scaled, self.weights(columns, 1)], shape)

    def blocks(self, x):
        channels, height, width = self.values[x]
        if channels % 4 == 0 and self.chance(0.5):
            return self.node("DepthToSpace", [x], [channels // 4, height * 2, width * 2], blocksize=2, mode=self.pick(["DCR", "CRD"]))
        if height % 2 or width % 2:
            raise Reject
        return self.node("SpaceToDepth", [x], [channels * 4, height // 2, width // 2], blocksize=2)

    def smooth_resize(self, x):
        channels, height, width = self.values[x]
        sizes = [self.integer(1, 12), self.integer(1, 12)]
        mode = self.pick(["linear", "cubic"])
        return self.node("Resize", [x, "", "", self.sizes_of(x, sizes)],
                         [channels] + sizes, mode=mode, coordinate_transformation_mode=self.pick(["half_pixel", "align_corners", "pytorch_half_pixel"]))

    def sampled(self, x):
        """Its own pixels at places that two of its channels name, some of them outside."""
        channels, height, width = self.values[x]
        if channels < 2:
            raise Reject
        part, places, within, grid = (f"p{len(self.nodes) + i}" for i in range(4))
        bounds = [self.constant([v], np.int64) for v in (0, 2, 1)]
        self.nodes.append(helper.make_node("Slice", [x] + bounds, [part]))
        self.nodes.append(helper.make_node("Transpose", [part], [places], perm=[0, 2, 3, 1]))
        self.nodes.append(helper.make_node("Tanh", [places], [within]))
        self.nodes.append(helper.make_node("Mul", [within, self.constant(1.25)], [grid]))
        mode = self.pick(["bilinear", "bicubic"])
        outside = self.pick(["zeros", "border", "reflection"]) if mode == "bilinear" else "zeros"
        return self.node("GridSample", [x, grid], (channels, height, width), mode=mode, padding_mode=outside, align_corners=self.integer(0, 1))

    def response_norm(self, x):
        size = self.pick([1, 3, 5]) if self.values[x][0] > 2 else 1
        return self.node("LRN", [x], self.values[x], size=size, alpha=0.5, beta=self.pick([0.5, 0.75]), bias=1.5)

    def sizes_of(self, x, sizes):
        """The batch and the channels as they are, and other sizes."""
        shape, kept, result = (f"z{len(self.nodes) + i}" for i in range(3))
        self.nodes.append(helper.make_node("Shape", [x], [shape]))
        self.nodes.append(helper.make_node("Slice", [shape, self.constant([0], np.int64), self.constant([2], np.int64)], [kept]))
        self.nodes.append(helper.make_node("Concat", [kept, self.constant(sizes, np.int64)], [result], axis=0))
        return result

    def grow(self, x):
        rank = len(self.values[x])
        ops = [self.unary] * 7 + [self.binary] * 3 + [self.softplus, self.shape_arithmetic, self.filled, self.softmax, self.mean, self.layer_norm, self.slice,
               self.split, self.gather, self.transpose, self.concat, self.pad, self.reshape, self.expand, self.dense,
               self.dense, self.batch_norm, self.choice, self.mask, self.extreme, self.extreme, self.reduction, self.reduction,
               self.greatest, self.cumulative, self.tile, self.einsum, self.scatter]
        if rank in (2, 3):
            ops += [self.convolution] * 4 + [self.transposed_convolution] * 4 + [self.pool] * 3 + [self.resize]
            ops += [self.instance_norm]
        if rank == 3:
            ops += [self.blocks, self.smooth_resize, self.sampled, self.response_norm]
        if rank == 2:
            ops += [self.recurrent] * 3
        return self.pick(ops)(x)


def make(random):
    build = Builder(random)
    # Images twice as often.
    shape = build.pick([(build.integer(1, 17),), (build.integer(1, 8), build.integer(1, 9)),
                        *[(build.integer(1, 6), build.integer(1, 9), build.integer(1, 9))] * 2])
    inputs = []
    for name in ["x"] + (["y"] if build.chance(0.2) else []):
        build.values[name] = shape
        inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape]))
    x = "x"
    for _ in range(build.integer(2, 12)):
        before = len(build.nodes), len(build.initializers), dict(build.values)
        try:
            x = build.grow(x)
        except Reject:
            del build.nodes[before[0] :], build.initializers[before[1] :]
            build.values = before[2]
    if x in ("x", "y"):
        raise Reject
    names = [x]
    rest = [name for name in build.values if name not in (x, "x", "y")]
    if rest and build.chance(0.2):
        names.append(build.pick(rest))
    if any(np.prod(build.values[name], dtype=int) > OUTPUT for name in names):
        raise Reject
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *build.values[name]]) for name in names]
    graph = helper.make_graph(build.nodes, "graph", inputs, outputs, build.initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    used = {name for node in build.nodes for name in node.input}
    if any(value.name not in used for value in inputs):
        raise Reject
    onnx.checker.check_model(model)
    data = {value.name: (np.round(random.standard_normal((ROWS, *shape)) * 64) / 64).astype(np.float32) for value in inputs}
    try:
        run = reference(model)
        results = dict(zip(names, run(data)))
    except Exception as error:  # the reference's own types, by implementation
        print(f"the reference refuses a graph: {error}", file=sys.stderr)
        raise Reject from error
    # Rows are computed one by one, too: what depends on the batch is not compared.
    single = run({name: values[:1] for name, values in data.items()})
    for name, alone in zip(names, single):
        values = results[name]
        if values.shape != (ROWS, *build.values[name]):
            print(f"the reference gives {values.shape}, not {build.values[name]}", file=sys.stderr)
            raise Reject
        if not np.isfinite(values).all() or not 1e-3 < np.abs(values).max() < 1e3:
            raise Reject
        if np.abs(alone - values[:1]).max() > 1e-4 * np.abs(values).max():
            raise Reject
    return model, data, results


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    count, seed, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        add = lambda name, data: archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED, 9)
        made = 0
        attempt = 0
        while made < count:
            attempt += 1
            try:
                model, data, results = make(np.random.default_rng([seed, attempt]))
            except Reject:
                continue
            add(f"{made}.onnx", model.SerializeToString())
            for direction, tensors in (("in", data), ("out", results)):
                for name, values in tensors.items():
                    buffer = io.BytesIO()
                    np.save(buffer, values.astype(np.float32))
                    add(f"{made}.{direction}.{name}.npy", buffer.getvalue())
            made += 1


main()
