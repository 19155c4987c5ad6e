"""Differential privacy: what each sample adds is bounded, noise is as the accountant assumes, batches are Poisson samples."""

import math

import numpy as np
import pytest

import figment

RATE = 0.5


def recipe(**more):
    result = {
        "objective": "gan", "latent": {"size": 4}, "sample": {"shape": [6]}, "condition": {"name": "label", "shape": [3]},
        "generator": {"layers": [{"type": "linear", "units": 8}, "relu", {"type": "linear", "units": 6}, "tanh"]},
        "discriminator": {"layers": [{"type": "linear", "units": 16}, {"type": "leaky_relu", "slope": 0.2}, {"type": "linear", "units": 1}]},
        "optimizer": {"kind": "sgd", "learning_rate": RATE, "beta1": 0},
    }
    result.update(more)
    return result


def batch_of(count, rng):
    return {"sample": np.tanh(rng.normal(size=(count, 6))).astype(np.float32), "label": np.eye(3, dtype=np.float32)[rng.integers(0, 3, count)]}


def parameters_of(session, network):
    derived = {parameter.name for parameter in session.model.parameters if parameter.derived}
    return {name: value for name, value in session.parameters.items() if name.startswith(network + ".") and name not in derived}


@pytest.mark.parametrize("clip", [0.3, 1e6])
def test_each_samples_gradient_is_bounded(clip, rng):
    """Against gradients of single samples, by steps of the model without privacy."""
    plain = figment.trainable(recipe())
    private = figment.trainable(recipe(privacy={"clip": clip}))
    count = 12
    batch, latents = batch_of(count, rng), rng.normal(size=(count, 4)).astype(np.float32)
    with plain.session(batch=1) as session:
        start, generator = parameters_of(session, "discriminator"), parameters_of(session, "generator")
        total = {name: np.zeros_like(value, np.float64) for name, value in start.items()}
        norms = []
        for i in range(count):
            session.train_step({name: value[i : i + 1] for name, value in batch.items()}, {"latent": latents[i : i + 1]})
            gradient = {name: (start[name].astype(np.float64) - value) / RATE for name, value in parameters_of(session, "discriminator").items()}
            norms.append(math.sqrt(sum((value**2).sum() for value in gradient.values())))
            for name, value in gradient.items():
                total[name] += value * min(1, clip / norms[-1])
            for name, value in (*start.items(), *generator.items()):
                session.parameters[name] = value
    assert clip > 1000 or clip < max(norms)
    with private.session(batch=count) as session:
        session.hyperparameters["d.privacy.lot"] = 10
        assert session.hyperparameters["d.privacy.clip"] == pytest.approx(clip)
        session.train_step(batch, {"latent": latents})
        for name, value in parameters_of(session, "discriminator").items():
            np.testing.assert_allclose(value, start[name] - RATE * total[name] / 10, atol=2e-5, err_msg=name)


def test_the_noise(rng):
    private = figment.trainable(recipe(privacy={"clip": 0.5, "noise": 2}))
    batch, latents = batch_of(8, rng), rng.normal(size=(8, 4)).astype(np.float32)

    def after(noise, seed, steps=1):
        with private.session(batch=8, seed=seed) as session:
            session.hyperparameters["d.privacy.noise"] = noise
            session.hyperparameters["d.privacy.lot"] = 4
            session.hyperparameters["g.learning_rate"] = 0
            for _ in range(steps):
                before = np.concatenate([value.ravel() for value in parameters_of(session, "discriminator").values()])
                session.train_step(batch, {"latent": latents, "g.label": batch["label"]})
            return np.concatenate([value.ravel() for value in parameters_of(session, "discriminator").values()]) - before

    quiet = after(0, 1)
    draws = np.concatenate([(after(2, seed) - quiet) / (RATE * 2 * 0.5 / 4) for seed in range(40)])
    # Standard normal, to four standard errors.
    assert abs(draws.mean()) < 4 / math.sqrt(draws.size)
    assert abs(draws.var() - 1) < 4 * math.sqrt(2 / draws.size)
    inside = (np.abs(draws) < 1).mean()
    assert abs(inside - 0.6827) < 4 * math.sqrt(0.6827 * 0.3173 / draws.size)
    parameters = quiet.size
    rows = draws.reshape(40, parameters)
    # Independent of each other, for parameters, seeds and steps.
    assert np.abs(np.corrcoef(rows)[~np.eye(40, dtype=bool)]).max() < 6 / math.sqrt(parameters)
    first, second = after(2, 3), after(2, 3, steps=2)
    assert abs(np.corrcoef(first - quiet, second - quiet)[0, 1]) < 6 / math.sqrt(parameters)


