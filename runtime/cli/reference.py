"""Computes the tensors of an ONNX file for `figment compare --against`.

Takes the path of a request, JSON: "model", a path; "samples", their number; "inputs" and "tensors", arrays by name, each a
.npy "file" and the axis of its "batch" (-1: none); "wanted", names, and "axes", where each has its batch; "result", the
.npz to write. It holds what was computed of the wanted tensors under t0, t1, ..., in their order, under "batch" the number
of samples that the file is fixed to (0: none), and under "quantized" whether it rounds to integers. A file that is fixed is
run on so many samples at a time, as often as there are, and the results stand one behind the other. Exits with 3 where a
package is missing. "tensors" stand in for what nodes draw.
"""

import json
import sys

try:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper
except ImportError:
    sys.exit(3)

DRAWS = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}
# Of quantized files: integers that stand for reals.
CODES = {np.dtype(kind) for kind in ("int8", "uint8", "int16", "uint16")}
SUMS = {"MatMulInteger", "ConvInteger"}
ROUND = ("QuantizeLinear", "DynamicQuantizeLinear", "QLinear", "MatMulInteger", "ConvInteger")


def elements(info):
    return helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)


def fixed_batch(inputs, arrays):
    """The samples that the file computes at a time, or None."""
    for info in inputs:
        axis = arrays[info.name]["batch"]
        dimensions = info.type.tensor_type.shape.dim
        if axis >= 0 and axis < len(dimensions) and dimensions[axis].HasField("dim_value"):
            return dimensions[axis].dim_value
    return None


def load(entry, part):
    array = np.load(entry["file"])
    if part is not None and entry["batch"] >= 0:
        array = array.take(part, axis=entry["batch"])
    return array


def give_drawn(graph, tensors, parts):
    """Makes what nodes draw inputs of the graph; returns their values for each part of the samples."""
    feeds = [{} for part in parts]
    for node in [node for node in graph.node if node.op_type in DRAWS and node.output[0] in tensors]:
        name = node.output[0]
        graph.node.remove(node)
        kinds = {np.dtype("float32"): TensorProto.FLOAT}
        attribute = next((a.i for a in node.attribute if a.name == "dtype"), None)
        kind = attribute or (TensorProto.INT32 if node.op_type == "Multinomial" else kinds[np.dtype("float32")])
        for feed, part in zip(feeds, parts):
            feed[name] = load(tensors[name], part).astype(helper.tensor_dtype_to_np_dtype(kind))
        graph.input.append(helper.make_tensor_value_info(name, kind, feeds[0][name].shape))
    return feeds


def compute(model, names, feeds):
    """For each of the feeds, by ONNX Runtime, or where there is none, or it refuses the file, by ONNX's reference evaluator."""
    failure = None
    try:
        return compute_fast(model, names, feeds)
    except Exception as error:
        failure = error
    try:
        from onnx.reference import ReferenceEvaluator

        evaluator = ReferenceEvaluator(model)
        return [evaluator.run(names, feed) for feed in feeds]
    except Exception as error:
        raise error if isinstance(failure, ImportError) else failure


def compute_fast(model, names, feeds):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [session.run(names, feed) for feed in feeds]


def main():
    with open(sys.argv[1]) as file:
        request = json.load(file)
    model = onnx.load(request["model"])
    graph = model.graph
    for node in graph.node:
        if node.op_type == "Dropout":  # as the model runs it, also where it is exported to train
            del node.input[1:]
    initializers = {tensor.name for tensor in graph.initializer}
    inputs = [info for info in graph.input if info.name not in initializers]
    missing = [info.name for info in inputs if info.name not in request["inputs"]]
    if missing:
        sys.exit("the file has an input that the model has not: " + ", ".join(missing))
    batch = fixed_batch(inputs, request["inputs"])
    starts = range(0, request["samples"] - batch + 1, batch) if batch else []
    parts = [np.arange(start, start + batch) for start in starts] or [None]
    feeds = give_drawn(graph, request["tensors"], parts)
    for feed, part in zip(feeds, parts):
        feed.update({info.name: load(request["inputs"][info.name], part).astype(elements(info)) for info in inputs})
    sums = {output for node in graph.node if node.op_type in SUMS for output in node.output}
    computed = {output for node in graph.node for output in node.output}
    names = [name for name in request["wanted"] if name in computed and name not in sums]
    kept = {info.name for info in graph.output}
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in kept)
    place = {name: i for i, name in enumerate(request["wanted"])}
    results = {}
    for name, values in zip(names, zip(*compute(model, names, feeds))):
        if not isinstance(values[0], np.ndarray) or values[0].dtype in CODES:
            continue
        axis = request["axes"][place[name]]
        joined = np.concatenate(values, axis) if len(values) > 1 and axis >= 0 else values[0]
        results["t%d" % place[name]] = joined.astype(np.float32)
    quantized = any(node.op_type.startswith(ROUND) for node in graph.node)
    np.savez(request["result"], batch=np.array(batch or 0), quantized=np.array(int(quantized)), **results)


try:
    main()
except Exception as error:
    sys.exit(str(error).strip().replace("\n", " "))
