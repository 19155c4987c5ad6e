#!/usr/bin/env python3
"""Figment beside ONNX Runtime on the same ONNX files, one thread each, alternating. Called by bench.sh.

ONNX Runtime's times are of InferenceSession.run_with_iobinding from Python, less the time of the same call on a model
that does nothing. Figment's are of fig_run, from `figment bench`.
"""
import json
import math
import pathlib
import statistics
import subprocess
import sys
import time

import numpy as np
import onnxruntime as ort

MODELS = ["dgan", "dcgan", "conv_vae", "dcgan64", "vae_decoder"]
BATCHES = [1, 16, 64]
ROUNDS = 5
SECONDS = 0.3


def median_us(call, seconds):
    for _ in range(3):
        call()
    times, end = [], time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e6)
    return statistics.median(times)


def ort_call(model, batch):
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    shape = [d if isinstance(d, int) else batch for d in entry.shape]
    binding = session.io_binding()
    x = ort.OrtValue.ortvalue_from_numpy(np.random.default_rng(0).standard_normal(shape).astype(np.float32))
    binding.bind_ortvalue_input(entry.name, x)
    outputs = []
    for output in session.get_outputs():
        out_shape = [d if isinstance(d, int) else batch for d in output.shape]
        outputs.append(ort.OrtValue.ortvalue_from_shape_and_type(out_shape, np.float32))
        binding.bind_ortvalue_output(output.name, outputs[-1])

    def call():
        session.run_with_iobinding(binding)
    call.keep = (session, binding, x, outputs)
    return call


def overhead_us():
    """The call of a model with one Identity of one value: built by hand, without the onnx package."""
    def field(number, payload):
        return bytes([number << 3 | 2, len(payload)]) + payload
    value = lambda name: field(1, name) + field(2, field(1, b"\x08\x01" + field(2, field(1, b"\x08\x01"))))
    node = field(1, b"x") + field(2, b"y") + field(4, b"Identity")
    graph = field(1, node) + field(2, b"g") + field(11, value(b"x")) + field(12, value(b"y"))
    model = b"\x08\x08" + field(7, graph) + field(8, b"\x10\x11")
    return median_us(ort_call(model, 1), 0.5)


def figment_us(binary, model, batch):
    out = subprocess.run([binary, "bench", model, "--batch", str(batch), "--seconds", str(SECONDS), "--json"],
                         check=True, capture_output=True, text=True).stdout
    return json.loads(out)[0]["median_us"]


def main():
    binaries, work = map(pathlib.Path, sys.argv[1:3])
    figment = str(binaries / "figment")
    bare = json.loads(subprocess.run([str(binaries / "figment_bare_bench"), str(work / "dgan.figment")], check=True, capture_output=True, text=True).stdout)
    overhead = overhead_us()
    print(f"GEMM rate {bare['gemm_gflops']:.0f} GF/s; ONNX Runtime {ort.__version__}, call overhead {overhead:.1f} us taken off")
    print(f"dgan ({(work / 'dgan.figment').stat().st_size / 1e6:.1f} MB): open and verify {bare['open_us']} us, first session "
          f"(packs) {bare['first_session_us']} us, second {bare['second_session_us']} us")
    chains = {(c["model"], c["batch"]): c["median_us"] for c in bare["chains"]}
    print(f"{'model':12} {'batch':>5} {'f32 us':>9} {'ORT us':>9} {'ratio':>6} {'int8 us':>9} {'int8 x':>6} {'bare us':>9} {'over':>6}")
    ratios = []
    for model in MODELS:
        for batch in BATCHES:
            call = ort_call(str(work / f"{model}.onnx"), batch)
            ours, theirs, int8 = [], [], []
            for _ in range(ROUNDS):
                ours.append(figment_us(figment, str(work / f"{model}.figment"), batch))
                theirs.append(median_us(call, SECONDS) - overhead)
                int8.append(figment_us(figment, str(work / f"{model}_int8.figment"), batch))
            ratio = statistics.median(t / o for t, o in zip(theirs, ours))
            gain = statistics.median(o / i for o, i in zip(ours, int8))
            ratios.append(ratio)
            chain = chains.get((model, batch))
            over = f"{chain:9.1f} {statistics.median(ours) / chain:6.2f}" if chain else ""
            print(f"{model:12} {batch:5} {statistics.median(ours):9.1f} {statistics.median(theirs):9.1f} {ratio:6.2f} "
                  f"{statistics.median(int8):9.1f} {gain:6.2f} {over}", flush=True)
    mean = math.exp(statistics.fmean(map(math.log, ratios)))
    print(f"f32 against ONNX Runtime: geometric mean {mean:.2f}, least {min(ratios):.2f}")


if __name__ == "__main__":
    main()
