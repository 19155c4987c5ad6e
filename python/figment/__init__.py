"""Figment: deep generative models on small devices.

    model = figment.from_torch(generator, example, int8=True)
    model.generate(64, seed=7)

Convert networks (convert, from_torch), train them (trainable), score them (evaluate), and run them (Model, Session). Arrays
are NumPy's, f32, in the exporter's shapes. Errors are exceptions below FigmentError, with a sentence that says what to do.
"""

import importlib
from typing import TYPE_CHECKING, Any, List

from ._version import __version__
from .errors import (BadFile, Closed, ConversionError, ExportWarning, FigmentError, InUse, InternalError, InvalidArgument, MemoryLimit,
                     NotFound, OutOfMemory, ProgramError, StorageError, Unsupported, UnsupportedVersion)
from .model import Code, Generated, Latent, Model, Parameter, Program
from .ports import Port
from .samples import Samples
from .session import Session

if TYPE_CHECKING:
    from .conversion import convert
    from .evaluation import evaluate
    from .exporting import from_torch
    from .training import Privacy, Run, Trainable, trainable

# What a device does not need, and is imported when it is named.
_LATER = {"convert": "conversion", "evaluate": "evaluation", "from_torch": "exporting", "Privacy": "training", "Run": "training",
          "Trainable": "training", "trainable": "training"}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'figment' has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_LATER[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> List[str]:
    return sorted({*globals(), *_LATER})
