"""Models: files that hold programs, their weights, and what they are for."""

from __future__ import annotations

import ctypes
import dataclasses
import os
import shutil
import threading
import weakref
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Tuple, Union

import numpy as np

from . import _c
from ._library import check, each, lib, path_bytes, text
from .arrays import aligned, shape_of
from .errors import BadFile, Closed, InvalidArgument, NotFound
from .ports import PRIORS, Port
from .storage import write_whole

if TYPE_CHECKING:
    from .samples import Samples
    from .session import Session


@dataclasses.dataclass(frozen=True)
class Program:
    """A program of a model: "generate", "encode", "train.step"."""

    index: int
    name: str
    inputs: Tuple[Port, ...]
    outputs: Tuple[Port, ...]
    fully_int8: bool  # the same bits on every target
    trains: bool
    couples_batch: bool  # takes the session's batch exactly


@dataclasses.dataclass(frozen=True)
class Code:
    """Values of the latent with a meaning of their own."""

    name: str
    start: int
    size: int
    prior: str


@dataclasses.dataclass(frozen=True)
class Latent:
    """What generation draws: `size` values, codes included, of the program's input."""

    program: str
    input: str
    size: int
    prior: str
    codes: Tuple[Code, ...]


@dataclasses.dataclass(frozen=True)
class Generated:
    """The output that generation returns. `value_range` are black and white of images, or the values that are possible."""

    program: str
    port: str
    image: bool
    value_range: Tuple[float, float]
    bounded: bool


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A parameter under the exporter's name, in the exporter's shape. `trained` by gradients, else a statistic or fixed;
    `derived` is the optimizer's state, or an average."""

    name: str
    shape: Tuple[int, ...]
    trained: bool
    derived: bool


