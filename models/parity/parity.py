#!/usr/bin/env python3
"""Trains the six families from five seeds with Figment and with PyTorch, and compares their scores, time and memory.

Usage: parity.py [RUN...]         (runs as in RUNS; needs torch and numpy; what is done is not run again)

Both sides begin from the same parameters (those of the recipe for that seed), train the recipe's networks with its loss and
optimizers for the same number of steps on the same data, on one thread, and differ in whatever they draw. What PyTorch has
trained is loaded into the model file, so that `figment evaluate` judges both. Figment's seconds are those of the whole command,
PyTorch's of the steps alone. Each run goes to build/parity as it ends; all of them are recorded in results.json beside this script,
and printed as a table.
"""
import gzip
import hashlib
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import time

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BIN = ROOT / "build/x86_64/bin"
WORK = ROOT / "build/parity"
SEEDS = (1, 2, 3, 4, 5)
SIDES = ("figment", "pytorch")
# The family of a run, its steps and the score that counts, declared before the runs.
RUNS = {
    "gan": ("gan", 8000, "frechet_distance"),
    "vae": ("vae", 8000, "elbo"),
    "crgan": ("crgan", 2000, "discriminative"),
    "infogan": ("infogan", 8000, "frechet_distance"),
    "infogan_full": ("infogan", 20000, "cluster_accuracy.category"),
    "dgan": ("dgan", 8000, "frechet_distance"),
    "deep_infogan": ("deep_infogan", 2500, "frechet_distance"),
}
STUDENT = {2: 4.303, 3: 2.776, 4: 2.447, 5: 2.306}  # the 97.5 % quantile of t for two groups of so many
ALSO = ("cluster_accuracy.category", "code_accuracy.category", "frechet_distance", "predictive")  # reported besides
LESS_IS_BETTER = ("frechet_distance", "discriminative", "predictive")


def read_idx(path):
    with gzip.open(path) as file:
        content = file.read()
    shape = [int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(content[3])]
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(shape)).reshape(shape).copy()


