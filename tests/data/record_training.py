#!/usr/bin/env python3
"""Trains small networks in PyTorch and records every step, for Figment to repeat.

Usage: record_training.py   (needs torch, onnx and numpy; the files in the tree were made with torch 2.13)

Writes training/NAME/: the networks as they were before training (ROLE.onnx), the inputs of all steps ([steps, batch,
...]) as INPUT.npy, the losses as losses.npy [steps, losses], the gradients of the first step as ROLE.PARAMETER.gradient.npy
and the parameters after the last step as ROLE.PARAMETER.npy.
"""
import pathlib
import warnings

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn import functional as F

FOLDER = pathlib.Path(__file__).resolve().parent / "training"
STEPS, BATCH = 20, 6
warnings.filterwarnings("ignore")


def save_gradients(folder, role, network):
    for name, value in network.named_parameters():
        np.save(folder / f"{role}.{name}.gradient.npy", value.grad.numpy())


def save(folder, networks, example_inputs, names):
    for role, network in networks.items():
        network.eval()
        path = folder / f"{role}.onnx"
        ins, outs = names[role]
        torch.onnx.export(network, (example_inputs[role],), path, input_names=ins, output_names=outs, dynamo=False,
                          dynamic_axes={port: {0: "batch"} for port in ins + outs}, do_constant_folding=False,
                          training=torch.onnx.TrainingMode.PRESERVE)
        model = onnx.load(path)
        for node in model.graph.node:
            node.doc_string = ""
        onnx.save(model, path)
        network.train()


def finish(folder, networks, inputs, losses):
    for name, values in inputs.items():
        np.save(folder / f"{name}.npy", torch.stack(values).numpy())
    np.save(folder / "losses.npy", np.array(losses, dtype=np.float32))
    for role, network in networks.items():
        for name, value in network.named_parameters():
            np.save(folder / f"{role}.{name}.npy", value.detach().numpy())


def gan(name, generator, discriminator, latent_shape, sample_shape, optimizer, loss, smoothing=0.0):
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    networks = {"generator": generator, "discriminator": discriminator}
    save(folder, networks, {"generator": torch.randn(BATCH, *latent_shape), "discriminator": torch.randn(BATCH, *sample_shape)},
         {"generator": (["latent"], ["image"]), "discriminator": (["image"], ["real"])})
    # The exported discriminator may end in a sigmoid; the losses are on logits.
    ends_in_sigmoid = isinstance(discriminator, nn.Sequential) and isinstance(discriminator[-1], nn.Sigmoid)
    logits = nn.Sequential(*list(discriminator)[:-1]) if ends_in_sigmoid else discriminator
    g_optimizer, d_optimizer = optimizer(generator.parameters()), optimizer(discriminator.parameters())
    inputs, losses = {"latent": [], "image": []}, []
    for step in range(STEPS):
        z, x = torch.randn(BATCH, *latent_shape), torch.tanh(torch.randn(BATCH, *sample_shape))
        inputs["latent"].append(z)
        inputs["image"].append(x)
        made = generator(z)
        real, fake = logits(x), logits(made.detach())
        if loss == "hinge":
            d_loss = F.relu(1 - real).mean() + F.relu(1 + fake).mean()
        else:
            targets = torch.full_like(real, 1 - smoothing)
            d_loss = F.binary_cross_entropy_with_logits(real, targets) + F.softplus(fake).mean()
        d_optimizer.zero_grad()
        d_loss.backward()
        if step == 0:
            save_gradients(folder, "discriminator", discriminator)
        d_optimizer.step()
        fake = logits(made)
        g_loss = -fake.mean() if loss == "hinge" else F.softplus(-fake).mean()
        g_optimizer.zero_grad()
        g_loss.backward()
        if step == 0:
            save_gradients(folder, "generator", generator)
        g_optimizer.step()
        losses.append([d_loss.item(), g_loss.item()])
    finish(folder, networks, inputs, losses)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.LeakyReLU(0.1), nn.Flatten(), nn.Linear(4 * 6 * 6, 20), nn.ELU())
        self.mean = nn.Linear(20, 3)
        self.log_variance = nn.Linear(20, 3)

    def forward(self, image):
        h = self.trunk(image)
        return self.mean(h), self.log_variance(h)


