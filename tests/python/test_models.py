import struct
import subprocess
import zlib

import numpy as np
import pytest

import figment
from conftest import PYTHON, SOURCE
from figment import _programs

GAN = SOURCE / "models/gan/gan_int8.figment"


def test_model_says_what_it_is(cdcgan):
    assert cdcgan.name == "cdcgan"
    assert [program.name for program in cdcgan.programs] == ["generate"]
    assert cdcgan.latent.size == 64 and cdcgan.latent.prior == "normal" and cdcgan.latent.codes == ()
    label = next(port for port in cdcgan.program("generate").inputs if port.name != "latent")
    assert label.shape == (1, 10) and label.batch_axis == 0
    assert cdcgan.generated.image and cdcgan.generated.value_range == (-1, 1)
    assert cdcgan.nbytes == (SOURCE / "models/cdcgan/cdcgan_int8.figment").stat().st_size
    assert "cdcgan" in repr(cdcgan)


def test_codes_are_named():
    model = figment.Model(SOURCE / "models/infogan/infogan_int8.figment")
    category = model.latent.codes[0]
    assert (category.name, category.size, category.prior) == ("category", 10, "categorical")
    assert category.start + category.size <= model.latent.size


def test_generates_what_the_program_generates(gan, tmp_path):
    _programs.run("figment", ["generate", GAN, "--seed", "7", "-n", "20", "-o", tmp_path / "samples.npy"])
    samples = gan.generate(20, seed=7)
    assert samples.dtype == np.float32 and samples.shape == (20, 1, 28, 28)
    np.testing.assert_array_equal(samples, np.load(tmp_path / "samples.npy").reshape(samples.shape))


def test_seed_and_first_choose_the_latents(gan):
    all_of_them = gan.generate(10, seed=3)
    np.testing.assert_array_equal(gan.generate(4, seed=3, first=6), all_of_them[6:])
    np.testing.assert_array_equal(gan.decode(gan.draw_latents(10, seed=3)), all_of_them)
    assert np.abs(gan.generate(10, seed=4) - all_of_them).max() > 0.1


def test_conditions(cdcgan):
    numbers = np.arange(10)
    by_number = cdcgan.generate(10, conditions={"label": numbers})
    np.testing.assert_array_equal(by_number, cdcgan.generate(10, conditions={"label": np.eye(10, dtype=np.float32)}))
    np.testing.assert_array_equal(cdcgan.generate(10, conditions={"label": 3})[3], by_number[3])
    with pytest.raises(figment.InvalidArgument, match="needs the condition label"):
        cdcgan.generate(3)
    with pytest.raises(figment.InvalidArgument, match="the class 10: there are 10"):
        cdcgan.generate(1, conditions={"label": [10]})
    with pytest.raises(figment.NotFound, match="no condition 'kind': it has label"):
        cdcgan.generate(1, conditions={"kind": [1]})
    with pytest.raises(figment.InvalidArgument, match="shape"):
        cdcgan.generate(3, conditions={"label": np.zeros((2, 10), np.float32)})


def test_memory_is_shared(gan):
    session = gan.session(batch=4)
    out = np.zeros((4, 1, 28, 28), np.float32)
    assert session.generate(4, out=out) is out
    np.testing.assert_array_equal(out, session.generate(4))
    port = gan.program("generate").inputs[0]
    latents = gan.draw_latents(4)
    assert np.shares_memory(port.array(latents, 4), latents)
    with pytest.raises(figment.InvalidArgument, match="float32"):
        session.generate(4, out=out.astype(np.float64))
    with pytest.raises(figment.InvalidArgument, match="shape"):
        session.generate(3, out=out)


def test_strided_and_wider_arrays_are_converted(vae, rng):
    samples = rng.random((6, 784), np.float32)
    expected = vae.encode(samples)
    np.testing.assert_array_equal(vae.encode(samples.astype(np.float64)), expected)
    np.testing.assert_array_equal(vae.encode(np.asfortranarray(samples)), expected)
    np.testing.assert_array_equal(vae.encode(np.repeat(samples, 2, 0)[::2]), expected)
    np.testing.assert_array_equal(vae.encode(samples.reshape(6, 28, 28)), expected)


