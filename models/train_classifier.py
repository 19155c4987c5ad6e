#!/usr/bin/env python3
"""Trains the classifier whose features `figment evaluate` compares samples by, and exports it to ONNX.

Usage:  train_classifier.py --data DIR [--epochs N] [--threads T]

DIR is the folder that `./dev data fashion-mnist` prints. Writes models/classifier/classifier.onnx: program input "image"
[N, 1, 28, 28] with values in [-1, 1], outputs "features" [N, 64] and "logits" [N, 10]. Needs torch, onnx and numpy; takes
about ten minutes on one core. The file in the tree was made with the defaults below.
"""
import argparse
import gzip
import pathlib

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from train_fashion_mnist import HERE, batches, export, read_images

SEED = 20260102


class Classifier(nn.Module):
    """After LeNet-5 (LeCun et al. 1998): two convolutions with pooling, 64 features, 10 classes."""

    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 16, 5, padding=2), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 5, padding=2), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Dropout(0.3), nn.Linear(1568, 64), nn.ReLU())
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        features = self.trunk(x)
        return features, self.head(features)


def read_labels(folder, name):
    with gzip.open(pathlib.Path(folder) / name) as f:
        return torch.from_numpy(np.frombuffer(f.read(), np.uint8, offset=8).astype(np.int64))


@torch.no_grad()
def accuracy(model, images, labels):
    model.eval()
    right = sum((model(x)[1].argmax(1) == y).sum().item() for x, y in zip(images.split(500), labels.split(500)))
    return right / len(labels)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.manual_seed(SEED)
    torch.set_num_threads(args.threads)
    images = read_images(args.data, "train-images-idx3-ubyte.gz") * 2 - 1
    labels = read_labels(args.data, "train-labels-idx1-ubyte.gz")
    test_images = read_images(args.data, "t10k-images-idx3-ubyte.gz") * 2 - 1
    test_labels = read_labels(args.data, "t10k-labels-idx1-ubyte.gz")
    model = Classifier()
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.epochs * (len(images) // 128))
    for epoch in range(args.epochs):
        model.train()
        for index in batches(torch.arange(len(images)), 128):
            loss = F.cross_entropy(model(images[index])[1], labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"classifier epoch {epoch + 1}/{args.epochs}  test accuracy {accuracy(model, test_images, test_labels):.4f}",
              flush=True)
    export(model, torch.zeros(1, 1, 28, 28), HERE / "classifier" / "classifier.onnx", ["image"], ["features", "logits"])


if __name__ == "__main__":
    main()
