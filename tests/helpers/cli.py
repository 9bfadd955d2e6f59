"""spaCy's command line, in this process."""

from __future__ import annotations

from pathlib import Path

from spacy.cli._util import app
from typer.testing import CliRunner


def spacy_cli(*arguments: str | Path) -> str:
    """Run a command that must succeed, and give what it printed."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output
