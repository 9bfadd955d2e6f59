"""Packages that bundle the component's file, without spacy_xlt and beside it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import spacy
from helpers.children import without
from helpers.cli import spacy_cli
from helpers.tiny_ner import SENTENCES, make_examples, make_ner, train
from typer.testing import CliRunner

from spacy_xlt.cli import app
from spacy_xlt.ner import xlt_ner
from spacy_xlt.package.provenance import read_provenance

CODE = Path(xlt_ner.__file__)
SCRIPT = """
import json, en_first, en_second
pipelines = [en_first.load(), en_second.load()]
text = "Maria lives in Lisbon ."
found = [[[ent.text, ent.label_] for ent in nlp(text).ents] for nlp in pipelines]
kinds = {type(nlp.get_pipe("xlt_ner")).__module__ for nlp in pipelines}
print(json.dumps({"found": found, "modules": sorted(kinds)}))
"""


@pytest.fixture(scope="module")
def packages(encoder, tmp_path_factory) -> list[Path]:
    """Two packages, the second one of other labels."""
    folder = tmp_path_factory.mktemp("packages")
    built = []
    for name, sentences in (("first", SENTENCES), ("second", SENTENCES[:3])):
        nlp = make_ner(encoder, examples=sentences)
        train(nlp, times=40, examples=make_examples(nlp, sentences))
        if name == "second":
            nlp.get_pipe("xlt_ner").add_label("MISC")
        nlp.to_disk(folder / f"{name}-pipeline")
        options = ["--name", name, "--version", "1.0.0", "--build", "none", "--code", CODE]
        spacy_cli("package", folder / f"{name}-pipeline", folder, *options)
        package = folder / f"en_{name}-1.0.0"
        # What a build does
        shutil.copy(package / "meta.json", package / f"en_{name}")
        built.append(package)
    return built


def run(script: str, packages: list[Path], *missing: str) -> dict:
    """What a script prints where some packages are missing."""
    paths = "".join(f"sys.path.insert(0, {str(path)!r})\n" for path in packages)
    command = [sys.executable, "-c", f"import sys\n{paths}{script}"]
    env = {**os.environ, **without("spacy_transformers", *missing)}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_package_requires_spacy_torch_and_transformers(packages):
    for package in packages:
        requirements = json.loads((package / "meta.json").read_text())["requirements"]
        assert sorted(item.split(">")[0] for item in requirements) == ["spacy", "torch", "transformers"]


def test_the_file_imports_nothing_of_ours():
    lines = CODE.read_text().splitlines()
    assert not [line for line in lines if line.strip().startswith(("from .", "import spacy_xlt", "from spacy_xlt"))]


@pytest.mark.parametrize("missing", [[], ["spacy_xlt"]], ids=["beside spacy_xlt", "without spacy_xlt"])
def test_two_packages_run_in_one_process(packages, missing):
    result = run(SCRIPT, packages, *missing)
    expected = [["Maria", "PER"], ["Lisbon", "LOC"]]
    assert result["found"] == [expected, expected]
    # The first that is loaded registers the component for both
    assert result["modules"] == ["en_first.xlt_ner"]


def test_a_package_says_what_it_needs_where_torch_is_missing(packages):
    script = """
import json, en_first
try:
    en_first.load()
except ImportError as err:
    print(json.dumps({"error": str(err)}))
"""
    error = run(script, packages, "spacy_xlt", "torch")["error"]
    assert "XLT-E171" in error and "pip install 'torch>=2.4'" in error


def test_a_card_puts_the_code_beside_the_pipeline(encoder, tmp_path):
    make_ner(encoder).to_disk(tmp_path / "pipeline")
    data = ["--allow-unknown", "--data", "encoder=mine", "--licence", "MIT"]
    done = CliRunner().invoke(app, ["card", str(tmp_path / "pipeline"), "--output", str(tmp_path / "copy"), *data])
    assert done.exit_code == 0 and f"--code {tmp_path / 'copy' / 'xlt_ner.py'}" in " ".join(done.output.split())
    assert (tmp_path / "copy" / "xlt_ner.py").read_bytes() == CODE.read_bytes()
    provenance = read_provenance(tmp_path / "copy")
    assert provenance.encoder == str(encoder) and not provenance.needs_xlt


def test_a_pipeline_that_needs_spacy_xlt_takes_the_component_from_there(encoder, tmp_path):
    nlp = make_ner(encoder)
    nlp.add_pipe("xlt_projector")
    nlp.to_disk(tmp_path / "pipeline")
    provenance = read_provenance(tmp_path / "pipeline")
    assert provenance.needs_xlt and not provenance.code


def test_a_pipeline_with_the_tokenizer_takes_the_file_along(tmp_path):
    nlp = spacy.blank("xx", config={"nlp": {"tokenizer": {"@tokenizers": "spacy_xlt.PieceTokenizer.v1"}}})
    nlp.to_disk(tmp_path)
    assert read_provenance(tmp_path).code == [CODE]
