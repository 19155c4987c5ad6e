"""Networks with an objective, and runs that train them."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import os
import pathlib
import secrets
import sys
import tempfile
import time
import warnings
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from .arrays import to_numpy
from .conversion import Source, convert, of_session
from .errors import ExportWarning, InvalidArgument, NotFound
from .exporting import Network, example_for, export_keras, export_torch, is_keras, is_torch, with_values
from .model import Model
from .ports import Port
from .samples import Samples
from .session import Session, scalar_names
from .storage import write_whole

Callback = Callable[[int, Dict[str, float], "Run"], Any]
PathLike = Union[str, "os.PathLike[str]"]

_PRIVACY = "d.privacy."
_LOT = _PRIVACY + "lot"  # of models with differential privacy: samples a step on average
_LEAST_LOT = 16  # with fewer, a step without any were no longer as good as impossible

# The networks of objectives, in the order in which one gives the example of the next: what it returns.
_ROLES = ("generator", "decoder", "discriminator", "encoder", "classifier")


def trainable(source: Optional[Source] = None, *, objective: Optional[str] = None, generator: Any = None, discriminator: Any = None,
              encoder: Any = None, decoder: Any = None, classifier: Any = None, examples: Optional[Mapping[str, Any]] = None,
              exporter: str = "auto", output: Optional[PathLike] = None, **options: Any) -> Trainable:
    """A model that trains: of networks and an objective ("gan", "vae", "infogan", "classifier"), or of a recipe or a model.

    Networks are torch.nn.Modules, Keras models, or ONNX files (paths or onnx.ModelProtos). A torch network is exported with an
    input of `examples`, by the network's name; without, with one that its first layer tells, and a discriminator or encoder with
    what the other network returns. Other options are those of `convert`: learning_rate=2e-4, gan_loss="hinge", ema=0.999.
    Warns (ExportWarning) of parameters that the exporter has folded away, which do not train.
    Raises InvalidArgument, ConversionError.
    """
    given = dict(generator=generator, decoder=decoder, discriminator=discriminator, encoder=encoder, classifier=classifier)
    given = {role: network for role, network in given.items() if network is not None}
    if not given:
        if source is None:
            raise InvalidArgument("networks are needed (generator=..., discriminator=...), or a recipe, or a model that trains")
        if objective is None and not options and isinstance(source, Model):
            model = source
        elif objective is None and not options and isinstance(source, (str, os.PathLike)) and str(source).endswith(".figment"):
            model = Model(source)
        else:
            model = convert(source, output, **({"objective": objective} if objective else {}), **options)
        if not model.trains:
            raise InvalidArgument("the model does not train: give networks and an objective, or a recipe")
        return Trainable(model, {})
    if source is not None:
        raise InvalidArgument("networks are given and a source, too: give one of them")
    if objective is None:
        raise InvalidArgument('an objective is needed: objective="gan", "vae", "infogan" or "classifier"')
    # InfoGAN knows the codes by the outputs' names.
    codes = [str(code).split("=")[0] for code in options.get("codes") or ()]
    outputs = {"generator": ["sample"], "decoder": ["sample"], "discriminator": ["score", *codes] if codes else ()}
    # Whatever `forward` calls them: of two networks, inputs of one name are one condition.
    inputs = {role: "latent" if role in ("generator", "decoder") else "sample" for role in given}
    if "latent" in options:
        inputs = {}
    networks = _export_all(given, dict(examples or {}), exporter, inputs, outputs)
    with tempfile.TemporaryDirectory(prefix="figment-") as folder:
        for role, network in networks.items():
            path = os.path.join(folder, f"{role}.onnx")
            pathlib.Path(path).write_bytes(network.onnx)
            options[role] = path
        options.setdefault("name", objective)
        model = convert(None, output, objective=objective, **options)
    result = Trainable(model, networks)
    for role in networks:
        missing = result.folded(role)
        if missing:
            warnings.warn(f"{role}: the exporter has folded away {', '.join(missing)}: they do not train, and state_dict returns "
                          "them as they were", ExportWarning, stacklevel=2)
    return result


def _export_all(given: Mapping[str, Any], examples: Dict[str, Any], exporter: str, inputs: Mapping[str, str],
                outputs: Mapping[str, Sequence[str]]) -> Dict[str, Network]:
    unknown = [role for role in examples if role not in given]
    if unknown:
        raise InvalidArgument(f"examples has {unknown[0]!r}, which is no network that is given: {', '.join(given)}")
    result = {}
    for role in sorted(given, key=_ROLES.index):
        network = given[role]
        if is_keras(network):  # with PyTorch's backend it is a module of PyTorch, too
            result[role] = export_keras(network)
        elif is_torch(network):
            if role not in examples:
                found = example_for(network)
                if found is None:
                    raise InvalidArgument(f"the {role}'s first layer does not tell the shape of its input: "
                                          f"examples={{{role!r}: an input of the network}}")
                examples[role] = found
            result[role] = export_torch(network, examples[role], exporter=exporter, first_input=inputs.get(role, ""),
                                        outputs=outputs.get(role, ()))
            # What it makes is what the network beside it sees.
            other = {"generator": "discriminator", "decoder": "encoder"}.get(role, "")
            if other in given and other not in examples:
                examples[other] = _returned(network, examples[role])
        elif isinstance(network, (str, os.PathLike)):
            result[role] = Network(pathlib.Path(network).read_bytes())
        elif hasattr(network, "SerializeToString"):
            result[role] = Network(network.SerializeToString())
        else:
            raise InvalidArgument(f"the {role} is a {type(network).__name__}: a torch.nn.Module, a Keras model or an ONNX file is needed")
    return result


def _returned(network: Any, example: Any) -> Any:
    import copy

    import torch

    with torch.no_grad():
        parts = example if isinstance(example, (tuple, list)) else (example,)
        result = copy.deepcopy(network).cpu().eval()(*parts)
    # A conditional discriminator sees the conditions as well.
    return (result, *parts[1:]) if len(parts) > 1 else result


class Trainable:
    """A model that trains, and the networks that it was made of. `model` is the untrained model."""

    def __init__(self, model: Model, networks: Mapping[str, Network]) -> None:
        self.model = model
        self.networks = dict(networks)

    def __repr__(self) -> str:
        return f"<figment.Trainable of {self.model!r}>"

    def folded(self, role: str) -> List[str]:
        """The trainable parameters of a network that the exporter has folded away, by the names of its state_dict."""
        network = self.networks[role]
        known = self._known(role)
        return [name for name in network.trainable if network.in_file(name, known) is None]

    def _known(self, role: str) -> List[str]:
        prefix = role + "."
        return [p.name[len(prefix) :] for p in self.model.parameters if p.name.startswith(prefix) and not p.derived]

    @property
    def private(self) -> bool:
        """Whether the model trains with differential privacy."""
        return _LOT in scalar_names(self.model)

    def source(self, data: Any, batch: int, seed: int) -> Union[_Arrays, _Iterable]:
        """Where the batches of a training come from. Raises InvalidArgument."""
        source = _source_of(data, self.model.batch_inputs, batch, seed)
        if not self.private:
            return source
        if batch < _LEAST_LOT:
            raise InvalidArgument(f"with differential privacy batches vary around {batch}: give batch={_LEAST_LOT} or more")
        if not isinstance(source, _Arrays):
            raise InvalidArgument("with differential privacy give arrays: a step draws from all samples, and batches are drawn already")
        return _Poisson(source.arrays, source.batch, seed, source.samples)

    def session(self, **options: Any) -> Session:
        """A session that trains; see Session for the options."""
        return Session(self.model, **{"training": True, **options})

    def train(self, data: Any, steps: Optional[int] = None, *, batch: Optional[int] = None, seed: Optional[int] = None, threads: int = 1,
              memory_limit: int = 0, micro_batch: int = 0, checkpoint: Optional[PathLike] = None, checkpoint_every: int = 500,
              callbacks: Sequence[Callback] = (), progress: Optional[bool] = None,
              hyperparameters: Optional[Mapping[str, float]] = None) -> Run:
        """Trains up to step `steps` (by default the recipe's, or 1000), and returns the run.

        data: an array of samples, a mapping of arrays by input name (Model.batch_inputs: conditions beside samples), a tuple of
        arrays in their order; or any iterable of batches, such as a DataLoader, each one of these. Samples are floats in the model's
        range, or uint8 pixels, which are scaled to it; labels are integers. Arrays are drawn from in an order of the seed's alone; an
        iterable is begun again when it ends.
        batch: samples a step, by default the recipe's or 32; an iterable says it itself. checkpoint: a folder to resume from and save
        to, every `checkpoint_every` steps, at the end and when interrupted; resuming from arrays is bit-identical to an uninterrupted
        run. callbacks: called after each step with its number, its metrics and the run; one that returns True ends the training.
        A model with differential privacy takes arrays, draws each sample of a step with the same probability, `batch` on average, and
        has a secret seed unless one is given: Run.privacy says what it has given.
        progress: a bar of tqdm, by default on a terminal and in notebooks. hyperparameters: set before, as
        {"g.learning_rate": 1e-5}.

        Ctrl-C ends the training with what is learned: Run.interrupted. The GIL is released while a step computes.
        Raises InvalidArgument for data that does not fit, NaN among it included; StorageError, MemoryLimit, OutOfMemory.
        """
        metadata = self.model.metadata
        total = int(steps if steps is not None else metadata.get("training.steps") or 1000)
        if total < 1:
            raise InvalidArgument(f"the number of steps is {total}")
        given = int(batch if batch is not None else metadata.get("training.batch") or 32)
        for name in hyperparameters or {}:
            if name.startswith(_PRIVACY):
                raise InvalidArgument(f"{name} is the model's, so that one epsilon holds for all of a run: convert with another")
        drawn = seed is None and self.private
        if seed is None:
            seed = secrets.randbits(63) if drawn else 0
        source = self.source(data, given, seed)
        session = self.session(batch=source.most, seed=seed, threads=threads, memory_limit=memory_limit, micro_batch=micro_batch)
        run = Run(self, session)
        kept = {"program": "figment.Trainable.train", "batch": source.batch, "samples": source.samples, "seed": seed}
        if checkpoint is not None:
            found = _resume(session, checkpoint, kept, drawn)
            if drawn and found is not None:
                kept["seed"] = source.seed = found  # type: ignore[union-attr]
        if self.private:
            session.hyperparameters[_LOT] = given
            run.privacy = Privacy(session.hyperparameters[_PRIVACY + "clip"], session.hyperparameters[_PRIVACY + "noise"],
                                  given / source.samples, session.steps)
        for name, value in (hyperparameters or {}).items():
            session.hyperparameters[name] = value
        record = json.dumps(kept).encode()
        bar = _progress_bar(progress, session.steps, total)
        try:
            batches = source.batches(session.steps)
            while session.steps < total:
                metrics = session.train_step(next(batches))
                step = session.steps
                run._add(step, metrics)
                bar.update(step, metrics)
                if checkpoint is not None and (step % checkpoint_every == 0 or step == total):
                    session.save_checkpoint(checkpoint, record)
                if any([callback(step, metrics, run) is True for callback in callbacks]):
                    break
        except KeyboardInterrupt:
            run.interrupted = True
            warnings.warn(f"interrupted at step {session.steps} of {total}", stacklevel=2)
        finally:
            bar.close()
            if checkpoint is not None and run.steps and session.steps % checkpoint_every and session.steps < total:
                session.save_checkpoint(checkpoint, record)
        if run.skipped:
            warnings.warn(f"{run.skipped} updates were skipped because of NaN or infinite gradients: lower the learning rate",
                          stacklevel=2)
        return run


def _resume(session: Session, folder: PathLike, kept: Mapping[str, Any], any_seed: bool) -> Optional[int]:
    """The seed of the run that goes on; None if there is none."""
    try:
        found = json.loads(session.load_checkpoint(folder) or b"{}")
    except NotFound:
        os.makedirs(folder, exist_ok=True)
        return None
    except ValueError as error:
        if type(error).__module__.startswith("figment"):
            raise
        found = {}
    if found.get("program") != kept["program"]:
        raise InvalidArgument(f"the checkpoint in {os.fspath(folder)} is not of Trainable.train: give another folder")
    if found != {**kept, **({"seed": found["seed"]} if any_seed else {})}:
        raise InvalidArgument(f"the checkpoint in {os.fspath(folder)} is of a run with batch={found['batch']}, seed={found['seed']} on "
                              f"{found['samples']} samples: give the same, or another folder")
    return int(found["seed"])


@dataclasses.dataclass(frozen=True)
class Privacy:
    """Of a training with differential privacy: the bound of a sample's gradient, the noise in such bounds, the share of the samples
    that a step draws, and the steps, those before a checkpoint included."""

    clip: float
    noise: float
    rate: float
    steps: int

    def epsilon(self, delta: float = 1e-5) -> float:
        """Of (epsilon, delta)-differential privacy; see figment.privacy."""
        from .privacy import epsilon

        return epsilon(self.noise, self.rate, self.steps, delta)


class Run:
    """What a training has done. `session` is its session, which can go on; `metrics` what each step computed, by name."""

    def __init__(self, origin: Trainable, session: Session) -> None:
        self.origin = origin
        self.session = session
        self.interrupted = False
        self.skipped = 0
        self.privacy: Optional[Privacy] = None
        self.steps: List[int] = []
        self._metrics: Dict[str, List[float]] = {}
        self._model: Optional[Tuple[int, Model]] = None

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[-1]:.4g}" for name, values in self._metrics.items())
        return f"<figment.Run: {self.session.steps} steps{', ' if last else ''}{last}>"

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: Any) -> None:
        self.session.close()

    def _add(self, step: int, metrics: Mapping[str, float]) -> None:
        self.steps.append(step)
        if self.privacy is not None:
            self.privacy = dataclasses.replace(self.privacy, steps=step)
        for name, value in metrics.items():
            if name == "skipped":
                self.skipped += int(value)
                continue
            values = self._metrics.setdefault(name, [])
            # A metric that not every step reports.
            values.extend([float("nan")] * (len(self.steps) - 1 - len(values)))
            values.append(value)

    @property
    def metrics(self) -> Dict[str, np.ndarray]:
        """What the steps of this run computed, by name: f64, a value a step, NaN where a step did not report it."""
        count = len(self.steps)
        return {name: np.array(values + [float("nan")] * (count - len(values))) for name, values in self._metrics.items()}

    @property
    def losses(self) -> Any:
        """The same as a pandas DataFrame with the steps as its index, or without pandas as a structured array with "step"."""
        metrics = self.metrics
        try:
            import pandas
        except ImportError:
            result = np.empty(len(self.steps), [("step", np.int64), *((name, np.float64) for name in metrics)])
            result["step"] = self.steps
            for name, values in metrics.items():
                result[name] = values
            return result
        return pandas.DataFrame(metrics, index=pandas.Index(self.steps, name="step"))

    @property
    def model(self) -> Model:
        """The trained model, in memory: to generate, to train on, to convert to int8, to save."""
        steps = self.session.steps
        if self._model is None or self._model[0] != steps:
            self._model = (steps, of_session(self.session))
        return self._model[1]

    def generate(self, count: int = 64, **options: Any) -> Samples:
        """Samples of the trained model: see Model.generate."""
        return self.model.generate(count, **options)

    def save(self, path: PathLike) -> None:
        """Writes the trained model, whole or not at all. Raises StorageError."""
        self.session.export(path)

    def state_dict(self, network: str) -> Dict[str, Any]:
        """What a network has learned, by the names of its own state_dict: tensors of PyTorch where it was one, else arrays. What the
        exporter has folded away, and counters, are as they were. Raises NotFound."""
        exported = self.origin.networks.get(network)
        parameters = self.session.parameters
        if exported is None or not exported.names:
            prefix = network + "."
            result = {name[len(prefix) :]: parameters[name] for name in self._own(prefix)}
            if not result:
                raise NotFound(f"there is no network {network!r}: there are {', '.join(self._networks())}")
            return result
        import torch

        known = self.origin._known(network)
        state: Dict[str, Any] = {}
        for name in exported.names:
            found = exported.in_file(name, known)
            before = exported.initial[name]
            if found is None or f"{network}.{found}" not in parameters:
                state[name] = before.clone()
            else:
                state[name] = torch.from_numpy(parameters[f"{network}.{found}"]).reshape(before.shape).to(before.dtype)
        return state

    def _own(self, prefix: str) -> List[str]:
        derived = {parameter.name for parameter in self.origin.model.parameters if parameter.derived}
        return [name for name in self.session.parameters if name.startswith(prefix) and name not in derived]

    def _networks(self) -> List[str]:
        return sorted({name.split(".")[0] for name in self.session.parameters})

    def export_onnx(self, path: PathLike, network: Optional[str] = None) -> None:
        """Writes a network's ONNX file with what it has learned; the only one, or the one that generates. Needs the package onnx.
        Raises NotFound for models of recipes, which come from no ONNX file."""
        if network is None:
            network = next((role for role in ("generator", "decoder", "classifier") if role in self.origin.networks), "")
        exported = self.origin.networks.get(network)
        if exported is None:
            raise NotFound(f"there is no ONNX file of a network {network!r}: it was made of {', '.join(self.origin.networks) or 'a recipe'}")
        write_whole(path, with_values(exported.onnx, network + ".", self.session.parameters))


# ---- Data -----------------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class _Arrays:
    """Arrays to draw from, in an order of the seed's alone."""

    arrays: Dict[str, np.ndarray]
    batch: int
    seed: int
    samples: int

    @property
    def most(self) -> int:
        """Samples that a step may have."""
        return self.batch

    def batches(self, first: int) -> Iterator[Dict[str, np.ndarray]]:
        """From step `first` on, counted from 0."""
        epoch, order = -1, np.empty(0, np.int64)
        for step in itertools.count(first):
            chosen = np.empty(self.batch, np.int64)
            for i in range(self.batch):
                position = step * self.batch + i
                if position // self.samples != epoch:
                    epoch = position // self.samples
                    # NumPy promises that this generator never changes.
                    order = np.random.RandomState([self.seed & 0xFFFFFFFF, self.seed >> 32 & 0xFFFFFFFF, epoch]).permutation(self.samples)
                chosen[i] = order[position % self.samples]
            yield {name: array[chosen] for name, array in self.arrays.items()}


@dataclasses.dataclass
class _Poisson(_Arrays):
    """Arrays of which each step draws each sample with the same probability, `batch` on average, as accountants of privacy assume."""

    @property
    def most(self) -> int:
        """Samples that a step may have, which it exceeds in no run."""
        return min(self.samples, int(self.batch + 10 * math.sqrt(self.batch) + 10))

    def batches(self, first: int) -> Iterator[Dict[str, np.ndarray]]:
        for step in itertools.count(first):
            random = np.random.RandomState([self.seed & 0xFFFFFFFF, self.seed >> 32 & 0xFFFFFFFF, step, 0x44505347])
            chosen = np.empty(0, np.int64)
            while not chosen.size:
                chosen = np.flatnonzero(random.random_sample(self.samples) < self.batch / self.samples)[: self.most]
            yield {name: array[chosen] for name, array in self.arrays.items()}


@dataclasses.dataclass
class _Iterable:
    """Batches of the caller's, begun again when they end."""

    data: Iterable[Any]
    head: Any
    rest: Iterator[Any]
    ports: Tuple[Port, ...]
    batch: int
    samples: int = 0

    @property
    def most(self) -> int:
        """Samples that a step may have."""
        return self.batch

    def batches(self, first: int) -> Iterator[Dict[str, Any]]:
        rest: Iterator[Any] = itertools.chain([self.head], self.rest)
        while True:
            item = None
            for item in rest:
                yield _by_name(item, self.ports)
            if item is None:
                raise InvalidArgument("the data holds no batch")
            rest = iter(self.data)
            if rest is self.data:
                raise InvalidArgument("the data ended before the last step: an iterator can be run through once; give what can be begun "
                                      "again, such as a DataLoader")


def _source_of(data: Any, ports: Tuple[Port, ...], batch: int, seed: int) -> Union[_Arrays, _Iterable]:
    if batch < 1:
        raise InvalidArgument(f"the batch is {batch}")
    if isinstance(data, (Mapping, np.ndarray)) or (isinstance(data, tuple) and data) or hasattr(data, "__array__") or hasattr(data, "detach"):
        _warn_of_more(data, ports)
        named = _by_name(data, ports)
        arrays = {name: to_numpy(value, f"the input {name}") for name, value in named.items()}
        counts = {name: len(array) if array.ndim else 0 for name, array in arrays.items()}
        if len(set(counts.values())) != 1:
            raise InvalidArgument("the data holds different numbers of samples: " +
                                  ", ".join(f"{name} {count}" for name, count in counts.items()))
        samples = next(iter(counts.values()))
        if batch > samples:
            raise InvalidArgument(f"the batch is larger than the data: batch={samples} at most")
        _check_arrays(arrays, ports)
        return _Arrays(arrays, batch, seed, samples)
    try:
        rest = iter(data)
    except TypeError:
        raise InvalidArgument(f"a {type(data).__name__} is no data: an array, a mapping of arrays or an iterable of batches is") from None
    head = next(rest, None)
    if head is None:
        raise InvalidArgument("the data holds no batch")
    _warn_of_more(head, ports)
    named = _by_name(head, ports)
    port = next(port for port in ports if port.name in named)
    return _Iterable(data, head, rest, ports, max(1, port.count_in(named[port.name])))


def _warn_of_more(item: Any, ports: Tuple[Port, ...]) -> None:
    if isinstance(item, (tuple, list)) and len(item) > len(ports):
        warnings.warn(f"the data has {len(item)} parts, of which the model reads {len(ports)}: "
                      f"{', '.join(port.name for port in ports)}", stacklevel=4)


def _check_arrays(arrays: Mapping[str, np.ndarray], ports: Sequence[Port]) -> None:
    # What fails is found before the first step, not hours later.
    for port in ports:
        array = arrays.get(port.name)
        if array is not None and array.dtype.kind == "f" and not np.isfinite(array).all():
            raise InvalidArgument(f"the input {port.name} holds NaN or infinite values")


def _by_name(item: Any, ports: Tuple[Port, ...]) -> Dict[str, Any]:
    """What a batch holds, by input."""
    if isinstance(item, Mapping):
        result = dict(item)
    elif isinstance(item, (tuple, list)) and item and not np.isscalar(item[0]):
        result = {port.name: part for port, part in zip(ports, item)}
    else:
        result = {ports[0].name: item}
    for name in result:
        if all(port.name != name for port in ports):
            raise NotFound(f"the model reads no {name!r}: a batch holds {', '.join(port.name for port in ports)}")
    missing = [port.name for port in ports if port.name not in result]
    if missing:
        raise InvalidArgument(f"the data has no {missing[0]}: a batch holds {', '.join(port.name for port in ports)}")
    return result


# ---- Progress -------------------------------------------------------------------------------------------------------


class _Bar:
    """A bar of tqdm, or nothing."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._shown = 0.0

    def update(self, step: int, metrics: Mapping[str, float]) -> None:
        if self._bar is None:
            return
        now = time.monotonic()
        if now - self._shown > 0.2:
            self._shown = now
            losses = {name: f"{value:.4g}" for name, value in metrics.items() if name.endswith("loss")}
            self._bar.set_postfix(losses, refresh=False)
        self._bar.update(step - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def _progress_bar(wanted: Optional[bool], first: int, total: int) -> _Bar:
    if wanted is None:
        wanted = sys.stderr is not None and sys.stderr.isatty() or "ipykernel" in sys.modules
    if not wanted:
        return _Bar(None)
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return _Bar(None)
    return _Bar(tqdm(initial=first, total=total, unit="step"))
