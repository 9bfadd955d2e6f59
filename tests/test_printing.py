"""Text of data in a terminal, in Markdown and in streams that cannot write all of it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import typer
from helpers.children import WITHOUT_TORCH
from typer.testing import CliRunner

from spacy_xlt.cli._app import echo, friendly_errors, msg
from spacy_xlt.errors import error
from spacy_xlt.printing import Printer, markdown, markdown_code, plain
from spacy_xlt.report.table import Table

# Colours, a title of the window, a bell, a line that is written over, C1, turns of direction, half a pair
NASTY = "PER\x1b[31m\x1b]0;x\x07\r\x9b2J\u202e\udce9"


def test_what_a_terminal_would_obey_is_shown() -> None:
    shown = plain(NASTY)
    assert shown.isprintable() and shown.startswith("PER\ufffd[31m")
    assert plain("a\nb\tc\rd") == "a b c d" and plain("a\nb\tc\rd", lines=True) == "a\nb\tc d"
    assert plain("São Tomé 日本 😀 👩\u200d💻 x") == "São Tomé 日本 😀 👩\u200d💻 x"


def run(body) -> str:
    app = typer.Typer()

    @app.command()
    @friendly_errors
    def command() -> None:
        body()

    return CliRunner().invoke(app, [], color=False).output


def fail() -> None:
    raise error("E522", labels=NASTY, path=f"/tmp/{NASTY}", known=NASTY)


@pytest.mark.parametrize(
    "body",
    [
        fail,
        lambda: msg.good(NASTY, NASTY),
        lambda: msg.text(NASTY, NASTY),
        lambda: msg.table([(NASTY, 1)], header=("a", "b")),
        lambda: msg.table({NASTY: 1}),
        lambda: echo(NASTY),
        lambda: typer.echo(Table(["a", NASTY], [(NASTY, 1)]).terminal()),
    ],
)
def test_no_message_steers_a_terminal(body) -> None:
    said = run(body).replace("\x1b[38;5;1m", "").replace("\x1b[38;5;2m", "").replace("\x1b[0m", "")
    assert "PER" in said and not set(said) & set("\x1b\x07\r\x9b\u202e\udce9")


def test_warnings_of_others_do_not_steer_it_either() -> None:
    with pytest.warns(UserWarning) as warned:
        run(lambda: warnings.warn(f"The text {NASTY}", UserWarning, stacklevel=1))
    assert str(warned[0].message).isprintable()


@pytest.mark.parametrize(
    "text",
    [
        "PER",
        "a|b",
        "`code`",
        "<img src=x onerror=alert(1)>",
        "a & b",
        "[x](http://y)",
        "a\nb",
        "\\",
        "**b**",
        "a\\|b",
        "my_ner",
    ],
)
def test_markdown_shows_names_as_they_are(text: str) -> None:
    mdurl = pytest.importorskip("markdown_it")
    table = Table(["label", "n"], [(text, 1)]).markdown()
    html = mdurl.MarkdownIt("gfm-like", {"linkify": False}).render(f"{table}\n\n- {markdown(text)}\n")
    expected = text.replace("\n", " ").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert f'<td style="text-align:left">{expected}</td>' in html and f"<li>{expected}</li>" in html
    assert html.count("<td") == 2


def test_code_of_markdown_ends_where_it_should() -> None:
    assert markdown_code("a`b\nc") == "`a'b c`"
    assert markdown("85.0 ± 1.2*") == "85.0 ± 1.2*"


PROGRAM = """
import typer
from pathlib import Path
from spacy_xlt.cli import app
from spacy_xlt.cli._app import friendly_errors, msg
from spacy_xlt.errors import error

@app.command("say")
@friendly_errors
def say(path: Path, n: int = 1):
    for _ in range(n):
        msg.good(f"→ ⚑ 日本 {path}")
    typer.echo("✗ “żó”")
    raise error("E502", what="żó", path=path)

app(prog_name="xlt")
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "say.py"
    path.write_text(PROGRAM, encoding="utf8")
    return path


def say(program, *words: str | bytes, stdout=subprocess.PIPE, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, program, "say", *words]
    env = {**os.environ, **WITHOUT_TORCH, **environment}
    return subprocess.run(command, env=env, stdout=stdout, stderr=subprocess.PIPE, check=False)


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "cp1252"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    ],
)
def test_what_a_stream_cannot_write_is_replaced(program: Path, environment: dict[str, str]) -> None:
    path = b"caf\xe9" if os.name == "posix" else "caf"
    done = say(program, path, **environment)
    assert done.returncode == 1 and b"E502" in done.stdout and done.stderr == b""


@pytest.mark.skipif(os.name != "posix", reason="pipes and devices are those of POSIX")
def test_a_closed_pipe_and_a_full_disk_behind_standard_output_are_no_traceback(program: Path) -> None:
    for n in ("1", "20000"):
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing, "wb") as pipe:
            done = say(program, "x", "--n", n, stdout=pipe)
        assert (done.returncode, done.stderr) == (141, b"")
    if Path("/dev/full").exists():
        with open("/dev/full", "wb") as full:
            done = say(program, "x", stdout=full)
        assert done.returncode == 1 and done.stderr.count(b"\n") == 1 and b"E50" in done.stderr


def test_closed_streams_are_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from spacy_xlt.cli._app import prepare_streams

    monkeypatch.setattr(sys, "stdout", None)
    strict = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stderr", strict)
    prepare_streams()
    print("ż")
    print("ż", file=sys.stderr, flush=True)
    assert strict.buffer.getvalue() == b"\\u017c\n"
    sys.stdout.close()


def test_lines_stay_lines_and_paths_whole_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    path = "/a folder/" + "x" * 100
    Printer().warn("Two ways:\n  one\n  two", f"in {path} and {path}")
    assert capsys.readouterr().out == f"⚠ Two ways:\n  one\n  two\nin {path} and {path}\n"


def test_lines_are_wrapped_for_a_terminal_each_by_itself(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "18")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    Printer().text("Ways:", "What could be done is:\n  this, or else that")
    assert capsys.readouterr().out == "Ways:\nWhat could be done\nis:\n  this, or else\n  that\n"
