"""Inputs and outputs of programs, and arrays that fit them."""

from __future__ import annotations

import ctypes
import dataclasses
import math
from typing import Any, Mapping, Optional, Tuple

import numpy as np

from . import _c
from ._library import text
from .arrays import Shape, floats, shape_of, shaped, to_numpy
from .errors import InvalidArgument

PRIORS = {_c.FIG_PRIOR_NORMAL: "normal", _c.FIG_PRIOR_UNIFORM: "uniform", _c.FIG_PRIOR_CATEGORICAL: "categorical"}
_TYPES = {"float32": _c.FIG_F32, "int32": _c.FIG_I32, "int64": _c.FIG_I64}


@dataclasses.dataclass(frozen=True)
class Port:
    """An input or output of a program.

    `shape` is that of one sample with the exporter's dimensions, the batch included; `batch_axis` is the dimension that counts
    samples, None where none does. Ports of `integers` take int32 and int64 in [least, greatest], others f32. What is `drawn`
    need not be given: the session draws it from `prior`.
    """

    name: str
    shape: Shape
    batch_axis: Optional[int]
    integers: bool = False
    least: int = 0
    greatest: int = 0
    drawn: bool = False
    prior: str = "normal"

    def shape_of(self, count: int) -> Shape:
        """The shape for so many samples."""
        shape, axis = self.shape, self.batch_axis
        if axis == 0:
            return (shape[0] * count, *shape[1:])
        return shape if axis is None else shape[:axis] + (shape[axis] * count,) + shape[axis + 1 :]

    @property
    def elements(self) -> int:
        """Values of one sample."""
        return math.prod(self.shape)

    def count_in(self, value: Any) -> int:
        """How many samples an array for this input holds; 1 of a number."""
        if self.batch_axis is None:
            return 1
        shape = shape_of(value, f"the input {self.name}")
        if not shape:
            return 1
        axis = self.batch_axis if len(shape) == len(self.shape) else 0
        return int(shape[axis]) // self.shape[self.batch_axis]

    def array(self, value: Any, count: int, pixels: Optional[Tuple[float, float]] = None) -> np.ndarray:
        """An array for `count` samples of this input, dense: f32, int32 or int64.

        Class numbers, as integers of the shape [count], become one 1 among zeros where the input is a vector of more than one
        value. Of images, `pixels` are the values of black and white: uint8 is scaled to them, and channels may come last.
        InvalidArgument for what does not fit.
        """
        what = f"the input {self.name}"
        array = to_numpy(value, what)
        shape = self.shape_of(count)
        if self.integers:
            if array.dtype.kind not in "iub":
                raise InvalidArgument(f"{what} has the dtype {array.dtype}: integers are needed (astype(numpy.int64))")
            array = array if array.dtype in (np.int32, np.int64) else array.astype(np.int64)
            return np.ascontiguousarray(shaped(array, shape, what))
        if array.dtype.kind in "iu" and array.ndim <= 1 and array.size == count and self.elements == max(self.shape) > 1:
            return self._one_hot(array, shape, what)
        if array.dtype == np.uint8 and pixels is not None:
            array = array.astype(np.float32) * np.float32((pixels[1] - pixels[0]) / 255) + np.float32(pixels[0])
        array = floats(array, what)
        if pixels is not None and len(shape) == 4 and array.shape != shape and array.shape == tuple(shape[i] for i in (0, 2, 3, 1)):
            array = np.ascontiguousarray(array.transpose(0, 3, 1, 2))
        if array.ndim == 2 and array.shape == (count, self.elements) and self.batch_axis == 0:
            return array.reshape(shape)
        return shaped(array, shape, what)

    def _one_hot(self, numbers: np.ndarray, shape: Shape, what: str) -> np.ndarray:
        numbers = numbers.reshape(-1)
        if numbers.size and (numbers.min() < 0 or numbers.max() >= self.elements):
            raise InvalidArgument(f"{what} holds the class {numbers.max() if numbers.min() >= 0 else numbers.min()}: "
                                  f"there are {self.elements}, counted from 0")
        result = np.zeros((numbers.size, self.elements), np.float32)
        result[np.arange(numbers.size), numbers] = 1
        return result.reshape(shape)

    @staticmethod
    def of(info: Any) -> Port:
        """Of what the library says about a port."""
        rank = info.shape.rank
        axes = [i for i in range(rank) if info.shape.per_batch[i]]
        return Port(text(info.name), tuple(info.shape.extents[:rank]), axes[0] if axes else None, info.integers, info.least,
                    info.greatest, info.drawn, PRIORS.get(info.prior, "normal"))


def address(array: Any) -> int:
    """Where the values of a dense array that can be written to begin; faster than array.ctypes.data."""
    return ctypes.addressof(ctypes.c_char.from_buffer(array)) if array.size else 0


def tensor(name: bytes, array: np.ndarray) -> Any:
    """A tensor of the library's over an array's memory, which the caller keeps."""
    return _c.fig_tensor(name, array.ctypes.data, array.size, _TYPES[array.dtype.name])


def tensors(arrays: Mapping[str, np.ndarray]) -> Any:
    """The same of arrays by name."""
    return (_c.fig_tensor * len(arrays))(*(tensor(name.encode(), array) for name, array in arrays.items()))
