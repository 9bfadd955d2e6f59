"""From the package's own wheel, with nothing else of ours, to the wheel of a pipeline."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.mine import write_data
from helpers.paths import ROOT
from helpers.scripts import try_package

ENV = {
    **{name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")},
    "OMP_NUM_THREADS": "1",
    # Nothing is fetched
    "PIP_NO_INDEX": "1",
    "HF_HUB_OFFLINE": "1",
}


def run(*command: object, cwd: Path) -> str:
    words = [str(part) for part in command]
    done = subprocess.run(words, cwd=cwd, env=ENV, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """A Python with the packages that ours needs, and the wheel of ours."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT / "spacy_xlt", folder / "source" / "spacy_xlt")
    for name in ("setup.cfg", "setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "source")
    pip = [sys.executable, "-m", "pip"]
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder]
    run(*pip, "wheel", *options, folder / "source", cwd=folder)
    python = try_package.make_bare_python(folder / "python")
    run(*pip, "--python", python, "install", "--quiet", "--no-deps", *folder.glob("spacy_xlt-*.whl"), cwd=folder)
    return python


@pytest.mark.long
def test_init_and_the_project_end_with_a_wheel_for_german_from_parallel_files(python, tmp_path):
    write_data(tmp_path, n=30)
    files = ["--data", "mine.jsonl", "--parallel", "mine.en", "mine.de", "--max-steps", "2"]
    said = run(python, "-m", "spacy", "xlt", "init", "mine", "--source", "en", "--target", "de", *files, cwd=tmp_path)
    assert "Next: cd mine && python -m spacy project run all" in said
    said = run(python, "-m", "spacy", "project", "run", "all", cwd=tmp_path / "mine")
    (wheel,) = (tmp_path / "mine/packages").rglob("*.whl")
    assert (
        "source-dev F1" in said
        and wheel.name.startswith("de_xlt_ner")
        and f"pip install packages/{wheel.parts[-3]}" in said
    )


@pytest.mark.long
def test_transfer_ends_with_a_wheel_for_portuguese_on_the_sample(python, tmp_path):
    pair = ["--source", "en", "--target", "pt", "--max-steps", "2"]
    said = run(python, "-m", "spacy", "xlt", "transfer", *pair, "--output", "made", cwd=tmp_path)
    (wheel,) = (tmp_path / "made").glob("*.whl")
    assert "pt-test F1" in said and "zero-shot" in said and f"pip install made/{wheel.name}" in said
