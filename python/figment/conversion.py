"""From other tools' files, and from recipes, to models."""

from __future__ import annotations

import json
import os
import pathlib
import re
import tempfile
import warnings
from typing import Any, List, Mapping, Optional, Sequence, Union

import numpy as np

from . import _programs
from .arrays import aligned, to_numpy
from .errors import ConversionError, InvalidArgument, StorageError
from .model import Model

Source = Union[str, "os.PathLike[str]", Mapping[str, Any], Model, Sequence[Any], Any]


def convert(source: Source, output: Optional[Union[str, "os.PathLike[str]"]] = None, **options: Any) -> Model:
    """A model of an ONNX file (a path, or an onnx.ModelProto), a recipe (a path, or a dict), or a model of ours to change.

    `source` may be a list of several ONNX files as "PROGRAM=FILE", or, with objective=..., None. Written to `output`; without, the
    model is in memory alone (Model.save writes it). Options are those of figment-convert, with underscores: int8=True,
    latent="z", range=(-1, 1), calibration_data={"input": array or path}, adapters=["lora:2"]. A list repeats an option, None and
    False leave it out. What the converter notes is Model.report; what it warns of becomes a Python warning.
    Raises ConversionError with its message, InvalidArgument, NotFound, StorageError.
    """
    with tempfile.TemporaryDirectory(prefix="figment-") as folder:
        target = os.fspath(output) if output is not None else os.path.join(folder, "model.figment")
        report = os.path.join(folder, "report.txt")
        arguments = [*_sources(source, folder), "-o", target, "--quiet", "--report", report, *_arguments(options, folder)]
        if output is None and "name" not in options:
            arguments += ["--name", _name(source)]
        try:
            result = _programs.run("figment-convert", arguments)
        except OSError as error:
            raise StorageError(f"figment-convert cannot be run: {error}") from None
        except ConversionError as error:
            # The caller knows no files of ours.
            said = str(error)
            for file, label in _LABELS.items():
                said = said.replace(os.path.join(folder, file), label)
            raise ConversionError(_OPTION.sub(lambda flag: flag[1].replace("-", "_") + "=", said.replace(folder + os.sep, ""))) from None
        for line in result.stderr.splitlines():
            warnings.warn(line[len("figment-convert: ") :] if line.startswith("figment-convert: ") else line, stacklevel=2)
        model = Model(output) if output is not None else Model(_read(target))
        model.report = pathlib.Path(report).read_text(encoding="utf-8")
    return model


_OPTION = re.compile(r"--([a-z][a-z0-9-]+) ?")  # of the command line: here it is a keyword
_LABELS = {"recipe.json": "the recipe", "given.figment": "the model", "model.onnx": "the ONNX model"}


def _name(source: Any) -> str:
    if isinstance(source, (str, os.PathLike)):
        return pathlib.Path(source).stem or "model"
    if isinstance(source, Mapping):
        return str(source.get("name", "model"))
    return source.name if isinstance(source, Model) else "model"


def _sources(source: Any, folder: str) -> List[str]:
    if source is None:
        return []
    if isinstance(source, (str, os.PathLike)):
        return [os.fspath(source)]
    if isinstance(source, Mapping):
        path = os.path.join(folder, "recipe.json")
        try:
            text = json.dumps(source, indent=1)
        except (TypeError, ValueError) as error:
            raise InvalidArgument(f"the recipe is no JSON: {error}") from None
        pathlib.Path(path).write_text(text, encoding="utf-8")
        return [path]
    if isinstance(source, Model):
        path = os.path.join(folder, "given.figment")
        source.save(path)
        return [path]
    if hasattr(source, "SerializeToString"):
        path = os.path.join(folder, "model.onnx")
        pathlib.Path(path).write_bytes(source.SerializeToString())
        return [path]
    if isinstance(source, (list, tuple)) and all(isinstance(part, (str, os.PathLike)) for part in source):
        return [os.fspath(part) for part in source]
    if hasattr(source, "model") and isinstance(getattr(source, "model"), Model):
        return _sources(source.model, folder)
    if hasattr(source, "state_dict"):
        raise InvalidArgument("a network of PyTorch needs an example of its input: figment.from_torch(network, example)")
    raise InvalidArgument(f"a {type(source).__name__} is no source: a path, a recipe (dict), an ONNX model or a Model is")


def _arguments(options: Mapping[str, Any], folder: str) -> List[str]:
    """Options as the command line has them."""
    result: List[str] = []
    for key, value in options.items():
        flag = "--" + key.replace("_", "-")
        if value is None or value is False:
            continue
        if value is True:
            result.append(flag)
        elif isinstance(value, Mapping):
            for name, part in value.items():
                result += [flag, f"{name}={_operand(part, os.path.join(folder, f'{key}-{len(result)}.npy'))}"]
        elif isinstance(value, tuple):
            result += [flag, *(_operand(part, "") for part in value)]
        elif isinstance(value, list):
            for part in value:
                result += [flag, _operand(part, "")]
        else:
            result += [flag, _operand(value, os.path.join(folder, f"{key}.npy"))]
    return result


def _operand(value: Any, path: str) -> str:
    if isinstance(value, (str, int, float)):
        return str(value)
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    if isinstance(value, Model) and path:
        value.save(path)
        return path
    if path:
        np.save(path, to_numpy(value, "an option"))
        return path
    raise InvalidArgument(f"an option cannot be a {type(value).__name__}")


def _read(path: str) -> Any:
    """A file's bytes, aligned as the library reads them."""
    size = os.path.getsize(path)
    result = aligned(size)
    with open(path, "rb") as file:
        if file.readinto(result) != size:
            raise StorageError(f"{path} became shorter while it was read")
    return result


def of_session(session: Any) -> Model:
    """The model of what a training session has learned, in memory."""
    with tempfile.TemporaryDirectory(prefix="figment-") as folder:
        path = os.path.join(folder, "trained.figment")
        session.export(path)
        return Model(_read(path))
