"""Fleets: a ClientApp of Flower over a model that trains. All on this machine."""

import os

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import numpy as np  # noqa: E402
import pytest  # noqa: E402

import figment  # noqa: E402
from conftest import recipe  # noqa: E402

pytest.importorskip("flwr")
from figment import flower  # noqa: E402
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict  # noqa: E402

try:
    # Newer releases know by this which task makes a message; Flower's own programs set it.
    from flwr.supercore.task_identity import TaskIdentity

    TaskIdentity.task_id, TaskIdentity.run_id, TaskIdentity.node_id = 1, 1, 1
except ImportError:
    pass


def data_of(context):
    rng = np.random.default_rng(int(context.node_config["partition-id"]))
    return {"sample": np.tanh(rng.normal(size=(20 + 10 * int(context.node_config["partition-id"]), 1, 8, 8))).astype(np.float32),
            "label": rng.integers(0, 3, 20 + 10 * int(context.node_config["partition-id"]))}


def context_of(partition):
    return Context(run_id=1, node_id=partition + 100, node_config={"partition-id": partition, "num-partitions": 2}, state=RecordDict(), run_config={})


def message_of(arrays, turn=1, **config):
    message = Message(content=RecordDict({"arrays": arrays, "config": ConfigRecord({"server-round": turn, **config})}), dst_node_id=1,
                      message_type="train")
    return message


@pytest.fixture(scope="module")
def cgan():
    return figment.trainable(recipe("tiny_cgan"))


def test_what_travels(cgan):
    arrays = flower.initial_arrays(cgan)
    known = {parameter.name: parameter for parameter in cgan.model.parameters}
    assert set(arrays) == {name for name, parameter in known.items() if not parameter.derived or name.endswith(".ema")} - {
        name for name in known if name not in flower.names(cgan)}
    assert all(arrays[name].numpy().shape == known[name].shape and arrays[name].numpy().dtype == np.float32 for name in arrays)
    assert all(name.startswith("generator.") for name in flower.names(cgan, ["generator.*"])) and flower.names(cgan, ["generator.*"])
    with pytest.raises(figment.NotFound):
        flower.names(cgan, ["encoder.*"])
    last = figment.trainable(figment.convert(recipe("tiny_cgan"), train_only=["last:1"]))
    assert 0 < len(flower.names(last)) < len(flower.names(cgan)) / 2
    adapters = figment.trainable(figment.convert(cgan.model, adapters=["generator:lora:2", "discriminator:bias"]))
    assert any("lora" in name for name in flower.names(adapters))
    size = lambda record: sum(array.numpy().nbytes for array in record.values())  # noqa: E731
    assert size(flower.initial_arrays(adapters)) < size(arrays) / 2


def test_a_round_is_the_steps_of_a_session(cgan):
    app = flower.client_app(lambda: cgan, data_of, steps=3, batch=8)
    arrays = flower.initial_arrays(cgan)
    context = context_of(0)
    reply = app(message_of(arrays), context)
    metrics = reply.content["metrics"]
    assert metrics["num-examples"] == 20 and metrics["d.loss"] > 0
    # The same by hand.
    import zlib

    seed = zlib.crc32(b"0 0 1")
    run = cgan.train(data_of(context), steps=3, batch=8, seed=seed)
    for name, array in reply.content["arrays"].items():
        np.testing.assert_array_equal(array.numpy(), run.session.parameters[name], err_msg=name)
    assert metrics["d.loss"] == pytest.approx(run.metrics["d.loss"].mean())
    # The model of the reply generates what the session does.
    np.testing.assert_array_equal(flower.model_of(cgan, reply.content["arrays"]).generate(4, conditions={"label": 1}),
                                  run.generate(4, conditions={"label": 1}))


def test_the_optimizers_state_stays_on_the_device(cgan):
    arrays = flower.initial_arrays(cgan)

    def two_rounds(keep):
        app = flower.client_app(lambda: cgan, data_of, steps=2, batch=8, keep_optimizer=keep)
        context = context_of(0)
        first = app(message_of(arrays, 1), context)
        assert not any("adam" in name for name in first.content["arrays"])
        second = app(message_of(first.content["arrays"], 2), context)
        return {name: array.numpy() for name, array in second.content["arrays"].items()}, context

    kept, context = two_rounds(True)
    forgotten, _ = two_rounds(False)
    assert any(np.abs(kept[name] - forgotten[name]).max() > 0 for name in kept)
    state = context.state.array_records["figment"]
    assert any("adam_m" in name for name in state)
    assert context.state.metric_records["figment.steps"]["d.steps"] == 4


