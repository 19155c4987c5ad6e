"""Sessions: programs prepared for a batch, in one block of memory."""

from __future__ import annotations

import ctypes
import math
import os
import threading
import weakref
from typing import Any, Dict, Iterator, List, Mapping, MutableMapping, Optional, Sequence, Tuple, Union

import numpy as np

from . import _c
from ._library import check, each, lib, path_bytes, raise_status, structure, text
from .arrays import aligned, floats, shape_of, shaped, to_numpy
from .errors import Closed, InUse, InvalidArgument, NotFound
from .model import Model, Parameter, Program
from .ports import Port, address, tensors
from .samples import Samples

_FLOAT = np.dtype(np.float32)
_IN_USE = "another thread computes with this session: use one session a thread"
PathLike = Union[str, "os.PathLike[str]"]


class Session:
    """Runs and trains a model.

    batch: samples computed at a time. threads: including the caller's. seed: of the latents. memory_limit: bytes, of all that
    `memory` reports; 0: none. program: prepare these alone, a name or several with commas between. training: prepare the train
    programs, on the session's own copy of what they change; micro_batch: gradients are accumulated over so many samples at a
    time. length: of models that have one to choose. portable: plain C++ kernels.

    A session is used by one thread at a time: a call while another one computes raises InUse. Computing releases the GIL.
    `close`, the end of a `with` block or the last reference gives its memory back; later calls raise Closed. Creating raises
    InvalidArgument, NotFound, Unsupported, OutOfMemory or MemoryLimit.
    """

    def __init__(self, model: Model, *, batch: int = 1, threads: int = 1, seed: int = 0, memory_limit: int = 0,
                 program: Optional[str] = None, training: bool = False, micro_batch: int = 0, length: int = 0,
                 portable: bool = False) -> None:
        for name, value in (("batch", batch), ("threads", threads), ("micro_batch", micro_batch), ("length", length)):
            if not 0 <= value < 2**32:
                raise InvalidArgument(f"{name} is {value}")
        options = structure(
            _c.fig_session_options, program=None if program is None else program.encode(), batch=batch, threads=threads,
            memory_limit=memory_limit, seed=seed & (2**64 - 1), training=training, micro_batch=micro_batch, length=length,
            kernels=_c.FIG_KERNELS_PORTABLE if portable else _c.FIG_KERNELS_BEST)
        handle = ctypes.c_void_p()
        check(lib.fig_session_create(model.handle, ctypes.byref(options), ctypes.byref(handle)))
        self.model = model
        self.batch = max(1, batch)
        self.training = training
        self._memory = model._memory  # which must outlive the session
        self._handle = handle.value
        self._destroy = weakref.finalize(self, lib.fig_session_destroy, handle)
        self._lock = threading.Lock()
        self._ports: Dict[str, Tuple[Tuple[Port, ...], Tuple[Port, ...]]] = {}
        self._generated: Any = None
        self._parameters: Optional[Dict[str, Parameter]] = None

    def close(self) -> None:
        """Gives the session's memory back. Raises InUse while another thread computes with it."""
        with _Held(self):
            self._handle = None
            self._destroy()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: Any) -> None:
        if self._handle is not None:
            self.close()

    def __repr__(self) -> str:
        if self._handle is None:
            return "<figment.Session, closed>"
        return f"<figment.Session: batch {self.batch}{', training' if self.training else ''}, {self.memory['total']:,} bytes>"

    @property
    def handle(self) -> int:
        """The library's pointer. Raises Closed."""
        if self._handle is None:
            raise Closed("the session is closed")
        return self._handle

    @property
    def memory(self) -> Dict[str, int]:
        """Bytes by what they are for: model, packed_weights, programs, operators, variables, arena, total, peak."""
        report = _c.fig_memory_report()
        check(lib.fig_session_memory_used(self.handle, ctypes.byref(report)))
        return {field[0]: getattr(report, field[0]) for field in report._fields_}

    def _ports_of(self, program: Program) -> Tuple[Tuple[Port, ...], Tuple[Port, ...]]:
        # Of the session's length.
        found = self._ports.get(program.name)
        if found is None:
            inputs = each(lib.fig_session_input, _c.fig_port_info, self.handle, program.index)
            outputs = each(lib.fig_session_output, _c.fig_port_info, self.handle, program.index)
            found = self._ports[program.name] = (tuple(map(Port.of, inputs)), tuple(map(Port.of, outputs)))
        return found

    def _generation(self) -> Tuple[Port, Tuple[Port, ...], Any]:
        # What is generated, what from, and its values' range.
        if self._generated is None:
            latent, generated = self.model.latent, self.model.generated
            inputs, outputs = self._ports_of(self.model.program(latent.program))
            port = next(port for port in outputs if port.name == generated.port)
            conditions = tuple(port for port in inputs if port.name != latent.input and not port.drawn)
            self._generated = (port, conditions, generated.value_range if generated.image else None)
        return self._generated  # type: ignore[no-any-return]

    def _samples(self, count: int) -> Samples:
        port, _, value_range = self._generation()
        result = np.ndarray.__new__(Samples, port.shape_of(count), _FLOAT)
        result.value_range = value_range
        return result

    # ---- Generating -------------------------------------------------------------------------------------------------

    def generate(self, count: int, *, first: int = 0, latents: Any = None, conditions: Optional[Mapping[str, Any]] = None,
                 out: Optional[np.ndarray] = None) -> Samples:
        """Samples: f32, in the shape of the generated output with `count` samples; into `out` where it is given.

        Sample i is generated from latent `first + i` of the session's seed, or from `latents`: f32, [count, latent size].
        `conditions` by name, for `count` samples or one for all. Raises InvalidArgument, NotFound.
        """
        # As _Held does, which would take as long as all of this.
        if not self._lock.acquire(False):
            raise InUse(_IN_USE)
        try:
            if self._handle is None:
                raise Closed("the session is closed")
            _, conditions_needed, _ = self._generated or self._generation()
            try:
                result = self._samples(count)
            except (TypeError, ValueError):
                raise InvalidArgument(f"the number of samples is {count!r}: give an integer of 0 or more") from None
            if out is None:
                target: np.ndarray = result
            elif out.dtype == np.float32 and out.flags.c_contiguous and out.flags.writeable and out.size == result.size:
                target = out
            else:
                raise InvalidArgument(f"out has the dtype {out.dtype} and the shape {list(out.shape)}; expected float32, in rows, "
                                      f"writable, and {list(result.shape)}")
            kept = options = None
            if first or latents is not None or conditions or conditions_needed:
                kept, options = self._generate_options(count, first, latents, conditions or {}, conditions_needed)
            if target.size:
                status = lib.fig_generate(self._handle, count, options, address(target), target.size)
                if status:
                    raise_status(status)
            del kept
            return target  # type: ignore[return-value]
        finally:
            self._lock.release()

    def _generate_options(self, count: int, first: int, latents: Any, conditions: Mapping[str, Any],
                          ports: Sequence[Port]) -> Tuple[Any, Any]:
        names = {port.name: port for port in ports}
        arrays = {}
        for name, value in conditions.items():
            if name not in names:
                raise NotFound(f"the generator has no condition {name!r}" + (f": it has {', '.join(names)}" if names else ""))
            arrays[name] = _for_all(names[name], value, count)
        missing = [name for name in names if name not in arrays]
        if missing:
            raise InvalidArgument(f"the generator needs the condition {missing[0]}: conditions={{{missing[0]!r}: ...}}")
        options = structure(_c.fig_generate_options, first_index=first, input_count=len(arrays))
        fields = tensors(arrays)
        options.inputs = ctypes.addressof(fields) if arrays else None
        values = None
        if latents is not None:
            values = self._latent_array(latents, count)
            options.latents = values.ctypes.data
        return (fields, arrays, values, options), ctypes.addressof(options)

    def _latent_array(self, latents: Any, count: int) -> np.ndarray:
        latent = self.model.latent
        inputs, _ = self._ports_of(self.model.program(latent.program))
        port = next(port for port in inputs if port.name == latent.input)
        return port.array(latents, count)

    # ---- Any program ------------------------------------------------------------------------------------------------

    def run(self, program: Optional[str] = None, inputs: Optional[Mapping[str, Any]] = None, *, count: Optional[int] = None,
            outputs: Optional[Sequence[str]] = None, **named: Any) -> Dict[str, np.ndarray]:
        """Runs a program, the only one by default, on any number of samples: outputs by name, f32 or int64, in the exporter's
        shapes. Inputs by name, as a mapping or as keywords; those that the session draws may be left out, and then `count` says
        how many samples. Raises InvalidArgument, NotFound."""
        with _Held(self) as handle:
            chosen = self.model.program(program)
            in_ports, out_ports = self._ports_of(chosen)
            values = {**(inputs or {}), **named}
            known = {port.name: port for port in in_ports}
            for name in values:
                if name not in known:
                    raise NotFound(f"{chosen.name} has no input {name!r}: it has {', '.join(known) or 'none'}")
            if count is None:
                counts = {name: known[name].count_in(value) for name, value in values.items() if known[name].batch_axis is not None}
                if len(set(counts.values())) > 1:
                    raise InvalidArgument("the inputs hold different numbers of samples: " +
                                          ", ".join(f"{name} {number}" for name, number in counts.items()))
                count = next(iter(counts.values()), 1)
            arrays = {name: known[name].array(value, count) for name, value in values.items()}
            wanted = {port.name: port for port in out_ports}
            for name in outputs or ():
                if name not in wanted:
                    raise NotFound(f"{chosen.name} has no output {name!r}: it has {', '.join(wanted)}")
            results = {name: np.empty(port.shape_of(count), np.int64 if port.integers else np.float32)
                       for name, port in wanted.items() if outputs is None or name in outputs}
            check(lib.fig_run(handle, chosen.name.encode(), count, ctypes.addressof(fields) if (fields := tensors(arrays)) else None,
                              len(arrays), ctypes.addressof(filled) if (filled := tensors(results)) else None, len(results)))
            return results

    # ---- Programs by purpose ----------------------------------------------------------------------------------------

    def encode(self, samples: Any, log_variance: bool = False) -> Any:
        """"encode": samples to what it returns first, for a VAE the means of q(latent | sample), f32; with `log_variance`, a pair
        with the second output. Raises NotFound if the model has no such program."""
        return self._by_purpose("encode", samples, lib.fig_encode, 2 if log_variance else 1)

    def decode(self, latents: Any) -> Samples:
        """The program that generates, on latents: f32, [count, latent size]."""
        return self.generate((shape_of(latents, "the latents") or (1,))[0], latents=latents)

    def reconstruct(self, samples: Any) -> Samples:
        """Samples, encoded and decoded again from the means."""
        with _Held(self) as handle:
            array, count = self._sample_array("encode", samples)
            result = self._samples(count)
            check(lib.fig_reconstruct(handle, count, array.ctypes.data, array.size, result.ctypes.data, result.size))
            return result

    def discriminate(self, samples: Any) -> np.ndarray:
        """"discriminate": samples to its first output, a score each: f32, in the exporter's terms (logit or probability)."""
        return self._by_purpose("discriminate", samples, lib.fig_discriminate, 1)  # type: ignore[no-any-return]

    def anomaly_scores(self, samples: Any) -> np.ndarray:
        """How unusual each sample is; higher is more unusual: f32, [count]. Of models that encode the mean squared difference of a
        sample and its reconstruction, of others the negative of what "discriminate" returns."""
        with _Held(self) as handle:
            encodes = any(program.name == "encode" for program in self.model.programs)
            array, count = self._sample_array("encode" if encodes else "discriminate", samples)
            scores = np.empty(count, np.float32)
            rebuilt = self._samples(count) if encodes else np.empty(0, np.float32)
            check(lib.fig_anomaly_scores(handle, count, array.ctypes.data, array.size, rebuilt.ctypes.data if encodes else None,
                                         rebuilt.size, scores.ctypes.data, scores.size))
            return scores

    def _sample_array(self, program: str, samples: Any) -> Tuple[np.ndarray, int]:
        inputs, _ = self._ports_of(self.model.program(program))
        port = inputs[0]
        count = port.count_in(samples)
        return port.array(samples, count, self._pixels()), count

    def _pixels(self) -> Optional[Tuple[float, float]]:
        try:
            generated = self.model.generated
        except NotFound:
            return None
        return generated.value_range if generated.image else None

    def _by_purpose(self, name: str, samples: Any, function: Any, wanted: int) -> Any:
        with _Held(self) as handle:
            array, count = self._sample_array(name, samples)
            _, outputs = self._ports_of(self.model.program(name))
            results = [np.empty(port.shape_of(count), np.float32) for port in outputs[:wanted]]
            if len(results) < wanted:
                raise NotFound(f"{name} has one output")
            arguments: List[Any] = [part for result in results for part in (result.ctypes.data, result.size)]
            if function is lib.fig_encode and wanted == 1:
                arguments += [None, 0]
            check(function(handle, count, array.ctypes.data, array.size, *arguments))
            return results[0] if wanted == 1 else tuple(results)

    # ---- Training ---------------------------------------------------------------------------------------------------

    def train_step(self, batch: Mapping[str, Any], latents: Optional[Mapping[str, Any]] = None) -> Dict[str, float]:
        """One train step on a batch by input name (Model.batch_inputs): what the step computed, by name ("d.loss"), and "skipped":
        sub-steps that changed nothing, because a gradient was NaN or infinite. `latents` by name, instead of drawn ones. The
        session must have been created for training. Raises InvalidArgument."""
        with _Held(self) as handle:
            ports = {port.name: port for port in self.model.batch_inputs}
            for name in batch:
                if name not in ports:
                    raise NotFound(f"no train program reads {name!r}: a batch holds {', '.join(ports)}")
            counts = {ports[name].count_in(value) for name, value in batch.items()}
            if len(counts) != 1:
                raise InvalidArgument(f"the inputs of the batch hold different numbers of samples: {sorted(counts)}")
            count = counts.pop()
            pixels = self._pixels()
            arrays = {name: ports[name].array(value, count, pixels) for name, value in batch.items()}
            drawn = {name: np.ascontiguousarray(value, np.float32) for name, value in (latents or {}).items()}
            inputs, given = tensors(arrays), tensors(drawn)
            fields = structure(_c.fig_batch, count=count, inputs=ctypes.addressof(inputs), input_count=len(arrays),
                               latents=ctypes.addressof(given) if drawn else None, latent_count=len(drawn))
            metrics = _c.fig_metrics()
            check(lib.fig_train_step(handle, ctypes.byref(fields), ctypes.byref(metrics)))
            result = {text(metric.name): metric.value for metric in metrics.values[: metrics.count]}
            result["skipped"] = metrics.skipped
            return result

    @property
    def steps(self) -> int:
        """Steps done, those before a checkpoint included."""
        return int(lib.fig_session_steps(self.handle))

    @property
    def hyperparameters(self) -> MutableMapping[str, float]:
        """Scalars that can be read and set between steps: "d.learning_rate"."""
        return _Scalars(self)

    @property
    def parameters(self) -> Mapping[str, np.ndarray]:
        """Parameters and the optimizer's state by the exporter's name, f32 in the exporter's shape: copies. Assign to change."""
        return _Parameters(self)

    def save_checkpoint(self, folder: PathLike, data: bytes = b"") -> None:
        """Saves what a later session needs to resume, bit-identical to an uninterrupted run, and `data` of the caller's own.
        Atomic: a crash, a power cut or a full disk leaves the previous checkpoint or the new one. Raises StorageError."""
        with _Held(self) as handle:
            check(lib.fig_checkpoint_save(handle, path_bytes(folder), data, len(data)))

    def load_checkpoint(self, folder: PathLike) -> bytes:
        """Resumes from the newest checkpoint that is whole, and returns what the caller kept in it. Raises NotFound, BadFile, or
        InvalidArgument for one of another model; then nothing has changed."""
        with _Held(self) as handle:
            size = ctypes.c_size_t()
            room = 4096
            while True:
                buffer = ctypes.create_string_buffer(room)
                status = lib.fig_checkpoint_load(handle, path_bytes(folder), buffer, room, ctypes.byref(size))
                if status == _c.FIG_INVALID_ARGUMENT and size.value > room:
                    room = size.value
                    continue
                check(status)
                return buffer.raw[: size.value]

    def export(self, path: PathLike) -> None:
        """Writes the model's file with the session's parameters, whole or not at all. Raises StorageError."""
        with _Held(self) as handle:
            check(lib.fig_session_export(handle, path_bytes(path)))

    def adapter(self, program: Optional[str] = None) -> bytes:
        """What training has changed of what a program reads, the one that generates by default: of a model that is frozen but for
        adapters, the adapters. Raises NotFound, InvalidArgument, Unsupported."""
        with _Held(self) as handle:
            name = None if program is None else program.encode()
            size = ctypes.c_size_t()
            status = lib.fig_adapter_get(handle, name, None, 0, ctypes.byref(size))
            if size.value == 0:
                check(status)
            buffer = ctypes.create_string_buffer(size.value)
            check(lib.fig_adapter_get(handle, name, buffer, size.value, ctypes.byref(size)))
            return buffer.raw[: size.value]

    def set_adapter(self, adapter: bytes) -> None:
        """Sets what an adapter holds. Raises BadFile, or InvalidArgument for one of another model."""
        with _Held(self) as handle:
            check(lib.fig_adapter_set(handle, adapter, len(adapter)))

    def requantize(self) -> Model:
        """The int8 form of what the session has trained, of models converted with int8=True, keep_training=True."""
        with _Held(self) as handle:
            size = ctypes.c_size_t()
            check(lib.fig_requantize_size(handle, ctypes.byref(size)))
            block = aligned(size.value)
            check(lib.fig_requantize(handle, block.ctypes.data, block.size, ctypes.byref(size)))
            return Model(block[: size.value])


