"""The Typer app that all commands hang on, and how their errors reach a person."""

from __future__ import annotations

import functools
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import typer
from spacy.cli._util import app as spacy_app
from wasabi import msg

from ..errors import XltError, XltWarning, error
from ..io import CANNOT_WRITE

app = typer.Typer(
    name="xlt",
    help="Cross-lingual transfer: translate, align and project annotations.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
spacy_app.add_typer(app)

Command = TypeVar("Command", bound=Callable[..., Any])
# Commands that take config overrides (`--components.xlt_aligner.engine.layer 8`), as `spacy train` does.
WITH_OVERRIDES = {"allow_extra_args": True, "ignore_unknown_options": True}


def friendly_errors(command: Command) -> Command:
    """Print an XltError, or what the system says of a disk, as one message and exit with 1, without a traceback."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        warnings.showwarning = _show_warning
        try:
            return command(*args, **kwargs)
        except XltError as err:
            msg.fail(f"XLT-{err.code}", err.message, exits=1)
        except BrokenPipeError:
            # Who reads the output wants no more of it (`| head`); what Python flushes at its end must go somewhere
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(141) from None
        except OSError as err:
            if err.errno not in CANNOT_WRITE:
                raise
            known = error("E501", path=err.filename or "the output", reason=err.strerror)
            msg.fail(f"XLT-{known.code}", known.message, exits=1)
        except KeyboardInterrupt:
            msg.warn("Interrupted. What was finished is kept; the same command goes on from there.")
            raise typer.Exit(130) from None

    return run  # type: ignore[return-value]


_show_any_warning = warnings.showwarning


def _show_warning(message: Warning | str, category: type[Warning], *args: Any, **kwargs: Any) -> None:
    if issubclass(category, XltWarning):
        msg.warn(str(message))
    else:
        _show_any_warning(message, category, *args, **kwargs)


def existing(path: Path, *, what: str) -> Path:
    """Make sure that an input is there.

    RAISES (XltError): E502 where it is not.
    """
    if not path.exists():
        raise error("E502", what=what, path=path)
    return path


def names_in(text: str | None) -> list[str]:
    """The names of an option that takes several, with commas between; spaces around them do not count."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]
