#!/usr/bin/env python3
"""Trains the shipped Fashion-MNIST generators with PyTorch and exports them to ONNX.

Usage:  train_fashion_mnist.py {dgan,dcgan,conv_vae} --data DIR [--epochs N] [--threads T]

DIR is the folder that `./dev data fashion-mnist` prints. Each model is written to
models/MODEL/*.onnx beside a picture of samples. Needs torch, onnx and numpy. All three run on a CPU:
about 15 minutes (dgan), 10 (conv_vae) and 35 (dcgan) on one core.

Seeds, epochs and optimizer settings are the defaults below; the files in the tree were made with them.
"""
import argparse
import copy
import gzip
import pathlib
import struct
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

HERE = pathlib.Path(__file__).resolve().parent
SEED = 20260101


def read_images(folder, name):
    with gzip.open(pathlib.Path(folder) / name) as f:
        magic, count, height, width = struct.unpack(">IIII", f.read(16))
        if magic != 0x803:
            raise SystemExit(f"{name}: not an IDX file of images (magic {magic:#x})")
        pixels = np.frombuffer(f.read(), np.uint8).reshape(count, 1, height, width)
    return torch.from_numpy(pixels.astype(np.float32) / 255)


class DenseGenerator(nn.Sequential):
    """DGAN: 100-256-512-1024-784, ReLU, tanh."""

    latent = (100,)

    def __init__(self):
        super().__init__(
            nn.Linear(100, 256), nn.ReLU(),
            nn.Linear(256, 512), nn.ReLU(),
            nn.Linear(512, 1024), nn.ReLU(),
            nn.Linear(1024, 784), nn.Tanh(),
            nn.Unflatten(1, (1, 28, 28)))


class DenseDiscriminator(nn.Sequential):
    """784-512-256-128-1, ReLU; dropout keeps it from memorising the training images."""

    def __init__(self):
        super().__init__(
            nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Dropout(0.3),
            nn.Linear(512, 256), nn.ReLU(), nn.Dropout(0.3),
            nn.Linear(256, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, 1))


class ConvGenerator(nn.Sequential):
    """DCGAN at 28x28: 100 -> 7x7x128 -> 14x14x64 -> 28x28x1."""

    latent = (100, 1, 1)

    def __init__(self):
        super().__init__(
            nn.ConvTranspose2d(100, 128, 7, 1, 0, bias=False), nn.BatchNorm2d(128), nn.ReLU(),
            nn.ConvTranspose2d(128, 64, 4, 2, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
            nn.ConvTranspose2d(64, 1, 4, 2, 1), nn.Tanh())


class ConvDiscriminator(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 64, 4, 2, 1), nn.LeakyReLU(0.2),
            nn.Conv2d(64, 128, 4, 2, 1, bias=False), nn.BatchNorm2d(128), nn.LeakyReLU(0.2),
            nn.Flatten(), nn.Linear(128 * 49, 1))


class Encoder(nn.Module):
    def __init__(self, latent=16):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 32, 4, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 4, 2, 1), nn.ReLU(), nn.Flatten())
        self.mean = nn.Linear(3136, latent)
        self.log_variance = nn.Linear(3136, latent)

    def forward(self, x):
        h = self.trunk(x)
        return self.mean(h), self.log_variance(h)


class Decoder(nn.Sequential):
    latent = (16,)

    def __init__(self):
        super().__init__(
            nn.Linear(16, 3136), nn.ReLU(), nn.Unflatten(1, (64, 7, 7)),
            nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ReLU(),
            nn.ConvTranspose2d(32, 1, 4, 2, 1), nn.Sigmoid())


def init_dcgan(module):
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1, 0.02)


def batches(images, size):
    order = torch.randperm(len(images))
    for start in range(0, len(images) - size + 1, size):
        yield images[order[start:start + size]]


@torch.no_grad()
def update_average(average, live, decay):
    for a, b in zip(average.state_dict().values(), live.state_dict().values()):
        a.lerp_(b, 1 - decay) if a.is_floating_point() else a.copy_(b)


