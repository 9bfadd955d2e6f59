"""`spacy xlt build`: what it writes, how it goes on after a kill, what it refuses."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import spacy
from helpers.engines import DIAGONAL
from spacy.cli._util import app
from spacy.tokens import Doc
from typer.testing import CliRunner

import spacy_xlt.cli  # noqa: F401
from spacy_xlt.bitext import Alignment, Bitext, SentencePair
from spacy_xlt.build import builder as build_module
from spacy_xlt.build.builder import Builder
from spacy_xlt.docs import missing_ranges
from spacy_xlt.errors import XltError, error
from spacy_xlt.readers.docbin import read_docs

CONFIG = """
[nlp]
lang = "en"
pipeline = ["xlt_translator","xlt_aligner","xlt_projector"]
[components]
[components.xlt_translator]
factory = "xlt_translator"
target = "pt"
engine = {"@misc":"test.UpperTranslator.v1"}
[components.xlt_aligner]
factory = "xlt_aligner"
engine = {"@misc":"test.DiagonalAligner.v1"}
[components.xlt_projector]
factory = "xlt_projector"
"""


@pytest.fixture
def corpus(make_doc, write_corpus) -> Path:
    docs = [make_doc(f"Maria saw Rio {i} .", (0, 1, "PER"), (2, 3, "LOC")) for i in range(10)]
    return write_corpus(docs)


def files(folder: Path) -> dict[str, str]:
    """Checksums of what a build is for: everything but timings."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("manifest.jsonl", "summary.json")
    }


def test_a_build_writes_targets_bitexts_and_a_summary(nlp, corpus, tmp_path):
    output = tmp_path / "built"
    summary = Builder(nlp, corpus, output, docs_per_shard=4).run()
    targets = list(read_docs(output / "target", lang="pt"))
    assert [doc.text for doc in targets] == [f"MARIA SAW RIO {i} . " for i in range(10)]
    assert [(ent.text, ent.label_) for ent in targets[9].ents] == [("MARIA", "PER"), ("RIO", "LOC")]
    sources = list(read_docs(output / "bitext", lang="en"))
    assert [doc.ents[0].text for doc in sources] == ["Maria"] * 10
    assert sources[3]._.xlt["pt"].target.text == targets[3].text
    assert sorted(files(output)) == sorted(
        [f"bitext/0000{i}.spacy" for i in range(3)]
        + [f"lost/0000{i}.jsonl" for i in range(3)]
        + [f"target/pt-0000{i}.spacy" for i in range(3)]
    )
    assert summary["spans_in"] == summary["spans_projected"] == {"LOC": 10, "PER": 10}
    assert summary["spans_lost"] == 0 and summary["docs"] == 10 and summary["sentences"] == 10
    assert set(summary["seconds"]) == {"read", "xlt_translator", "xlt_aligner", "xlt_projector", "write"}
    assert json.loads((output / "summary.json").read_text()) == summary


def test_spacy_train_reads_the_targets(nlp, corpus, tmp_path):
    from spacy.training import Corpus

    Builder(nlp, corpus, tmp_path / "built").run()
    examples = list(Corpus(tmp_path / "built" / "target")(spacy.blank("pt")))
    assert len(examples) == 10 and len(examples[0].reference.ents) == 2


class Killed(BaseException):
    pass


@pytest.mark.parametrize("after", range(8))
def test_a_killed_build_goes_on_to_the_same_output(nlp, corpus, tmp_path, monkeypatch, after):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    Builder(nlp, corpus, whole, docs_per_shard=4).run()
    write, written = build_module.write_bytes, []

    def write_or_die(path, data):
        if len(written) == after:
            raise Killed
        written.append(path)
        write(path, data)

    monkeypatch.setattr(build_module, "write_bytes", write_or_die)
    with pytest.raises(Killed):
        Builder(nlp, corpus, killed, docs_per_shard=4).run()
    monkeypatch.undo()
    Builder(nlp, corpus, killed, docs_per_shard=4).run()
    assert files(killed) == files(whole)


def test_a_torn_last_line_of_the_manifest_is_done_again(nlp, corpus, tmp_path):
    output = tmp_path / "built"
    Builder(nlp, corpus, output, docs_per_shard=4).run()
    before = files(output)
    manifest = output / "manifest.jsonl"
    manifest.write_bytes(manifest.read_bytes()[:-30])
    builder = Builder(nlp, corpus, output, docs_per_shard=4)
    assert not builder.manifest.finished("00002", output) and builder.manifest.finished("00001", output)
    builder.run()
    assert files(output) == before and len(manifest.read_text().splitlines()) == 4


def test_a_damaged_shard_is_done_again(nlp, corpus, tmp_path):
    output = tmp_path / "built"
    Builder(nlp, corpus, output, docs_per_shard=4).run()
    before = files(output)
    (output / "target" / "pt-00001.spacy").write_bytes(b"x")
    Builder(nlp, corpus, output, docs_per_shard=4).run()
    assert files(output) == before


