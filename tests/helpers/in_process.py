"""Commands of Python run in this process: starting an interpreter for each takes longer than most of them."""

from __future__ import annotations

import runpy
import sys
import traceback
import warnings
from collections.abc import Sequence
from unittest import mock


def run_python(arguments: Sequence[str]) -> int:
    """Do what `python` does with a script, or `-m` and a module, and their arguments; the exit status."""
    words = list(arguments[1:]) if arguments[0] == "-m" else list(arguments)
    run = runpy.run_module if arguments[0] == "-m" else runpy.run_path
    with mock.patch.object(sys, "argv", words), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            run(words[0], run_name="__main__")
        except SystemExit as err:
            return err.code if isinstance(err.code, int) else int(bool(err.code))
        except Exception:
            traceback.print_exc()
            return 1
    return 0
