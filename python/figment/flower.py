"""Fleets: a ClientApp of Flower (Message API, flwr 1.20 and newer) over a model that trains.

    trainable = figment.trainable("model.figment")
    app = figment.flower.client_app(lambda: trainable, data_of, steps=50)              # on each device
    strategy.start(grid, figment.flower.initial_arrays(trainable), num_rounds=20)      # FedAvg, FedProx, FedAdam, ... of Flower's own
    model = figment.flower.model_of(trainable, result.arrays)

What travels are a model's parameters under the exporter's names, in the exporter's layout: those that train, statistics of batch
normalization, and averages that generate; the optimizer's state stays on the device. Of a model that was converted with
train_only=["last:2"] these are the last layers, of one with adapters=[...] the adapters.
"""

from __future__ import annotations

import fnmatch
import secrets
import zlib
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

import numpy as np

from .conversion import of_session
from .errors import InvalidArgument, NotFound
from .model import Model
from .session import Session
from .training import Trainable, _Arrays, _Iterable

_STATE = "figment"  # of the optimizer, in Flower's context of a node
_DERIVED = ".ema"


def names(trainable: Trainable, select: Optional[Sequence[str]] = None) -> List[str]:
    """What travels, in the model's order: of all the parameters those that match a pattern of `select`, such as "generator.*".
    Raises NotFound if none does."""
    with trainable.session(program="") as session:
        return _names(session, select)


def _names(session: Session, select: Optional[Sequence[str]]) -> List[str]:
    held = session.parameters
    known = {parameter.name: parameter for parameter in session.model.parameters}
    result = [name for name in held if not known[name].derived or name.endswith(_DERIVED)]
    if select is not None:
        result = [name for name in result if any(fnmatch.fnmatchcase(name, pattern) for pattern in select)]
    if not result:
        raise NotFound(f"no parameter that trains is among {', '.join(select or ())}" if select else "the model trains nothing")
    return result


def initial_arrays(trainable: Trainable, select: Optional[Sequence[str]] = None) -> Any:
    """The untrained model's parameters as an ArrayRecord, for Strategy.start."""
    with trainable.session(program="") as session:
        return _record(session, _names(session, select))


def model_of(trainable: Trainable, arrays: Any) -> Model:
    """The model with parameters that a strategy has aggregated: Result.arrays, or what its evaluate_fn is given.
    Raises NotFound, InvalidArgument."""
    with trainable.session(program="") as session:
        _load(session, arrays)
        return of_session(session)