def test_a_second_build_translates_nothing(nlp, corpus, tmp_path):
    Builder(nlp, corpus, tmp_path / "built", docs_per_shard=4).run()
    builder = Builder(nlp, corpus, tmp_path / "built", docs_per_shard=4)
    nlp.get_pipe("xlt_translator").engine = None
    assert builder.run()["docs"] == 10


def test_projecting_again_starts_from_the_bitexts(nlp, corpus, tmp_path):
    Builder(nlp, corpus, tmp_path / "built").run()
    nlp.remove_pipe("xlt_translator")
    Builder(nlp, tmp_path / "built" / "bitext", tmp_path / "again").run()
    first, again = (list(read_docs(tmp_path / name / "target")) for name in ("built", "again"))
    assert [doc.to_json() for doc in again] == [doc.to_json() for doc in first]


def test_another_config_over_the_same_folder_is_refused_with_the_difference(nlp, corpus, tmp_path):
    Builder(nlp, corpus, tmp_path / "built").run()
    before = files(tmp_path / "built")
    nlp.remove_pipe("xlt_aligner")
    nlp.add_pipe("xlt_aligner", config={"engine": DIAGONAL, "targets": ["pt"]}, before="xlt_projector")
    with pytest.raises(XltError, match=r"E505.*xlt_aligner\.targets was None and is \['pt'\]"):
        Builder(nlp, corpus, tmp_path / "built")
    assert files(tmp_path / "built") == before


def test_a_build_that_never_finished_a_shard_does_not_hold_the_folder(nlp, corpus, tmp_path, monkeypatch):
    translator = nlp.get_pipe("xlt_translator")

    def unknown_direction(texts, *, source, target):
        raise error("E201", engine="test", source=source, target=target, known="none")

    monkeypatch.setattr(translator.engine, "translate", unknown_direction)
    with pytest.raises(XltError, match="E201"):
        Builder(nlp, corpus, tmp_path / "built", docs_per_shard=5).run()
    monkeypatch.undo()
    assert Builder(nlp, corpus, tmp_path / "built", docs_per_shard=4).run()["docs"] == 10