def vae(name, encoder, decoder):
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    networks = {"encoder": encoder, "decoder": decoder}
    save(folder, networks, {"encoder": torch.rand(BATCH, 1, 12, 12), "decoder": torch.randn(BATCH, 3)},
         {"encoder": (["image"], ["mean", "log_variance"]), "decoder": (["latent"], ["reconstruction"])})
    logits = nn.Sequential(*list(decoder)[:-1])
    optimizer = torch.optim.AdamW([*encoder.parameters(), *decoder.parameters()], lr=3e-3, betas=(0.9, 0.999), weight_decay=0.01)
    inputs, losses = {"noise": [], "image": []}, []
    for step in range(STEPS):
        x, noise = torch.rand(BATCH, 1, 12, 12), torch.randn(BATCH, 3)
        inputs["noise"].append(noise)
        inputs["image"].append(x)
        mean, log_variance = encoder(x)
        y = logits(mean + torch.exp(log_variance / 2) * noise)
        reconstruction = F.binary_cross_entropy_with_logits(y, x, reduction="sum") / BATCH
        kl = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum() / BATCH
        loss = reconstruction + 2 * kl
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            save_gradients(folder, "encoder", encoder)
            save_gradients(folder, "decoder", decoder)
        optimizer.step()
        losses.append([loss.item(), reconstruction.item(), kl.item()])
    finish(folder, networks, inputs, losses)


class RecurrentGenerator(nn.Module):
    """A sequence from a sequence of noise."""

    def __init__(self, latent, hidden, features):
        super().__init__()
        self.lstm = nn.LSTM(latent, hidden, batch_first=True)
        self.output = nn.Linear(hidden, features)

    def forward(self, latent):
        return torch.tanh(self.output(self.lstm(latent)[0]))


class RecurrentDiscriminator(nn.Module):
    """Reads a sequence from its end to its beginning."""

    def __init__(self, features, hidden):
        super().__init__()
        self.gru = nn.GRU(features, hidden, batch_first=True)
        self.output = nn.Linear(hidden, 1)

    def forward(self, image):
        states, last = self.gru(torch.flip(image, [1]))
        return self.output(states[:, -1])


class CodeDiscriminator(nn.Module):
    """A trunk with a logit and the heads of two codes: logits of a category, means and log deviations."""

    def __init__(self, trunk, features, categories, continuous):
        super().__init__()
        self.trunk = trunk
        self.real = nn.Linear(features, 1)
        self.q = nn.Sequential(nn.Linear(features, 8), nn.ReLU())
        self.category = nn.Linear(8, categories)
        self.style = nn.Linear(8, 2 * continuous)

    def forward(self, image):
        h = self.trunk(image)
        q = self.q(h)
        return self.real(h), self.category(q), self.style(q)


def infogan(name, generator, discriminator, noise, categories, continuous, sample_shape, weight):
    folder = FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    networks = {"generator": generator, "discriminator": discriminator}
    size = noise + categories + continuous
    save(folder, networks, {"generator": torch.randn(BATCH, size), "discriminator": torch.randn(BATCH, *sample_shape)},
         {"generator": (["latent"], ["image"]), "discriminator": (["image"], ["real", "category", "style"])})
    g_optimizer = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.999))
    d_optimizer = torch.optim.Adam(discriminator.parameters(), lr=1e-3, betas=(0.5, 0.999))
    inputs, losses = {"latent": [], "image": []}, []

    def code_losses(outputs, z):
        category = F.cross_entropy(outputs[1], z[:, noise : noise + categories].argmax(1))
        mean, log_deviation = outputs[2].chunk(2, 1)
        normal = torch.distributions.Normal(mean, torch.clamp(log_deviation, -6, 6).exp())
        style = -normal.log_prob(z[:, noise + categories :]).sum(1).mean()
        return category, style

    for step in range(STEPS):
        codes = F.one_hot(torch.randint(categories, (BATCH,)), categories)
        z = torch.cat([torch.randn(BATCH, noise), codes, 2 * torch.rand(BATCH, continuous) - 1], 1)
        x = torch.tanh(torch.randn(BATCH, *sample_shape))
        inputs["latent"].append(z)
        inputs["image"].append(x)
        made = generator(z)
        real, outputs = discriminator(x)[0], discriminator(made.detach())
        d_loss = F.softplus(-real).mean() + F.softplus(outputs[0]).mean()
        category, style = code_losses(outputs, z)
        d_optimizer.zero_grad()
        (d_loss + category + weight * style).backward()
        if step == 0:
            save_gradients(folder, "discriminator", discriminator)
        d_optimizer.step()
        outputs = discriminator(made)
        g_loss = F.softplus(-outputs[0]).mean()
        g_category, g_style = code_losses(outputs, z)
        g_optimizer.zero_grad()
        (g_loss + g_category + weight * g_style).backward()
        if step == 0:
            save_gradients(folder, "generator", generator)
        g_optimizer.step()
        losses.append([d_loss.item(), category.item(), style.item(), g_loss.item()])
    finish(folder, networks, inputs, losses)


