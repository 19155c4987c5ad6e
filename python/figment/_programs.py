"""The programs figment and figment-convert: a wheel brings them, else they are on the PATH."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
from typing import Any, Sequence, Type

from .errors import ConversionError, FigmentError, NotFound, ProgramError

_BUNDLED = pathlib.Path(__file__).resolve().parent / "bin"


def path_of(program: str) -> str:
    """Where a program is: in the folder that $FIGMENT_PROGRAMS names, in the wheel, or on the PATH. Raises NotFound."""
    named = os.environ.get("FIGMENT_PROGRAMS")
    if named:
        return os.path.join(named, program)
    if (_BUNDLED / program).exists():
        return str(_BUNDLED / program)
    found = shutil.which(program)
    if found is None:
        raise NotFound(f"the program {program} is not there: install figment-tools, or name its folder by FIGMENT_PROGRAMS")
    return found


def run(program: str, arguments: Sequence[Any], **options: Any) -> "subprocess.CompletedProcess[str]":
    """Runs a program to its end, and raises what it says if it fails."""
    command = [path_of(program), *map(os.fspath, arguments)]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            encoding="utf-8", errors="replace", **options)
    if result.returncode != 0:
        kind: Type[FigmentError] = ConversionError if program == "figment-convert" else ProgramError
        said = result.stderr.strip() or result.stdout.strip() or f"{program} ended with status {result.returncode}"
        raise kind(said[len(program) + 2 :] if said.startswith(f"{program}: ") else said)
    return result
