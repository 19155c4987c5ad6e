import itertools
import subprocess

import numpy as np
import pytest

import figment
from conftest import PYTHON, recipe
from figment import _programs


def data_for(trainable, count=40, seed=1):
    rng = np.random.default_rng(seed)
    result = {}
    for port in trainable.model.batch_inputs:
        if port.name == "label":
            result[port.name] = rng.integers(0, port.elements, count)
        else:
            result[port.name] = np.tanh(rng.normal(size=port.shape_of(count))).astype(np.float32)
    return result


def same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def test_a_step_is_the_librarys(tiny):
    """Against the session's own step, on batches that this test draws itself."""
    gan = tiny("tiny_cgan")
    data = data_for(gan)
    run = gan.train(data, steps=3, batch=16, seed=5)
    with gan.session(batch=16, seed=5) as session:
        order = [np.random.RandomState([5, 0, epoch]).permutation(40) for epoch in range(2)]
        positions = np.concatenate(order)
        for step in range(3):
            chosen = positions[step * 16 : step * 16 + 16]
            one_hot = np.eye(3, dtype=np.float32)[data["label"][chosen]]
            metrics = session.train_step({"sample": data["sample"][chosen], "label": one_hot})
            assert metrics["d.loss"] == run.metrics["d.loss"][step]
        same(dict(session.parameters), dict(run.session.parameters))


def test_learns(tiny):
    vae = tiny("tiny_vae")
    rng = np.random.default_rng(0)
    centers = rng.random((3, 30)) > 0.5
    data = np.abs(centers[rng.integers(0, 3, 400)] - 0.05).astype(np.float32)
    run = vae.train(data, steps=600, batch=32, hyperparameters={"vae.learning_rate": 0.01})
    losses = next(values for name, values in run.metrics.items() if name.endswith("loss"))
    assert losses[-20:].mean() < losses[:20].mean() - 3
    assert len(run.losses) == 600
    assert run.generate(5).shape == (5, 30)


def test_resuming_is_bit_identical(tiny, tmp_path):
    gan = tiny("tiny_gan")
    data = data_for(gan)
    whole = gan.train(data, steps=7, batch=8, seed=2)
    gan.train(data, steps=4, batch=8, seed=2, checkpoint=tmp_path / "run")
    resumed = gan.train(data, steps=7, batch=8, seed=2, checkpoint=tmp_path / "run")
    assert resumed.steps == [5, 6, 7]
    same(dict(whole.session.parameters), dict(resumed.session.parameters))
    np.testing.assert_array_equal(whole.metrics["d.loss"][4:], resumed.metrics["d.loss"])
    with pytest.raises(figment.InvalidArgument, match="batch=8, seed=2 on 40 samples"):
        gan.train(data, steps=9, batch=4, seed=2, checkpoint=tmp_path / "run")
    with pytest.raises(figment.InvalidArgument):  # of another model
        tiny("tiny_dcgan").train(data_for(tiny("tiny_dcgan")), steps=9, batch=8, seed=2, checkpoint=tmp_path / "run")


def test_a_checkpoint_of_the_program_is_another_runs(tiny, tmp_path):
    gan = tiny("tiny_dcgan")
    gan.model.save(tmp_path / "model.figment")
    np.save(tmp_path / "data.npy", data_for(gan)["sample"])
    _programs.run("figment", ["train", tmp_path / "model.figment", "--data", tmp_path / "data.npy", "--steps", "2", "--batch", "8",
                              "--checkpoint", tmp_path / "run"])
    with pytest.raises(figment.InvalidArgument, match="not of Trainable.train"):
        gan.train(data_for(gan), steps=4, batch=8, checkpoint=tmp_path / "run")
    # And the other way.
    gan.train(data_for(gan), steps=2, batch=8, checkpoint=tmp_path / "ours")
    with pytest.raises(figment.ProgramError, match="not of figment train"):
        _programs.run("figment", ["train", tmp_path / "model.figment", "--data", tmp_path / "data.npy", "--steps", "4", "--batch", "8",
                                  "--checkpoint", tmp_path / "ours"])