def test_proximal(cgan):
    arrays = flower.initial_arrays(cgan)
    app = flower.client_app(lambda: cgan, data_of, steps=5, batch=8)
    distance = lambda record: sum(float(((record[n].numpy() - arrays[n].numpy()) ** 2).sum()) for n in arrays)  # noqa: E731
    free = distance(app(message_of(arrays), context_of(0)).content["arrays"])
    held = distance(app(message_of(arrays, **{"proximal-mu": 1000.0}), context_of(0)).content["arrays"])
    assert held < free


def test_another_models_arrays(cgan):
    app = flower.client_app(lambda: cgan, data_of, steps=1, batch=8)
    other = flower.initial_arrays(figment.trainable(recipe("tiny_vae")))
    with pytest.raises(Exception, match="of another model"):
        app(message_of(other), context_of(0))
    with pytest.raises(figment.InvalidArgument, match="of another model"):
        flower.model_of(cgan, other)
    with pytest.raises(figment.InvalidArgument, match="steps"):
        flower.client_app(lambda: cgan, data_of, steps=0)


def test_evaluation_on_the_nodes(cgan):
    app = flower.client_app(lambda: cgan, data_of, steps=1, batch=8,
                            evaluate=lambda model, data: {"spread": float(np.std(model.generate(8, conditions={"label": 0})))})
    message = Message(content=RecordDict({"arrays": flower.initial_arrays(cgan), "config": ConfigRecord({})}), dst_node_id=1,
                      message_type="evaluate")
    reply = app(message, context_of(1))
    assert reply.content["metrics"]["num-examples"] == 30 and reply.content["metrics"]["spread"] > 0


@pytest.mark.parametrize("strategy", ["FedAvg", "FedProx", "FedAdam"])
def test_strategies_in_simulation(cgan, strategy, tmp_path):
    pytest.importorskip("ray")
    from flwr.serverapp import ServerApp
    from flwr.serverapp import strategy as strategies
    from flwr.simulation import run_simulation

    server = ServerApp()
    results = {}
    first = flower.initial_arrays(cgan)

    @server.main()
    def main(grid, context):
        options = {"proximal_mu": 0.1} if strategy == "FedProx" else {"eta": 0.01} if strategy == "FedAdam" else {}
        chosen = getattr(strategies, strategy)(fraction_evaluate=0.0, min_train_nodes=2, min_available_nodes=2, **options)
        results["result"] = chosen.start(grid=grid, initial_arrays=first, num_rounds=2)

    path = tmp_path / "model.figment"
    cgan.model.save(path)
    client = flower.client_app(lambda: figment.trainable(path), data_of, steps=2, batch=8)
    run_simulation(server, client, num_supernodes=2, backend_config={"client_resources": {"num_cpus": 1, "num_gpus": 0.0}})
    result = results["result"]
    assert sorted(result.train_metrics_clientapp) == [1, 2]
    moved = [name for name in first if np.abs(result.arrays[name].numpy() - first[name].numpy()).max() > 0]
    assert moved
    assert np.isfinite(flower.model_of(cgan, result.arrays).generate(4, conditions={"label": 2})).all()


def test_a_private_model_draws_its_batches_in_secret():
    private = figment.trainable(recipe("tiny_private"))
    app = flower.client_app(lambda: private, data_of, steps=2, batch=16)
    arrays = flower.initial_arrays(private)
    first, second = (app(message_of(arrays), context_of(0)).content["arrays"] for _ in range(2))
    assert any(np.abs(first[name].numpy() - second[name].numpy()).max() > 0 for name in first)
    with pytest.raises(Exception, match="batch=16 or more"):
        flower.client_app(lambda: private, data_of, steps=2, batch=8)(message_of(arrays), context_of(0))
