"""The Typer app that all commands hang on, how their errors reach a person, and how their overrides are read."""

from __future__ import annotations

import functools
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from io import TextIOWrapper
from itertools import combinations
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import typer
from spacy.cli._util import app as spacy_app
from spacy.cli._util import parse_config_overrides
from typer.core import TyperGroup

from .. import __version__
from ..errors import XltError, XltWarning, error
from ..io import CANNOT_WRITE, is_stdout, remove_leftovers_of
from ..printing import Printer, plain

msg = Printer()


# The commands as the help lists them; those of no group come last
GROUPS = {
    "Begin": ("init", "transfer", "doctor"),
    "Carry annotations over": (
        "convert",
        "transliterate",
        "build",
        "view",
        "build-report",
        "shards",
        "cache",
        "align",
        "prompt",
    ),
    "Train": (
        "merge-config",
        "compare",
        "average",
        "label",
        "rank-sources",
        "bundled",
        "vocabulary",
        "adapt",
        "adapt-aligner",
        "train-generator",
        "card",
    ),
    "Measure": ("eval-projection", "eval-alignment", "report"),
}
EXAMPLES = """\b
Examples:
  python -m spacy xlt convert mine.jsonl corpus.spacy --lang en
  python -m spacy xlt build build.cfg mine.jsonl built
  python -m spacy xlt view built page.html
  python -m spacy xlt COMMAND --help
"""


class GroupedCommands(TyperGroup):
    """Lists the commands in groups, each with the whole first sentence of its help."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """As click's, which cuts the sentences off."""
        rest = dict(self.commands)
        groups = {title: [(name, rest.pop(name)) for name in names if name in rest] for title, names in GROUPS.items()}
        groups["Others"] = list(rest.items())
        width = max(map(len, self.commands))
        for title, commands in groups.items():
            if commands:
                with formatter.section(title):
                    formatter.write_dl([(name.ljust(width), _summary(command)) for name, command in commands])


def _summary(command: Any) -> str:
    return " ".join((command.help or "").strip().partition("\n\n")[0].split())


def prepare_streams() -> None:
    """What every command needs of standard output and error: they are there, and what they cannot write is replaced."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            # Closed by who called us: another file could get its number
            setattr(sys, name, open(os.devnull, "w", encoding="utf8"))
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"spacy-xlt {__version__}")
        raise typer.Exit()


def _before_all(
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Show the version"),
) -> None:
    prepare_streams()


app = typer.Typer(
    name="xlt",
    cls=GroupedCommands,
    help="Cross-lingual transfer: translate, align and project annotations.",
    epilog=EXAMPLES,
    no_args_is_help=True,
    rich_markup_mode=None,
    callback=_before_all,
)
spacy_app.add_typer(app)

Command = TypeVar("Command", bound=Callable[..., Any])
# Commands that take config overrides (`--components.xlt_aligner.engine.layer 8`), as `spacy train` does.
WITH_OVERRIDES = {"allow_extra_args": True, "ignore_unknown_options": True}
# Those of `readers.settings`, which takes time to import
FORMATS = "auto, spacy, iob2, conll, tsv, jsonl, prodigy, brat, lines, marked, tacred, squad, texts or pubtator"
GOES_ON = "Interrupted. What was finished is kept; the same command goes on from there."
INTERRUPTED = "Interrupted."


def friendly_errors(command: Command, *, goes_on: bool = False) -> Command:
    """Print an XltError, or what the system says of a file, as one message and exit with 1, without a traceback."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        printed = sys.stdout
        try:
            with _reported(GOES_ON if goes_on else INTERRUPTED), _short_warnings():
                result = command(*args, **kwargs)
                sys.stdout.flush()
            return result
        except BrokenPipeError:
            # The reader closed the pipe (`| head`)
            _give_up_streams()
            raise typer.Exit(141) from None
        finally:
            sys.stdout = printed

    return run  # type: ignore[return-value]


@contextmanager
def _reported(interrupted: str) -> Iterator[None]:
    """Print what ends a command."""
    try:
        yield
    except XltError as err:
        _fail(err)
    except BrokenPipeError:
        raise
    except OSError as err:
        if err.errno not in CANNOT_WRITE:
            raise
        _fail(_file_error(err))
    except UnicodeEncodeError as err:
        # Half a surrogate pair, where another package writes it
        reason = f"{err.object[err.start : err.end]!r} in a text or a name has no place in {err.encoding}"
        _fail(error("E501", path="the output", reason=reason))
    except KeyboardInterrupt:
        msg.warn(interrupted)
        raise typer.Exit(130) from None


