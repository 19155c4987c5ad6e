"""The C library: where it is, and its calls as Python functions that raise."""

from __future__ import annotations

import ctypes
import os
import pathlib
from typing import Any, List, Optional

from . import _c, errors
from ._version import __version__

_FOLDER = pathlib.Path(__file__).resolve().parent

_ERRORS = {
    _c.FIG_INVALID_ARGUMENT: errors.InvalidArgument,
    _c.FIG_BAD_FILE: errors.BadFile,
    _c.FIG_UNSUPPORTED_VERSION: errors.UnsupportedVersion,
    _c.FIG_UNSUPPORTED: errors.Unsupported,
    _c.FIG_OUT_OF_MEMORY: errors.OutOfMemory,
    _c.FIG_MEMORY_LIMIT: errors.MemoryLimit,
    _c.FIG_IO_ERROR: errors.StorageError,
    _c.FIG_NOT_FOUND: errors.NotFound,
}


def _load() -> ctypes.CDLL:
    # A wheel brings the library; else $FIGMENT_LIBRARY names it, or it is where the system's libraries are.
    bundled = _FOLDER / "lib" / "libfigment.so.0"
    path = os.environ.get("FIGMENT_LIBRARY") or (str(bundled) if bundled.exists() else "libfigment.so.0")
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        raise ImportError(f"Figment's library cannot be loaded: {error}. FIGMENT_LIBRARY names its file.") from None
    for name, (result, arguments) in _c.FUNCTIONS.items():
        function = getattr(library, name, None)
        if function is None:
            raise ImportError(f"{path} is another version of the library than {__version__}: it has no {name}")
        function.restype = result
        function.argtypes = arguments
    version = library.fig_version().decode()
    if version.split(".")[:2] != __version__.split(".")[:2]:
        raise ImportError(f"{path} is version {version} of the library; the package figment is {__version__}")
    return library


lib = _load()


def raise_status(status: int, context: str = "") -> None:
    """Raises what a status that is not FIG_OK means, with the library's message."""
    message = lib.fig_error_message().decode("utf-8", "replace") or lib.fig_status_name(status).decode()
    raise _ERRORS.get(status, errors.InternalError)(f"{context}: {message}" if context else message)


def check(status: int) -> None:
    """Raises unless the call succeeded."""
    if status:
        raise_status(status)


def text(value: Optional[bytes]) -> str:
    """A string of the library's."""
    return (value or b"").decode("utf-8", "replace")


def path_bytes(path: Any) -> bytes:
    """A path as the library takes it."""
    result = os.fsencode(path)
    if b"\0" in result:
        raise errors.InvalidArgument("a path holds a NUL character")
    return result


def structure(kind: Any, **fields: Any) -> Any:
    """A structure that begins with its size."""
    return kind(struct_size=ctypes.sizeof(kind), **fields)


def each(function: Any, kind: Any, *arguments: Any) -> List[Any]:
    """What a function gives by index, up to the index that it does not have."""
    result: List[Any] = []
    while True:
        value = kind()
        status = function(*arguments, len(result), ctypes.byref(value))
        if status == _c.FIG_NOT_FOUND:
            return result
        check(status)
        result.append(value)
