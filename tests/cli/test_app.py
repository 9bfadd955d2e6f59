"""What all commands have in common: how errors, warnings and Ctrl-C reach a person, and how overrides are read."""

from __future__ import annotations

import errno
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from spacy.cli._util import app as spacy_app
from typer.testing import CliRunner, Result

from spacy_xlt.cli import _app
from spacy_xlt.cli._app import friendly_errors, paths_and_overrides, resumable
from spacy_xlt.errors import warn

NOBODY = 65534


def run(body: Callable[[], object], decorate: Callable = friendly_errors) -> Result:
    app = typer.Typer()

    @app.command()
    @decorate
    def command() -> None:
        body()

    return CliRunner().invoke(app, [])


def interrupt() -> None:
    raise KeyboardInterrupt


def test_warnings_are_shown_in_a_line_and_shown_as_before_afterwards() -> None:
    before = warnings.showwarning
    shown = []

    def show() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            shown.append(warnings.showwarning)
            warn("W583", path="a.spacy", size="0 bytes", reason="it is empty")

    done = run(show)
    assert "a.spacy cannot be read" in " ".join(done.output.split()) and ".py" not in done.output
    assert shown[0] is not before and warnings.showwarning is before
    run(interrupt)
    assert warnings.showwarning is before


def test_only_a_command_that_goes_on_says_so_when_interrupted() -> None:
    plain, resuming = run(interrupt), run(interrupt, resumable)
    assert plain.exit_code == resuming.exit_code == 130
    assert "Interrupted" in plain.output and "goes on" not in plain.output
    assert "the same command goes on from there" in " ".join(resuming.output.split())


@pytest.fixture
def no_rights() -> Iterator[Path]:
    """A folder that anyone may read and nobody but its owner may write, with a file in it that cannot be read."""
    if os.name != "posix":
        pytest.skip("rights of files are those of POSIX")
    # Not below tmp_path, which only its owner may open
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "plan.cfg").write_text("secret")
        (folder / "plan.cfg").chmod(0)
        folder.chmod(0o755 if os.geteuid() == 0 else 0o555)
        if os.geteuid() == 0:
            os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            os.seteuid(os.getuid())
            folder.chmod(0o755)


def test_an_input_that_may_not_be_read_is_not_called_an_output(no_rights: Path) -> None:
    done = run(lambda: (no_rights / "plan.cfg").read_text())
    said = " ".join(done.output.split())
    assert done.exit_code == 1
    assert "XLT-E535" in said and "cannot be read: Permission denied" in said and "Cannot write" not in said


def test_an_output_that_may_not_be_written_is_named(no_rights: Path) -> None:
    done = run(lambda: (no_rights / "new.json").write_text("{}"))
    said = " ".join(done.output.split())
    assert done.exit_code == 1
    assert "XLT-E501" in said and "new.json" in said.replace(" ", "") and "Cannot write" in said


def test_other_errors_of_the_system_are_not_hidden() -> None:
    def missing() -> None:
        raise OSError(errno.ENOENT, "no such file", "x")

    assert isinstance(run(missing).exception, OSError)


def test_help_names_every_format() -> None:
    from spacy_xlt.readers.settings import FORMATS

    assert set(_app.FORMATS.replace(" or ", ", ").split(", ")) == {"auto", *FORMATS}


def test_short_option_means_the_same_in_every_command() -> None:
    meanings: dict[str, set[str]] = {}

    def collect(command: Any) -> None:
        for inner in getattr(command, "commands", {}).values():
            collect(inner)
        for param in command.params:
            for short in (option for option in param.opts if not option.startswith("--") and len(option) == 2):
                meanings.setdefault(short, set()).add(next(o for o in param.opts if o.startswith("--")))

    collect(typer.main.get_command(spacy_app).commands["xlt"])
    # As in `spacy convert` and `spacy package`
    assert meanings.pop("-n") == {"--n-sents", "--name"}
    assert {len(names) for names in meanings.values()} == {1}, meanings


def test_overrides_follow_paths() -> None:
    commands = typer.main.get_command(spacy_app).commands["xlt"].commands
    context = typer.Context(commands["merge-config"])
    words = ["a.cfg", "b.cfg", "--training.max_steps", "3", "--paths.dev=x.spacy"]
    paths, overrides = paths_and_overrides(context, words)
    assert paths == [Path("a.cfg"), Path("b.cfg")]
    assert overrides == {"training.max_steps": 3, "paths.dev": "x.spacy"}
    assert paths_and_overrides(context, []) == ([], {})


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["build", "a.cfg", "in", "out", "--worker", "2"], "Did you mean --workers?"),
        (["merge-config", "out.cfg", "a.cfg", "--typo=1"], "--help lists the options."),
        (["eval-projection", "a.cfg", "a.spacy", "b.spacy", "--lables", "PER"], "Did you mean --labels?"),
    ],
)
def test_mistyped_option_is_an_error_with_the_one_that_may_be_meant(words: list[str], hint: str) -> None:
    result = CliRunner().invoke(spacy_app, ["xlt", *words])
    assert result.exit_code == 1 and "XLT-E519" in result.output
    assert hint in " ".join(result.output.split())