def client_app(trainable: Callable[[], Trainable], data_of: Callable[[Any], Any], *, steps: int, batch: Optional[int] = None, seed: int = 0,
               select: Optional[Sequence[str]] = None, keep_optimizer: bool = True, memory_limit: int = 0, threads: int = 1,
               evaluate: Optional[Callable[[Model, Any], Mapping[str, float]]] = None,
               hyperparameters: Optional[Mapping[str, float]] = None) -> Any:
    """A ClientApp that trains for `steps` steps a round.

    trainable: makes the model, once a process. data_of: the data of a node, by Flower's Context, as Trainable.train takes it
    (context.node_config["partition-id"] in simulations). batch, memory_limit, threads, hyperparameters: as of Trainable.train. select: patterns of
    what travels; the rest stays on the device, in Flower's context. keep_optimizer: its state is kept there, too. evaluate: metrics
    of the global model on the node's data.

    With FedProx, whose messages have "proximal-mu", each step ends with one of gradient descent on mu / 2 times the squared
    distance from the global model (Li et al. 2020), decoupled from the optimizer as weight decay is in AdamW. Metrics are the means
    of the round's losses, and "num-examples", by which strategies weight. Raises InvalidArgument; what goes wrong on a
    node goes to the server as the message's error, and the round goes on with the others.
    """
    from flwr.app import Message, MetricRecord, RecordDict
    from flwr.clientapp import ClientApp

    if steps < 1:
        raise InvalidArgument(f"the number of steps is {steps}")
    app = ClientApp()
    made: Dict[str, Trainable] = {}

    def model() -> Trainable:
        if "model" not in made:
            made["model"] = trainable()
        return made["model"]

    @app.train()  # type: ignore[untyped-decorator]
    def train(message: Any, context: Any) -> Any:
        given = model()
        config = message.content["config"] if "config" in message.content else {}
        turn = int(config.get("server-round", 0))
        node = int(context.node_config.get("partition-id", context.node_id))
        # Each node and round draws anew, and the same when it is repeated.
        own = zlib.crc32(f"{seed} {node} {turn}".encode())
        metadata = given.model.metadata
        if given.private:
            own = secrets.randbits(63)  # who knows the seed knows the noise
        source = given.source(data_of(context), int(batch or metadata.get("training.batch") or 32), own)
        with given.session(batch=source.most, seed=own, memory_limit=memory_limit, threads=threads, program="") as session:
            kept = context.state.array_records.get(_STATE)
            if kept is not None:
                _load(session, kept)
            if "figment.steps" in context.state.metric_records:
                for name, value in context.state.metric_records["figment.steps"].items():
                    session.hyperparameters[name] = float(value)
            arrays = message.content["arrays"]
            _load(session, arrays)
            for name, value in (hyperparameters or {}).items():
                session.hyperparameters[name] = value
            if given.private:
                session.hyperparameters["d.privacy.lot"] = source.batch
            mu = float(config.get("proximal-mu", 0))
            totals = _fit(session, source, steps, {name: arrays[name].numpy() for name in arrays} if mu > 0 else {}, mu)
            travels = list(arrays)
            if keep_optimizer or select is not None:
                stays = [name for name in session.parameters if name not in travels and (keep_optimizer or not _derived(session, name))]
                context.state[_STATE] = _record(session, stays)
                counters = [name for name in session.hyperparameters if name.endswith(".steps")]
                context.state["figment.steps"] = MetricRecord({name: session.hyperparameters[name] for name in counters})
            metrics = {name: value / steps for name, value in totals.items()}
            examples = source.samples if isinstance(source, _Arrays) else steps * source.batch
            content = RecordDict({"arrays": _record(session, travels), "metrics": MetricRecord({**metrics, "num-examples": examples})})
        return Message(content=content, reply_to=message)

    if evaluate is not None:
        measure = evaluate

        @app.evaluate()  # type: ignore[untyped-decorator]
        def evaluate_node(message: Any, context: Any) -> Any:
            data = data_of(context)
            metrics = {name: float(value) for name, value in measure(model_of(model(), message.content["arrays"]), data).items()}
            metrics.setdefault("num-examples", _count(data))
            return Message(content=RecordDict({"metrics": MetricRecord(metrics)}), reply_to=message)

    return app


def _fit(session: Session, source: "_Arrays | _Iterable", steps: int, towards: Mapping[str, np.ndarray], mu: float) -> Dict[str, float]:
    """Trains, and returns the sums of the losses."""
    totals: Dict[str, float] = {}
    batches = source.batches(0)
    trained = {parameter.name for parameter in session.model.parameters if parameter.trained}
    for _ in range(steps):
        metrics = session.train_step(next(batches))
        for name, value in metrics.items():
            if np.isfinite(value):
                totals[name] = totals.get(name, 0.0) + float(value)
        for name, target in towards.items():
            if name in trained:
                now = session.parameters[name]
                session.parameters[name] = now - _rate_of(session, name) * mu * (now - target)  # type: ignore[index]
    return totals


def _rate_of(session: Session, parameter: str) -> float:
    """The learning rate that a parameter is trained with."""
    rates = {name: session.hyperparameters[name] for name in session.hyperparameters if name.endswith(".learning_rate")}
    network = parameter.split(".")[0]
    own = {"generator": "g.learning_rate", "discriminator": "d.learning_rate"}.get(network, "")
    return rates.get(own, next(iter(rates.values()), 0.0))


def _derived(session: Session, name: str) -> bool:
    return any(parameter.name == name and parameter.derived for parameter in session.model.parameters)


def _record(session: Session, wanted: Sequence[str]) -> Any:
    from flwr.app import Array, ArrayRecord

    held = session.parameters
    return ArrayRecord({name: Array(held[name]) for name in wanted})


def _load(session: Session, arrays: Mapping[str, Any]) -> None:
    """Sets what the record holds. Raises InvalidArgument for the arrays of another model."""
    held = session.parameters
    for name in arrays:
        if name not in held:
            raise InvalidArgument(f"the arrays hold {name}, which the model does not train: they are of another model")
    for name, value in arrays.items():
        held[name] = np.asarray(value.numpy(), np.float32)  # type: ignore[index]


def _count(data: Any) -> int:
    part = next(iter(data.values())) if isinstance(data, Mapping) else data[0] if isinstance(data, tuple) else data
    try:
        return len(part)
    except TypeError:
        return 1
