#!/usr/bin/env python3
"""Exports small networks of the kinds that people train as generators, and records what PyTorch computes with them.

Usage: record_architectures.py   (needs torch, onnx and numpy; the files in the tree were made with torch 2.13)

Writes architectures/NAME.onnx, exported by the TorchScript-based exporter, NAME_dynamo.onnx, by the other one, and
NAME.PORT.npy for every input and output. Weights are random, and so are the statistics of batch normalization.
"""
import pathlib

import numpy as np
import onnx
import torch
from torch import nn

FOLDER = pathlib.Path(__file__).resolve().parent / "architectures"
BATCH = 2


def dcgan(size, channels):
    """Radford et al. 2015: a projection to 4x4, then doubling with 4x4 kernels."""
    width = 16
    layers = [nn.ConvTranspose2d(12, width, 4, 1, 0, bias=False), nn.BatchNorm2d(width), nn.ReLU(True)]
    while size > 8:
        layers += [nn.ConvTranspose2d(width, width // 2, 4, 2, 1, bias=False), nn.BatchNorm2d(width // 2), nn.ReLU(True)]
        width //= 2
        size //= 2
    return nn.Sequential(*layers, nn.ConvTranspose2d(width, channels, 4, 2, 1), nn.Tanh())


class ConditionalDecoder(nn.Module):
    """A VAE's decoder whose one-hot label is concatenated to the latent."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8 + 10, 32), nn.LeakyReLU(0.2), nn.Linear(32, 7 * 7 * 8), nn.ReLU(),
                                 nn.Unflatten(1, (8, 7, 7)), nn.ConvTranspose2d(8, 8, 3, 2, 1, 1), nn.ELU(),
                                 nn.ConvTranspose2d(8, 1, 3, 2, 1, 1), nn.Sigmoid())

    def forward(self, latent, label):
        return self.net(torch.cat([latent, label], dim=1))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(1, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.LeakyReLU(0.1), nn.Conv2d(8, 16, 3, 2, 1),
                                   nn.ReLU(), nn.Flatten(), nn.Dropout(0.3), nn.Linear(16 * 49, 24), nn.ReLU())
        self.mean = nn.Linear(24, 6)
        self.log_variance = nn.Linear(24, 6)

    def forward(self, image):
        h = self.trunk(image)
        return self.mean(h), self.log_variance(h)


class UpBlock(nn.Module):
    """Miyato et al. 2018: nearest upsampling, two convolutions, a residual add."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.main = nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(), nn.Upsample(scale_factor=2),
                                  nn.Conv2d(inputs, outputs, 3, 1, 1), nn.BatchNorm2d(outputs), nn.ReLU(),
                                  nn.Conv2d(outputs, outputs, 3, 1, 1))
        self.skip = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 1))

    def forward(self, x):
        return self.main(x) + self.skip(x)


class ResnetGenerator(nn.Module):
    def __init__(self):
        super().__init__()
        self.project = nn.Linear(10, 4 * 4 * 16)
        self.blocks = nn.Sequential(UpBlock(16, 12), UpBlock(12, 8), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 3, 3, 1, 1), nn.Tanh())

    def forward(self, latent):
        return self.blocks(self.project(latent).view(-1, 16, 4, 4))


class UNet(nn.Module):
    """Isola et al. 2017: an encoder and a decoder, with skips that concatenate."""

    def __init__(self):
        super().__init__()
        self.down1 = nn.Conv2d(3, 8, 4, 2, 1)
        self.down2 = nn.Sequential(nn.LeakyReLU(0.2), nn.Conv2d(8, 16, 4, 2, 1), nn.BatchNorm2d(16))
        self.bottom = nn.Sequential(nn.LeakyReLU(0.2), nn.Conv2d(16, 16, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(16, 16, 4, 2, 1),
                                    nn.BatchNorm2d(16))
        self.up2 = nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(32, 8, 4, 2, 1), nn.BatchNorm2d(8))
        self.up1 = nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(16, 3, 4, 2, 1), nn.Tanh())

    def forward(self, image):
        a = self.down1(image)
        b = self.down2(a)
        c = self.up2(torch.cat([self.bottom(b), b], 1))
        return self.up1(torch.cat([c, a], 1))