def test_pixels_are_scaled_to_the_models_range(vae, rng):
    pixels = rng.integers(0, 256, (5, 1, 28, 28), np.uint8)
    low, high = vae.generated.value_range
    np.testing.assert_allclose(vae.encode(pixels), vae.encode((low + pixels / 255 * (high - low)).astype(np.float32)), rtol=1e-4, atol=1e-5)


def test_purposes_agree_with_programs(vae, rng):
    samples = rng.random((5, 784), np.float32)
    session = vae.session(batch=5)
    mean, log_variance = session.encode(samples, log_variance=True)
    encode = vae.program("encode")
    results = session.run("encode", {encode.inputs[0].name: samples})
    np.testing.assert_array_equal(mean, results[encode.outputs[0].name])
    np.testing.assert_array_equal(log_variance, results[encode.outputs[1].name])
    rebuilt = session.reconstruct(samples)
    np.testing.assert_array_equal(rebuilt, session.decode(mean))
    scores = session.anomaly_scores(samples)
    np.testing.assert_allclose(scores, ((np.asarray(rebuilt).reshape(5, -1) - samples) ** 2).mean(1), rtol=1e-5)


def test_run_checks_names_and_counts(vae, rng):
    session = vae.session(batch=2)
    with pytest.raises(figment.NotFound, match="there is no program 'dream'"):
        session.run("dream")
    with pytest.raises(figment.NotFound, match="encode has no input 'x'"):
        session.run("encode", x=rng.random((2, 784), np.float32))
    name = vae.program("encode").inputs[0].name
    with pytest.raises(figment.NotFound, match="no output 'y'"):
        session.run("encode", {name: rng.random((2, 784), np.float32)}, outputs=["y"])


@pytest.mark.parametrize("count", [-1, 1.5, "4", None])
def test_a_count_that_is_none(gan, count):
    with pytest.raises(figment.InvalidArgument, match="number of samples"):
        gan.generate(count)
    with pytest.raises(figment.InvalidArgument, match="number of samples"):
        gan.session().generate(count)


def test_no_samples(gan):
    assert gan.generate(0).shape == (0, 1, 28, 28)


# ---- Files ----


def test_bytes_and_saved_copies_are_the_same_model(gan, tmp_path):
    data = GAN.read_bytes()
    expected = gan.generate(5, seed=1)
    for source in (data, bytearray(data), memoryview(data), np.frombuffer(data, np.uint8)):
        np.testing.assert_array_equal(figment.Model(source).generate(5, seed=1), expected)
    gan.save(tmp_path / "copy.figment")
    figment.Model(data).save(tmp_path / "second.figment")
    assert (tmp_path / "copy.figment").read_bytes() == data == (tmp_path / "second.figment").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.figment", "second.figment"]