def test_batches_of_an_iterable(tiny):
    gan = tiny("tiny_cgan")
    data = data_for(gan)
    batches = [{name: value[i : i + 10] for name, value in data.items()} for i in (0, 10, 20)]
    as_mappings = gan.train(batches, steps=7)
    assert as_mappings.session.batch == 10
    names = [port.name for port in gan.model.batch_inputs]
    as_tuples = gan.train([tuple(batch[name] for name in names) for batch in batches], steps=7)
    same(dict(as_mappings.session.parameters), dict(as_tuples.session.parameters))
    with gan.session(batch=10) as session:
        for batch in itertools.islice(itertools.cycle(batches), 7):
            session.train_step(batch)
        same(dict(session.parameters), dict(as_tuples.session.parameters))
    with pytest.raises(figment.InvalidArgument, match="ended before the last step"):
        gan.train(iter(batches), steps=7)
    assert gan.train(iter(batches), steps=3).session.steps == 3
    with pytest.raises(figment.InvalidArgument, match="no batch"):
        gan.train([], steps=1)


def test_more_than_the_model_reads_is_said_once(tiny):
    gan = tiny("tiny_dcgan")
    data = data_for(gan)["sample"]
    with pytest.warns(UserWarning, match="has 2 parts") as caught:
        gan.train([(data[:10], np.arange(10)), (data[10:20], np.arange(10))], steps=4)
    assert len([w for w in caught if "parts" in str(w.message)]) == 1


def test_data_that_does_not_fit(tiny):
    gan = tiny("tiny_cgan")
    data = data_for(gan)
    for wrong, message in (
        ({**data, "label": data["label"][:-1]}, "different numbers of samples"),
        ({"sample": data["sample"]}, "the data has no label"),
        ({**data, "kind": data["label"]}, "reads no 'kind'"),
        ({**data, "label": data["label"] + 1}, "the class 3: there are 3"),
        ({**data, "sample": data["sample"][:, :, :7]}, "shape"),
        ({**data, "sample": (data["sample"] * 100).astype(np.int32)}, "dtype int32"),
        ({**data, "sample": np.where(data["sample"] > 0.9, np.nan, data["sample"])}, "NaN"),
        (3, "int is no data"),
    ):
        with pytest.raises((figment.InvalidArgument, figment.NotFound), match=message):
            gan.train(wrong, steps=4, batch=8)
    with pytest.raises(figment.InvalidArgument, match="batch=40 at most"):
        gan.train(data, steps=1, batch=64)
    with pytest.raises(figment.InvalidArgument, match="steps"):
        gan.train(data, steps=0)


def test_callbacks_and_interruption(tiny, tmp_path):
    gan = tiny("tiny_dcgan")
    data = data_for(gan)
    seen = []

    def stop_at_three(step, metrics, run):
        seen.append((step, metrics["d.loss"], run.session.steps))
        return step == 3

    run = gan.train(data, steps=100, batch=8, callbacks=[stop_at_three], checkpoint=tmp_path / "run")
    assert [step for step, _, _ in seen] == [1, 2, 3] == [steps for _, _, steps in seen] == run.steps

    def interrupt(step, metrics, run):
        if step == 5:
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="interrupted at step 5 of 100"):
        run = gan.train(data, steps=100, batch=8, callbacks=[interrupt], checkpoint=tmp_path / "run")
    assert run.interrupted and run.steps == [4, 5]
    assert gan.train(data, steps=6, batch=8, checkpoint=tmp_path / "run").steps == [6]

    def fail(step, metrics, run):
        raise RuntimeError("the caller's own")

    with pytest.raises(RuntimeError, match="the caller's own"):
        gan.train(data, steps=9, batch=8, callbacks=[fail], checkpoint=tmp_path / "run")
    # The step before it is kept.
    assert gan.train(data, steps=8, batch=8, checkpoint=tmp_path / "run").steps == [8]


def test_parameters_in_and_out(tiny):
    gan = tiny("tiny_dcgan")
    with gan.session(batch=4) as session:
        name = next(p.name for p in gan.model.parameters if p.trained)
        value = session.parameters[name]
        assert value.shape == next(p.shape for p in gan.model.parameters if p.name == name)
        session.parameters[name] = value + 1
        np.testing.assert_array_equal(session.parameters[name], value + 1)
        with pytest.raises(figment.InvalidArgument, match="shape"):
            session.parameters[name] = np.zeros(3, np.float32)
        with pytest.raises(figment.NotFound):
            session.parameters["no.such"]
        assert name in session.parameters and "no.such" not in session.parameters
        assert "temperature" not in session.hyperparameters
        rate = next(name for name in session.hyperparameters if "learning_rate" in name)
        session.hyperparameters[rate] = 0.25
        assert session.hyperparameters[rate] == 0.25
        with pytest.raises(figment.NotFound, match="learning_rate"):
            session.hyperparameters["temperature"] = 1
        with pytest.raises(figment.InvalidArgument):
            session.hyperparameters[rate] = float("nan")