class _Held:
    """Keeps a session for the calling thread."""

    __slots__ = ("session",)

    def __init__(self, session: Session) -> None:
        self.session = session

    def __enter__(self) -> int:
        session = self.session
        if not session._lock.acquire(False):
            raise InUse(_IN_USE)
        if session._handle is None:
            session._lock.release()
            raise Closed("the session is closed")
        return session._handle

    def __exit__(self, *_: Any) -> None:
        self.session._lock.release()


def scalar_names(model: Model) -> List[str]:
    """What can be read and set between train steps."""
    names: List[str] = []
    name = ctypes.c_char_p()
    while lib.fig_model_scalar(model.handle, len(names), ctypes.byref(name)) == _c.FIG_OK:
        names.append(text(name.value))
    return names


class _Scalars(MutableMapping[str, float]):
    def __init__(self, session: Session) -> None:
        self._session = session
        self._names = scalar_names(session.model)

    def __getitem__(self, name: str) -> float:
        value = ctypes.c_double()
        if name not in self._names:
            raise NotFound(f"there is no hyperparameter {name!r}: there are {', '.join(self._names) or 'none'}")
        check(lib.fig_session_get_scalar(self._session.handle, name.encode(), ctypes.byref(value)))
        return value.value

    def __setitem__(self, name: str, value: float) -> None:
        if name not in self._names:
            raise NotFound(f"there is no hyperparameter {name!r}: there are {', '.join(self._names) or 'none'}")
        with _Held(self._session) as handle:
            check(lib.fig_session_set_scalar(handle, name.encode(), float(value)))

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __delitem__(self, name: str) -> None:
        raise InvalidArgument("hyperparameters cannot be removed")

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return repr(dict(self))


