"""A process that dies between two files that it writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest


class Killed(BaseException):
    pass


@contextmanager
def killed_after(n_files: int, module: ModuleType) -> Iterator[None]:
    """Let the `write_bytes` of a module work so many times, and die at the next; what is inside has to."""
    write, written = module.write_bytes, []

    def write_or_die(path: Path, data: bytes) -> None:
        if len(written) == n_files:
            raise Killed
        written.append(path)
        write(path, data)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(module, "write_bytes", write_or_die)
        yield
