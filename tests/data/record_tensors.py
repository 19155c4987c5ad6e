"""Records what ONNX Runtime computes for all tensors of small networks, for `figment compare --against`:

    python record_tensors.py exported/script_g.onnx tensors

writes tensors/script_g.npz, and script_g_wrong.npz, in which one tensor in the middle is another one.
"""

import os
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import helper

path, folder = sys.argv[1:]
model = onnx.load(path)
random = np.random.default_rng(0)
feeds = {}
for info in model.graph.input:
    kind = info.type.tensor_type
    shape = [d.dim_value if d.HasField("dim_value") else 3 for d in kind.shape.dim]
    feeds[info.name] = random.standard_normal(shape).astype(helper.tensor_dtype_to_np_dtype(kind.elem_type))
outputs = {info.name for info in model.graph.output}
names = [output for node in model.graph.node for output in node.output if output]
model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in outputs)
options = onnxruntime.SessionOptions()
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
session = onnxruntime.InferenceSession(model.SerializeToString(), options)
tensors = dict(zip(names, session.run(names, feeds)))
tensors = {name: values for name, values in tensors.items() if values.dtype == np.float32}
base = os.path.join(folder, os.path.splitext(os.path.basename(path))[0])
np.savez_compressed(base + ".npz", **feeds, **tensors)
middle = list(tensors)[len(tensors) // 2]
tensors[middle] = -tensors[middle]
np.savez_compressed(base + "_wrong.npz", **feeds, **tensors)
print(base, "wrong:", middle)