torch.manual_seed(7)
gan("dense_gan",
    nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 24), nn.LeakyReLU(0.2), nn.Linear(24, 12), nn.Tanh()),
    nn.Sequential(nn.Linear(12, 24), nn.LeakyReLU(0.2), nn.Linear(24, 1), nn.Sigmoid()),
    (5,), (12,), lambda p: torch.optim.Adam(p, lr=2e-3, betas=(0.5, 0.999)), "non-saturating", 0.1)
gan("dcgan",
    nn.Sequential(nn.ConvTranspose2d(5, 12, 3, 1, 0, bias=False), nn.BatchNorm2d(12), nn.ReLU(),
                  nn.ConvTranspose2d(12, 8, 4, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
                  nn.ConvTranspose2d(8, 2, 4, 2, 1), nn.Tanh()),
    nn.Sequential(nn.Conv2d(2, 6, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(6, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8),
                  nn.LeakyReLU(0.2), nn.Conv2d(8, 1, 3, 1, 0), nn.Flatten()),
    (5, 1, 1), (2, 12, 12), lambda p: torch.optim.SGD(p, lr=2e-2, momentum=0.8), "hinge")
vae("conv_vae", Encoder(),
    nn.Sequential(nn.Linear(3, 4 * 3 * 3), nn.ReLU(), nn.Unflatten(1, (4, 3, 3)), nn.ConvTranspose2d(4, 6, 3, 2, 1, 1), nn.ELU(),
                  nn.ConvTranspose2d(6, 1, 4, 2, 1), nn.Sigmoid()))
gan("crgan", RecurrentGenerator(3, 7, 2), RecurrentDiscriminator(2, 6), (5, 3), (5, 2),
    lambda p: torch.optim.Adam(p, lr=2e-3, betas=(0.5, 0.999)), "non-saturating")
gan("dgan",
    nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 14), nn.ReLU(), nn.Linear(14, 18), nn.ReLU(), nn.Linear(18, 16), nn.Tanh()),
    nn.Sequential(nn.Linear(16, 14), nn.ReLU(), nn.Linear(14, 10), nn.ReLU(), nn.Linear(10, 6), nn.ReLU(), nn.Linear(6, 1)),
    (6,), (16,), lambda p: torch.optim.Adam(p, lr=1e-3, betas=(0.5, 0.999)), "non-saturating", 0.1)
infogan("infogan",
        nn.Sequential(nn.Linear(9, 16), nn.ReLU(), nn.Linear(16, 12), nn.Tanh()),
        CodeDiscriminator(nn.Sequential(nn.Linear(12, 16), nn.LeakyReLU(0.1)), 16, 3, 2), 4, 3, 2, (12,), 0.5)
infogan("deep_infogan",
        nn.Sequential(nn.Linear(9, 8 * 9), nn.ReLU(), nn.Unflatten(1, (8, 3, 3)),
                      nn.ConvTranspose2d(8, 6, 4, 2, 1, bias=False), nn.BatchNorm2d(6), nn.ReLU(),
                      nn.ConvTranspose2d(6, 1, 4, 2, 1), nn.Tanh()),
        CodeDiscriminator(nn.Sequential(nn.Conv2d(1, 6, 4, 2, 1), nn.LeakyReLU(0.1), nn.Conv2d(6, 8, 4, 2, 1, bias=False),
                                        nn.BatchNorm2d(8), nn.LeakyReLU(0.1), nn.Flatten()), 72, 3, 2), 4, 3, 2, (1, 12, 12), 0.5)
