"""What a command writes: never what it reads, never what is not ours, never outside its folder."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.shards_build import files_of
from spacy.cli._util import app
from spacy.tokens import DocBin
from typer.testing import CliRunner

import spacy_xlt.cli  # noqa: F401
from spacy_xlt.errors import XltError
from spacy_xlt.io import check_own_folder, inside

COLUMNS = "Rui\tB-PER\nviu\tO\n\n"
# What other people keep under names that this package uses, too
FOREIGN = {
    "log.jsonl": '{"experiment": 1, "note": "three weeks of GPU time"}',
    "manifest.jsonl": '{"audio":"a.wav","text":"the only copy"}',
    "summary.json": '{"mine": true}',
    ".x.1.part": "mine",
    ".x.7.old": "mine",
}


def run(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["xlt", *map(str, words)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, " ".join(done.output.split())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with inputs of all commands."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.tsv").write_text(COLUMNS)
    (tmp_path / "corpora").mkdir()
    (tmp_path / "corpora/a.tsv").write_text(COLUMNS)
    for name in ("s.txt", "t.txt"):
        (tmp_path / name).write_text("Rui saw .\n")
    (tmp_path / "pairs.tsv").write_text("Rui saw\tRui viu\t0-0 1-1\n")
    for name in ("base.cfg", "over.cfg"):
        (tmp_path / name).write_text("[nlp]\nlang = xx\n")
    for name in ("c.spacy", "gold.spacy"):
        DocBin().to_disk(tmp_path / name)
    return tmp_path


OVER_INPUTS = [
    "convert a.tsv {a.tsv}",
    "convert corpora corpora/out.spacy",
    "transliterate s.txt {s.txt} --overwrite",
    "transliterate s.txt {t.txt} --overwrite --words t.txt",
    "transliterate s.txt {a.tsv} --table a.tsv",
    "view c.spacy {c.spacy}",
    "view c.spacy {c.spacy} --text",
    "align s.txt {s.txt} -o {t.txt} --scores {s.txt}",
    "align s.txt t.txt {s.txt}",
    "align s.txt t.txt {t.txt}",
    "align s.txt t.txt out --tokens {t.txt}",
    "align s.txt t.txt out --config base.cfg --scores {base.cfg}",
    "adapt-aligner s.txt t.txt {s.txt}",
    "vocabulary trim m {s.txt} s.txt t.txt",
    "vocabulary transfer m {t.txt} s.txt t.txt",
    "train-generator c.spacy {c.spacy} --model m",
    "train-generator c.spacy {gold.spacy} --model m --dev gold.spacy",
    "eval-projection base.cfg c.spacy gold.spacy --json {gold.spacy}",
    "eval-projection base.cfg c.spacy gold.spacy --report {base.cfg}",
    "eval-alignment base.cfg pairs.tsv --json {pairs.tsv}",
    "merge-config {base.cfg} base.cfg over.cfg",
    "build base.cfg corpora corpora",
    "build base.cfg corpora corpora/built",
    "build base.cfg a.tsv {a.tsv}",
]


@pytest.mark.parametrize("command", OVER_INPUTS)
@pytest.mark.parametrize("by", ["name", "link", "hard link", "other spelling"])
def test_an_output_that_is_an_input_is_refused_whatever_it_is_called(folder: Path, command: str, by: str) -> None:
    words = []
    for word in command.split():
        name = word.strip("{}")
        if word != name and by == "link":
            Path("link").unlink(missing_ok=True)
            Path("link").symlink_to(name)
        elif word != name and by == "hard link":
            Path("link").unlink(missing_ok=True)
            os.link(name, "link")
        words.append(name if word == name or by == "name" else "link" if "link" in by else f"corpora/../{name}")
    before = files_of(folder)
    code, said = run(*words)
    assert code == 1 and "XLT-E553" in said and "which is read; nothing was written" in said
    assert files_of(folder) == before


def test_two_outputs_are_two_files(folder: Path) -> None:
    code, said = run("align", "s.txt", "t.txt", "out", "--scores", "corpora/../out")
    assert code == 1 and "XLT-E553" in said and "which is written, too" in said and not Path("out").exists()


@pytest.mark.parametrize(
    "name", ["manifest.jsonl", "summary.json", "target/pt-00000.spacy", "bitext/new.html", ".lock"]
)
@pytest.mark.parametrize("command", ["build-report", "view"])
def test_a_page_does_not_take_the_place_of_a_file_of_the_build(built_shards: Path, command: str, name: str) -> None:
    before = files_of(built_shards)
    code, said = run(command, built_shards, built_shards / name)
    assert code == 1 and "XLT-E553" in said and files_of(built_shards) == before


def test_no_command_takes_a_file_of_a_build_for_its_output(built_shards: Path, folder: Path) -> None:
    before = files_of(built_shards)
    for words in (
        ("convert", "a.tsv", built_shards / "manifest.jsonl"),
        ("view", built_shards / "bitext/00000.spacy", built_shards / "report.html"),
        ("eval-alignment", "base.cfg", "pairs.tsv", "--json", built_shards / "summary.json"),
        ("build", "base.cfg", "a.tsv", built_shards / "target"),
    ):
        code, said = run(*words)
        assert code == 1 and "XLT-E553" in said and "belongs to the build" in said
    assert files_of(built_shards) == before


def test_a_split_with_more_in_it_is_not_replaced(built_shards: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("shards", "split", built_shards, out)[0] == 0
    assert run("shards", "split", built_shards, out, "--overwrite")[0] == 0
    for name, text in (("notes.txt", "mine"), ("train/notes.txt", "mine"), ("split.json", '{"wood": "oak"}')):
        was = (out / name).read_text() if (out / name).exists() else None
        (out / name).write_text(text)
        code, said = run("shards", "split", built_shards, out, "--overwrite")
        assert code == 1 and "XLT-E553" in said and (out / name).read_text() == text
        (out / name).write_text(was) if was else (out / name).unlink()


def test_a_page_may_lie_beside_the_files_of_the_build(built_shards: Path) -> None:
    for _ in range(2):
        assert run("view", built_shards, built_shards / "view.html")[0] == 0
        assert run("build-report", built_shards, built_shards / "report.html")[0] == 0


@pytest.mark.parametrize("names", [["log.jsonl"], ["manifest.jsonl"], ["summary.json"], [".x.1.part"], list(FOREIGN)])
@pytest.mark.parametrize("end", ["", "\n"])
def test_a_folder_of_somebody_else_is_not_built_in(folder: Path, names: list[str], end: str) -> None:
    theirs = folder / "theirs"
    theirs.mkdir()
    for name in names:
        (folder / f"kept-{name}").write_text(FOREIGN[name] + end)
        # A link would lead out of the folder
        (theirs / name).symlink_to(folder / f"kept-{name}")
    before = files_of(folder)
    code, said = run("build", "base.cfg", "a.tsv", "theirs", "--components.x.y", "1")
    assert code == 1 and files_of(folder) == before
    for name in names:
        (theirs / name).unlink()
        (theirs / name).write_text(FOREIGN[name] + end)
    before = files_of(folder)
    with pytest.raises(XltError, match="E506|E581"):
        from spacy_xlt.build.manifest import check_folder

        check_folder(theirs)
    assert files_of(folder) == before


@pytest.mark.parametrize("marker", [None, "", "{}", '{"mine": 1}', "[]"])
def test_a_folder_is_ours_when_its_marker_says_so(tmp_path: Path, marker: str | None) -> None:
    def check(is_ours: Callable[[], bool] = lambda: (out / "m.json").read_text() == "{}") -> None:
        check_own_folder(out, what="thing", marker="m.json", is_ours=is_ours)

    out = tmp_path / "out"
    check()
    out.mkdir()
    check()
    (out / ".lock").touch()
    (out / ".m.json.0123456789ab.part").write_text("half")
    check()
    (out / "mine").write_text("x")
    if marker is not None:
        (out / "m.json").write_text(marker)
    if marker == "{}":
        check()
    else:
        with pytest.raises(XltError, match="E506.*Nothing in it was touched"):
            check()


def test_a_lock_with_something_in_it_and_a_broken_link_are_not_ours(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/.lock").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("out", "link"):
        with pytest.raises(XltError, match="E506"):
            check_own_folder(tmp_path / name, what="build", marker="m", is_ours=lambda: True)


@pytest.mark.parametrize(
    "names",
    [
        ("..",),
        ("a", "..", "b"),
        ("/etc/passwd",),
        ("a/../../b",),
        ("a\\b",),
        ("a\0b",),
        ("",),
        (".",),
        ("link", "x"),
        (3,),
    ],
)
def test_stored_names_do_not_lead_out_of_their_folder(tmp_path: Path, names: tuple[str, ...]) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/link").symlink_to(tmp_path)
    assert inside(tmp_path / "in", "target", "pt-00000.spacy") == tmp_path / "in/target/pt-00000.spacy"
    with pytest.raises(XltError, match="E557"):
        inside(tmp_path / "in", *names)


@pytest.mark.parametrize("command", ["list", "list --json", "split OUT", "sample OUT", "export OUT", "report"])
def test_a_build_that_stores_a_way_out_is_refused(built_shards: Path, tmp_path: Path, command: str) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "report-00000.spacy").write_bytes((built_shards / "target/pt-00000.spacy").read_bytes())
    manifest = built_shards / "manifest.jsonl"
    text = manifest.read_text(encoding="utf8")
    manifest.write_text(text.replace("target/pt-00000", "target/../../victim/report-00000"), encoding="utf8")
    before = files_of(tmp_path)
    if command == "report":
        manifest.write_text(text.replace('"shard": "00000"', '"shard": "../../victim/x"'), encoding="utf8")
        before = files_of(tmp_path)
        code, said = run("build-report", built_shards)
    else:
        name, *rest = command.replace("OUT", str(tmp_path / "out")).split()
        code, said = run("shards", name, built_shards, *rest)
    assert code == 1 and ("XLT-E557" in said or "XLT-E581" in said), said
    assert files_of(tmp_path) == before


def test_a_language_that_leads_out_is_not_written_by_a_build(tmp_path: Path) -> None:
    from spacy_xlt.build.builder import _store
    from spacy_xlt.build.manifest import Manifest
    from spacy_xlt.build.shard import ShardResult

    manifest = Manifest(tmp_path / "built", {"spacy_xlt": "0"})
    manifest.open()
    with pytest.raises(XltError, match="E557"):
        _store(ShardResult("00000", {"target/../../victim-00000.spacy": b"x"}, {}), manifest)
    assert not (tmp_path / "victim-00000.spacy").exists() and not manifest.records


def test_the_summary_does_not_go_through_a_link_out_of_the_build(built_shards: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs.json").write_text("mine")
    for name in ("report.json", "report.html"):
        (built_shards / name).unlink(missing_ok=True)
        (built_shards / name).symlink_to(tmp_path / "theirs.json")
        code, said = run("build-report", built_shards)
        assert code == 1 and "XLT-E557" in said and (tmp_path / "theirs.json").read_text() == "mine"
        (built_shards / name).unlink()


def test_messages_do_not_mix_with_an_output_that_is_standard_output(capfd: pytest.CaptureFixture, folder: Path) -> None:
    if not Path("/dev/stdout").exists():
        pytest.skip("the system has no /dev/stdout")
    from spacy_xlt.cli._app import check_outputs, friendly_errors, msg
    from spacy_xlt.io import write_json

    @friendly_errors
    def command() -> None:
        check_outputs(Path("/dev/stdout"), inputs=[Path("a.tsv")])
        write_json("/dev/stdout", {"a": 1})
        msg.good("Written")

    command()
    out, err = capfd.readouterr()
    assert json.loads(out) == {"a": 1} and "Written" in err and Path("/dev/stdout").is_symlink()
