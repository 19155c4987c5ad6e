"""Runs the Python of the manual with PyTorch, by both of its exporters, from networks to a trained model and back.

Usage: python_test.py BIN SOURCE. Says "skipped" where there is no PyTorch.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

try:
    import numpy
    import onnx  # noqa: F401: what the exporters need
    import torch
except ImportError as missing:
    print(f"skipped: {missing.name} is not there")
    sys.exit(0)

BIN, SOURCE = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])


def blocks(path):
    return re.findall(r"^```python\n(.*?)^```$", path.read_text(), re.M | re.S)


def figment(program, *arguments, cwd):
    result = subprocess.run([BIN / program, *map(str, arguments)], cwd=cwd, capture_output=True, text=True)
    assert result.returncode == 0, f"{program} {arguments}: {result.stderr}"


def networks():
    from torch import nn

    torch.manual_seed(1)
    generator = nn.Sequential(
        nn.Linear(100, 784), nn.BatchNorm1d(784), nn.ReLU(), nn.Unflatten(1, (16, 7, 7)),
        nn.ConvTranspose2d(16, 8, 4, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.ConvTranspose2d(8, 1, 4, 2, 1), nn.Tanh())
    discriminator = nn.Sequential(
        nn.Conv2d(1, 8, 4, 2, 1), nn.LeakyReLU(0.2), nn.Dropout(0.3), nn.Conv2d(8, 16, 4, 2, 1), nn.LeakyReLU(0.2),
        nn.Flatten(), nn.Linear(784, 1))
    return generator, discriminator


def run(code, scope, cwd):
    before = os.getcwd()
    os.chdir(cwd)
    try:
        exec(code, scope)
    finally:
        os.chdir(before)


def generated(network, latents):
    with torch.no_grad():
        return network.eval()(torch.from_numpy(latents)).numpy()


def train_and_back(export, back, cwd):
    """The manual's export, a training by Figment, and the manual's way back: the same samples."""
    generator, discriminator = networks()
    scope = {"generator": generator, "discriminator": discriminator, "torch": torch}
    run(export, scope, cwd)
    figment("figment-convert", "--objective", "gan", "--generator", "g.onnx", "--discriminator", "d.onnx", "-o", "gan.figment",
            cwd=cwd)
    numpy.save(cwd / "data.npy", numpy.tanh(numpy.random.default_rng(2).normal(size=(64, 1, 28, 28))).astype("float32"))
    figment("figment", "train", "gan.figment", "--data", "data.npy", "--steps", 5, "--batch", 16, "--out", "trained.figment",
            cwd=cwd)
    figment("figment", "parameters", "trained.figment", "-o", "parameters", cwd=cwd)
    latents = numpy.random.default_rng(3).normal(size=(4, 100)).astype("float32")
    untrained = generated(generator, latents)
    run(back, scope, cwd)
    ours = generated(generator, latents)
    assert numpy.abs(ours - untrained).max() > 1e-3, "training has changed nothing"
    numpy.save(cwd / "latents.npy", latents)
    inspected = subprocess.run([BIN / "figment", "inspect", "trained.figment", "--json"], cwd=cwd, capture_output=True, text=True)
    program = next(p for p in json.loads(inspected.stdout)["programs"] if p["name"] == "generate")
    figment("figment", "run", "trained.figment", "--program", "generate", "--input", f"{program['inputs'][0]['name']}=latents.npy",
            "--output", f"{program['outputs'][0]['name']}=samples.npy", cwd=cwd)
    difference = numpy.abs(ours - numpy.load(cwd / "samples.npy")).max()
    assert difference < 1e-4, f"PyTorch and Figment differ by {difference}"


def plain_export(code, cwd, **options):
    """An export for inference, as the pages on converting and on boards have it."""
    generator, _ = networks()
    scope = {"generator": generator, "torch": torch}
    if options:
        code = code.replace('"generator.onnx")', '"generator.onnx", ' + ", ".join(f"{k}={v}" for k, v in options.items()) + ")")
    run(code, scope, cwd)
    figment("figment-convert", "generator.onnx", "-o", "model.figment", "--int8", cwd=cwd)
    figment("figment", "generate", "model.figment", "--seed", 7, "-n", 4, "-o", "grid.png", cwd=cwd)


def main():
    manual = blocks(SOURCE / "docs/train.md")
    export = next(code for code in manual if "def export(" in code)
    older = next(code for code in manual if "dynamo=False" in code)
    back = next(code for code in manual if "load_state_dict" in code)
    call = export[export.index("    torch.onnx.export("): export.index("\nexport(generator")]
    for name, code in (("the default exporter", export), ("the older exporter", export.replace(call, older))):
        with tempfile.TemporaryDirectory() as folder:
            train_and_back(code, back, pathlib.Path(folder))
        print(f"{name}: trained and back")
    plain = {path.name: code for path in (SOURCE / "docs/convert.md", SOURCE / "docs/raspberry_pi.md")
             for code in blocks(path) if "generator.onnx" in code}
    assert len(plain) == 2
    for page, code in plain.items():
        for options in ({}, {"dynamo": False}):
            with tempfile.TemporaryDirectory() as folder:
                plain_export(code, pathlib.Path(folder), **options)
        print(f"{page}: exported by both exporters, converted and generated")


main()
