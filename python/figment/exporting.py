"""Networks of PyTorch and Keras as ONNX files, exported so that nothing that trains is folded away."""

from __future__ import annotations

import copy
import dataclasses
import importlib.util
import inspect
import io
import os
import pathlib
import contextlib
import logging
import tempfile
import warnings
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from .conversion import convert
from .errors import ConversionError, ExportWarning, InvalidArgument
from .model import Model


@dataclasses.dataclass
class Network:
    """An exported network.

    `source` is what was exported. `folded` are the names of parameters and buffers that are not in the file, `initial` their
    values, by the names of the source: those of `state_dict` come back by them.
    """

    onnx: bytes
    source: Any = None
    names: Tuple[str, ...] = ()  # of the source's values, in its order
    aliases: Mapping[str, str] = dataclasses.field(default_factory=dict)  # names of one value, by the name in the file
    initial: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    trainable: Tuple[str, ...] = ()

    def in_file(self, name: str, known: Sequence[str]) -> Optional[str]:
        """The name in the file of a value of the source; None if it has been folded away."""
        if name in known:
            return name
        alias = self.aliases.get(name)
        return alias if alias in known else None


def is_torch(network: Any) -> bool:
    """Whether it is a torch.nn.Module, without importing PyTorch."""
    return any(kind.__module__.startswith("torch.nn.modules") and kind.__name__ == "Module" for kind in type(network).__mro__)


def is_keras(network: Any) -> bool:
    """Whether it is a model of Keras, without importing it."""
    return any(kind.__module__.split(".")[0] in ("keras", "tf_keras") and kind.__name__ == "Model" for kind in type(network).__mro__)


def from_torch(network: Any, example: Any, output: Any = None, *, exporter: str = "auto", **options: Any) -> Model:
    """A model of a torch.nn.Module.

    `example` is an input, or a tuple of several; its first dimension is the batch, which stays open. `exporter` is "dynamo"
    (torch.export), "torchscript", or "auto": the first that works. Other options as of `convert`: int8=True, latent="z".
    The network is left as it was. Warns (ExportWarning) of what the exporter has left out. Raises ConversionError, InvalidArgument.
    """
    if not is_torch(network):
        raise InvalidArgument(f"a {type(network).__name__} is no torch.nn.Module")
    exported = export_torch(network, example, exporter=exporter, dropout=False)
    options.setdefault("name", type(network).__name__.lower())
    return _convert_onnx(exported.onnx, output, options)


def _convert_onnx(data: bytes, output: Any, options: Dict[str, Any]) -> Model:
    with tempfile.TemporaryDirectory(prefix="figment-") as folder:
        path = os.path.join(folder, "model.onnx")
        pathlib.Path(path).write_bytes(data)
        return convert(path, output, **options)


def export_torch(network: Any, example: Any, *, exporter: str = "auto", dropout: bool = True, first_input: str = "",
                 outputs: Sequence[str] = ()) -> Network:
    """Exports a network for training: batch normalization apart, zero biases kept, dropout active (`dropout`), the batch open; with
    these names of its first input, and of its outputs if there are as many.

    Raises InvalidArgument, or ConversionError with what the exporters said.
    """
    import torch

    if exporter not in ("auto", "dynamo", "torchscript"):
        raise InvalidArgument(f"there is no exporter {exporter!r}: auto, dynamo or torchscript")
    examples = _examples(example)
    for name, module in network.named_modules():
        if type(module).__module__.startswith("torch.nn.utils.spectral") or hasattr(module, "parametrizations"):
            warnings.warn(f"{name or 'the network'} is parametrized, which an exporter sees as constants: take it off before",
                          ExportWarning, stacklevel=3)
    # A copy: exporting must leave no trace in the caller's network.
    copied = copy.deepcopy(network).cpu().eval()
    if dropout:
        for module in copied.modules():
            if isinstance(module, torch.nn.Dropout):
                module.train()
    with torch.no_grad():
        try:
            results = copy.deepcopy(copied)(*examples)
        except Exception as error:
            shapes = ", ".join(str(list(part.shape)) for part in examples)
            raise InvalidArgument(f"the network does not take the example of the shape {shapes}: {error}") from None
    inputs = _input_names(network, len(examples))
    if first_input:
        inputs[0] = first_input
    failures = []
    for kind in ("dynamo", "torchscript") if exporter == "auto" else (exporter,):
        if kind == "dynamo" and importlib.util.find_spec("onnxscript") is None:
            failures.append("dynamo: the package onnxscript is not there")
            continue
        if importlib.util.find_spec("onnx") is None:
            raise ConversionError("the exporters of PyTorch need the package onnx: pip install onnx onnxscript")
        try:
            data = _export(copied, examples, kind, inputs, _output_names(results, outputs))
        except Exception as error:  # whatever an exporter raises
            failures.append(f"{kind}: {str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__}")
            continue
        return _network(network, data)
    raise ConversionError("PyTorch cannot export the network. " + "; ".join(failures))


def _examples(example: Any) -> Tuple[Any, ...]:
    """Inputs, with a batch of two at least: an exporter takes a batch of one for a constant."""
    import torch

    parts = example if isinstance(example, (tuple, list)) else (example,)
    result = []
    for part in parts:
        tensor = part if isinstance(part, torch.Tensor) else torch.as_tensor(np.asarray(part))
        tensor = tensor.detach().cpu()
        if tensor.dtype == torch.float64:
            tensor = tensor.float()
        if tensor.dim() == 0:
            raise InvalidArgument("an example's first dimension is the batch: it has none")
        result.append(torch.cat([tensor, tensor]) if tensor.shape[0] == 1 else tensor)
    return tuple(result)


