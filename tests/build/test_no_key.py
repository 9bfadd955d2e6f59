"""The key of an endpoint is in nothing that a build, a saved pipeline or a model card leaves behind."""

from __future__ import annotations

import sqlite3
import zlib
from contextlib import closing

import pytest
import spacy
from helpers.builds import CODE, LLM_CONFIG, write_texts
from helpers.language_server import Fault, chat, serving
from typer.testing import CliRunner

import spacy_xlt.cli  # noqa: F401
from spacy_xlt.config import load_pipeline_config

KEY = "sk-Ab3dEf6hIjKlMnOpQrStUvWx"


def telling(body, n):
    """A model that says the key back: in an error about every third text, and that it will not translate others."""
    text = body["messages"][-1]["content"].rpartition("\n\n")[2]
    if "3" in text:
        return Fault(400, {"error": {"message": f"too long for {body['authorization']}"}})
    return chat(None, refusal=f"not with {KEY}") if "4" in text else chat(text.upper())


def contents(path):
    """The bytes of a file as they are, unpacked where they are packed, and as a database has them."""
    data = path.read_bytes()
    yield data
    try:
        yield zlib.decompress(data)
    except zlib.error:
        pass
    if data.startswith(b"SQLite"):
        with closing(sqlite3.connect(path)) as database:
            yield "\n".join(database.iterdump()).encode()


@pytest.mark.parametrize("command", [[], ["--dry-run"]])
def test_a_build_leaves_no_key_behind(tmp_path, monkeypatch, caplog, command):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    corpus = write_texts(tmp_path / "in.spacy", [f"Maria met {number} dogs" for number in range(12)])
    config = tmp_path / "build.cfg"
    with serving(telling) as server:
        text = LLM_CONFIG.format(url=server.url, cache=(tmp_path / "answers.sqlite").as_posix())
        translations = (tmp_path / "translations.sqlite").as_posix()
        config.write_text(text.replace('target = "pt"', f'target = "pt"\ncache = "{translations}"'))
        arguments = ["xlt", "build", config, corpus, tmp_path / "out", "--code", CODE, *command]
        result = CliRunner().invoke(spacy.cli._util.app, [str(argument) for argument in arguments])
        assert result.exit_code == 0, result.output
        assert server.requests[0]["authorization"] == f"Bearer {KEY}"
        # What failed says so, without the key
        assert "***" in result.output or command == []
        load_pipeline_config(config).to_disk(tmp_path / "pipeline")
    shown = [result.output.encode(), caplog.text.encode()]
    files = [path for path in sorted(tmp_path.rglob("*")) if path.is_file()]
    assert {"meta.json", "answers.sqlite"} <= {path.name for path in files}
    if not command:
        assert b"***" in (tmp_path / "out" / "summary.json").read_bytes()
        assert {"report.html", "manifest.jsonl", "translations.sqlite"} <= {path.name for path in files}
    for part in [*shown, *(part for path in files for part in contents(path))]:
        assert KEY.encode() not in part and KEY[3:].encode() not in part