def _fail(err: XltError) -> NoReturn:
    try:
        msg.fail(f"XLT-{err.code}", err.message, exits=1)
    except BrokenPipeError:
        raise
    except OSError:
        # Standard output itself is what cannot be written
        _give_up_streams()
        typer.echo(str(err), err=True)
        raise typer.Exit(1) from None


def _give_up_streams() -> None:
    """What Python still flushes at its end goes nowhere, where nothing can be written any more."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def echo(text: str) -> None:
    """Print lines with data in them."""
    typer.echo(plain(text, lines=True))


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
            show_other(plain(str(message), lines=True), category, *args, **kwargs)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = show_other


def overrides_of(ctx: typer.Context, words: Sequence[str] | None = None) -> dict[str, Any]:
    """The config overrides among what the parser of options did not know.

    Args:
        ctx: Of the command.
        words: What the parser left over; `ctx.args` where left out.

    Raises:
        XltError: E519 for what is no setting of a config, so a mistyped option.
    """
    words = ctx.args if words is None else words
    for word in words:
        name = word.partition("=")[0]
        if name.startswith("--") and "." not in name:
            options = [option for param in ctx.command.params for option in param.opts if option.startswith("--")]
            close = get_close_matches(name, options, n=1)
            hint = f"Did you mean {close[0]}?" if close else "--help lists the options."
            raise error("E519", option=name, hint=hint)
    return parse_config_overrides(list(words))


def paths_and_overrides(ctx: typer.Context, words: Sequence[str]) -> tuple[list[Path], dict[str, Any]]:
    """Tell the paths of a command from the config overrides that follow them.

    Args:
        ctx: Of the command.
        words: What it got: its positional arguments, those that the parser left over (`ctx.args`), or both.

    Raises:
        XltError: As `overrides_of`.
    """
    n_paths = next((n for n, word in enumerate(words) if word.startswith("--")), len(words))
    return [Path(word) for word in words[:n_paths]], overrides_of(ctx, words[n_paths:])


def existing(path: Path, *, what: str) -> Path:
    """Make sure that an input is there.

    Raises:
        XltError: E502 where it is not there.
    """
    if not path.exists():
        raise error("E502", what=what, path=path)
    return path


def check_outputs(*outputs: Path | None, inputs: Iterable[Path | None], may_be_inside: bool = False) -> None:
    """Make sure that a command does not write over what it reads. Every command with both calls this first.

    What an earlier run that was killed has left of the outputs is removed. Where an output is standard output itself,
    messages go to standard error.

    Args:
        outputs: Files and folders to write; those that are None are not asked for.
        inputs: Files and folders that are read.
        may_be_inside: Whether an output may lie in a folder that is read, as a page in that of its build: the command
            reads only what ends in .spacy there.

    Raises:
        XltError: E553 where an output is an input, by any name or link, or lies in one; where it is one of the files
            that make a build; where two outputs are one file.
    """
    written, read = ([path for path in paths if path is not None] for paths in (outputs, inputs))
    for output in written:
        for path in read:
            if _is_same(output, path):
                raise error("E553", path=output, reason=f"is {path}, which is read")
            within = path.is_dir() and Path(os.path.realpath(output)).is_relative_to(os.path.realpath(path))
            if within and not (may_be_inside and output.suffix != ".spacy"):
                raise error("E553", path=output, reason=f"is in {path}, which is read")
        if build := _build_around(output):
            raise error("E553", path=output, reason=f"belongs to the build {build}")
    for first, second in combinations(written, 2):
        if _is_same(first, second):
            raise error("E553", path=second, reason=f"is {first}, which is written, too")
    for output in written:
        # Those of other people, as in /tmp, stay
        with suppress(OSError):
            remove_leftovers_of(output)
    if any(map(is_stdout, written)):
        sys.stdout = sys.stderr


def _is_same(first: Path, second: Path) -> bool:
    """Whether two paths are one file or folder. A device or a pipe can be read and written."""
    if first.exists() and second.exists():
        return first.samefile(second) and (first.is_file() or first.is_dir())
    return not first.exists() and not second.exists() and os.path.realpath(first) == os.path.realpath(second)


def _build_around(path: Path) -> Path | None:
    """The build folder that has a path as one of its own files; None where there is no such folder."""
    from ..build.manifest import FILE_NAME, OWN_NAMES, read_header

    path = Path(os.path.realpath(path))
    for folder in path.parents:
        if path.relative_to(folder).parts[0] in OWN_NAMES and (folder / FILE_NAME).is_file() and read_header(folder):
            return folder
    return None


def names_in(text: str | None) -> list[str]:
    """The names of an option that takes several, with commas between; spaces around them do not count."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]
