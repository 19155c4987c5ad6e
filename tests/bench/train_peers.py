#!/usr/bin/env python3
"""Times one train step of four models beside PyTorch's, on one thread, alternating, and compares memory beyond parameters
and optimizer state.

Usage: train_peers.py BIN WORK [ROUNDS]   (needs torch; tests/bench/bench.sh runs it if it is there)

Both sides run the same step: the generator's forward pass is shared by the two sub-steps, the discriminator is frozen in
the generator's, and Adam updates (PyTorch's fused one, its fastest). BIN holds figment and figment-convert.
"""
import json
import pathlib
import statistics
import subprocess
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

BIN, WORK = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
ROUNDS = int(sys.argv[3]) if len(sys.argv) > 3 else 5
RECIPES = pathlib.Path(__file__).resolve().parent / "recipes"
torch.set_num_threads(1)


class LstmGenerator(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.output = nn.LSTM(16, 64, batch_first=True), nn.Linear(64, 4)

    def forward(self, z):
        return torch.tanh(self.output(self.lstm(z)[0]))


class LstmDiscriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.output = nn.LSTM(4, 64, batch_first=True), nn.Linear(24 * 64, 1)

    def forward(self, x):
        return self.output(self.lstm(torch.flip(x, [1]))[0].flatten(1))


def dense(sizes, last):
    layers = []
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        layers += [nn.Linear(a, b), nn.ReLU() if i + 2 < len(sizes) else last]
    return nn.Sequential(*layers)


def optimizer(*networks):
    return torch.optim.Adam([p for n in networks for p in n.parameters()], lr=2e-4, betas=(0.5, 0.999), fused=True)


def gan_step(generator, discriminator, latent, sample):
    g_optimizer, d_optimizer = optimizer(generator), optimizer(discriminator)

    def step(batch):
        z, x = torch.randn(batch, *latent), torch.rand(batch, *sample)
        made = generator(z)
        d_loss = F.softplus(-discriminator(x)).mean() + F.softplus(discriminator(made.detach())).mean()
        d_optimizer.zero_grad(set_to_none=True)
        d_loss.backward()
        d_optimizer.step()
        discriminator.requires_grad_(False)
        g_loss = F.softplus(-discriminator(made)).mean()
        g_optimizer.zero_grad(set_to_none=True)
        g_loss.backward()
        g_optimizer.step()
        discriminator.requires_grad_(True)

    return step


def vae_step():
    trunk, heads = dense([784, 400], nn.ReLU()), nn.ModuleList([nn.Linear(400, 20), nn.Linear(400, 20)])
    decoder = dense([20, 400, 784], nn.Identity())
    adam = optimizer(trunk, heads, decoder)

    def step(batch):
        x = torch.rand(batch, 784)
        h = trunk(x)
        mean, log_variance = heads[0](h), heads[1](h)
        y = decoder(mean + torch.exp(log_variance / 2) * torch.randn_like(mean))
        loss = F.binary_cross_entropy_with_logits(y, x, reduction="sum") / batch
        loss = loss - 0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum() / batch
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()

    return step


def dcgan_step():
    generator = nn.Sequential(nn.ConvTranspose2d(100, 128, 7, bias=False), nn.BatchNorm2d(128), nn.ReLU(),
                              nn.ConvTranspose2d(128, 64, 4, 2, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
                              nn.ConvTranspose2d(64, 1, 4, 2, 1), nn.Tanh())
    discriminator = nn.Sequential(nn.Conv2d(1, 64, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(64, 128, 4, 2, 1, bias=False),
                                  nn.BatchNorm2d(128), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(6272, 1))
    # Channels last is no faster here; the default is what people run.
    return gan_step(generator, discriminator, (100, 1, 1), (1, 28, 28))


MODELS = {
    "dgan": lambda: gan_step(dense([100, 256, 512, 1024, 784], nn.Tanh()), dense([784, 512, 256, 128, 1], nn.Identity()),
                             (100,), (784,)),
    "dcgan": dcgan_step,
    "vae": vae_step,
    "lstm_gan": lambda: gan_step(LstmGenerator(), LstmDiscriminator(), (24, 16), (24, 4)),
}


def torch_time(step, batch, seconds):
    for _ in range(3):
        step(batch)
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        start = time.perf_counter()
        step(batch)
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def torch_memory(name, batch):
    """Peak resident bytes of a step beyond what is resident between steps (parameters, gradients, optimizer state)."""
    code = (f"import runpy, sys; sys.argv = ['', '{BIN}', '{WORK}', '0']\n"
            f"m = runpy.run_path({__file__!r}, run_name='child')\n"
            f"step = m['MODELS'][{name!r}]()\n"
            "step(1)\n"
            "read = lambda key: int(next(l for l in open('/proc/self/status') if l.startswith(key)).split()[1]) * 1024\n"
            "before = read('VmRSS')\n"
            "open('/proc/self/clear_refs', 'w').write('5')\n"
            f"[step({batch}) for _ in range(3)]\n"
            "print(read('VmHWM') - before)")
    return int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()[-1])


def figment_memory(path, batch):
    """The arena and the operators; the gradients of a sub-step lie in the arena and are counted, other than PyTorch's."""
    out = subprocess.run([BIN / "figment", "inspect", path, "--batch", str(batch), "--json"], check=True,
                         capture_output=True, text=True).stdout
    model = json.loads(out)
    return model["memory"]["arena"] + model["memory"]["operators"]


def figment_time(path, batch, seconds):
    out = subprocess.run([BIN / "figment", "bench", path, "--program", "train.step", "--batch", str(batch), "--seconds",
                          str(seconds), "--json"], check=True, capture_output=True, text=True).stdout
    return json.loads(out)[0]["median_us"] / 1e3


def main():
    print(f"torch {torch.__version__}, one thread, median of {ROUNDS} rounds, ms a step")
    print(f"{'model':<10}{'batch':>6}{'figment':>10}{'torch':>10}{'ratio':>8}{'figment MB':>12}{'torch MB':>10}")
    for name, make in MODELS.items():
        path = WORK / f"train_{name}.figment"
        subprocess.run([BIN / "figment-convert", RECIPES / f"{name}.json", "-o", path, "-q"], check=True)
        for batch in (8, 32, 64):
            step, ours, theirs = make(), [], []
            for _ in range(ROUNDS):
                ours.append(figment_time(path, batch, 0.5))
                theirs.append(torch_time(step, batch, 0.5))
            ratio = statistics.median(t / o for t, o in zip(theirs, ours))
            print(f"{name:<10}{batch:>6}{statistics.median(ours):>10.2f}{statistics.median(theirs):>10.2f}{ratio:>8.2f}"
                  f"{figment_memory(path, batch) / 1e6:>12.1f}{torch_memory(name, batch) / 1e6:>10.1f}", flush=True)


if __name__ == "__main__":
    main()
