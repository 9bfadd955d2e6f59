"""The blocks of code in README and docs, and a small project in which they run."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterator
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path

from spacy.cli._util import app
from typer.testing import CliRunner

import spacy_xlt.cli  # noqa: F401
from helpers.paths import ROOT
from helpers.tiny_pipelines import saved_ruler

PAGES = {path.name: path.read_text(encoding="utf8") for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))}
SENTENCES = 12
# What is not run, and why. A block says so itself in a comment before it: <!-- not run: needs a GPU -->
REASONS = {"needs a GPU", "needs a download", "needs several machines", "needs several processes", "needs an endpoint"}
# Commands that would take minutes however small the data, and why that is no loss: they are asked for their help
HELP_ONLY = {
    ("project", "run"): "test_workflow.py runs it",
    ("xlt", "transfer"): "test_transfer.py runs it",
    ("benchmark", "speed"): "spaCy's own, which takes 30 batches at least",
}
# What is added to a command so that it takes seconds. The last one of an option counts.
MINIATURE = {
    ("train",): "--training.max_steps 4 --training.eval_frequency 2 --reading.dev_limit 20",
    ("package",): "--build none --force",
    ("xlt", "bundled"): "--layers 1",
    ("xlt", "compare"): "--dry-run",
    ("xlt", "adapt"): "--adapting.steps 2 --adapting.minutes null --adapting.batch_tokens 128 --silent",
    ("xlt", "adapt-aligner"): "--steps 2 --batch-tokens 128 --silent",
    ("xlt", "build"): "--silent",
}
_BLOCK = re.compile(
    r"(?:^<!-- (?P<kind>not run|file): (?P<said>.+?) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.M | re.S
)


@dataclass(frozen=True)
class Block:
    """A block of code. `file` and `not_run` are what a comment before it says."""

    page: str
    line: int
    language: str
    code: str
    file: str = ""
    not_run: str = ""

    @property
    def place(self) -> str:
        return f"{self.page}, line {self.line}"

    def commands(self) -> Iterator[list[str]]:
        """The command lines of a bash block, in words."""
        for line in self.code.replace("\\\n", " ").splitlines():
            if words := shlex.split(line, comments=True):
                yield words


def blocks_of(page: str) -> list[Block]:
    """All blocks of a page, in order."""
    found = []
    for match in _BLOCK.finditer(PAGES[page]):
        said = {match["kind"]: match["said"]}
        line = PAGES[page].count("\n", 0, match.start()) + 1
        names = {"file": said.get("file", ""), "not_run": said.get("not run", "")}
        found.append(Block(page, line, match["language"], match["code"], **names))
    return found


# What the project's commands make, and pages go on from: path → the command in a page that makes it there
READY = {
    "models/encoder": "spacy xlt bundled encoder-en-pt models/encoder",
    "corpus/source": "corpus/source/",
    "corpus/projected": "corpus/source corpus/projected",
}


def make_ready(folder: Path) -> Path:
    """What READY names, and in `project` what the folder of every page begins with; made once for all pages."""
    make_project_files(folder / "project")
    run_spacy(["xlt", "bundled", "encoder-en-pt", str(folder / "models/encoder"), "--layers", "1"])
    (folder / "mine.iob2").write_text(_cut(ROOT / "assets/uner/English-PUD/en_pud-ud-test.iob2"), encoding="utf8")
    source = str(folder / "corpus/source")
    run_spacy(["xlt", "convert", str(folder / "mine.iob2"), f"{source}/mine.spacy", "--lang", "en"])
    run_spacy(["xlt", "build", "build_en_pt", source, str(folder / "corpus/projected"), "--silent"])
    return folder


def make_project(folder: Path, ready: Path, page: str) -> Path:
    """The folder in which the blocks of a page run.

    ready (Path): Where `make_ready` made what the page does not make itself.
    page (str): Name of the page.
    """
    shutil.copytree(ready / "project", folder)
    for path, maker in READY.items():
        if maker not in PAGES[page]:
            shutil.copytree(ready / path, folder / path)
    return folder


def make_project_files(folder: Path) -> None:
    """Assets of a few sentences each, and the reader's own files that pages speak of; configs are found by name."""
    for file in (ROOT / "assets").rglob("*"):
        if file.is_file():
            copy = folder / file.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(_cut(file), encoding="utf8")
    shutil.copy(folder / "assets/wikigold/wikigold.conll.txt", folder / "mine.conll")
    sample = (ROOT / "spacy_xlt/workflow/sample/train.jsonl").read_text(encoding="utf8").splitlines(keepends=True)
    annotated = [line for line in sample if '"label"' in line][: 2 * SENTENCES]
    (folder / "mine.jsonl").write_text("".join(annotated), encoding="utf8")
    shutil.copy(folder / "assets/uner/Portuguese-Bosque/pt_bosque-ud-test.iob2", folder / "test.iob2")
    for name, lang in {"src.eng": "en", "ref.por-BR": "pt", "ref.spa": "es"}.items():
        shutil.copy(folder / f"assets/ntrex/newstest2019-{name}.txt", folder / f"a.{lang}")
    uner, labels = "assets/uner", "PER,LOC,ORG"
    for name, file, lang in (
        ("SOURCE.spacy", f"{uner}/English-PUD/en_pud-ud-test.iob2", "en"),
        ("GOLD.spacy", f"{uner}/Portuguese-PUD/pt_pud-ud-test.iob2", "pt"),
        ("IN/mine.spacy", f"{uner}/English-EWT/en_ewt-ud-dev.iob2", "en"),
        ("corpus/dev.spacy", f"{uner}/English-EWT/en_ewt-ud-test.iob2", "en"),
        ("corpus/test.spacy", f"{uner}/Portuguese-Bosque/pt_bosque-ud-test.iob2", "pt"),
    ):
        run_spacy(["xlt", "convert", str(folder / file), str(folder / name), "--lang", lang, "--labels", labels])
    saved_ruler(folder / "en_core_web_sm", "en", {"Maria": "PER", "Mary": "PER", "Peter": "PER", "Lisbon": "LOC"})
    saved_ruler(folder / "PT_PIPELINE", "pt", {"Maria": "PER", "Lisboa": "LOC"})


