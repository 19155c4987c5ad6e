"""Ten devices, each with 100 pictures of each of two classes of clothes, adapt a conditional GAN together; no picture leaves its device.

    python3 fleet.py BASE DATA CLASSIFIER [--rounds 40] [--strategy FedAvg] [-o adapted.figment]

in Flower's simulation engine, on this machine. BASE is a model that trains, DATA the folder of Fashion-MNIST, CLASSIFIER a model
whose features and judgement score what is generated. As an app of Flower (`flwr run`, see README.md) the same functions run in
processes of their own; there the three are named by environment variables: FLEET_BASE, FLEET_DATA, FLEET_CLASSIFIER.
"""

import argparse
import gzip
import json
import os
import pathlib
import time

import numpy as np
from flwr.app import Context, MetricRecord
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp import strategy as strategies

import figment
from figment import flower

DEVICES, PICTURES = 10, 100
STEPS, BATCH = 20, 16


def setting(name):
    return pathlib.Path(os.environ[f"FLEET_{name}"])


def fashion_mnist(part):
    """Pictures, uint8 [N, 1, 28, 28], and class numbers of "train" or "t10k"."""
    def read(kind, header):
        with gzip.open(setting("DATA") / f"{part}-{kind}-ubyte.gz") as file:
            return np.frombuffer(file.read(), np.uint8, offset=header)

    return read("images-idx3", 16).reshape(-1, 1, 28, 28), read("labels-idx1", 8).astype(np.int64)


def of_classes(classes, first):
    """So many pictures of each class from the `first` on."""
    pictures, labels = fashion_mnist("train")
    chosen = np.concatenate([np.flatnonzero(labels == number)[first : first + PICTURES] for number in classes])
    return {"sample": pictures[chosen], "label": labels[chosen]}


def data_of_device(device):
    """Its own pictures of two neighboring classes; each class is on two devices."""
    return of_classes([device % 10, (device + 1) % 10], device * PICTURES)


def data_of(context: Context):
    return data_of_device(int(context.node_config["partition-id"]))


def base():
    return figment.trainable(str(setting("BASE")))


def score(model):
    """Fréchet distance to the test pictures of all classes, and the share of generated pictures that are judged to be of their class."""
    pictures, labels = fashion_mnist("t10k")
    scores = figment.evaluate(model, {"sample": pictures, "label": labels}, classifier=setting("CLASSIFIER"), seeds=1, samples=5000)
    numbers = np.repeat(np.arange(10), 100)
    judge = figment.Model(setting("CLASSIFIER"))
    [program] = judge.programs
    logits = next(port.name for port in program.outputs if port.shape == (1, 10))
    judged = judge.session(batch=50).run(inputs={program.inputs[0].name: model.generate(1000, seed=5, conditions={"label": numbers})})[logits]
    return {"distance": scores["scores"]["frechet_distance"]["mean"], "recall": scores["scores"]["recall"]["mean"],
            "classes": [float(part) for part in (judged.argmax(1) == numbers).reshape(10, 100).mean(1)]}


client = flower.client_app(base, data_of, steps=STEPS, batch=BATCH)
server = ServerApp()


def strategy_of(name, **more):
    """One of Flower's, which goes on with two devices where others are away."""
    own = {"FedProx": {"proximal_mu": 0.01}, "FedAdam": {"eta": 3e-4, "tau": 1e-3}}.get(name, {})
    return getattr(strategies, name)(fraction_evaluate=0.0, min_train_nodes=2, min_available_nodes=2, **{**own, **more})


@server.main()
def main(grid: Grid, context: Context):
    options = context.run_config
    trainable = base()

    def evaluate(turn, arrays):
        if options.get("progress"):
            with open(str(options["progress"]), "a") as file:
                print(turn, file=file)
        if turn % int(options.get("score-every", 10)):
            return None
        found = score(flower.model_of(trainable, arrays))
        print(json.dumps({"round": turn, **found}), flush=True)
        return MetricRecord({"distance": found["distance"], "made": float(np.mean(found["classes"]))})

    # All are to be there at the start.
    while len(list(grid.get_node_ids())) < int(options.get("devices", DEVICES)):
        time.sleep(0.5)
    result = strategy_of(str(options.get("strategy", "FedAvg"))).start(
        grid, flower.initial_arrays(trainable), num_rounds=int(options.get("rounds", 40)), timeout=float(options.get("timeout", 600)),
        evaluate_fn=evaluate)
    flower.model_of(trainable, result.arrays).save(str(options.get("output", "adapted.figment")))


def simulate():
    from flwr.simulation import run_simulation

    parser = argparse.ArgumentParser()
    parser.add_argument("base")
    parser.add_argument("data")
    parser.add_argument("classifier")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--strategy", default="FedAvg")
    parser.add_argument("--score-every", type=int, default=10)
    parser.add_argument("-o", "--output", default="adapted.figment")
    options = parser.parse_args()
    for name in ("base", "data", "classifier"):
        os.environ[f"FLEET_{name.upper()}"] = str(pathlib.Path(getattr(options, name)).resolve())
    own = ServerApp()

    @own.main()
    def run(grid, context):
        context.run_config.update({"rounds": options.rounds, "strategy": options.strategy, "score-every": options.score_every,
                                   "output": options.output})
        main(grid, context)

    run_simulation(own, client, num_supernodes=DEVICES, backend_config={"client_resources": {"num_cpus": 1, "num_gpus": 0.0}})


if __name__ == "__main__":
    simulate()
