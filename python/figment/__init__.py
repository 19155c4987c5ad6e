"""Figment: deep generative models on small devices.

    model = figment.from_torch(generator, example, int8=True)
    model.generate(64, seed=7)

Convert networks (convert, from_torch), train them (trainable), score them (evaluate), and run them (Model, Session). Arrays
are NumPy's, f32, in the exporter's shapes. Errors are exceptions below FigmentError, with a sentence that says what to do.
"""

from ._version import __version__
from .conversion import convert
from .errors import (BadFile, Closed, ConversionError, ExportWarning, FigmentError, InUse, InternalError, InvalidArgument, MemoryLimit,
                     NotFound, OutOfMemory, ProgramError, StorageError, Unsupported, UnsupportedVersion)
from .evaluation import evaluate
from .exporting import from_torch
from .model import Code, Generated, Latent, Model, Parameter, Program
from .ports import Port
from .samples import Samples
from .session import Session
from .training import Privacy, Run, Trainable, trainable