class InfoganHeads(nn.Module):
    """Chen et al. 2016: a discriminator and the distributions of the codes on one trunk."""

    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(1, 8, 4, 2, 1), nn.LeakyReLU(0.1), nn.Conv2d(8, 16, 4, 2, 1), nn.BatchNorm2d(16),
                                   nn.LeakyReLU(0.1), nn.AvgPool2d(2), nn.Conv2d(16, 24, 3), nn.LeakyReLU(0.1), nn.Flatten())
        self.real = nn.Linear(24, 1)
        self.codes = nn.Sequential(nn.Linear(24, 16), nn.LeakyReLU(0.1))
        self.category = nn.Linear(16, 10)
        self.mean = nn.Linear(16, 2)
        self.log_variance = nn.Linear(16, 2)

    def forward(self, image):
        h = self.trunk(image)
        q = self.codes(h)
        return (torch.sigmoid(self.real(h)), torch.softmax(self.category(q), 1), self.mean(q), torch.exp(self.log_variance(q)))


class Discriminator(nn.Module):
    """A DCGAN discriminator: the last kernel covers its input."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 8, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(8, 16, 4, 2, 1), nn.BatchNorm2d(16),
                                 nn.LeakyReLU(0.2), nn.Conv2d(16, 16, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(16, 1, 4, 1, 0), nn.Sigmoid())

    def forward(self, image):
        return self.net(image).view(-1, 1).squeeze(1)


class ClassifierWithPools(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 8, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 12, 5), nn.ReLU6())
        self.out = nn.Linear(12, 10)

    def forward(self, image):
        return torch.log_softmax(self.out(self.features(image).mean(dim=[2, 3])), dim=1)


NETWORKS = {
    "dense": (nn.Sequential(nn.Linear(16, 32), nn.BatchNorm1d(32), nn.LeakyReLU(0.2), nn.Linear(32, 64), nn.Softplus(),
                            nn.Linear(64, 100), nn.Tanh()), {"latent": (16,)}, ["image"]),
    "dcgan28": (nn.Sequential(nn.ConvTranspose2d(12, 16, 7, 1, 0), nn.BatchNorm2d(16), nn.ReLU(),
                              nn.ConvTranspose2d(16, 8, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(8, 1, 4, 2, 1), nn.Tanh()),
                {"latent": (12, 1, 1)}, ["image"]),
    "dcgan32": (dcgan(32, 3), {"latent": (12, 1, 1)}, ["image"]),
    "dcgan64": (dcgan(64, 3), {"latent": (12, 1, 1)}, ["image"]),
    "conditional_decoder": (ConditionalDecoder(), {"latent": (8,), "label": (10,)}, ["image"]),
    "encoder": (Encoder(), {"image": (1, 28, 28)}, ["mean", "log_variance"]),
    "resnet": (ResnetGenerator(), {"latent": (10,)}, ["image"]),
    "unet": (UNet(), {"image": (3, 32, 32)}, ["translated"]),
    "infogan_heads": (InfoganHeads(), {"image": (1, 28, 28)}, ["real", "category", "mean", "variance"]),
    "discriminator": (Discriminator(), {"image": (3, 32, 32)}, ["real"]),
    "classifier": (ClassifierWithPools(), {"image": (1, 28, 28)}, ["log_probabilities"]),
}

FOLDER.mkdir(exist_ok=True)
for name, (network, inputs, outputs) in NETWORKS.items():
    torch.manual_seed(len(name))
    for parameter in network.parameters():
        if parameter.dim() > 1:
            nn.init.kaiming_uniform_(parameter, nonlinearity="linear")
    for module in network.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2)
    network.eval()
    tensors = tuple(torch.randn(BATCH, *shape) for shape in inputs.values())
    for suffix, dynamo in (("", False), ("_dynamo", True)):
        path = FOLDER / f"{name}{suffix}.onnx"
        if dynamo:
            dynamic = {"dynamic_shapes": tuple({0: torch.export.Dim("batch")} for _ in inputs)}
        else:
            dynamic = {"dynamic_axes": {port: {0: "batch"} for port in [*inputs, *outputs]}}
        torch.onnx.export(network, tensors, path, input_names=list(inputs), output_names=outputs, dynamo=dynamo,
                          external_data=False, **dynamic)
        model = onnx.load(path)
        del model.metadata_props[:]
        for node in model.graph.node:
            node.doc_string = ""
            del node.metadata_props[:]
        onnx.save(model, path)
    with torch.no_grad():
        results = network(*tensors)
    results = results if isinstance(results, tuple) else (results,)
    for port, tensor in [*zip(inputs, tensors), *zip(outputs, results)]:
        np.save(FOLDER / f"{name}.{port}.npy", tensor.numpy())
