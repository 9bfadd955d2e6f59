"""Commands where the terminal knows few letters, and names and texts have letters of all kinds."""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import redirect_stderr
from pathlib import Path

import pytest
from helpers.builds import CONFIG
from helpers.engines import make_upper  # noqa: F401 (registers the engines)
from spacy.cli._util import app
from typer.testing import CliRunner

import spacy_xlt.cli  # noqa: F401
from spacy_xlt.translation.cache import TranslationCache

# Bytes that are no UTF-8, where the system's names are bytes
NAME = "31_żó 日本 ⚑\x1b[31m" + (os.fsdecode(b"\xe9") if sys.platform == "linux" else "")
TEXT = "Żółć\tB-PER\n—\tO\n日本\tB-ŁOC\n😀\tO\n\x1b[31m\tO\n\n"


@pytest.mark.parametrize("charset", ["ascii", "cp1252", "utf8"])
def test_no_command_ends_in_a_traceback(tmp_path: Path, charset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def run(*words: object, code: int = 0) -> str:
        errors = io.TextIOWrapper(io.BytesIO(), encoding=charset)
        with redirect_stderr(errors):
            done = CliRunner(charset=charset).invoke(app, ["xlt", *map(str, words)])
        assert done.exit_code == code, (words, done.output, done.exception)
        assert "\x1b[31m" not in done.output
        return done.output

    try:
        Path(NAME).mkdir()
    except OSError:
        pytest.skip("the disk does not take such names")
    corpus, built = f"{NAME}/{NAME}.conll", f"{NAME}/built"
    Path(corpus).write_text(TEXT, encoding="utf8")
    Path("config.cfg").write_text(CONFIG)
    assert NAME[:3] in run("convert", corpus, f"{NAME}/c.spacy")
    run("convert", corpus, corpus, code=1)
    run("convert", corpus, f"{NAME}/d.spacy", "--tag-col", "1", code=1)
    run("convert", f"{NAME}/no.conll", f"{NAME}/d.spacy", code=1)
    for _ in range(2):
        run("build", "config.cfg", corpus, built)
    run("build", "config.cfg", corpus, built, "--n-sents", "2", code=1)
    run("view", built, f"{NAME}/page.html")
    run("view", built, f"{NAME}/page.html", "--review")
    run("view", built, "--text")
    run("view", corpus, "--text", code=1)
    run("build-report", built)
    run("shards", "list", built, "--files")
    listed = [json.loads(line) for line in run("shards", "list", built, "--json").splitlines()]
    assert listed[-1]["total"]["spans_in"] == {"PER": 1, "ŁOC": 1}
    for command in ("sample", "split", "export"):
        run("shards", command, built, f"{NAME}/{command}")
        run("shards", command, built, f"{NAME}/{command}", code=1)
    run("shards", "sample", built, f"{NAME}/x", "--lang", "ż", code=1)
    run("merge-config", f"{NAME}/merged.cfg", "config.cfg", "--nlp.lang", "ż")
    run("merge-config", f"{NAME}/merged.cfg", f"{NAME}/none.cfg", code=1)
    cache = TranslationCache(Path(f"{NAME}/cache.sqlite").absolute())
    cache.close()
    run("cache", "stats", f"{NAME}/cache.sqlite", code=0 if cache.path.exists() else 1)
