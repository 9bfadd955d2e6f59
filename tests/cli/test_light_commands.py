"""Commands that need no neural network run without torch, and do not import transformers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

# spaCy itself imports torch wherever it can, so here it cannot
CHILD = """
import json, sys
sys.modules["torch"] = None
from spacy.cli._util import app
from spacy.util import registry
from typer.testing import CliRunner
registry.cli.get_all()
for arguments in json.loads(sys.argv[1]):
    result = CliRunner().invoke(app, ["xlt", *arguments])
    heavy = [name for name in ("transformers", "pandas", "scipy") if name in sys.modules]
    print(json.dumps([result.exit_code, result.output, heavy]))
"""


def test_commands_without_a_network_import_neither_torch_nor_transformers(
    build_shards: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "mine.jsonl").write_text('{"text": "Maria sleeps.", "spans": [{"start": 0, "end": 5, "label": "PER"}]}')
    (tmp_path / "letters.tsv").write_text("a\tb\n")
    (tmp_path / "base.cfg").write_text("[training]\nmax_steps = 1\n")
    built = str(build_shards())
    commands = [
        ["--help"],
        ["convert", "mine.jsonl", "corpus.spacy", "--lang", "en"],
        ["transliterate", "mine.jsonl", "letters.spacy", "--table", "letters.tsv", "--tags", "PER"],
        ["merge-config", "merged.cfg", "base.cfg", "--training.max_steps", "2"],
        ["shards", "list", built],
        ["view", built, "page.html"],
        ["prompt", "translate"],
        ["prompt", "annotate"],
        ["doctor", "--json"],
    ]
    child = subprocess.run(
        [sys.executable, "-c", CHILD, json.dumps(commands)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    results = [json.loads(line) for line in child.stdout.splitlines()]
    *others, (status, report, _) = results
    assert [(status, heavy) for status, _, heavy in results[:-1]] == [(0, [])] * len(others), child.stdout
    # What is wrong here is that torch cannot be imported, and nothing else
    wrong = [finding for finding in json.loads(report)["findings"] if finding["state"] == "wrong"]
    assert status == 1 and [finding["name"] for finding in wrong] == ["torch"]
