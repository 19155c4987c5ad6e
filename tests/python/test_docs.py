"""Runs the Python of the manual, in order, on small networks."""

import os
import re

import numpy as np
import pytest

import figment
from conftest import SOURCE

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")


def test_the_manual(tmp_path):
    nn = torch.nn
    torch.manual_seed(1)
    generator = nn.Sequential(nn.Linear(100, 64), nn.ReLU(), nn.Linear(64, 784), nn.Tanh(), nn.Unflatten(1, (1, 28, 28)))
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(784, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
    scope = {"torch": torch, "generator": generator, "discriminator": discriminator,
             "images": np.tanh(np.random.default_rng(1).normal(size=(200, 1, 28, 28))).astype(np.float32)}
    before = os.getcwd()
    os.chdir(tmp_path)
    try:
        torch.onnx.export(generator.eval(), (torch.zeros(1, 100),), "generator.onnx", dynamo=False)
        blocks = re.findall(r"^```python\n(.*?)^```$", (SOURCE / "docs/python.md").read_text(), re.M | re.S)
        blocks = re.findall(r"^```python\n(.*?)^```$", (SOURCE / "README.md").read_text(), re.M | re.S) + blocks
        assert len(blocks) >= 6
        for block in blocks:
            exec(block.replace("steps=2000", "steps=5"), scope)
    finally:
        os.chdir(before)
    assert (tmp_path / "grid.png").stat().st_size > 100
    assert figment.Model(tmp_path / "model.figment").programs[0].fully_int8
    np.testing.assert_array_equal(scope["same"], scope["f32"].generate(4, seed=7))
    latents = scope["latents"]
    with torch.no_grad():
        np.testing.assert_allclose(figment.convert(tmp_path / "trained.onnx").decode(latents), generator.eval()(torch.from_numpy(latents)),
                                   atol=1e-5)
