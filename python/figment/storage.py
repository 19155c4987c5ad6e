"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import Any, Callable, Union

from .errors import StorageError


def write_whole(path: Union[str, "os.PathLike[str]"], data: Union[bytes, memoryview, Callable[[Any], None]]) -> None:
    """Writes a file by way of one beside it, so that what was at `path` stays until all is on the disk. `data` are the bytes, or a
    function that writes them to an open file. Raises StorageError."""
    target = os.path.abspath(path)
    temporary = f"{target}.{os.getpid()}.{threading.get_ident()}"
    try:
        # Unlike tempfile's, with the permissions that the user's files have.
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
            if callable(data):
                data(file)
            else:
                file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise StorageError(f"cannot write {os.fspath(path)}: {error.strerror}") from None
