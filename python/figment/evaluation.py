"""Scores of generated samples against real ones."""

from __future__ import annotations

import json
import os
import tempfile
from typing import Any, Dict, Mapping, Optional, Union

import numpy as np

from . import _programs
from .arrays import to_numpy
from .errors import InvalidArgument
from .model import Model


def evaluate(model: Any, real: Any, *, classifier: Union[None, str, "os.PathLike[str]", Model] = None, samples: int = 10000,
             seeds: int = 3, seed: int = 0, **options: Any) -> Dict[str, Any]:
    """The figures of `figment evaluate`, by name, as it writes them with --json.

    model: a Model, a Run, a path. real: an array of real samples, a mapping of arrays by input name (conditions beside samples), or
    the path of a data file. classifier: of such images, by whose features they are compared. samples: to compare, at most half of
    the data; seeds: scores are means over so many. Other options are those of the command, with underscores.
    Raises ProgramError with its message, InvalidArgument.
    """
    with tempfile.TemporaryDirectory(prefix="figment-") as folder:
        arguments = ["evaluate", _file(model, folder, "model"), "--json", "--samples", samples, "--seeds", seeds, "--seed", seed]
        for name, value in (real if isinstance(real, Mapping) else {"": real}).items():
            if isinstance(value, (str, os.PathLike)):
                path = os.fspath(value)
            else:
                path = os.path.join(folder, f"data-{name}.npy")
                np.save(path, to_numpy(value, f"the data {name}".strip()))
            arguments += ["--data", f"{name}={path}" if name else path]
        if classifier is not None:
            arguments += ["--classifier", _file(classifier, folder, "classifier")]
        from .conversion import _arguments

        arguments += _arguments(options, folder)
        return json.loads(_programs.run("figment", [str(part) for part in arguments]).stdout)  # type: ignore[no-any-return]


def _file(model: Any, folder: str, name: str) -> str:
    if isinstance(model, (str, os.PathLike)):
        return os.fspath(model)
    found: Optional[Model] = model if isinstance(model, Model) else getattr(model, "model", None)
    if not isinstance(found, Model):
        raise InvalidArgument(f"a {type(model).__name__} is no model")
    path = os.path.join(folder, f"{name}.figment")
    found.save(path)
    return path
