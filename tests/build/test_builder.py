"""`build`: what it writes, how it goes on after a kill, what it refuses."""

from __future__ import annotations

import json
import os
import random
import signal
from pathlib import Path

import pytest
import spacy
from helpers.builds import CONFIG, built, files, make_pipeline, write_texts
from helpers.engines import DIAGONAL
from helpers.killing import killed_after
from spacy.cli._util import app
from spacy.strings import hash_string
from spacy.tokens import Doc, DocBin, Span, SpanGroup
from spacy.training import Corpus
from typer.testing import CliRunner

import spacy_xlt.cli
from spacy_xlt import Alignment, Bitext
from spacy_xlt.build import builder
from spacy_xlt.build.builder import build, reuse_translations
from spacy_xlt.errors import XltError, XltWarning, error
from spacy_xlt.io import lock_folder
from spacy_xlt.readers import ReadSettings
from spacy_xlt.readers.docbin import read_docs


@pytest.fixture
def corpus(make_doc, write_corpus) -> Path:
    docs = [make_doc(f"Maria saw Rio {i} .", (0, 1, "PER"), (2, 3, "LOC")) for i in range(10)]
    return write_corpus(docs)


def run(*arguments):
    return CliRunner().invoke(app, ["xlt", "build", *map(str, arguments)])


def test_build_writes_targets_bitexts_and_a_summary(nlp, corpus, tmp_path):
    output = tmp_path / "built"
    summary = build(nlp, corpus, output, docs_per_shard=4)
    targets = list(read_docs(output / "target", lang="pt"))
    assert [doc.text for doc in targets] == [f"MARIA SAW RIO {i} . " for i in range(10)]
    assert [(ent.text, ent.label_) for ent in targets[9].ents] == [("MARIA", "PER"), ("RIO", "LOC")]
    sources = list(read_docs(output / "bitext", lang="en"))
    assert [doc.ents[0].text for doc in sources] == ["Maria"] * 10
    assert sources[3]._.xlt["pt"].target.text == targets[3].text
    names = ("bitext/{}.spacy", "lost/{}.jsonl", "target/pt-{}.spacy")
    assert sorted(files(output)) == sorted(name.format(f"0000{i}") for name in names for i in range(3))
    assert summary["spans_in"] == summary["spans_projected"] == {"LOC": 10, "PER": 10}
    assert summary["spans_lost"] == 0 and summary["docs"] == 10 and summary["sentences"] == 10
    assert set(summary["seconds"]) == {"read", "xlt_translator", "xlt_aligner", "xlt_projector", "write"}
    assert json.loads((output / "summary.json").read_text()) == summary
    examples = list(Corpus(output / "target")(spacy.blank("pt")))
    assert len(examples) == 10 and len(examples[0].reference.ents) == 2


def test_shards_are_cut_over_all_files_and_only_those_needed_are_read(nlp, make_doc, tmp_path, monkeypatch):
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name, numbers in (("a", range(3)), ("b", range(3, 4)), ("c", range(4, 11))):
        write_texts(folder / f"{name}.spacy", [f"Maria {i}" for i in numbers])
    whole = write_texts(tmp_path / "whole.spacy", [f"Maria {i}" for i in range(11)])
    build(nlp, whole, tmp_path / "one", docs_per_shard=4)
    build(nlp, folder, tmp_path / "three", docs_per_shard=4)
    assert files(tmp_path / "one") == files(tmp_path / "three")
    expected = files(tmp_path / "three")
    (tmp_path / "three" / "target" / "pt-00002.spacy").unlink()
    read, read_file = [], spacy_xlt.build.source.read_file
    monkeypatch.setattr(
        "spacy_xlt.build.source.read_file",
        lambda file, *args, **kw: read.append(file.name) or read_file(file, *args, **kw),
    )
    build(nlp, folder, tmp_path / "three", docs_per_shard=4)
    assert read == ["c.spacy"] and files(tmp_path / "three") == expected


