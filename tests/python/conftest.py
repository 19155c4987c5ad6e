"""What the tests of the Python package share. They test the package that is installed, on the models and recipes of the project."""

import json
import os
import pathlib
import sys

import numpy as np
import pytest

import figment

# What starts this Python in a process of its own.
PYTHON = os.environ.get("FIGMENT_TEST_PYTHON", sys.executable)
SOURCE = pathlib.Path(__file__).resolve().parents[2]


def recipe(name):
    return json.loads((SOURCE / f"tests/data/recipes/{name}.json").read_text())


@pytest.fixture(scope="session")
def gan():
    return figment.Model(SOURCE / "models/gan/gan_int8.figment")


@pytest.fixture(scope="session")
def cdcgan():
    return figment.Model(SOURCE / "models/cdcgan/cdcgan_int8.figment")


@pytest.fixture(scope="session")
def vae():
    return figment.Model(SOURCE / "models/vae/vae.figment")


@pytest.fixture(scope="session")
def tiny():
    """A trainable of a recipe in tests/data, which is converted once."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = figment.trainable(recipe(name))
        return made[name]

    return get


@pytest.fixture
def rng():
    return np.random.default_rng(7)
