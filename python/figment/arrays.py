"""Arrays of the caller's, as the library takes them: dense, row-major, of 32 bits."""

from __future__ import annotations

from typing import Any, Sequence, Tuple

import numpy as np

from .errors import InvalidArgument

Shape = Tuple[int, ...]


def to_numpy(value: Any, what: str) -> np.ndarray:
    """A NumPy array of what NumPy, PyTorch, JAX or TensorFlow hold in the memory of the CPU, without a copy where that can be.

    Raises InvalidArgument for tensors on other devices, ragged lists and objects.
    """
    if isinstance(value, np.ndarray):
        return value
    device = getattr(value, "device", None)
    kind = getattr(device, "type", None) or getattr(device, "platform", None)
    if isinstance(kind, str) and kind != "cpu":
        raise InvalidArgument(f"{what} is on the device {device}: move it to the CPU first, as in tensor.cpu()")
    if hasattr(value, "detach"):  # PyTorch's, which may want gradients
        value = value.detach()
        if str(getattr(value, "dtype", "")) == "torch.bfloat16":
            value = value.float()
    try:
        result = np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise InvalidArgument(f"{what} is no array: {error}") from None
    if result.dtype == object:
        raise InvalidArgument(f"{what} is no array: its rows have different lengths, or it holds objects")
    return result


def aligned(size: int) -> Any:
    """So many bytes of memory, aligned to 64 as the library reads models."""
    room = np.empty(size + 64, np.uint8)
    start = -room.ctypes.data % 64
    return room[start : start + size]


def shape_of(value: Any, what: str) -> Shape:
    """The shape of what to_numpy takes; () of a number."""
    shape = getattr(value, "shape", None)
    return to_numpy(value, what).shape if shape is None else tuple(shape)


def floats(value: Any, what: str) -> np.ndarray:
    """f32, in rows. Other floats are converted; integers, booleans and complex numbers are InvalidArgument."""
    array = to_numpy(value, what)
    if array.dtype == np.float32 and array.flags.c_contiguous:
        return array
    if array.dtype.kind != "f":
        raise InvalidArgument(f"{what} has the dtype {array.dtype}: floating-point values are needed (astype(numpy.float32))")
    return np.ascontiguousarray(array, np.float32)


def shaped(array: np.ndarray, shape: Sequence[int], what: str) -> np.ndarray:
    """The array in a shape that differs from its own in dimensions of 1 alone. InvalidArgument names both shapes."""
    shape = tuple(shape)
    if array.shape == shape:
        return array
    if [n for n in array.shape if n != 1] != [n for n in shape if n != 1]:
        raise InvalidArgument(f"{what} has the shape {list(array.shape)}; expected {list(shape)}")
    return array.reshape(shape)
