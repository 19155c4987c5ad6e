"""Networks of PyTorch, by both of its exporters, to models and back."""

import copy
import warnings

import numpy as np
import pytest

import figment

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
nn = torch.nn

EXPORTERS = ["dynamo", "torchscript"]


@pytest.fixture(autouse=True)
def quiet_and_seeded():
    torch.manual_seed(1)
    with warnings.catch_warnings():
        # PyTorch's own, of its older exporter.
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def networks():
    generator = nn.Sequential(
        nn.Linear(20, 98), nn.BatchNorm1d(98), nn.ReLU(), nn.Unflatten(1, (2, 7, 7)), nn.ConvTranspose2d(2, 8, 4, 2, 1), nn.BatchNorm2d(8),
        nn.ReLU(), nn.ConvTranspose2d(8, 1, 4, 2, 1), nn.Tanh())
    discriminator = nn.Sequential(
        nn.Conv2d(1, 8, 4, 2, 1), nn.LeakyReLU(0.2), nn.Dropout(0.3), nn.Conv2d(8, 16, 4, 2, 1), nn.LeakyReLU(0.2), nn.Flatten(),
        nn.Linear(784, 1))
    return generator, discriminator


def computed(network, *inputs):
    with torch.no_grad():
        return network.eval()(*map(torch.from_numpy, inputs)).numpy()


def images(count=48):
    return np.tanh(np.random.default_rng(2).normal(size=(count, 1, 28, 28))).astype(np.float32)


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_from_torch(exporter):
    generator, _ = networks()
    # Statistics that are not those of the start.
    generator(torch.randn(64, 20))
    before = copy.deepcopy(generator.state_dict())
    generator.train()
    model = figment.from_torch(generator, torch.zeros(1, 20), exporter=exporter)
    assert generator.training and all(torch.equal(before[name], value) for name, value in generator.state_dict().items())
    latents = model.draw_latents(7, seed=1)
    np.testing.assert_allclose(model.decode(latents), computed(generator, latents), atol=1e-5)
    assert model.generated.value_range == (-1, 1) and model.name == "sequential"


def test_from_torch_in_int8_with_a_latents_name():
    class Generator(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 64), nn.Sigmoid())

        def forward(self, z):
            return self.body(z).reshape(-1, 1, 8, 8)

    generator = Generator()
    model = figment.from_torch(generator, torch.zeros(3, 12), int8=True)
    assert model.latent.input == "z" and model.programs[0].fully_int8
    latents = model.draw_latents(50)
    difference = np.asarray(model.decode(latents)) - computed(generator, latents)
    assert 10 * np.log10(1 / np.mean(difference**2)) > 30


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_trained_and_back(exporter, tmp_path):
    generator, discriminator = networks()
    gan = figment.trainable(generator=generator, discriminator=discriminator, objective="gan", exporter=exporter, ema=0)
    assert [port.name for port in gan.model.batch_inputs] == ["sample"]
    run = gan.train(images(), steps=5, batch=16)
    latents = gan.model.draw_latents(4)
    trained = run.model.decode(latents)
    assert np.abs(computed(generator, latents) - trained).max() > 1e-3
    state = run.state_dict("generator")
    assert list(state) == list(generator.state_dict())
    assert all(value.dtype == generator.state_dict()[name].dtype for name, value in state.items())
    back = copy.deepcopy(generator)
    back.load_state_dict(state)
    np.testing.assert_allclose(computed(back, latents), trained, atol=1e-5)
    scores = copy.deepcopy(discriminator)
    scores.load_state_dict(run.state_dict("discriminator"))
    np.testing.assert_allclose(run.model.discriminate(images(4)), computed(scores, images(4)), atol=1e-4)
    # And by way of ONNX.
    run.export_onnx(tmp_path / "g.onnx")
    np.testing.assert_allclose(figment.convert(tmp_path / "g.onnx").decode(latents), trained, atol=1e-5)
    # Training goes on from the networks that came back as from the trained model.
    np.testing.assert_allclose(figment.trainable(generator=back, discriminator=scores, objective="gan", exporter=exporter).model.decode(latents),
                               trained, atol=1e-5)


def test_a_data_loader_and_tensors():
    generator, discriminator = networks()
    gan = figment.trainable(generator=generator, discriminator=discriminator, objective="gan")
    data = torch.from_numpy(images())
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(data), batch_size=16)
    from_loader = gan.train(loader, steps=4)
    with gan.session(batch=16) as session:
        for step in range(4):
            session.train_step({"sample": data[step % 3 * 16 :][:16]})
        for name, value in session.parameters.items():
            np.testing.assert_array_equal(value, from_loader.session.parameters[name])
    np.testing.assert_array_equal(gan.train(data, steps=2, batch=8).metrics["d.loss"], gan.train(images(), steps=2, batch=8).metrics["d.loss"])
    with pytest.raises(figment.InvalidArgument, match="meta"):
        gan.train(data.to("meta"), steps=2, batch=8)