class _Parameters(Mapping[str, np.ndarray]):
    def __init__(self, session: Session) -> None:
        self._session = session
        if session._parameters is None:
            found = {}
            known = session.model.parameters
            room = np.empty(max((math.prod(parameter.shape) for parameter in known), default=0), np.float32)
            for parameter in known:
                # What the session does not hold is fixed, or a sum of gradients that it does not need.
                status = lib.fig_parameter_get(session.handle, parameter.name.encode(), room.ctypes.data, math.prod(parameter.shape))
                if status != _c.FIG_NOT_FOUND:
                    check(status)
                    found[parameter.name] = parameter
            session._parameters = found
        self._known = session._parameters

    def _parameter(self, name: str) -> Parameter:
        try:
            return self._known[name]
        except KeyError:
            raise NotFound(f"the session holds no parameter {name!r}") from None

    def __getitem__(self, name: str) -> np.ndarray:
        result = np.empty(self._parameter(name).shape, np.float32)
        with _Held(self._session) as handle:
            check(lib.fig_parameter_get(handle, name.encode(), result.ctypes.data, result.size))
        return result

    def __setitem__(self, name: str, value: Any) -> None:
        array = shaped(floats(value, name), self._parameter(name).shape, name)
        with _Held(self._session) as handle:
            check(lib.fig_parameter_set(handle, name.encode(), array.ctypes.data, array.size))

    def __contains__(self, name: object) -> bool:
        return name in self._known

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


def _for_all(port: Port, value: Any, count: int) -> np.ndarray:
    """An array for `count` samples of one for each, or of one for all."""
    shape = shape_of(value, f"the condition {port.name}")
    if port.batch_axis is not None and count != 1:
        if not shape:
            value = np.full(count, value)
        elif port.count_in(value) == 1 and len(shape) == len(port.shape):
            value = np.repeat(to_numpy(value, f"the condition {port.name}"), count, port.batch_axis)
    return port.array(value, count)