def test_the_generators_conditions_are_drawn(rng):
    private = figment.trainable(recipe(privacy={"clip": 1.0}))
    assert {port.name for port in private.model.batch_inputs} == {"sample", "label"}
    batch = batch_of(8, rng)
    other = {**batch, "label": np.roll(batch["label"], 1, 1)}
    latents = {"latent": rng.normal(size=(8, 4)).astype(np.float32)}

    def generator_after(given):
        with private.session(batch=8) as session:
            session.hyperparameters["d.learning_rate"] = 0
            session.train_step(given, latents)
            return {name: value for name, value in session.parameters.items() if name.startswith("generator.")}

    first, second = generator_after(batch), generator_after(other)
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name])


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_batch_normalization_is_refused(network):
    given = recipe(privacy={"clip": 1.0})
    given[network]["layers"].insert(1, "batch_norm")
    with pytest.raises(figment.ConversionError, match="normalize over the batch"):
        figment.trainable(given)


def test_mistakes():
    with pytest.raises(figment.ConversionError, match="give dp_clip"):
        figment.trainable(recipe(privacy={"noise": 1.0}))
    with pytest.raises(figment.ConversionError):
        figment.trainable(recipe(privacy={"clip": -1}))
    with pytest.raises(figment.ConversionError, match="is no class"):
        figment.trainable(recipe(privacy={"clip": 1.0}, condition={"name": "level", "shape": [1]}))


def test_batches_are_poisson_samples(rng):
    private = figment.trainable(recipe(privacy={"clip": 1.0, "noise": 1.0}))
    samples, lot, steps = 400, 20, 300
    data = batch_of(samples, rng)
    from figment.training import _Poisson

    source = _Poisson({"index": np.arange(samples)}, lot, 11, samples)
    drawn = [batch["index"] for _, batch in zip(range(steps), source.batches(0))]
    counts = np.array([len(indices) for indices in drawn])
    assert all(len(set(indices)) == len(indices) for indices in drawn)
    # Binomial: mean and variance to four standard errors; and every sample as often as the others.
    mean, variance = lot, lot * (1 - lot / samples)
    assert abs(counts.mean() - mean) < 4 * math.sqrt(variance / steps)
    assert abs(counts.var() - variance) < 4 * variance * math.sqrt(2 / steps)
    often = np.bincount(np.concatenate(drawn), minlength=samples)
    expected = steps * lot / samples
    chi_squared = ((often - expected) ** 2 / (expected * (1 - lot / samples))).sum()
    assert abs(chi_squared - samples) < 4 * math.sqrt(2 * samples)
    assert [list(b["index"]) for _, b in zip(range(3), source.batches(5))] == [list(indices) for indices in drawn[5:8]]
    run = private.train(data, steps=30, batch=lot)
    assert run.privacy == figment.Privacy(pytest.approx(1.0), pytest.approx(1.0), lot / samples, 30)
    with pytest.raises(figment.InvalidArgument, match="give arrays"):
        private.train([data], steps=2, batch=lot)
    with pytest.raises(figment.InvalidArgument, match="batch=16 or more"):
        private.train(data, steps=2, batch=8)