def _cut(file: Path) -> str:
    """The first sentences: of columns up to a blank line, else lines."""
    text = file.read_text(encoding="utf8")
    if file.suffix == ".iob2" or "conll" in file.name:
        return "\n\n".join(re.split(r"\n\s*\n", text)[:SENTENCES]) + "\n\n"
    return text if file.suffix != ".txt" else "".join(text.splitlines(keepends=True)[:SENTENCES])


def run_command(words: list[str]) -> str:
    """Run a command in miniature, in the folder where we are. Others than spaCy's are looked at instead.

    RETURNS (str): What it printed.
    """
    if words[:3] == ["python", "-m", "spacy"]:
        return run_spacy(_in_miniature(words[3:]))
    if words[:2] == ["mkdir", "-p"]:
        Path(words[2]).mkdir(parents=True, exist_ok=True)
    else:
        check_command(words)
    return ""


def check_command(words: list[str]) -> None:
    """Make sure that what a command asks for is there, where it cannot be run."""
    if words[:2] == ["pip", "install"]:
        parser = ConfigParser(interpolation=None)
        parser.read(ROOT / "setup.cfg", encoding="utf8")
        asked = re.findall(r"spacy-xlt\[([\w,-]+)\]", " ".join(words))
        assert set(",".join(asked).split(",")) - {""} <= set(parser["options.extras_require"]), words
    elif words[0] == "python" and words[1].startswith(("benchmarks/", "scripts/")):
        text = (ROOT / words[1]).read_text(encoding="utf8")
        assert all(word in text for word in words[2:] if word.startswith("--")), words
    elif words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.M), words
    else:
        assert words[0] in {"apt-get"}, f"nothing is known of {words[0]}: run it in a test, or say why not"


def _in_miniature(words: list[str]) -> list[str]:
    if tuple(words[:2]) in HELP_ONLY:
        return [*words[:2], "--help"]
    for name, more in MINIATURE.items():
        if words[: len(name)] == list(name) and "list" not in words:
            words = words + more.split()
    # In this process, on the CPU. The executors have tests of their own
    here = {"-g": "-1", "--gpu-id": "-1", "--workers": "0", "--executor": "local"}
    for option, value in here.items():
        if option in words:
            words[words.index(option) + 1] = value
    if words[0] == "train":
        # The encoder that is there, in place of one that would have to be fetched
        words = [*words, "--paths.encoder", "models/encoder"]
        if "mixed_precision = true" in Path(words[1]).read_text(encoding="utf8"):
            # For a GPU alone, says PyTorch
            words += ["--components.transformer.model.mixed_precision", "false"]
    return words


def run_spacy(words: list[str]) -> str:
    """Run `python -m spacy ...` in this process."""
    before = os.environ.copy()
    done = CliRunner().invoke(app, words)
    os.environ.clear()
    os.environ.update(before)
    if done.exit_code != 0 and done.exception and not isinstance(done.exception, SystemExit):
        raise AssertionError(f"{shlex.join(words)}\n{done.output[-3000:]}") from done.exception
    assert done.exit_code == 0, f"{shlex.join(words)}\n{done.output[-3000:]}"
    return done.output