@pytest.mark.parametrize("after", [0, 1, 3, 8])
def test_killed_build_goes_on_to_the_same_output(nlp, corpus, tmp_path, after):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    build(nlp, corpus, whole, docs_per_shard=4)
    with killed_after(after, builder):
        build(nlp, corpus, killed, docs_per_shard=4)
    build(nlp, corpus, killed, docs_per_shard=4)
    assert built(killed) == built(whole)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_build_killed_at_many_system_calls_ends_with_the_same_output(tmp_path):
    corpus = write_texts(tmp_path / "corpus.spacy", [f"Maria {i} sleeps" for i in range(8)])
    nlp, rng = make_pipeline(), random.Random(0)
    build(nlp, corpus, tmp_path / "whole", docs_per_shard=2)
    n_killed = 0
    while True:
        child = os.fork()
        if not child:
            _kill_at(rng.randrange(1, 25))
            build(nlp, corpus, tmp_path / "killed", docs_per_shard=2)
            os._exit(0)
        rng.random()
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) == 0:
            break
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL
        n_killed += 1
    assert n_killed > 3 and built(tmp_path / "killed") == built(tmp_path / "whole")
    names = {path.relative_to(tmp_path / "killed").as_posix() for path in (tmp_path / "killed").rglob("*")}
    assert names == {path.relative_to(tmp_path / "whole").as_posix() for path in (tmp_path / "whole").rglob("*")}


def _kill_at(call: int) -> None:
    """Kill this process when it comes to this one of its calls of `fsync` and `replace`: before it, or after it."""
    n_calls = 0

    def counted(function):
        def wrapped(*args, **kwargs):
            nonlocal n_calls
            n_calls += 1
            if n_calls == call and call % 2:
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(*args, **kwargs)
            if n_calls == call:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return wrapped

    os.fsync, os.replace = counted(os.fsync), counted(os.replace)


@pytest.mark.parametrize("damage", ["half a line", "zeros", "a file", "no file"])
def test_what_is_damaged_is_built_again_and_nothing_else(nlp, corpus, tmp_path, damage):
    output = tmp_path / "built"
    build(nlp, corpus, output, docs_per_shard=4)
    before, manifest = files(output), output / "manifest.jsonl"
    lines = manifest.read_bytes().splitlines(keepends=True)
    if damage == "half a line":
        manifest.write_bytes(b"".join(lines)[:-30])
    elif damage == "zeros":
        # A loss of power can leave the end of a line on the disk without its beginning
        manifest.write_bytes(b"".join(lines[:-1]) + b"\0" * (len(lines[-1]) - 20) + lines[-1][-20:])
    elif damage == "a file":
        (output / "target" / "pt-00002.spacy").write_bytes(b"x")
    else:
        (output / "lost" / "00002.jsonl").unlink()
    stored = []
    translate = nlp.get_pipe("xlt_translator").engine.translate
    nlp.get_pipe("xlt_translator").engine.translate = lambda texts, **kw: stored.extend(texts) or translate(texts, **kw)
    build(nlp, corpus, output, docs_per_shard=4)
    # The first document loads the models
    assert files(output) == before and set(stored) == {"Maria saw Rio 8 .", "Maria saw Rio 9 ."}


def test_projecting_again_starts_from_the_bitexts(nlp, corpus, tmp_path):
    build(nlp, corpus, tmp_path / "built")
    nlp.remove_pipe("xlt_translator")
    build(nlp, tmp_path / "built" / "bitext", tmp_path / "again")
    first, again = (list(read_docs(tmp_path / name / "target")) for name in ("built", "again"))
    assert [doc.to_json() for doc in again] == [doc.to_json() for doc in first]


def test_another_config_or_input_over_the_same_folder_is_refused_with_the_difference(nlp, corpus, tmp_path):
    build(nlp, corpus, tmp_path / "built")
    before = files(tmp_path / "built")
    nlp.remove_pipe("xlt_aligner")
    nlp.add_pipe("xlt_aligner", config={"engine": DIAGONAL, "targets": ["pt"]}, before="xlt_projector")
    with pytest.raises(XltError, match=r"E505.*xlt_aligner\.targets was None and is \['pt'\]"):
        build(nlp, corpus, tmp_path / "built")
    write_texts(corpus, ["Maria sleeps"])
    with pytest.raises(XltError, match=r"E505.*input\.corpus\.spacy\.docs was 10 and is 1"):
        build(nlp, corpus, tmp_path / "built")
    assert files(tmp_path / "built") == before


def test_build_that_never_finished_a_shard_does_not_hold_the_folder(nlp, corpus, tmp_path, monkeypatch):
    def unknown_direction(texts, *, source, target):
        raise error("E150", owner="test", setting="x", value=1, expected="2")

    monkeypatch.setattr(nlp.get_pipe("xlt_translator").engine, "translate", unknown_direction)
    with pytest.raises(XltError, match="E150"):
        build(nlp, corpus, tmp_path / "built", docs_per_shard=5)
    monkeypatch.undo()
    (tmp_path / "built" / ".manifest.jsonl.0123456789ab.part").write_bytes(b"{")
    assert build(nlp, corpus, tmp_path / "built", docs_per_shard=4)["docs"] == 10
    assert not (tmp_path / "built" / ".manifest.jsonl.0123456789ab.part").exists()


