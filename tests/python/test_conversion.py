import numpy as np
import pytest

import figment
from conftest import SOURCE, recipe



def psnr(a, b):
    """Of images in [-1, 1], in dB."""
    return 10 * np.log10(4 / np.mean((np.asarray(a) - np.asarray(b)) ** 2))


ONNX = SOURCE / "models/dgan/generator.onnx"


def test_onnx_files(tmp_path):
    model = figment.convert(ONNX, tmp_path / "model.figment")
    assert model.name == "model"
    assert (tmp_path / "model.figment").stat().st_size == model.nbytes
    assert "fully_connected" in model.report
    small = figment.convert(str(ONNX), int8=True, name="small")
    assert small.name == "small" and small.nbytes < model.nbytes / 3
    z = model.draw_latents(16)
    assert psnr(small.decode(z), model.decode(z)) > 35


def test_models_of_ours_and_recipes():
    trainable = figment.convert(recipe("tiny_vae"))
    assert trainable.trains and trainable.name == "tiny_vae"
    int8 = figment.convert(trainable, int8=True, calibration_data={"sample": np.random.default_rng(1).random((64, 30), np.float32)},
                           want_snr=-100, psnr_goal=-100)
    assert not int8.trains
    assert any(program.fully_int8 for program in int8.programs)
    planned = figment.convert(trainable, plan="batch=1,2")
    assert planned.nbytes > figment.convert(trainable).nbytes


def test_what_cannot_be_converted(tmp_path):
    with pytest.raises(figment.ConversionError, match="absent.onnx"):
        figment.convert(tmp_path / "absent.onnx")
    with pytest.raises(figment.ConversionError, match='^the recipe: needs "sample"$'):
        figment.convert({"objective": "gan", "latent": {"size": 3}, "generator": {"layers": ["tanh"]}})
    with pytest.raises(figment.ConversionError, match="no_such_option="):
        figment.convert(ONNX, no_such_option=True)
    with pytest.raises(figment.InvalidArgument, match="int is no source"):
        figment.convert(7)
    with pytest.raises(figment.InvalidArgument, match="no JSON"):
        figment.convert({"layers": object()})
    with pytest.raises(figment.ConversionError, match="cannot|No such|write"):
        figment.convert(ONNX, tmp_path / "no/folder/model.figment")
    assert not list(tmp_path.iterdir())


def test_a_range_without_width():
    with pytest.raises(figment.ConversionError):
        figment.convert(ONNX, range=(1, 1))
