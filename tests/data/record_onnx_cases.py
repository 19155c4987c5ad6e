"""record_onnx_cases.py OUT.zip: the ONNX project's tests of nodes that are newer than Debian's onnx package, from PyPI's:
python3 -m venv v && v/bin/pip install onnx && v/bin/python record_onnx_cases.py onnx_cases.zip"""
import sys
import zipfile

import onnx.backend.test.loader
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases

OPS = {"Attention", "RotaryEmbedding", "RMSNormalization", "Swish"}
LARGEST = 1 << 15  # bytes of a case


def tensor(name, value):
    return numpy_helper.from_array(value, name).SerializeToString()


def main(path):
    cases = {}
    for op in sorted(OPS):
        for case in collect_testcases(op):
            if case.model is not None and not case.name.endswith("_expanded"):
                cases[case.name] = case
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(cases):
            model = cases[name].model
            inputs, outputs = cases[name].data_sets[0]
            if any(getattr(value, "dtype", None) is None or value.dtype.itemsize == 2 for value in [*inputs, *outputs]):
                continue  # half precision is computed in float32
            files = {"model.onnx": model.SerializeToString()}
            for i, value in enumerate(inputs):
                files[f"test_data_set_0/input_{i}.pb"] = tensor(model.graph.input[i].name, value)
            for i, value in enumerate(outputs):
                files[f"test_data_set_0/output_{i}.pb"] = tensor(model.graph.output[i].name, value)
            if sum(map(len, files.values())) > LARGEST:
                continue
            for file, data in files.items():
                archive.writestr(zipfile.ZipInfo(f"node/{name}/{file}"), data, zipfile.ZIP_DEFLATED)


main(sys.argv[1])