def test_folder_of_something_else_is_refused(nlp, corpus, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("do not lose me")
    with pytest.raises(XltError, match="E506"):
        build(nlp, corpus, tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_folder_in_use_is_refused(nlp, corpus, tmp_path):
    with lock_folder(tmp_path / "built"), pytest.raises(XltError, match="E571"):
        build(nlp, corpus, tmp_path / "built")


def test_document_that_cannot_be_translated_is_set_aside(nlp, make_doc, write_corpus, tmp_path):
    docs = [make_doc("Maria sleeps", (0, 1, "PER")), make_doc("crash"), make_doc("Rio", (0, 1, "LOC"))]
    summary = build(nlp, write_corpus(docs), tmp_path / "built")
    assert summary["docs_failed"] == 1 and "cannot be translated" in summary["failed"][0]["error"]
    assert [doc.text for doc in read_docs(tmp_path / "built" / "target")] == ["MARIA SLEEPS ", "RIO "]


def test_build_stops_where_a_setting_does_not_fit_the_documents(nlp, make_doc, write_corpus, tmp_path):
    nlp.get_pipe("xlt_aligner").targets = ["de"]
    with pytest.raises(XltError, match="E005"):
        build(nlp, write_corpus([make_doc("Maria sleeps", (0, 1, "PER"))]), tmp_path / "built")


def test_when_nothing_could_be_processed_the_reason_is_given(nlp, make_doc, write_corpus, tmp_path):
    with pytest.raises(XltError, match="E508.*cannot be translated"):
        build(nlp, write_corpus([make_doc("crash", (0, 1, "PER"))]), tmp_path / "built")


def test_build_rejects_corpora_without_documents_or_entities(nlp, make_doc, write_corpus, corpus, tmp_path):
    (tmp_path / "empty.spacy").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.spacy").write_text("this is no corpus")
    (tmp_path / "cut.spacy").write_bytes(corpus.read_bytes()[:-50])
    rejected = {
        tmp_path / "absent.spacy": "E502",
        tmp_path / "empty.spacy": "E503",
        write_corpus([], "none.spacy"): "E503",
        tmp_path / "folder": "E503",
        tmp_path / "text.spacy": "E504",
        tmp_path / "cut.spacy": "E504.*cut.spacy",
        write_corpus([make_doc("nothing here")], "plain.spacy"): "E507",
    }
    for path, message in rejected.items():
        with pytest.raises(XltError, match=message):
            build(nlp, path, tmp_path / "built")
    assert not (tmp_path / "built").exists()


def test_labels_that_the_input_does_not_have_are_said(nlp, tmp_path):
    path = tmp_path / "a.conll"
    path.write_text("Maria B-PER\nsleeps O\n\n")
    with pytest.warns(XltWarning, match="W522.*MISC.*it has: PER"):
        build(nlp, path, tmp_path / "built", reading=ReadSettings(labels=frozenset({"PER", "MISC"})))
    with pytest.raises(XltError, match="E522.*has only: PER"):
        build(nlp, path, tmp_path / "none", reading=ReadSettings(labels=frozenset({"MISC"})))


def test_corrupt_input_is_left_out_when_asked_and_named_each_time(nlp, tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    write_texts(folder / "a.spacy", ["Maria sleeps"])
    (folder / "b.spacy").write_text("this is no corpus")
    for _ in range(2):
        with pytest.warns(XltWarning, match="W583.*b.spacy"):
            summary = build(nlp, folder, tmp_path / "built", skip_corrupt=True)
        assert summary["docs"] == 1 and summary["inputs_left_out"] == ["b.spacy"]


def test_input_that_changes_while_it_is_built_is_an_error(nlp, corpus, tmp_path, monkeypatch):
    header = builder._header

    def change(*args):
        write_texts(corpus, ["Maria sleeps"])
        return header(*args)

    monkeypatch.setattr(builder, "_header", change)
    with pytest.raises(XltError, match="E583.*had 10 documents and has 1"):
        build(nlp, corpus, tmp_path / "built")


def test_empty_documents_are_ordinary(nlp, make_doc, write_corpus, tmp_path):
    docs = [Doc(nlp.vocab), make_doc("Maria", (0, 1, "PER")), Doc(nlp.vocab, words=["\n"])]
    build(nlp, write_corpus(docs), tmp_path / "built")
    assert [len(doc) for doc in read_docs(tmp_path / "built" / "target")] == [0, 1, 1]


def test_command_takes_overrides_and_prints_a_summary(corpus, tmp_path):
    (tmp_path / "config.cfg").write_text(CONFIG)
    arguments = [tmp_path / "config.cfg", corpus, tmp_path / "built"]
    result = run(*arguments, "--components.xlt_translator.target", "es")
    assert result.exit_code == 0, result.output
    assert "20 spans projected, 0 lost" in result.output
    assert [path.name for path in (tmp_path / "built" / "target").iterdir()] == ["es-00000.spacy"]
    page = tmp_path / "built" / "report.html"
    written = page.stat().st_mtime_ns
    # Nothing is left to do, so the report stays
    assert run(*arguments, "--components.xlt_translator.target", "es").exit_code == 0
    assert page.stat().st_mtime_ns == written
    page.unlink()
    assert run(*arguments, "--components.xlt_translator.target", "es", "--no-report").exit_code == 0
    assert not page.exists()
    result = run(*arguments)
    assert result.exit_code == 1 and "XLT-E505" in result.output


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("[nlp]\nlang = 3", "XLT-E514"),
        (CONFIG.replace("test.UpperTranslator.v1", "no.such.v1"), "no.such.v1"),
        (CONFIG.replace('target = "pt"', 'target = "klingon"'), "XLT-E010"),
    ],
)
def test_config_that_cannot_be_used_is_explained(corpus, tmp_path, config, message):
    (tmp_path / "config.cfg").write_text(config)
    result = run(tmp_path / "config.cfg", corpus, tmp_path / "out")
    assert result.exit_code == 1 and message in result.output and not (tmp_path / "out").exists()


def test_page_shows_text_and_never_runs_it(nlp, make_doc, write_corpus, tmp_path):
    doc = make_doc("<script>alert(1)</script> saw Rio & <b> .", (0, 1, "PER"), (2, 3, "LOC"))
    build(nlp, write_corpus([doc]), tmp_path / "built")
    result = CliRunner().invoke(app, ["xlt", "view", str(tmp_path / "built"), str(tmp_path / "page.html")])
    assert result.exit_code == 0, result.output
    page = (tmp_path / "page.html").read_text(encoding="utf8")
    assert "<script>alert" not in page.lower() and "\\u003cscript\\u003ealert(1)" in page
    assert page.count(',"PER","ents",') == page.count(',"LOC","ents",') == 2


def test_one_bad_text_of_a_brat_folder_is_left_out_and_not_the_folder(nlp, tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name, note in (("1", "T1\tPER 0 3\tAna\n"), ("2", "T1\tPER 5 5\t\n"), ("3", "T1\tPER 0 3\tAna\n")):
        (folder / f"{name}.txt").write_text("Ana sings.")
        (folder / f"{name}.ann").write_text(note)
    with pytest.raises(XltError, match="E537.*2.ann, line 1"):
        build(nlp, folder, tmp_path / "built")
    (folder / "4.ann").write_text("T1\tPER 0 3\tAna\n")
    for _ in range(2):
        with pytest.warns(XltWarning, match="W584.*2 of the 4 texts.*4.ann.*no .txt"):
            summary = build(nlp, folder, tmp_path / "built", skip_corrupt=True, docs_per_shard=1)
        assert summary["docs"] == 2 and summary["inputs_left_out"] == ["*.ann: 2.ann", "*.ann: 4.ann"]
    # Without being asked, what was left out is an error again
    with pytest.raises(XltError, match="E536.*4.ann"):
        build(nlp, folder, tmp_path / "built", docs_per_shard=1)


def test_how_much_of_a_file_is_left_out_is_said(nlp, tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    good = '{"text": "Ana sings", "spans": [{"start": 0, "end": 3, "label": "PER"}]}\n'
    (folder / "a.jsonl").write_text(good)
    (folder / "b.jsonl").write_text(good * 6 + r'{"text": "\ud83d", "spans": []}' + "\n")
    with pytest.warns(XltWarning, match=r"W583.*b.jsonl.*all 7 lines of it.*line 7: \\ud83d is half"):
        assert build(nlp, folder, tmp_path / "built", skip_corrupt=True)["docs"] == 1


def test_ids_without_names_are_numbers_and_labels_without_names_an_error(nlp, tmp_path):
    doc = Doc(spacy.blank("en").vocab, words=["Rui", "took", "ibuprofen"])
    doc.set_ents([Span(doc, 2, 3, label="DRUG", kb_id="nameless kb", span_id="nameless id")])
    doc.spans["sc"] = SpanGroup(doc, spans=[Span(doc, 0, 1, label="PER", kb_id=98765432109)], attrs={"scores": [0.5]})
    stored, path = DocBin(docs=[doc]), tmp_path / "ids.spacy"
    stored.strings -= {"nameless kb", "nameless id"}
    stored.to_disk(path)
    with pytest.warns(XltWarning, match="W548.*ids of 2 spans.*'Rui'"):
        build(nlp, path, tmp_path / "built")
    (target,) = read_docs(tmp_path / "built" / "target")
    numbers = [str(hash_string(name)) for name in ("nameless kb", "nameless id")]
    assert [[ent.kb_id_, ent.id_] for ent in target.ents] == [numbers]
    assert target.spans["sc"][0].kb_id_ == "98765432109"
    doc.set_ents([Span(doc, 2, 3, label="nameless label")])
    stored = DocBin(docs=[doc])
    stored.strings -= {"nameless label"}
    stored.to_disk(path)
    with pytest.raises(XltError, match=f"E504.*ids.spacy.*{hash_string('nameless label')}, a value of ENT_TYPE"):
        build(nlp, path, tmp_path / "again")


def test_spans_in_the_mirror_of_entities_that_are_none_are_said(nlp, tmp_path):
    doc = Doc(nlp.vocab, words=["Maria", "sleeps"])
    doc.set_ents([Span(doc, 0, 1, label="PER")])
    doc.spans["xlt_ents"] = [Span(doc, 0, 1, label="PER"), Span(doc, 1, 2, label="X")]
    DocBin(docs=[doc]).to_disk(tmp_path / "a.spacy")
    with pytest.warns(XltWarning, match="W549.*1 spans.*'sleeps'"):
        build(nlp, tmp_path / "a.spacy", tmp_path / "built")


def test_a_document_with_a_bitext_in_an_unknown_language_is_set_aside_and_the_rest_goes_on(tmp_path):
    docs = []
    for lang in ("pt", "qqqq", "de"):
        doc = Doc(spacy.blank("en").vocab, words=["Ana", "sleeps"])
        doc.ents = [Span(doc, 0, 1, label="PER")]
        doc._.xlt["pt"] = Bitext(doc, Doc(doc.vocab, words=["Ana", "dorme"]), Alignment([(0, 0)]), target_lang="pt")
        stored = doc.user_data["xlt"].pop("pt")
        doc.user_data["xlt"][lang] = {**stored, "target_lang": lang}
        docs.append(doc)
    DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / "in.spacy")
    nlp = spacy.blank("xx")
    nlp.add_pipe("xlt_projector")
    summary = build(nlp, tmp_path / "in.spacy", tmp_path / "built")
    assert summary["docs_failed"] == 1 and "E008" in summary["failed"][0]["error"]
    assert sorted(path.name for path in (tmp_path / "built" / "target").iterdir()) == [
        "de-00000.spacy",
        "pt-00000.spacy",
    ]


def test_build_of_a_build_uses_its_translations_and_projects_anew(make_doc, write_corpus, tmp_path):
    corpus = write_corpus([make_doc("Maria sleeps in Rio", (0, 1, "PER"), (3, 4, "LOC"))])
    build(make_pipeline(), corpus, tmp_path / "first")
    again = make_pipeline()
    again.get_pipe("xlt_translator").engine = None
    again.get_pipe("xlt_projector").min_score = 1.1
    again.get_pipe("xlt_projector").on_lost = "drop"
    assert reuse_translations(again, corpus) is None and "xlt_translator" in again.pipe_names
    source = reuse_translations(again, tmp_path / "first")
    assert source is not None and again.pipe_names == ["xlt_aligner", "xlt_projector"]
    assert build(again, source, tmp_path / "second")["spans_lost"] == 2
    # What the second one said of its sentences is not said by the third one
    again.get_pipe("xlt_projector").min_score = 0.0
    summary = build(again, tmp_path / "second" / "bitext", tmp_path / "third")
    assert summary["spans_projected"] == {"LOC": 1, "PER": 1} and not summary["flags"]


def test_source_may_be_annotated_by_the_pipeline_itself(tmp_path, make_doc, write_corpus):
    nlp = make_pipeline()
    nlp.add_pipe("entity_ruler", first=True).add_patterns([{"label": "PER", "pattern": "Maria"}])
    summary = build(nlp, write_corpus([make_doc("Maria sleeps")]), tmp_path / "built")
    assert summary["spans_projected"] == {"PER": 1}


def test_text_categories_alone_are_carried(tmp_path, make_doc, write_corpus):
    doc = make_doc("good food")
    doc.cats = {"POSITIVE": 1.0}
    build(make_pipeline(), write_corpus([doc]), tmp_path / "built")
    (path,) = (tmp_path / "built" / "target").glob("*.spacy")
    (target,) = DocBin().from_disk(path).get_docs(spacy.blank("pt").vocab)
    assert target.cats == {"POSITIVE": 1.0}