class Model:
    """A .figment file, mapped and verified; or one in memory (`bytes`, or any object with a buffer).

    A model may be used from any number of threads; it is closed by `close`, at the end of a `with` block, or with its last
    reference. Raises NotFound, StorageError, BadFile, UnsupportedVersion or Unsupported.
    """

    report: str = ""  # what figment-convert said of a model that it has made

    def __init__(self, source: Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, np.ndarray]) -> None:
        handle = ctypes.c_void_p()
        self._memory: Optional[np.ndarray] = None
        self._path: Optional[str] = None
        if isinstance(source, (bytes, bytearray, memoryview, np.ndarray)):
            if len(source) == 0:
                raise BadFile("the model is empty")
            self._memory = _aligned(np.frombuffer(source, np.uint8))
            check(lib.fig_model_open_memory(self._memory.ctypes.data, self._memory.size, ctypes.byref(handle)))
        else:
            self._path = os.fspath(source)
            check(lib.fig_model_open(path_bytes(self._path), ctypes.byref(handle)))
        self._handle = handle.value
        # Sessions keep the memory of a model that is closed before them.
        self._close = weakref.finalize(self, lib.fig_model_close, handle)
        self._lock = threading.Lock()
        self._sessions: Optional[Tuple[Dict[str, Any], "Session"]] = None  # of the last options
        self._programs: Optional[Tuple[Program, ...]] = None
        self._batch_inputs: Optional[Tuple[Port, ...]] = None

    def close(self) -> None:
        """Gives the file up. Sessions stay usable."""
        self._sessions = None
        self._handle = None
        self._close()

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    @property
    def handle(self) -> int:
        """The library's pointer. Raises Closed."""
        if self._handle is None:
            raise Closed("the model is closed")
        return self._handle

    def __repr__(self) -> str:
        if self._handle is None:
            return "<figment.Model, closed>"
        info = self._info()
        programs = ", ".join(program.name for program in self.programs if not program.trains)
        trains = ", trains" if self.trains else ""
        return f"<figment.Model {text(info.name)!r}: {programs}; {info.parameter_elements:,} parameters, {info.file_bytes:,} bytes{trains}>"

    def _info(self) -> Any:
        info = _c.fig_model_info()
        check(lib.fig_model_get_info(self.handle, ctypes.byref(info)))
        return info

    @property
    def name(self) -> str:
        return text(self._info().name)

    @property
    def nbytes(self) -> int:
        """The size of the file."""
        return int(self._info().file_bytes)

    @property
    def metadata(self) -> Dict[str, str]:
        """What the file says about itself."""
        result = {}
        key, value = ctypes.c_char_p(), ctypes.c_char_p()
        for index in range(self._info().metadata):
            check(lib.fig_model_metadata(self.handle, index, ctypes.byref(key), ctypes.byref(value)))
            result[text(key.value)] = text(value.value)
        return result

    @property
    def programs(self) -> Tuple[Program, ...]:
        """All programs, in the file's order."""
        handle = self.handle
        if self._programs is None:
            self._programs = tuple(self._program(handle, index) for index in range(self._info().programs))
        return self._programs

    @staticmethod
    def _program(handle: int, index: int) -> Program:
        info = _c.fig_program_info()
        check(lib.fig_model_program(handle, index, ctypes.byref(info)))
        inputs = each(lib.fig_model_input, _c.fig_port_info, handle, index)
        outputs = each(lib.fig_model_output, _c.fig_port_info, handle, index)
        return Program(index, text(info.name), tuple(map(Port.of, inputs)), tuple(map(Port.of, outputs)), info.fully_int8,
                       info.trains, info.couples_batch)

    def program(self, name: Optional[str] = None) -> Program:
        """The program of that name, or the only one. Raises NotFound."""
        if name is None and len(self.programs) == 1:
            return self.programs[0]
        for program in self.programs:
            if program.name == name:
                return program
        names = ", ".join(program.name for program in self.programs)
        raise NotFound(f"there is no program {name!r}: the model has {names}" if name else f"name a program: {names}")

    @property
    def trains(self) -> bool:
        """Whether the model holds a train step."""
        return any(program.trains for program in self.programs)

    @property
    def batch_inputs(self) -> Tuple[Port, ...]:
        """What a batch to train on holds."""
        if self._batch_inputs is None:
            self._batch_inputs = tuple(map(Port.of, each(lib.fig_model_batch_input, _c.fig_port_info, self.handle)))
        return self._batch_inputs

    @property
    def latent(self) -> Latent:
        """What generation draws. Raises NotFound if the model does not generate from a latent."""
        info = _c.fig_latent_info()
        check(lib.fig_model_latent(self.handle, ctypes.byref(info)))
        codes = each(lib.fig_model_code, _c.fig_code_info, self.handle)
        return Latent(text(info.program), text(info.input), info.size, PRIORS[info.prior],
                      tuple(Code(text(code.name), code.start, code.size, PRIORS[code.prior]) for code in codes))

    @property
    def generated(self) -> Generated:
        """How the generated output is to be read. Raises NotFound if the file says nothing about it."""
        info = _c.fig_output_info()
        check(lib.fig_model_generated(self.handle, ctypes.byref(info)))
        return Generated(text(info.program), text(info.port), info.image, (info.range_min, info.range_max), info.bounded)

    @property
    def parameters(self) -> List[Parameter]:
        """What training changes and keeps."""
        return [Parameter(text(info.name), tuple(info.shape.extents[: info.shape.rank]), info.trained, info.derived)
                for info in each(lib.fig_model_parameter, _c.fig_parameter_info, self.handle)]

    def draw_latents(self, count: int, *, seed: int = 0, first: int = 0) -> np.ndarray:
        """The latents that `generate` draws: f32, [count, latent size]; the same on every target."""
        size = self.latent.size
        result = np.empty((_counted(count), size), np.float32)
        for i in range(count):
            check(lib.fig_model_draw_latent(self.handle, seed, first + i, result[i].ctypes.data, size))
        return result

    def session(self, **options: Any) -> "Session":
        """A session of this model; see Session for the options."""
        from .session import Session

        return Session(self, **options)

    def _shared_session(self, count: int, options: Dict[str, Any]) -> "Session":
        """The session that calls on the model itself use; the last one is kept."""
        with self._lock:
            kept = self._sessions
            if kept is None or kept[0] != options:
                self._sessions = kept = (options, self.session(**{"batch": max(1, min(count, 64)), **options}))
            return kept[1]

    def generate(self, count: int = 64, *, seed: int = 0, first: int = 0, latents: Any = None,
                 conditions: Optional[Mapping[str, Any]] = None, threads: int = 1, length: int = 0) -> "Samples":
        """Samples: f32, in the shape of the generated output with `count` samples.

        The same seed gives the same latents on every target; sample i is that of latent `first + i`. `latents`: f32, [count,
        latent size], to use instead. `conditions` by name: an array for `count` samples, class numbers as integers of the shape
        [count], or one value for all samples. Raises InvalidArgument, NotFound.
        """
        session = self._shared_session(_counted(count), {"threads": threads, "seed": seed, "length": length})
        return session.generate(count, first=first, latents=latents, conditions=conditions)

    def encode(self, samples: Any, **options: Any) -> Any:
        """Means of q(latent | sample) of a VAE, or what "encode" returns first: see Session.encode."""
        return self._shared_session(_length(samples), options).encode(samples)

    def decode(self, latents: Any, **options: Any) -> "Samples":
        """Samples of latents: see Session.decode."""
        return self._shared_session(_length(latents), options).decode(latents)

    def reconstruct(self, samples: Any, **options: Any) -> "Samples":
        """Samples, encoded and decoded: see Session.reconstruct."""
        return self._shared_session(_length(samples), options).reconstruct(samples)

    def discriminate(self, samples: Any, **options: Any) -> np.ndarray:
        """A score for each sample: see Session.discriminate."""
        return self._shared_session(_length(samples), options).discriminate(samples)

    def anomaly_scores(self, samples: Any, **options: Any) -> np.ndarray:
        """How unusual each sample is: see Session.anomaly_scores."""
        return self._shared_session(_length(samples), options).anomaly_scores(samples)

    def save(self, path: Union[str, "os.PathLike[str]"]) -> None:
        """Writes the model's file, whole or not at all. Raises StorageError."""
        self.handle

        def copy(file: Any) -> None:
            assert self._path is not None
            with open(self._path, "rb") as source:
                shutil.copyfileobj(source, file)

        write_whole(path, copy if self._memory is None else self._memory.data)


def _counted(count: Any) -> int:
    """A number of samples. Raises InvalidArgument."""
    try:
        result = int(count.__index__())
    except AttributeError:
        raise InvalidArgument(f"the number of samples is {count!r}: give an integer") from None
    if result < 0:
        raise InvalidArgument(f"the number of samples is {result}")
    return result


def _length(samples: Any) -> int:
    return (shape_of(samples, "the array") or (1,))[0]


def _aligned(data: np.ndarray) -> np.ndarray:
    """The same bytes aligned to 64, as the library reads them; copied where they are not."""
    if data.ctypes.data % 64 == 0:
        return data
    result: np.ndarray = aligned(data.size)
    result[:] = data
    return result


def open_model(source: Any) -> Model:
    """A model of what names one: itself, a path or bytes."""
    return source if isinstance(source, Model) else Model(source)


