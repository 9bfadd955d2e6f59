"""Reviewed sentences: applied to a bitext and to a build, gold of an evaluation, refused where they do not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.view_bitexts import bitext, lisbon, side
from spacy.tokens import Doc
from typer.testing import CliRunner

from spacy_xlt import Bitext
from spacy_xlt.bitext import LostSpan, SentencePair, training_target
from spacy_xlt.cli import app
from spacy_xlt.errors import XltError
from spacy_xlt.readers.docbin import read_docs
from spacy_xlt.review.evaluation import reviewed_pairs
from spacy_xlt.review.records import Corrections, pair_ids

Ent = tuple[int, int, str]


def line(one: Bitext, spans: list[Ent], *, pair: int = 0, answer: str = "accept", marks: Any = ()) -> dict[str, Any]:
    """What the page saves of a sentence."""
    of = one.sentences[pair]
    doc = one.target[of.target_start : of.target_end].as_doc()
    data = annotation(doc, spans)
    meta = {"id": pair_ids(one)[pair], "format": 1, "marks": list(marks), "source_tokens": list(of.source)}
    return {**data, "answer": answer, "meta": meta}


def annotation(doc: Doc, spans: list[Ent]) -> dict[str, Any]:
    """A text in Prodigy's form."""
    tokens = [
        {"text": t.text, "start": t.idx, "end": t.idx + len(t), "id": t.i, "ws": bool(t.whitespace_)} for t in doc
    ]
    return {
        "text": doc.text.removesuffix(" ") if len(doc) and doc[-1].whitespace_ else doc.text,
        "tokens": tokens,
        "spans": [
            {"start": doc[a].idx, "end": doc[b - 1].idx + len(doc[b - 1]), "token_start": a, "token_end": b - 1,
             "label": label}
            for a, b, label in spans
        ],
    }  # fmt: skip


def write(path: Path, *lines: dict[str, Any] | str) -> Path:
    text = "".join((one if isinstance(one, str) else json.dumps(one, ensure_ascii=False)) + "\n" for one in lines)
    path.write_text(text, encoding="utf8")
    return path


def ents(doc: Doc) -> list[Ent]:
    return [(ent.start, ent.end, ent.label_) for ent in doc.ents]


def two_sentences() -> Bitext:
    """PER and LOC in each of two sentences, the second PER was lost."""
    source = side("Ana saw Rio . Bob saw Lima .", [(0, 1, "PER"), (2, 3, "LOC"), (4, 5, "PER"), (6, 7, "LOC")])
    target = side("Ana viu Rio . Bob viu Lima .", [(0, 1, "PER"), (2, 3, "LOC"), (6, 7, "LOC")], scores=[0.5, 0.6, 0.7])
    target.spans["xlt_ents"].attrs["sources"] = [0, 1, 3]
    pairs = [SentencePair(0, 4, 0, 4), SentencePair(4, 8, 4, 8)]
    return bitext(source, target, sentences=pairs, lost=[LostSpan(4, 5, "PER", "no_links")])


def test_a_reviewed_sentence_has_its_spans_and_no_others(tmp_path):
    one = two_sentences()
    path = write(tmp_path / "a.jsonl", line(one, [(0, 3, "PER")]))
    assert Corrections(path).apply(one) == [pair_ids(one)[0]]
    assert ents(one.target) == [(0, 3, "PER"), (6, 7, "LOC")]
    group = one.target.spans["xlt_ents"]
    assert group.attrs == {"scores": [1.0, 0.7], "sources": [-1, 3], "reviewed": [True, False]}
    assert [(s.start, s.label, s.reason) for s in one.lost if s.reason == "reviewed"] == [
        (0, "PER", "reviewed"), (2, "LOC", "reviewed"),
    ]  # fmt: skip


def test_marks_of_a_sentence_that_is_not_done_change_only_their_spans(tmp_path):
    one = two_sentences()
    marks = [
        {"mark": "wrong", "from": [0, 1, "PER", "ents", 0.5], "to": None},
        {"mark": "moved", "from": [2, 3, "LOC", "ents", 0.6], "to": [1, 3, "LOC", "ents"]},
    ]
    placed = [{"mark": "placed", "from": None, "to": [0, 1, "PER", "ents"], "lost": [0, 1, "PER", "ents"]}]
    lines = line(one, [], answer="ignore", marks=marks), line(one, [], pair=1, answer="ignore", marks=placed)
    Corrections(write(tmp_path / "a.jsonl", *lines)).apply(one)
    assert ents(one.target) == [(1, 3, "LOC"), (4, 5, "PER"), (6, 7, "LOC")]
    assert one.target.spans["xlt_ents"].attrs == {
        "scores": [1.0, 1.0, 0.7], "sources": [1, 2, 3], "reviewed": [True, True, False],
    }  # fmt: skip
    assert [(s.start, s.reason) for s in one.lost] == [(0, "reviewed")]


def test_a_rejected_sentence_is_left_out_of_what_is_trained_on(tmp_path):
    one = two_sentences()
    Corrections(write(tmp_path / "a.jsonl", line(one, [], pair=1, answer="reject"))).apply(one)
    assert one.sentences[1].flags == ("dropped", "reviewed")
    assert training_target(one).text == "Ana viu Rio . "


