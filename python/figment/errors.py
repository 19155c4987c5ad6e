"""What goes wrong, as exceptions. Their text is the library's: what was wrong, and what to do."""

from __future__ import annotations


class FigmentError(Exception):
    """Any error of Figment."""


class InvalidArgument(FigmentError, ValueError):
    """A wrong name, count, shape, dtype or value."""


class BadFile(FigmentError, ValueError):
    """A file that is truncated, corrupt or inconsistent."""


class UnsupportedVersion(FigmentError):
    """A model of a version that this library does not read."""


class Unsupported(FigmentError):
    """What this build, processor or model cannot do."""


class OutOfMemory(FigmentError, MemoryError):
    """The system has no more memory."""


class MemoryLimit(FigmentError):
    """The memory limit is too small; the message says what is needed."""


class StorageError(FigmentError, OSError):
    """The system refused to read or write: a full disk, a missing permission."""


class NotFound(FigmentError, LookupError):
    """No file, program, input or parameter of that name."""


class InternalError(FigmentError):
    """A defect in Figment: please report."""


class Closed(FigmentError, ValueError):
    """The model or session has been closed."""


class InUse(FigmentError, RuntimeError):
    """Another thread is computing with the session. Use one session a thread; they share the model and its weights."""


class ConversionError(FigmentError):
    """figment-convert refused; the text is what it said."""


class ProgramError(FigmentError):
    """The program figment failed; the text is what it said."""


class ExportWarning(UserWarning):
    """An exporter has left out or folded away something that the caller may miss."""