def train_gan(generator, discriminator, images, epochs, name):
    """Non-saturating logits loss, one-sided label smoothing, and a moving average that is what ships."""
    average = copy.deepcopy(generator)
    g_opt = torch.optim.Adam(generator.parameters(), 2e-4, (0.5, 0.999))
    d_opt = torch.optim.Adam(discriminator.parameters(), 2e-4, (0.5, 0.999))
    images = images * 2 - 1
    for epoch in range(epochs):
        start, total_d, total_g, steps = time.time(), 0.0, 0.0, 0
        for real in batches(images, 64):
            z = torch.randn(len(real), *generator.latent)
            fake = generator(z)
            real_logits, fake_logits = discriminator(real), discriminator(fake.detach())
            d_loss = (0.9 * F.softplus(-real_logits) + 0.1 * F.softplus(real_logits)).mean() \
                + F.softplus(fake_logits).mean()
            d_opt.zero_grad()
            d_loss.backward()
            d_opt.step()
            g_loss = F.softplus(-discriminator(fake)).mean()
            g_opt.zero_grad()
            g_loss.backward()
            g_opt.step()
            update_average(average, generator, 0.999 if epoch else 0.99)
            total_d, total_g, steps = total_d + d_loss.item(), total_g + g_loss.item(), steps + 1
        print(f"{name} epoch {epoch + 1}/{epochs}  D {total_d / steps:.3f}  G {total_g / steps:.3f}  "
              f"{time.time() - start:.0f} s", flush=True)
    return average.eval()


def train_vae(encoder, decoder, images, epochs):
    logits = nn.Sequential(*list(decoder)[:-1])
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(parameters, 1e-3)
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 if epoch < epochs * 2 // 3 else 2e-4
        start, total, steps = time.time(), 0.0, 0
        for x in batches(images, 128):
            mean, log_variance = encoder(x)
            log_variance = log_variance.clamp(-10, 10)
            z = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
            y = logits(z)
            nats = F.binary_cross_entropy_with_logits(y, x, reduction="sum") / len(x)
            kl = 0.5 * (mean ** 2 + log_variance.exp() - 1 - log_variance).sum() / len(x)
            loss = nats + kl
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total, steps = total + loss.item(), steps + 1
        print(f"conv_vae epoch {epoch + 1}/{epochs}  -ELBO {total / steps:.2f} nats  {time.time() - start:.0f} s",
              flush=True)


def export(module, inputs, path, input_names, output_names):
    path.parent.mkdir(exist_ok=True)
    torch.onnx.export(module.eval(), inputs, str(path), dynamo=False, opset_version=17,
                      input_names=input_names, output_names=output_names,
                      dynamic_axes={n: {0: "batch"} for n in [*input_names, *output_names]})
    print(f"wrote {path} ({path.stat().st_size / 1e6:.2f} MB)")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", choices=["dgan", "dcgan", "conv_vae"])
    parser.add_argument("--data", required=True)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.manual_seed(SEED)
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    images = read_images(args.data, "train-images-idx3-ubyte.gz")
    folder = HERE / args.model
    if args.model == "conv_vae":
        encoder, decoder = Encoder(), Decoder()
        train_vae(encoder, decoder, images, args.epochs or 20)
        export(encoder, torch.zeros(1, 1, 28, 28), folder / "encoder.onnx", ["image"], ["mean", "log_variance"])
        export(decoder, torch.zeros(1, 16), folder / "decoder.onnx", ["latent"], ["image"])
    elif args.model == "dgan":
        generator = train_gan(DenseGenerator(), DenseDiscriminator(), images, args.epochs or 60, "dgan")
        export(generator, torch.zeros(1, 100), folder / "generator.onnx", ["latent"], ["image"])
    else:
        generator, discriminator = ConvGenerator(), ConvDiscriminator()
        generator.apply(init_dcgan)
        discriminator.apply(init_dcgan)
        generator = train_gan(generator, discriminator, images, args.epochs or 12, "dcgan")
        export(generator, torch.zeros(1, 100, 1, 1), folder / "generator.onnx", ["latent"], ["image"])


if __name__ == "__main__":
    main()