def test_files_that_are_no_models(tmp_path):
    with pytest.raises(figment.NotFound, match="absent.figment"):
        figment.Model(tmp_path / "absent.figment")
    data = GAN.read_bytes()
    with pytest.raises(figment.BadFile):
        figment.Model(data[: len(data) // 2])
    with pytest.raises(figment.BadFile):
        figment.Model(b"")
    with pytest.raises(figment.BadFile):
        figment.Model(b"no model" * 100)
    (tmp_path / "half.figment").write_bytes(data[:1000])
    with pytest.raises(figment.BadFile, match="half.figment"):
        figment.Model(tmp_path / "half.figment")


def test_a_model_of_another_version():
    # The schema's version is the first field of the root table, of a file that begins with its size.
    data = bytearray(GAN.read_bytes())
    root = 4 + struct.unpack_from("<I", data, 4)[0]
    table = root - struct.unpack_from("<i", data, root)[0]
    field = root + struct.unpack_from("<H", data, table + 4)[0]
    version = struct.unpack_from("<I", data, field)[0]
    assert 0 < version < 100
    struct.pack_into("<I", data, field, version + 1)
    with pytest.raises(figment.UnsupportedVersion, match=f"version {version + 1}.*convert the model again"):
        figment.Model(data)


def test_a_path_that_cannot_be_written(gan, tmp_path):
    with pytest.raises(figment.StorageError, match="no/such/folder"):
        gan.save(tmp_path / "no/such/folder/model.figment")


def test_a_full_disk_loses_nothing(tmp_path):
    # A limit on the size of files stands for the disk.
    (tmp_path / "kept.figment").write_bytes(b"what was there")
    script = """
import resource, signal, sys, figment
model = figment.Model(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    model.save(sys.argv[2])
except figment.StorageError as error:
    print(error)
"""
    result = subprocess.run([PYTHON, "-c", script, GAN, tmp_path / "kept.figment"], capture_output=True, text=True)
    assert result.stdout.startswith("cannot write"), result.stderr
    assert (tmp_path / "kept.figment").read_bytes() == b"what was there"
    assert len(list(tmp_path.iterdir())) == 1


# ---- Closing ----


def test_closed():
    with figment.Model(GAN) as model:
        session = model.session()
        before = session.generate(1)
    with pytest.raises(figment.Closed):
        model.generate(1)
    with pytest.raises(figment.Closed):
        model.session()
    assert "closed" in repr(model)
    # Its sessions go on.
    np.testing.assert_array_equal(session.generate(1), before)
    with session:
        pass
    for call in (lambda: session.generate(1), lambda: session.run(), lambda: session.memory, lambda: session.steps, session.close):
        with pytest.raises(figment.Closed):
            call()
    assert "closed" in repr(session)


def test_the_memory_of_a_model_stays_for_its_sessions():
    session = figment.Model(GAN.read_bytes()).session()
    assert np.isfinite(session.generate(3)).all()


# ---- Pictures ----


def pixels_of(png):
    """Decodes what the package writes: unfiltered rows."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    position, data, header = 8, b"", None
    while position < len(png):
        (length,), kind = struct.unpack(">I", png[position : position + 4]), png[position + 4 : position + 8]
        body = png[position + 8 : position + 8 + length]
        assert struct.unpack(">I", png[position + 8 + length : position + 12 + length])[0] == zlib.crc32(kind + body)
        header = struct.unpack(">IIBBBBB", body) if kind == b"IHDR" else header
        data += body if kind == b"IDAT" else b""
        position += 12 + length
    width, height, depth, color = header[:4]
    assert depth == 8 and color in (0, 2)
    rows = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, -1)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape((height, width) if color == 0 else (height, width, 3))


def test_samples_show_themselves(gan, tmp_path):
    samples = gan.generate(4, seed=2)
    picture = pixels_of(samples._repr_png_())
    assert picture.shape == (2 * (2 * 29 + 1), 2 * (2 * 29 + 1))
    expected = np.clip((np.asarray(samples)[0, 0] + 1) * 127.5 + 0.5, 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(picture[2:58:2, 2:58:2], expected)
    assert "data:image/png;base64," in samples._repr_html_()
    samples.save(tmp_path / "grid.png", columns=4)
    assert pixels_of((tmp_path / "grid.png").read_bytes()).shape == (2 * 30, 2 * (4 * 29 + 1))
    # Part of them is a picture, too; what is computed from them has another range.
    assert samples[1:3]._repr_png_() and samples[0]._repr_png_()
    assert type(samples) is figment.Samples and type((samples + 1) / 2) is np.ndarray and type(samples.max()) is np.float32


def test_colors():
    samples = figment.Samples(np.stack([np.full((4, 4), value) for value in (0, 0.5, 1)])[None], (0, 1))
    picture = pixels_of(samples._repr_png_())
    assert picture[4, 4].tolist() == [0, 128, 255]


def test_sequences_show_themselves():
    model = figment.Model(SOURCE / "models/crgan/crgan_int8.figment")
    samples = model.generate(3)
    text = samples._repr_svg_()
    assert text.startswith("<svg") and text.count("<rect") == 3 and "<polyline" in text
    assert samples._repr_png_() is None


def test_version_is_the_librarys():
    assert figment.__version__ in _programs.run("figment", ["--version"]).stdout
