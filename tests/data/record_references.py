#!/usr/bin/env python3
"""Records what ONNX Runtime computes with the shipped models: tests/data/reference/MODEL.{input,OUTPUT}.npy.

Usage: record_references.py   (needs onnxruntime and numpy; the files in the tree were made with onnxruntime 1.32.0)
"""
import pathlib

import numpy as np
import onnxruntime as ort

HERE = pathlib.Path(__file__).resolve().parent
MODELS = {"dgan": "dgan/generator", "dcgan": "dcgan/generator", "conv_vae": "conv_vae/decoder", "conv_vae_encoder": "conv_vae/encoder"}
BATCH = 3

for name, path in MODELS.items():
    session = ort.InferenceSession(HERE.parent.parent / "models" / f"{path}.onnx", providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    shape = [d if isinstance(d, int) else BATCH for d in entry.shape]
    x = np.random.default_rng(17).standard_normal(shape).astype(np.float32)
    np.save(HERE / "reference" / f"{name}.{entry.name}.npy", x)
    for output, value in zip(session.get_outputs(), session.run(None, {entry.name: x})):
        np.save(HERE / "reference" / f"{name}.{output.name}.npy", value)