def test_applying_twice_changes_nothing_more(tmp_path):
    one = lisbon()
    corrections = Corrections(write(tmp_path / "a.jsonl", line(one, [(1, 2, "DATE"), (5, 8, "LOC")])))
    corrections.apply(one)
    first = one.to_stored()
    corrections.apply(one)
    assert one.to_stored() == first


def test_contradictions_newer_files_and_other_tools_lines_are_refused(tmp_path):
    one = lisbon()
    first, second = line(one, []), line(one, [(1, 2, "DATE")])
    with pytest.raises(XltError, match="E567.*lines 1 and 2"):
        Corrections(write(tmp_path / "a.jsonl", first, second))
    assert len(Corrections(write(tmp_path / "a.jsonl", first, first))) == 1
    with pytest.raises(XltError, match="E569"):
        Corrections(write(tmp_path / "a.jsonl", {**first, "meta": {**first["meta"], "format": 2}}))
    with pytest.raises(XltError, match="E564.*line 1"):
        Corrections(write(tmp_path / "a.jsonl", {"text": "a"}))
    with pytest.raises(XltError, match="E564.*marks"):
        Corrections(write(tmp_path / "a.jsonl", line(one, [], marks=[{"from": [0, "x"]}])))


@pytest.fixture
def corpus(make_doc, write_corpus) -> Path:
    return write_corpus([make_doc(f"Maria saw Rio {i} .", (0, 1, "PER"), (2, 3, "LOC")) for i in range(4)])


@pytest.fixture
def config(nlp, tmp_path) -> Path:
    nlp.config.to_disk(tmp_path / "config.cfg")
    return tmp_path / "config.cfg"


def run(*args: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, [*map(str, args)])
    return result.exit_code, " ".join(result.output.split())


def test_a_build_takes_corrections_and_eval_projection_takes_them_as_gold(config, corpus, tmp_path):
    assert run("build", config, corpus, tmp_path / "first")[0] == 0
    bitexts = [doc._.xlt["pt"] for doc in read_docs(tmp_path / "first" / "bitext")]
    lines = line(bitexts[0], [(0, 1, "PER"), (2, 4, "LOC")]), line(bitexts[3], [], answer="reject")
    unknown = {**lines[0], "meta": {**lines[0]["meta"], "id": "0-0-0"}}
    path = write(tmp_path / "reviewed.jsonl", *lines, unknown)
    arguments = ["build", config, corpus, tmp_path / "second", "--docs-per-shard", "3"]
    code, said = run(*arguments, "--corrections", path)
    assert code == 0 and "2 sentences are as they were reviewed" in said
    assert "XLT-W561" in said and "1 of the 3 lines" in said and "line 3" in said
    targets = list(read_docs(tmp_path / "second" / "target"))
    assert ents(targets[0]) == [(0, 1, "PER"), (2, 4, "LOC")] and len(targets[3]) == 0
    # The same command goes on; with other corrections it is refused
    assert run(*arguments, "--corrections", path)[0] == 0
    code, said = run(*arguments)
    assert code == 1 and "XLT-E505" in said and "corrections was" in said
    gold, scores = write(tmp_path / "gold.jsonl", lines[0]), tmp_path / "scores.json"
    for source in (corpus, tmp_path / "first"):
        code, said = run("eval-projection", config, source, gold, "--json", scores)
        assert code == 0, said
        assert json.loads(scores.read_text())["ents_p"] == 0.5


def test_corrections_of_another_corpus_are_refused_before_anything_is_done(config, corpus, tmp_path):
    path = write(tmp_path / "reviewed.jsonl", line(lisbon(), []))
    code, said = run("build", config, corpus, tmp_path / "built", "--corrections", path)
    assert code == 1 and "XLT-E565" in said
    assert not list((tmp_path / "built").rglob("*.spacy"))
    code, said = run("eval-projection", config, corpus, path)
    assert code == 1 and "XLT-E570" in said


def test_convert_reads_what_was_accepted(tmp_path):
    one = lisbon()
    path = write(tmp_path / "a.jsonl", line(one, [(7, 8, "LOC")]), line(lisbon(), [], answer="ignore"))
    code, said = run("convert", path, tmp_path / "o.spacy", "-f", "prodigy", "-l", "pt")
    assert code == 0 and "1 documents" in said and "LOC 1" in said and "1 'ignore'" in said
    (doc,) = read_docs(tmp_path / "o.spacy")
    assert [ent.text for ent in doc.ents] == ["Lisboa"]


def test_lines_without_spans_or_with_half_a_character_are_refused(tmp_path):
    one = lisbon()
    good = line(one, [(7, 8, "LOC")])
    without_spans = {key: value for key, value in good.items() if key != "spans"}
    half = json.dumps({**good, "text": good["text"] + " \ud83d"})
    for bad, said in ((without_spans, '"spans" is missing'), (half, r"\\ud83d is half of a character")):
        path = write(tmp_path / "a.jsonl", good, bad)
        with pytest.raises(XltError, match=f"E564.*a.jsonl, line 2: {said}"):
            Corrections(path)
        with pytest.raises(XltError, match=f"E564.*a.jsonl, line 2: {said}"):
            reviewed_pairs(tmp_path, path, vocab=one.source.vocab, target_lang="pt")