def test_the_trained_model(tiny, tmp_path):
    gan = tiny("tiny_cgan")
    run = gan.train(data_for(gan), steps=3, batch=8)
    run.save(tmp_path / "trained.figment")
    from_file = figment.Model(tmp_path / "trained.figment").generate(6, conditions={"label": 1})
    np.testing.assert_array_equal(run.generate(6, conditions={"label": 1}), from_file)
    assert np.abs(from_file - gan.model.generate(6, conditions={"label": 1})).max() > 0
    assert set(run.state_dict("generator")) == {p.name[len("generator.") :] for p in gan.model.parameters
                                                 if p.name.startswith("generator.") and not p.derived}
    with pytest.raises(figment.NotFound, match="discriminator, generator"):
        run.state_dict("encoder")
    with pytest.raises(figment.NotFound, match="a recipe"):
        run.export_onnx(tmp_path / "g.onnx")
    again = figment.trainable(run.model).train(data_for(gan), steps=2, batch=8)
    assert again.session.steps == 2
    int8 = figment.convert(run, int8=True, calibration_data={"label": "classes"}, want_snr=-100, psnr_goal=-100)
    assert int8.generate(2, conditions={"label": 0}).shape == (2, 1, 8, 8)


def test_adapters(tiny):
    base = figment.convert(tiny("tiny_cgan").model, adapters=["lora:2", "input:label"])
    trainable = figment.trainable(base)
    run = trainable.train(data_for(trainable), steps=4, batch=8)
    adapter = run.session.adapter()
    with trainable.session(batch=8) as session:
        session.set_adapter(adapter)
        assert session.adapter() == adapter
        np.testing.assert_array_equal(session.generate(4, conditions={"label": 2}), run.session.generate(4, conditions={"label": 2}))
        with pytest.raises(figment.BadFile):
            session.set_adapter(adapter[:-3])


def test_a_full_disk_during_training_leaves_the_checkpoint(tmp_path):
    script = """
import json, resource, signal, sys, numpy as np, figment
gan = figment.trainable(json.loads(sys.argv[1]))
data = np.tanh(np.random.default_rng(1).normal(size=(16, 1, 8, 8))).astype("float32")
gan.train(data, steps=2, batch=8, checkpoint=sys.argv[2])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    gan.train(data, steps=4, batch=8, checkpoint=sys.argv[2], checkpoint_every=1)
except figment.StorageError as error:
    print("refused:", error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.getrlimit(resource.RLIMIT_FSIZE)[1],) * 2)
"""
    import json

    result = subprocess.run([PYTHON, "-c", script, json.dumps(recipe("tiny_dcgan")), str(tmp_path / "run")], capture_output=True,
                            text=True)
    assert result.stdout.startswith("refused:"), result.stderr
    gan = figment.trainable(recipe("tiny_dcgan"))
    with gan.session(batch=8) as session:
        session.load_checkpoint(tmp_path / "run")
        assert session.steps == 2


def test_what_does_not_train(gan):
    with pytest.raises(figment.InvalidArgument, match="does not train"):
        figment.trainable(gan)
    with pytest.raises(figment.InvalidArgument, match="networks are needed"):
        figment.trainable()
    with pytest.raises(figment.InvalidArgument, match="an objective is needed"):
        figment.trainable(generator="g.onnx")
    with pytest.raises(figment.InvalidArgument):
        gan.session().train_step({})


def test_evaluate_is_the_programs(tiny, tmp_path):
    gan = tiny("tiny_dcgan")
    data = data_for(gan, 200)["sample"]
    run = gan.train(data, steps=3, batch=8)
    scores = figment.evaluate(run, data, samples=100, seeds=2)
    run.save(tmp_path / "trained.figment")
    np.save(tmp_path / "data.npy", data)
    import json

    expected = json.loads(_programs.run("figment", ["evaluate", tmp_path / "trained.figment", "--data", tmp_path / "data.npy", "--json",
                                                    "--samples", "100", "--seeds", "2"]).stdout)
    assert scores == expected and scores["scores"]["frechet_distance"]["mean"] > 0
    with pytest.raises(figment.ProgramError, match="shape|expected|absent"):
        figment.evaluate(run, tmp_path / "absent.npy")