def test_the_seed_is_secret_and_kept(rng, tmp_path):
    private = figment.trainable(recipe(privacy={"clip": 1.0, "noise": 1.0}))
    data = batch_of(100, rng)
    assert private.train(data, steps=2, batch=16).metrics["d.loss"][1] != private.train(data, steps=2, batch=16).metrics["d.loss"][1]
    whole = private.train(data, steps=6, batch=16, seed=3)
    private.train(data, steps=4, batch=16, seed=3, checkpoint=tmp_path / "given")
    resumed = private.train(data, steps=6, batch=16, seed=3, checkpoint=tmp_path / "given")
    np.testing.assert_array_equal(resumed.metrics["d.loss"], whole.metrics["d.loss"][4:])
    assert resumed.privacy.steps == 6
    # A run that is over has given what it has given.
    assert private.train(data, steps=6, batch=16, seed=3, checkpoint=tmp_path / "given").privacy.steps == 6
    with pytest.raises(figment.InvalidArgument, match="is the model's"):
        private.train(data, steps=2, batch=16, hyperparameters={"d.privacy.noise": 0})
    # A seed that was drawn goes on, too.
    private.train(data, steps=4, batch=16, checkpoint=tmp_path / "drawn")
    assert private.train(data, steps=6, batch=16, checkpoint=tmp_path / "drawn").steps == [5, 6]


def test_figment_train_is_private_too(rng, tmp_path):
    import json

    from figment import _programs

    given = recipe(privacy={"clip": 0.5, "noise": 1.5})
    del given["condition"]
    figment.convert(given, tmp_path / "model.figment")
    np.save(tmp_path / "data.npy", batch_of(200, rng)["sample"])

    def train(*more, batch=20):
        return json.loads(_programs.run("figment", ["train", tmp_path / "model.figment", "--data", tmp_path / "data.npy", "--steps", "5", "--batch",
                                                    str(batch), "--json", "--out", tmp_path / "out.figment", *more]).stdout.splitlines()[-1])

    done = train()
    assert done["privacy"] == {"clip": pytest.approx(0.5), "noise": pytest.approx(1.5), "rate": 0.1, "steps": 5}
    assert train("--seed", "1")["metrics"] == train("--seed", "1")["metrics"] != done["metrics"]
    with pytest.raises(figment.ProgramError, match="it is the model's"):
        train("--set", "d.privacy.noise=0")
    with pytest.raises(figment.ProgramError, match="must be 16 at least"):
        train(batch=8)


def test_the_accountant():
    pytest.importorskip("dp_accounting")
    from figment import privacy

    # Abadi et al. 2016, figure 2: rate 0.01, noise 4, 10,000 steps, delta 1e-5: the moments accountant gives 1.26, a bound from
    # above of what a tight accountant gives.
    value = privacy.epsilon(4, 0.01, 10000, 1e-5)
    assert 0.9 < value <= 1.26
    # One step without sampling is the Gaussian mechanism (Balle and Wang 2018): delta = Phi(1/(2s) - e s) - exp(e) Phi(-1/(2s) - e s).
    phi = lambda x: 0.5 * math.erfc(-x / math.sqrt(2))  # noqa: E731
    one = privacy.epsilon(2, 1, 1, 1e-3)
    assert phi(0.25 - 2 * one) - math.exp(one) * phi(-0.25 - 2 * one) == pytest.approx(1e-3, rel=0.02)
    assert privacy.epsilon(0, 0.1, 1) == math.inf and privacy.epsilon(1, 0.1, 0) == 0
    for wrong in ((-1, 0.1, 1), (1, 0, 1), (1, 2, 1), (1, 0.1, -1)):
        with pytest.raises(figment.InvalidArgument):
            privacy.epsilon(*wrong)
    with pytest.raises(figment.InvalidArgument):
        privacy.epsilon(1, 0.1, 1, 1)