class Conditional(nn.Module):
    def __init__(self, size, out, last):
        super().__init__()
        self.hidden = nn.Linear(size + 4, 24)
        self.last = nn.Linear(24, out)
        self.activation = last

    def forward(self, x, label):
        return self.activation(self.last(torch.relu(self.hidden(torch.cat([x.flatten(1), label], 1)))))


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_conditions(exporter):
    generator, discriminator = Conditional(10, 30, nn.Tanh()), Conditional(30, 1, nn.Identity())
    examples = {"generator": (torch.zeros(2, 10), torch.zeros(2, 4)), "discriminator": (torch.zeros(2, 30), torch.zeros(2, 4))}
    gan = figment.trainable(generator=generator, discriminator=discriminator, objective="gan", examples=examples, exporter=exporter)
    assert sorted(port.name for port in gan.model.batch_inputs) == ["label", "sample"]
    rng = np.random.default_rng(1)
    run = gan.train({"sample": np.tanh(rng.normal(size=(40, 30))), "label": rng.integers(0, 4, 40)}, steps=3, batch=10)
    generator.load_state_dict(run.state_dict("generator"))
    latents = gan.model.draw_latents(4)
    np.testing.assert_allclose(run.generate(4, conditions={"label": np.arange(4)}),
                               computed(generator, latents, np.eye(4, dtype=np.float32)), atol=1e-5)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(30, 20)
        self.mean, self.log_variance = nn.Linear(20, 3), nn.Linear(20, 3)

    def forward(self, sample):
        hidden = torch.tanh(self.hidden(sample))
        return self.mean(hidden), self.log_variance(hidden)


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_vae(exporter):
    encoder, decoder = Encoder(), nn.Sequential(nn.Linear(3, 20), nn.Tanh(), nn.Linear(20, 30), nn.Sigmoid())
    vae = figment.trainable(encoder=encoder, decoder=decoder, objective="vae", likelihood="bernoulli", exporter=exporter)
    data = np.random.default_rng(3).random((60, 30)).astype(np.float32)
    run = vae.train(data, steps=10, batch=20)
    encoder.load_state_dict(run.state_dict("encoder"))
    with torch.no_grad():
        mean, log_variance = encoder(torch.from_numpy(data[:5]))
    ours = run.model.session(batch=5).encode(data[:5], log_variance=True)
    np.testing.assert_allclose(ours[0], mean, atol=1e-5)
    np.testing.assert_allclose(ours[1], log_variance, atol=1e-5)


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_infogan(exporter):
    class Discriminator(nn.Module):
        def __init__(self):
            super().__init__()
            self.trunk, self.score = nn.Linear(30, 16), nn.Linear(16, 1)
            self.category, self.style = nn.Linear(16, 3), nn.Linear(16, 2)

        def forward(self, sample):
            hidden = torch.relu(self.trunk(sample))
            return self.score(hidden), self.category(hidden), self.style(hidden)

    generator = nn.Sequential(nn.Linear(12, 20), nn.ReLU(), nn.Linear(20, 30), nn.Tanh())
    info = figment.trainable(generator=generator, discriminator=Discriminator(), objective="infogan", codes=["category=3", "style=uniform:2@0.5"],
                             exporter=exporter)
    assert [code.name for code in info.model.latent.codes] == ["category", "style"]
    run = info.train(np.tanh(np.random.default_rng(1).normal(size=(40, 30))), steps=3, batch=10)
    assert set(run.state_dict("discriminator")) == set(Discriminator().state_dict())


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_recurrent(exporter):
    class Recurrent(nn.Module):
        def __init__(self, size, out, last):
            super().__init__()
            self.lstm, self.out, self.last = nn.LSTM(size, 9, batch_first=True), nn.Linear(9, out), last

        def forward(self, x):
            hidden, _ = self.lstm(x)
            return self.last(self.out(hidden))

    class Score(nn.Module):
        def __init__(self):
            super().__init__()
            self.gru, self.out = nn.GRU(2, 8, batch_first=True), nn.Linear(8, 1)

        def forward(self, sample):
            return self.out(self.gru(sample)[0][:, -1])

    generator, discriminator = Recurrent(3, 2, nn.Tanh()), Score()
    gan = figment.trainable(generator=generator, discriminator=discriminator, objective="gan", exporter=exporter,
                            examples={"generator": torch.zeros(2, 7, 3)})
    assert gan.folded("generator") == [] == gan.folded("discriminator")
    run = gan.train(np.tanh(np.random.default_rng(1).normal(size=(40, 7, 2))), steps=3, batch=10)
    latents = gan.model.draw_latents(3).reshape(3, 7, 3)
    back = copy.deepcopy(generator)
    back.load_state_dict(run.state_dict("generator"))
    np.testing.assert_allclose(run.model.decode(latents), computed(back, latents), atol=1e-5)
    assert np.abs(computed(generator, latents) - computed(back, latents)).max() > 1e-4