def _output_names(results: Any, wanted: Sequence[str]) -> List[str]:
    count = len(results) if isinstance(results, (tuple, list)) else 1
    if len(wanted) == count:
        return list(wanted)
    return [f"output_{i}" for i in range(count)] if count > 1 else ["output"]


def _export(network: Any, examples: Tuple[Any, ...], exporter: str, names: List[str], outputs: List[str]) -> bytes:
    import torch

    with tempfile.TemporaryDirectory(prefix="figment-") as folder, warnings.catch_warnings(), _quiet():
        warnings.simplefilter("ignore")
        path = os.path.join(folder, "network.onnx")
        if exporter == "dynamo":
            batch = torch.export.Dim("batch")
            torch.onnx.export(network, examples, path, dynamo=True, optimize=False, external_data=False, input_names=names,
                              output_names=outputs, dynamic_shapes=tuple({0: batch} for _ in examples), verbose=False)
        else:
            older: Any = {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
            torch.onnx.export(network, examples, path, input_names=names, output_names=outputs,
                              dynamic_axes={name: {0: "batch"} for name in (*names, *outputs)}, do_constant_folding=False,
                              training=torch.onnx.TrainingMode.PRESERVE,
                              **older)
        return pathlib.Path(path).read_bytes()


@contextlib.contextmanager
def _quiet() -> Any:
    """Without what exporters print."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


def _input_names(network: Any, count: int) -> List[str]:
    """The names of the inputs, as `forward` has them."""
    parameters = [name for name, parameter in inspect.signature(network.forward).parameters.items()
                  if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)]
    return parameters[:count] if len(parameters) >= count else [f"input_{i}" for i in range(count)]


def _network(source: Any, data: bytes) -> Network:
    """Of a file, and the values of the network that it was made of."""
    state = source.state_dict(keep_vars=True)
    first: Dict[int, str] = {}
    aliases = {}
    for name, value in state.items():
        owner = first.setdefault(value.data_ptr() if value.numel() else id(value), name)
        if owner != name and state[owner].shape == value.shape:
            aliases[name] = owner
            aliases.setdefault(owner, name)
    initial = {name: value.detach().clone() for name, value in state.items()}
    trainable = tuple(name for name, parameter in source.named_parameters(remove_duplicate=False) if parameter.requires_grad)
    return Network(data, source, tuple(state), aliases, initial, trainable)


def with_values(data: bytes, prefix: str, values: Mapping[str, np.ndarray]) -> bytes:
    """The ONNX file with other values of its constants: those that are there by `prefix` and the constant's name. Needs the package
    onnx."""
    import onnx
    from onnx import numpy_helper

    proto = onnx.load_model_from_string(data)
    constants = {constant.name: constant for constant in proto.graph.initializer}
    # PyTorch's older exporter keeps equal values once: zeros of a bias are a running mean, too.
    for node in list(proto.graph.node):
        if node.op_type == "Identity" and node.input[0] in constants and prefix + node.output[0] in values:
            constant = proto.graph.initializer.add()
            constant.CopyFrom(constants[node.input[0]])
            constant.name = node.output[0]
            proto.graph.node.remove(node)
    for constant in proto.graph.initializer:
        value = values.get(prefix + constant.name)
        if value is not None:
            before = numpy_helper.to_array(constant)
            constant.CopyFrom(numpy_helper.from_array(value.reshape(before.shape).astype(before.dtype), constant.name))
    return proto.SerializeToString()  # type: ignore[no-any-return]


def export_keras(network: Any) -> Network:
    """Exports a model of Keras, by tf2onnx where TensorFlow computes, else by Keras itself. Raises ConversionError."""
    with tempfile.TemporaryDirectory(prefix="figment-") as folder, warnings.catch_warnings(), _quiet():
        warnings.simplefilter("ignore")
        path = os.path.join(folder, "network.onnx")
        try:
            if importlib.util.find_spec("tf2onnx") is not None and importlib.util.find_spec("tensorflow") is not None:
                import tf2onnx

                # This optimizer folds batch normalization into convolutions.
                optimizers = dict(tf2onnx.optimizer._get_optimizers())
                optimizers.pop("remove_back_to_back", None)
                tf2onnx.convert.from_keras(network, optimizers=optimizers, output_path=path)
            else:
                # PyTorch's backend exports what has been called.
                network([np.zeros((2, *part.shape[1:]), np.float32) for part in network.inputs])
                network.export(path, format="onnx", verbose=False)
        except Exception as error:
            raise ConversionError(f"Keras cannot export the network: {error}") from None
        return Network(pathlib.Path(path).read_bytes(), network)


def example_for(network: Any) -> Any:
    """An input of a network whose first layer tells its shape: zeros of [2, features], or [2, channels, 1, 1] of a transposed
    convolution. None if it does not."""
    import torch

    for module in network.modules():
        if isinstance(module, torch.nn.Linear):
            return torch.zeros(2, module.in_features)
        if isinstance(module, (torch.nn.ConvTranspose1d, torch.nn.ConvTranspose2d, torch.nn.ConvTranspose3d)):
            return torch.zeros(2, module.in_channels, *(1 for _ in module.kernel_size))
        if next(module.parameters(recurse=False), None) is not None:
            return None
    return None
