"""Exports small networks whose length is open, by both of PyTorch's exporters, and records what they compute at several
lengths:

    python lengths.py FOLDER

NAME.EXPORTER.onnx, of "ts" (TorchScript), "one" (TorchScript, the batch fixed at 1) and "dyn" (torch.export); and
NAME.LENGTH.npz with x and y. lengths.zip holds of each network an export or more, and all recordings.
"""

import sys

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class Vocoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.before = nn.Conv1d(8, 16, 7, padding=3)
        self.up = nn.ConvTranspose1d(16, 8, 8, 4, padding=2)
        self.residual = nn.Conv1d(8, 8, 3, padding=3, dilation=3)
        self.up_again = nn.ConvTranspose1d(8, 4, 4, 2, padding=1)
        self.after = nn.Conv1d(4, 1, 7, padding=3)

    def forward(self, x):
        x = self.up(functional.leaky_relu(self.before(x), 0.1))
        x = x + self.residual(functional.leaky_relu(x, 0.1))
        return torch.tanh(self.after(self.up_again(functional.leaky_relu(x, 0.1))))


class Encoder(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv1d(1, 8, 7, padding=3), nn.ELU(), nn.Conv1d(8, 16, 8, 4, padding=2), nn.ELU(),
                         nn.Conv1d(16, 16, 4, 2, padding=1))


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(2, 8, 3, padding=1)
        self.down = nn.Conv1d(8, 16, 4, 2, padding=1)
        self.norm = nn.GroupNorm(4, 16)
        self.up = nn.ConvTranspose1d(16, 8, 4, 2, padding=1)
        self.last = nn.Conv1d(16, 2, 3, padding=1)

    def forward(self, x):
        first = torch.relu(self.first(x))
        return self.last(torch.cat([first, self.up(torch.relu(self.norm(self.down(first))))], 1))


class Causal(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 4, 3)
        self.up = nn.ConvTranspose1d(4, 2, 4, 2)

    def forward(self, x):
        return self.up(self.conv(functional.pad(x, (2, 0))))[..., :-2]


class Recurrent(nn.Module):
    def __init__(self, kind, width, **options):
        super().__init__()
        self.layer = kind(6, width, batch_first=True, **options)
        self.last = nn.Linear(width * (2 if options.get("bidirectional") else 1), 3)

    def forward(self, z):
        return self.last(self.layer(z)[0])


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 16)
        self.layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, dropout=0)
        self.last = nn.Linear(16, 2)

    def forward(self, x):
        return self.last(self.layer(self.first(x)))


class Pooled(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(3, 8, 3, 2, padding=1)
        self.last = nn.Linear(8, 4)

    def forward(self, x):
        return self.last(torch.relu(self.conv(x)).mean(-1))


class Reflected(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(3, 3, 7)

    def forward(self, x):
        return self.conv(functional.pad(x, (3, 3), mode="reflect"))


class Upsampled(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        return self.conv(functional.interpolate(x, scale_factor=2.0, mode="nearest"))


class Cut(nn.Module):  # of more than 500 steps it forgets the rest: no other length follows from two
    def forward(self, x):
        return torch.tanh(x[..., :500])


NETWORKS = {  # the shape, the axis that is open, lengths
    "vocoder": (Vocoder(), (2, 8, 48), 2, [48, 49, 100, 17]),
    "encoder": (Encoder(), (2, 1, 64), 2, [64, 128, 256]),
    "unet": (UNet(), (2, 2, 64), 2, [64, 66, 128]),
    "causal": (Causal(), (2, 4, 32), 2, [32, 33, 80]),
    "lstm": (Recurrent(nn.LSTM, 12), (2, 20, 6), 1, [20, 21, 50]),
    "gru": (Recurrent(nn.GRU, 8, num_layers=2, bidirectional=True), (2, 20, 6), 1, [20, 7]),
    "attention": (Attention(), (2, 20, 6), 1, [20, 33]),
    "pooled": (Pooled(), (2, 3, 64), 2, [64, 80]),
    "reflected": (Reflected(), (2, 3, 40), 2, [40, 9]),
    "upsampled": (Upsampled(), (2, 3, 16, 8), 2, [16, 24]),
    "cut": (Cut(), (2, 3, 64), 2, [64]),
}


def main():
    folder = sys.argv[1]
    for name, (network, shape, axis, lengths) in NETWORKS.items():
        network.eval()
        x = torch.randn(shape)
        path = f"{folder}/{name}"
        names = {"input_names": ["x"], "output_names": ["y"], "opset_version": 17, "dynamo": False}
        torch.onnx.export(network, (x,), path + ".ts.onnx", dynamic_axes={"x": {0: "batch", axis: "time"}}, **names)
        torch.onnx.export(network, (x[:1],), path + ".one.onnx", dynamic_axes={"x": {axis: "time"}}, **names)
        torch.onnx.export(network, (x,), path + ".dyn.onnx", dynamo=True, external_data=False, input_names=["x"],
                          output_names=["y"], dynamic_shapes=({0: torch.export.Dim("batch"),
                                                               axis: torch.export.Dim("time", min=8, max=4096)},))
        for length in lengths:
            x = torch.randn([length if i == axis else extent for i, extent in enumerate(shape)])
            with torch.no_grad():
                np.savez(f"{path}.{length}.npz", x=x.numpy(), y=network(x).numpy())


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