def test_tied_weights():
    generator, discriminator = networks()

    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(16, 16)
            self.b = nn.Linear(16, 16)
            self.b.weight = self.a.weight

        def forward(self, z):
            return torch.tanh(self.b(torch.relu(self.a(z))))

    tied = Tied()
    gan = figment.trainable(generator=tied, discriminator=nn.Linear(16, 1), objective="gan")
    run = gan.train(np.tanh(np.random.default_rng(1).normal(size=(40, 16))), steps=3, batch=10)
    state = run.state_dict("generator")
    assert torch.equal(state["a.weight"], state["b.weight"]) and not torch.equal(state["a.weight"], tied.a.weight)
    tied.load_state_dict(state)
    latents = gan.model.draw_latents(3)
    np.testing.assert_allclose(run.model.decode(latents), computed(tied, latents), atol=1e-5)


def test_frozen_parameters_stay():
    generator, discriminator = networks()
    gan = figment.trainable(generator=generator, discriminator=discriminator, objective="gan", freeze=["discriminator.0.*"])
    state = gan.train(images(), steps=2, batch=16).state_dict("discriminator")
    assert torch.equal(state["0.weight"], discriminator.state_dict()["0.weight"])
    assert not torch.equal(state["3.weight"], discriminator.state_dict()["3.weight"])


def test_what_is_folded_away_is_said():
    class Folding(nn.Module):
        """Adds a parameter that has no effect: no exporter keeps it."""

        def __init__(self):
            super().__init__()
            self.layer, self.unused = nn.Linear(8, 16), nn.Parameter(torch.ones(3))

        def forward(self, z):
            return torch.tanh(self.layer(z))

    with pytest.warns(figment.ExportWarning, match="generator: the exporter has folded away unused"):
        gan = figment.trainable(generator=Folding(), discriminator=nn.Linear(16, 1), objective="gan", examples={"generator": torch.zeros(2, 8)})
    run = gan.train(np.zeros((20, 16), np.float32), steps=1, batch=10)
    assert torch.equal(run.state_dict("generator")["unused"], torch.ones(3))


def test_mistakes():
    generator, discriminator = networks()
    with pytest.raises(figment.InvalidArgument, match="does not take the example of the shape \\[2, 21\\]"):
        figment.from_torch(generator, torch.zeros(1, 21))
    with pytest.raises(figment.InvalidArgument, match="int is no torch.nn.Module"):
        figment.from_torch(3, torch.zeros(1, 20))
    with pytest.raises(figment.InvalidArgument, match="no exporter 'best'"):
        figment.from_torch(generator, torch.zeros(1, 20), exporter="best")
    with pytest.raises(figment.InvalidArgument, match="first dimension is the batch"):
        figment.from_torch(generator, torch.tensor(1.0))
    with pytest.raises(figment.InvalidArgument, match="needs an example"):
        figment.convert(generator)
    with pytest.raises(figment.InvalidArgument, match="examples=.'classifier'"):
        figment.trainable(classifier=discriminator, objective="classifier")
    with pytest.raises(figment.InvalidArgument, match="examples has 'decoder'"):
        figment.trainable(generator=generator, discriminator=discriminator, objective="gan", examples={"decoder": torch.zeros(1)})
    with pytest.raises(figment.ConversionError, match="discriminator"):
        figment.trainable(generator=generator, objective="gan")

    class Unexportable(nn.Module):
        def forward(self, z):
            return z if z.sum() > 0 else -z

    with pytest.raises(figment.ConversionError, match="cannot export the network. dynamo: "):
        figment.from_torch(Unexportable(), torch.zeros(2, 4), exporter="dynamo")


def test_a_network_of_spectral_norm_is_warned_of():
    generator, discriminator = networks()
    discriminator[0] = torch.nn.utils.parametrizations.spectral_norm(discriminator[0])
    with pytest.warns(figment.ExportWarning, match="0 is parametrized"):
        try:
            figment.trainable(generator=generator, discriminator=discriminator, objective="gan")
        except figment.ConversionError:
            pass  # what the converter refuses it says itself


def test_keras(tmp_path):
    pytest.importorskip("keras")
    import keras

    generator = keras.Sequential([keras.Input((10,)), keras.layers.Dense(20, activation="relu"), keras.layers.Dense(30, activation="tanh")])
    discriminator = keras.Sequential([keras.Input((30,)), keras.layers.Dense(20), keras.layers.LeakyReLU(), keras.layers.Dense(1)])
    gan = figment.trainable(generator=generator, discriminator=discriminator, objective="gan")
    run = gan.train(np.tanh(np.random.default_rng(1).normal(size=(40, 30))), steps=3, batch=10)
    latents = gan.model.draw_latents(3)
    np.testing.assert_allclose(gan.model.decode(latents), keras.ops.convert_to_numpy(generator(latents)), atol=1e-5)
    assert np.abs(run.model.decode(latents) - gan.model.decode(latents)).max() > 1e-4
    run.export_onnx(tmp_path / "g.onnx")
    np.testing.assert_allclose(figment.convert(tmp_path / "g.onnx").decode(latents), run.model.decode(latents), atol=1e-5)
