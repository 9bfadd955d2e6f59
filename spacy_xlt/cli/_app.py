"""The Typer app that all commands hang on, how their errors reach a person, and how their overrides are read."""

from __future__ import annotations

import functools
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import typer
from spacy.cli._util import app as spacy_app
from spacy.cli._util import parse_config_overrides
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
GOES_ON = "Interrupted. What was finished is kept; the same command goes on from there."
INTERRUPTED = "Interrupted."


def friendly_errors(command: Command, *, goes_on: bool = False) -> Command:
    """Print an XltError, or what the system says of a file, as one message and exit with 1, without a traceback."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        with _short_warnings():
            try:
                return command(*args, **kwargs)
            except XltError as err:
                msg.fail(f"XLT-{err.code}", err.message, exits=1)
            except BrokenPipeError:
                # The reader closed the pipe (`| head`): what Python still flushes goes nowhere
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                raise typer.Exit(141) from None
            except OSError as err:
                if err.errno not in CANNOT_WRITE:
                    raise
                reported = _file_error(err)
                msg.fail(f"XLT-{reported.code}", reported.message, exits=1)
            except KeyboardInterrupt:
                msg.warn(GOES_ON if goes_on else INTERRUPTED)
                raise typer.Exit(130) from None

    return run  # type: ignore[return-value]


def resumable(command: Command) -> Command:
    """As `friendly_errors`, for a command that goes on where it was interrupted."""
    return friendly_errors(command, goes_on=True)


def _file_error(err: OSError) -> XltError:
    """The error for a file that the system does not let us read or write."""
    path, effective = err.filename, os.access in os.supports_effective_ids
    if path is not None and os.path.exists(path) and not os.access(path, os.R_OK, effective_ids=effective):
        return error("E535", path=path, reason=err.strerror)
    return error("E501", path=path or "the output", reason=err.strerror)


@contextmanager
def _short_warnings() -> Iterator[None]:
    """Show our own warnings as a line, without the place in the code that gave them."""
    show_other = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *args: Any, **kwargs: Any) -> None:
        if issubclass(category, XltWarning):
            msg.warn(str(message))
        else:
            show_other(message, category, *args, **kwargs)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = show_other


def paths_and_overrides(words: Sequence[str]) -> tuple[list[Path], dict[str, Any]]:
    """Tell the paths of a command from the config overrides that follow them.

    Args:
        words: What the command got: its positional arguments, those that the parser left over (`ctx.args`), or both.
    """
    n_paths = next((n for n, word in enumerate(words) if word.startswith("--")), len(words))
    return [Path(word) for word in words[:n_paths]], parse_config_overrides(list(words[n_paths:]))


def existing(path: Path, *, what: str) -> Path:
    """Make sure that an input is there.

    Raises:
        XltError: E502 where it is not there.
    """
    if not path.exists():
        raise error("E502", what=what, path=path)
    return path


def names_in(text: str | None) -> list[str]:
    """The names of an option that takes several, with commas between; spaces around them do not count."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]