def test_a_folder_of_something_else_is_refused(nlp, corpus, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("do not lose me")
    with pytest.raises(XltError, match="E506"):
        Builder(nlp, corpus, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "do not lose me"


def test_a_doc_that_cannot_be_translated_is_set_aside(nlp, make_doc, write_corpus, tmp_path):
    docs = [make_doc("Maria sleeps", (0, 1, "PER")), make_doc("crash"), make_doc("Rio", (0, 1, "LOC"))]
    summary = Builder(nlp, write_corpus(docs), tmp_path / "built").run()
    assert summary["docs_failed"] == 1 and "cannot be translated" in summary["failed"][0]["error"]
    assert [doc.text for doc in read_docs(tmp_path / "built" / "target")] == ["MARIA SLEEPS ", "RIO "]


def test_when_nothing_could_be_processed_the_reason_is_given(nlp, make_doc, write_corpus, tmp_path):
    with pytest.raises(XltError, match="E508.*cannot be translated"):
        Builder(nlp, write_corpus([make_doc("crash", (0, 1, "PER"))]), tmp_path / "built").run()


def test_a_corpus_without_entities_is_refused_before_anything_is_translated(nlp, make_doc, write_corpus, tmp_path):
    with pytest.raises(XltError, match="E507"):
        Builder(nlp, write_corpus([make_doc("nothing here")]), tmp_path / "built")
    assert not (tmp_path / "built").exists()


def test_corpora_that_are_none(nlp, write_corpus, tmp_path):
    with pytest.raises(XltError, match="E502"):
        Builder(nlp, tmp_path / "absent.spacy", tmp_path / "built")
    (tmp_path / "empty.spacy").write_bytes(b"")
    with pytest.raises(XltError, match="E503"):
        Builder(nlp, tmp_path / "empty.spacy", tmp_path / "built")
    with pytest.raises(XltError, match="E503"):
        Builder(nlp, write_corpus([]), tmp_path / "built")
    (tmp_path / "folder").mkdir()
    with pytest.raises(XltError, match="E503"):
        Builder(nlp, tmp_path / "folder", tmp_path / "built")
    (tmp_path / "text.spacy").write_text("this is no corpus")
    with pytest.raises(XltError, match="E504"):
        Builder(nlp, tmp_path / "text.spacy", tmp_path / "built")


def test_a_truncated_corpus_is_named(nlp, corpus, tmp_path):
    corpus.write_bytes(corpus.read_bytes()[:-50])
    with pytest.raises(XltError, match="E504.*corpus.spacy"):
        Builder(nlp, corpus, tmp_path / "built")


def test_sentences_of_lost_spans_are_kept_marked_or_dropped(make_doc, write_corpus, tmp_path):
    # "Rio" is not linked, as its sentence is translated by nothing
    source = make_doc("Maria sleeps . In Rio .", (0, 1, "PER"), (4, 5, "LOC"), sents=[3])
    target = make_doc("Maria dorme . No lugar .", lang="pt", sents=[3])
    pairs = [SentencePair(0, 3, 0, 3), SentencePair(3, 6, 3, 6)]
    source._.xlt["pt"] = Bitext(source, target, Alignment([(0, 0)]), sentences=pairs)
    found = {}
    for on_lost in ("keep", "missing", "drop"):
        nlp = spacy.blank("en")
        nlp.add_pipe("xlt_projector", config={"on_lost": on_lost})
        summary = Builder(nlp, write_corpus([source]), tmp_path / on_lost).run()
        assert summary["lost_reasons"] == {"no_links": 1}
        (lost,) = (tmp_path / on_lost / "lost" / "00000.jsonl").read_text().splitlines()
        assert json.loads(lost)["text"] == "Rio"
        (found[on_lost],) = read_docs(tmp_path / on_lost / "target", lang="pt")
    assert missing_ranges(found["keep"]) == [] and missing_ranges(found["missing"]) == [(3, 6)]
    assert found["drop"].text == "Maria dorme . " and found["drop"].ents[0].text == "Maria"


def test_empty_docs_are_ordinary(nlp, make_doc, write_corpus, tmp_path):
    docs = [Doc(nlp.vocab), make_doc("Maria", (0, 1, "PER")), Doc(nlp.vocab, words=["\n"])]
    Builder(nlp, write_corpus(docs), tmp_path / "built").run()
    assert [len(doc) for doc in read_docs(tmp_path / "built" / "target")] == [0, 1, 1]


def test_the_command_takes_overrides_and_prints_a_summary(corpus, tmp_path):
    (tmp_path / "config.cfg").write_text(CONFIG)
    arguments = ["xlt", "build", str(tmp_path / "config.cfg"), str(corpus), str(tmp_path / "built")]
    result = CliRunner().invoke(app, [*arguments, "--components.xlt_translator.target", "es"])
    assert result.exit_code == 0, result.output
    assert "20 spans projected, 0 lost" in result.output
    assert [path.name for path in (tmp_path / "built" / "target").iterdir()] == ["es-00000.spacy"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1 and "XLT-E505" in result.output


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("[nlp]\nlang = 3", "XLT-E514"),
        (CONFIG.replace("test.UpperTranslator.v1", "no.such.v1"), "no.such.v1"),
        (CONFIG.replace('target = "pt"', 'target = "klingon"'), "XLT-E010"),
        ("not a config", "XLT-E514"),
    ],
)
def test_a_config_that_cannot_be_used_is_explained(corpus, tmp_path, config, message):
    (tmp_path / "config.cfg").write_text(config)
    result = CliRunner().invoke(app, ["xlt", "build", str(tmp_path / "config.cfg"), str(corpus), str(tmp_path / "out")])
    assert result.exit_code == 1 and message in result.output and not (tmp_path / "out").exists()


def test_the_page_shows_text_and_never_runs_it(nlp, make_doc, write_corpus, tmp_path):
    doc = make_doc("<script>alert(1)</script> saw Rio & <b> .", (0, 1, "PER"), (2, 3, "LOC"))
    Builder(nlp, write_corpus([doc]), tmp_path / "built").run()
    result = CliRunner().invoke(app, ["xlt", "view", str(tmp_path / "built"), str(tmp_path / "page.html")])
    assert result.exit_code == 0, result.output
    page = (tmp_path / "page.html").read_text(encoding="utf8")
    assert "<script>alert" not in page.lower() and "\\u003cscript\\u003ealert(1)" in page
    assert page.count(',"PER","ents",') == page.count(',"LOC","ents",') == 2


def test_a_page_of_docs_without_bitexts_is_refused(corpus, tmp_path):
    result = CliRunner().invoke(app, ["xlt", "view", str(corpus), str(tmp_path / "page.html")])
    assert result.exit_code == 1 and "XLT-E515" in result.output


def test_a_last_line_of_which_only_the_end_was_written_is_done_again(nlp, corpus, tmp_path):
    output = tmp_path / "built"
    Builder(nlp, corpus, output, docs_per_shard=4).run()
    before = files(output)
    manifest = output / "manifest.jsonl"
    lines = manifest.read_bytes().splitlines(keepends=True)
    zeros = b"\0" * (len(lines[-1]) - 20) + lines[-1][-20:]
    manifest.write_bytes(b"".join(lines[:-1]) + zeros)
    Builder(nlp, corpus, output, docs_per_shard=4).run()
    assert files(output) == before and manifest.read_bytes().count(b"\0") == 0
    manifest.write_bytes(b"".join(lines[:2]) + zeros + lines[2])
    with pytest.raises(XltError, match="E581"):
        Builder(nlp, corpus, output, docs_per_shard=4)


def test_a_kill_while_the_manifest_begins_does_not_hold_the_folder(nlp, corpus, tmp_path):
    output = tmp_path / "built"
    output.mkdir()
    (output / ".manifest.jsonl.123.part").write_bytes(b"{")
    Builder(nlp, corpus, output, docs_per_shard=4).run()
    assert not (output / ".manifest.jsonl.123.part").exists()