def train_in_pytorch(recipe, steps, seed, data, parameters, trained):
    """Trains from the parameters in one folder and writes them to another; returns the seconds of the steps."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    low, high = recipe["sample"]["range"]

    def gates(values, order):
        return torch.cat([values.chunk(len(order))[i] for i in order])

    class Recurrent(nn.Module):
        # Gates are stored in ONNX's order, of an LSTM input, output, forget, cell, of a GRU update, reset, new; PyTorch's
        # are input, forget, cell, output, and reset, update, new.
        ORDERS = {"lstm": ((0, 2, 3, 1), (0, 3, 1, 2)), "gru": ((1, 0, 2), (1, 0, 2))}

        def __init__(self, kind, stored, options):
            super().__init__()
            ih, hh = stored["weight_ih"][0], stored["weight_hh"][0]
            self.cells = {"lstm": nn.LSTM, "gru": nn.GRU}[kind](ih.shape[1], hh.shape[1], batch_first=True)
            self.to_pytorch, self.to_onnx = self.ORDERS[kind]
            with torch.no_grad():
                for parameter, values in zip(self.cells.parameters(), (ih, hh, *stored["bias"][0].chunk(2))):
                    parameter.copy_(gates(values, self.to_pytorch))
            self.reversed, self.last = options.get("reversed", False), options.get("return") == "last"

        def forward(self, x):
            y = self.cells(x.flip(1) if self.reversed else x)[0]
            if self.last:
                return y[:, -1]
            return y.flip(1) if self.reversed else y

        def stored(self):
            ih, hh, b_ih, b_hh = (gates(p.detach(), self.to_onnx) for p in self.cells.parameters())
            return {"weight_ih": ih[None], "weight_hh": hh[None], "bias": torch.cat([b_ih, b_hh])[None]}

    class Function(nn.Module):
        def __init__(self, function):
            super().__init__()
            self.function = function

        def forward(self, x):
            return self.function(x)

    def stored(place):
        return {path.name.removeprefix(place + ".").removesuffix(".npy"): torch.from_numpy(np.load(path))
                for path in parameters.glob(place + ".*.npy")}

    def filled(module, values):
        with torch.no_grad():
            for name, tensor in module.state_dict().items():
                if name != "num_batches_tracked":
                    tensor.copy_(values[name])
        return module

    def linear(place):
        values = stored(place)
        return filled(nn.Linear(*reversed(values["weight"].shape), bias="bias" in values), values)

    def layer(description, place):
        kind = description if isinstance(description, str) else description["type"]
        options = {} if isinstance(description, str) else description
        values = stored(place)
        if kind == "linear":
            return linear(place)
        if kind in ("conv", "conv_transpose"):
            weight = values["weight"]
            make = nn.Conv2d if kind == "conv" else nn.ConvTranspose2d
            channels = weight.shape[:2] if kind == "conv_transpose" else reversed(weight.shape[:2])
            return filled(make(*channels, options["kernel"], options.get("stride", 1), options.get("padding", 0),
                               bias="bias" in values), values)
        if kind == "batch_norm":
            size = len(values["weight"])
            return filled((nn.BatchNorm2d if convolutional(place) else nn.BatchNorm1d)(size), values)
        if kind in ("lstm", "gru"):
            return Recurrent(kind, values, options)
        if kind == "reshape":
            return Function(lambda x: x.reshape(len(x), *options["shape"]))
        if kind == "repeat":
            return Function(lambda x: x[:, None].expand(-1, options["steps"], -1))
        return {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "flatten": nn.Flatten,
                "leaky_relu": lambda: nn.LeakyReLU(options["slope"]), "dropout": lambda: nn.Dropout(options["rate"])}[kind]()

    def convolutional(place):
        role, *path, number = place.split(".")
        layers = recipe[role]["q_layers" if path else "layers"]
        before = [entry["type"] for entry in layers[: int(number)] if not isinstance(entry, str) and entry["type"] != "leaky_relu"]
        return bool(before) and before[-1].startswith("conv")

    class Stack(nn.ModuleDict):
        """Layers by their numbers in the recipe."""

        def __init__(self, layers, place):
            super().__init__({str(i): layer(entry, f"{place}.{i}") for i, entry in enumerate(layers)})

        def forward(self, x):
            for module in self.values():
                x = module(x)
            return x

    def averaged_parameters(network):
        return [*network.parameters(), *(b for b in network.buffers() if b.is_floating_point())]

    def write(network, role, suffix=""):
        for name, module in network.named_modules():
            place = f"{role}.{name}" if name else role
            if isinstance(module, Recurrent):
                values = module.stored()
            elif name.endswith("cells") or list(module.children()):
                continue
            else:
                values = {key: value for key, value in module.state_dict().items() if key != "num_batches_tracked"}
            for key, value in values.items():
                np.save(trained / f"{place}.{key}{suffix}.npy", value.detach().numpy())

    def adam(options, *networks):
        return torch.optim.Adam([p for n in networks for p in n.parameters()], lr=options["learning_rate"],
                                betas=(options["beta1"], 0.999), fused=True)

    def set_rate(optimizer, options, done):
        if "schedule" in options:  # down along a cosine
            schedule = options["schedule"]
            part = (1 + math.cos(math.pi * min(done / schedule["period"], 1))) / 2
            rate = options["learning_rate"] * (schedule["factor"] + (1 - schedule["factor"]) * part)
            for group in optimizer.param_groups:
                group["lr"] = rate

    def step_of(optimizer, loss, options):
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if "clip_norm" in options:
            nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], options["clip_norm"])
        optimizer.step()

    if data.dtype == np.uint8:
        samples = torch.from_numpy(data.reshape(len(data), *recipe["sample"]["shape"]))
        batch_of = lambda order: samples[order].float() * ((high - low) / 255) + low
    else:
        samples = torch.from_numpy(data)
        batch_of = lambda order: samples[order]
    batch = recipe["training"]["batch"]

    def batches():
        order = torch.empty(0, dtype=torch.long)
        while True:
            while len(order) < batch:
                order = torch.cat([order, torch.randperm(len(samples))])
            yield batch_of(order[:batch])
            order = order[batch:]

    size = recipe["latent"]["size"]
    optimizer_options = recipe["optimizer"]
    if recipe["objective"] == "vae":
        encoder, decoder = Stack(recipe["encoder"]["layers"], "encoder"), Stack(recipe["decoder"]["layers"], "decoder")
        mean_of, log_variance_of = linear("encoder.mean"), linear("encoder.log_variance")
        logits = nn.Sequential(*(m for m in decoder.values() if not isinstance(m, nn.Sigmoid)))
        optimizer = adam(optimizer_options, encoder, mean_of, log_variance_of, decoder)

        def step(x):
            h = encoder(x)
            mean, log_variance = mean_of(h), log_variance_of(h)
            y = logits(mean + torch.exp(log_variance / 2) * torch.randn_like(mean))
            loss = F.binary_cross_entropy_with_logits(y, x, reduction="sum") / batch
            loss = loss - 0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum() / batch
            step_of(optimizer, loss, optimizer_options)

        networks = {"encoder": encoder, "encoder.mean": mean_of, "encoder.log_variance": log_variance_of, "decoder": decoder}
        ema, optimizers = None, [(optimizer, optimizer_options)]
    else:
        codes = recipe["latent"].get("codes", [])
        generator = Stack(recipe["generator"]["layers"], "generator")
        trunk = Stack(recipe["discriminator"]["layers"], "discriminator")
        networks = {"generator": generator, "discriminator": trunk}
        if codes:
            networks["discriminator.logit"] = linear("discriminator.logit")
            networks["discriminator.q"] = Stack(recipe["discriminator"]["q_layers"], "discriminator.q")
            for code in codes:
                networks["discriminator.q_" + code["name"]] = linear("discriminator.q_" + code["name"])

        def judge(x):
            h = trunk(x)
            if not codes:
                return h, {}
            q = networks["discriminator.q"](h)
            return networks["discriminator.logit"](h), {c["name"]: networks["discriminator.q_" + c["name"]](q) for c in codes}

        def draw():
            parts = []
            for code in codes:
                if "categories" in code:
                    parts.append(F.one_hot(torch.randint(code["categories"], (batch,)), code["categories"]).float())
                else:
                    parts.append(2 * torch.rand(batch, code["size"]) - 1)
            return torch.cat([torch.randn(batch, size - sum(p.shape[1] for p in parts)), *parts], 1)

        def code_loss(q, z):
            loss, start = 0, size - sum(c.get("categories", c.get("size")) for c in codes)
            for code in codes:
                width = code.get("categories", code.get("size"))
                wanted = z[:, start : start + width]
                start += width
                if "categories" in code:
                    value = F.cross_entropy(q[code["name"]], wanted.argmax(1))
                else:
                    mean, log_deviation = q[code["name"]].chunk(2, 1)
                    normal = torch.distributions.Normal(mean, torch.clamp(log_deviation, -6, 6).exp())
                    value = -normal.log_prob(wanted).sum(1).mean()
                loss = loss + code["weight"] * value
            return loss

        judges = [network for name, network in networks.items() if name != "generator"]
        d_options = optimizer_options | recipe.get("discriminator_optimizer", {})
        g_optimizer, d_optimizer = adam(optimizer_options, generator), adam(d_options, *judges)
        optimizers = [(g_optimizer, optimizer_options), (d_optimizer, d_options)]
        smoothing, decay = recipe.get("loss", {}).get("label_smoothing", 0), recipe["ema"]
        ema = [p.detach().clone() for p in averaged_parameters(generator)]

        def step(x):
            z = draw()
            made = generator(z)
            real, (fake, q) = judge(x)[0], judge(made.detach())
            d_loss = F.binary_cross_entropy_with_logits(real, torch.full_like(real, 1 - smoothing)) + F.softplus(fake).mean()
            step_of(d_optimizer, d_loss + code_loss(q, z), d_options)
            for network in judges:
                network.requires_grad_(False)
            fake, q = judge(made)
            step_of(g_optimizer, F.softplus(-fake).mean() + code_loss(q, z), optimizer_options)
            for network in judges:
                network.requires_grad_(True)
            with torch.no_grad():
                torch._foreach_lerp_(ema, [p.detach() for p in averaged_parameters(generator)], 1 - decay)

    source = batches()
    start = time.perf_counter()
    for done in range(steps):
        for optimizer, options in optimizers:
            set_rate(optimizer, options, done)
        step(next(source))
    seconds = time.perf_counter() - start
    trained.mkdir(parents=True, exist_ok=True)
    for role, network in networks.items():
        write(network, role)
    if ema is not None:
        with torch.no_grad():
            for value, average in zip(averaged_parameters(networks["generator"]), ema):
                value.copy_(average)
        write(networks["generator"], "generator", ".ema")
    return seconds


def run(*command):
    """Runs a program; returns its output, its seconds and its peak resident bytes."""
    start = time.perf_counter()
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}: ended with {process.returncode}")
    return output, time.perf_counter() - start, usage.ru_maxrss * 1024


def data_of(name, images):
    return ROOT / "build/data/sines.npy" if name == "crgan" else images / "train-images-idx3-ubyte.gz"


def scores(model, name, images):
    data, labels = data_of(name, images), images / "train-labels-idx1-ubyte.gz"
    if name == "vae":  # the bound of images that it has not seen
        data, labels = images / "t10k-images-idx3-ubyte.gz", images / "t10k-labels-idx1-ubyte.gz"
    judge = [] if name == "crgan" else ["--classifier", WORK / "classifier.figment", "--labels", labels]
    found = json.loads(run(BIN / "figment", "evaluate", model, "--data", data, *judge, "--seeds", 1, "--json")[0])
    return {key: value["mean"] for key, value in found["scores"].items()}


def recipe_of(name):
    return json.loads((ROOT / "models" / RUNS[name][0] / "recipe.json").read_text())


def key_of(name):
    return hashlib.sha256(json.dumps([recipe_of(name), RUNS[name][1]], sort_keys=True).encode()).hexdigest()


def record(name, side, seed):
    """What a run has scored; None if it has not run, or with another recipe or other steps."""
    path = WORK / name / str(seed) / f"{side}.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    return found if found.get("key") == key_of(name) else None


def train(name, side, seed, images):
    if record(name, side, seed):
        return
    family, steps, _ = RUNS[name]
    folder = WORK / name / str(seed)
    folder.mkdir(parents=True, exist_ok=True)
    trained = folder / f"{side}.figment"
    (folder / "recipe.json").write_text(json.dumps(recipe_of(name) | {"seed": seed}))
    untrained = folder / "untrained.figment"
    run(BIN / "figment-convert", folder / "recipe.json", "-o", untrained, "-q")
    if side == "figment":
        _, seconds, memory = run(BIN / "figment", "train", untrained, "--data", data_of(family, images), "--seed", seed, "--steps",
                                 steps, "--threads", 1, "--out", trained)
    else:
        run(BIN / "figment", "parameters", untrained, "-o", folder / "initial")
        output, _, memory = run(sys.executable, __file__, "--child", name, seed)
        run(BIN / "figment", "parameters", untrained, "--load", folder / "trained", "--out", trained)
        seconds = float(output)
    found = {"key": key_of(name), "seconds": seconds, "memory": memory, **scores(trained, family, images)}
    (folder / f"{side}.json").write_text(json.dumps(found))


def described(values):
    return f"{statistics.mean(values):.4g} ± {statistics.stdev(values):.2g} (median {statistics.median(values):.4g})"


def report():
    """Runs of at least two seeds take the place of what was recorded of them."""
    recorded = json.loads((HERE / "results.json").read_text())
    results = {}
    for name, (_, steps, metric) in RUNS.items():
        pairs = [both for both in ([record(name, side, seed) for side in SIDES] for seed in SEEDS) if all(both)]
        if len(pairs) > 1:
            ours, theirs = zip(*pairs)
            results[name] = {"steps": steps, "metric": metric, "seeds": len(pairs), "figment": ours, "pytorch": theirs}
        elif name in recorded:
            results[name] = recorded[name]
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    print("| run | seeds | steps | score | Figment | PyTorch | worse by (95 %) | half of PyTorch's spread | s | MB |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, entry in results.items():
        for metric in dict.fromkeys((entry["metric"], *(ALSO if name != "vae" else ()))):
            ours, theirs = ([r[metric] for r in entry[side] if metric in r] for side in ("figment", "pytorch"))
            if not ours:
                continue
            sign = 1 if metric in LESS_IS_BETTER else -1
            worse = sign * (statistics.mean(ours) - statistics.mean(theirs))
            width = STUDENT[len(ours)] * ((statistics.variance(ours) + statistics.variance(theirs)) / len(ours)) ** 0.5
            cost = [f"{statistics.median(r[key] for r in entry['figment']) / unit:.0f} / "
                    f"{statistics.median(r[key] for r in entry['pytorch']) / unit:.0f}"
                    for key, unit in (("seconds", 1), ("memory", 1e6))]
            print(f"| {name} | {entry['seeds']} | {entry['steps']} | {metric} | {described(ours)} | {described(theirs)} | {worse:.2g} ± {width:.2g} | "
                  f"{statistics.stdev(theirs) / 2:.2g} | {cost[0]} | {cost[1]} |")


def main():
    images = pathlib.Path(run(ROOT / "dev", "data", "fashion-mnist")[0].strip())
    if sys.argv[1:2] == ["--child"]:
        name, seed = sys.argv[2], int(sys.argv[3])
        family, steps, _ = RUNS[name]
        path = data_of(family, images)
        data = np.load(path) if path.suffix == ".npy" else read_idx(path)
        folder = WORK / name / str(seed)
        print(train_in_pytorch(recipe_of(name), steps, seed, data, folder / "initial", folder / "trained"))
        return
    WORK.mkdir(parents=True, exist_ok=True)
    run(ROOT / "dev", "data", "sines")
    run(BIN / "figment-convert", ROOT / "models/classifier/classifier.onnx", "-o", WORK / "classifier.figment", "-q")
    for name in sys.argv[1:] or RUNS:
        for side in SIDES:
            for seed in SEEDS:
                train(name, side, seed, images)
                print(f"{name}, {side}, seed {seed}: done", file=sys.stderr, flush=True)
    report()


if __name__ == "__main__":
    main()
