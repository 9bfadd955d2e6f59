"""Reviewed sentences and files of annotation tools: read, applied to a build, refused where they do not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import spacy
from helpers.view_bitexts import bitext, lisbon, side
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, Span
from test_build import CONFIG
from typer.testing import CliRunner

from spacy_xlt import Bitext
from spacy_xlt.bitext import LostSpan, SentencePair, training_target
from spacy_xlt.build.builder import Builder
from spacy_xlt.cli import app
from spacy_xlt.errors import XltError, XltWarning
from spacy_xlt.readers import ReadNotes, read_corpus
from spacy_xlt.readers.docbin import read_docs
from spacy_xlt.readers.jsonl import annotated_texts, to_doc
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


WORDS = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Zs", "Cc"]), min_size=1, max_size=4), min_size=1, max_size=8
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=WORDS, data=st.data())
def test_what_is_written_is_read_back(words, data, tmp_path):
    spaces = data.draw(st.lists(st.booleans(), min_size=len(words), max_size=len(words)))
    doc = Doc(spacy.blank("xx").vocab, words=words, spaces=spaces)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(words)), max_size=6)))
    spans = [(a, b, f"L{a}") for a, b in zip(cuts[::2], cuts[1::2], strict=False)]
    doc.set_ents([Span(doc, *span) for span in spans])
    (found,) = annotated_texts(write(tmp_path / "a.jsonl", annotation(doc, spans)))
    again = to_doc(found, doc.vocab, path="a")
    assert [t.text_with_ws for t in again] == [t.text_with_ws for t in doc] and ents(again) == ents(doc)


def test_texts_without_tokens_get_those_of_their_language(tmp_path):
    text = "🇵🇹 Lisboa, no 𝔗ejo."
    data = {"text": text, "spans": [{"start": 3, "end": 9, "label": "LOC"}, {"start": 14, "end": 18, "label": "LOC"}]}
    (doc,) = read_corpus(write(tmp_path / "a.jsonl", data), format="prodigy", lang="pt")
    assert [ent.text for ent in doc.ents] == ["Lisboa", "𝔗ejo"]


def test_spans_off_the_tokens_are_left_out_and_named(tmp_path):
    good = {"text": "Rio .", "spans": [{"start": 0, "end": 3, "label": "LOC"}]}
    bad = {"text": "Rio .", "spans": [{"start": 1, "end": 3, "label": "LOC"}]}
    path, notes = write(tmp_path / "a.jsonl", good, bad, {**good, "answer": "reject"}), ReadNotes()
    with pytest.warns(XltWarning, match=r"W562.* 1 lines .*line 2, where the span LOC from 1 to 3"):
        assert len(list(read_corpus(path, format="prodigy", notes=notes))) == 1
    assert notes.answers == {"reject": 1}


@pytest.mark.parametrize(
    ("text", "code", "named"),
    [
        ('{"text": "a"}\n{broken', "E564", "line 2: no JSON"),
        ("[1]", "E564", "line 1: list"),
        ('{"txt": "a"}', "E564", '"text" is missing'),
        ('{"text": "a", "spans": [3]}', "E564", '"spans" has 3'),
        ('{"text": "a", "answer": "yes"}', "E564", "'yes'"),
        ('{"text": "a", "answer": "reject"}', "E568", "accept"),
        ("\n", "E568", "accept"),
        (
            '{"text": "a b c", "spans": [{"start":0,"end":3,"label":"A"},{"start":2,"end":5,"label":"B"}]}',
            "E566",
            "b c",
        ),
    ],
)
def test_files_of_another_form_are_refused_with_the_line(tmp_path, text, code, named):
    path = tmp_path / "a.jsonl"
    path.write_text(text, encoding="utf8")
    with pytest.raises(XltError, match=code) as err:
        list(read_corpus(path, format="prodigy"))
    assert named in str(err.value)


def test_a_file_in_another_encoding_is_refused_with_the_line(tmp_path):
    (tmp_path / "a.jsonl").write_bytes('{"text": "a"}\n{"text": "São"}\n'.encode("latin-1"))
    with pytest.raises(XltError, match="E513.*line 2"):
        list(annotated_texts(tmp_path / "a.jsonl"))


def test_spans_that_overlap_go_into_a_group(tmp_path):
    text = '{"text": "a b c", "spans": [{"start":0,"end":3,"label":"A"},{"start":2,"end":5,"label":"B"}]}'
    (doc,) = read_corpus(write(tmp_path / "a.jsonl", text), format="prodigy", spans_key="sc")
    assert [span.label_ for span in doc.spans["sc"]] == ["A", "B"] and not doc.has_annotation("ENT_IOB")


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


def test_a_build_takes_corrections_and_eval_projection_takes_them_as_gold(nlp, corpus, tmp_path):
    Builder(nlp, corpus, tmp_path / "first", docs_per_shard=3).run()
    bitexts = [doc._.xlt["pt"] for doc in read_docs(tmp_path / "first" / "bitext")]
    lines = line(bitexts[0], [(0, 1, "PER"), (2, 4, "LOC")]), line(bitexts[3], [], answer="reject")
    unknown = {**lines[0], "meta": {**lines[0]["meta"], "id": "0-0-0"}}
    path = write(tmp_path / "reviewed.jsonl", *lines, unknown)
    (tmp_path / "config.cfg").write_text(CONFIG)
    arguments = ["build", str(tmp_path / "config.cfg"), str(corpus), str(tmp_path / "second"), "--docs-per-shard", "3"]
    result = CliRunner().invoke(app, [*arguments, "--corrections", str(path)])
    assert result.exit_code == 0, result.output
    assert "2 sentences are as they were reviewed" in result.output
    assert "XLT-W561" in result.output and "1 of the 3 lines" in result.output and "line 3" in result.output
    targets = list(read_docs(tmp_path / "second" / "target"))
    assert ents(targets[0]) == [(0, 1, "PER"), (2, 4, "LOC")] and len(targets[3]) == 0
    # the same command goes on; with other corrections it is refused
    assert CliRunner().invoke(app, [*arguments, "--corrections", str(path)]).exit_code == 0
    refused = CliRunner().invoke(app, arguments)
    assert refused.exit_code == 1 and "XLT-E505" in refused.output and "corrections was" in refused.output
    scores = tmp_path / "scores.json"
    for source in (corpus, tmp_path / "first"):
        gold = write(tmp_path / "gold.jsonl", lines[0])
        config = str(tmp_path / "config.cfg")
        done = CliRunner().invoke(app, ["eval-projection", config, str(source), str(gold), "--json", str(scores)])
        assert done.exit_code == 0, done.output
        assert json.loads(scores.read_text())["ents_p"] == 0.5


def test_corrections_of_another_corpus_are_refused_before_anything_is_done(nlp, corpus, tmp_path):
    path = write(tmp_path / "reviewed.jsonl", line(lisbon(), []))
    with pytest.raises(XltError, match="E565"):
        Builder(nlp, corpus, tmp_path / "built", corrections=path)
    assert not (tmp_path / "built").exists()
    (tmp_path / "config.cfg").write_text(CONFIG)
    done = CliRunner().invoke(app, ["eval-projection", str(tmp_path / "config.cfg"), str(corpus), str(path)])
    assert done.exit_code == 1 and "XLT-E570" in done.output


def test_convert_reads_what_was_accepted(tmp_path):
    one = lisbon()
    path = write(tmp_path / "a.jsonl", line(one, [(7, 8, "LOC")]), line(lisbon(), [], answer="ignore"))
    done = CliRunner().invoke(app, ["convert", str(path), str(tmp_path / "o.spacy"), "-f", "prodigy", "-l", "pt"])
    assert done.exit_code == 0 and "1 documents; LOC 1" in done.output and 'answer "ignore"' in done.output
    (doc,) = read_docs(tmp_path / "o.spacy")
    assert [ent.text for ent in doc.ents] == ["Lisboa"]
