"""Sentences for Prodigy, doccano and Label Studio: exported, corrected there, and brought back into a build."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from spacy.tokens import Doc, Span
from typer.testing import CliRunner

from spacy_xlt.cli import app
from spacy_xlt.errors import XltError
from spacy_xlt.readers import read_corpus
from spacy_xlt.readers.docbin import read_docs
from spacy_xlt.review.evaluation import reviewed_pairs
from spacy_xlt.review.records import Corrections
from spacy_xlt.review.tools import TOOLS

Task = dict[str, Any]
N_SENTENCES = 4


def run(*args: str | Path) -> str:
    result = CliRunner().invoke(app, [*map(str, args)])
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


@pytest.fixture
def config(nlp, tmp_path) -> Path:
    nlp.config.to_disk(tmp_path / "config.cfg")
    return tmp_path / "config.cfg"


@pytest.fixture
def corpus(make_doc, write_corpus) -> Path:
    """Two sentences each, and a letter beyond the basic plane before the entities."""
    text = "😀 Maria saw Rio {} . Bob saw Lima ."
    ents = (1, 2, "PER"), (3, 4, "LOC"), (6, 7, "PER"), (8, 9, "LOC")
    return write_corpus([make_doc(text.format(i), *ents, sents=(6,)) for i in range(N_SENTENCES // 2)])


@pytest.fixture
def built(config, corpus, tmp_path) -> Path:
    run("build", config, corpus, tmp_path / "built", "--no-report")
    return tmp_path / "built"


@pytest.fixture(params=TOOLS)
def tool(request) -> str:
    return request.param


@pytest.fixture
def exported(built, tmp_path, tool) -> list[Task]:
    path = tmp_path / "tasks.jsonl"
    assert f"{N_SENTENCES} rows" in run("shards", "export", built, path, "--format", tool)
    return [json.loads(line) for line in path.read_text("utf8").splitlines()]


def write(path: Path, tasks: list[Task]) -> Path:
    """As a tool saves them: Label Studio an array, the others lines."""
    if path.suffix == ".json":
        path.write_text(json.dumps(tasks), "utf8")
    else:
        path.write_text("".join(json.dumps(task, ensure_ascii=False) + "\n" for task in tasks), "utf8")
    return path


def spans_of(task: Task) -> list[Any]:
    """The spans as a person changes them in a tool; Label Studio copies predictions to an annotation then."""
    if "data" in task:
        task["annotations"] = [{"id": 1, "result": [{**one} for one in task["predictions"][0]["result"]]}]
        return task["annotations"][0]["result"]
    return task["spans"] if "spans" in task else task["label"]


def move_end(task: Task, number: int, by: int) -> None:
    """Move the end of a span, by characters."""
    span = spans_of(task)[number]
    if isinstance(span, list):
        span[1] += by
    elif "value" in span:
        span["value"]["end"] += by
        span["value"]["text"] = task["data"]["text"][span["value"]["start"] : span["value"]["end"]]
    else:
        span["end"] += by
        del span["token_start"], span["token_end"]


def ents(doc: Doc) -> list[tuple[str, str]]:
    return [(ent.text, ent.label_) for ent in doc.ents]


def test_what_comes_back_unchanged_corrects_nothing(exported, built, config, corpus, tmp_path, tool):
    path = write(tmp_path / "same.jsonl", exported)
    said = run("build", config, corpus, tmp_path / "again", "--corrections", path, "--no-report")
    assert f"0 corrections in {path}; 4 lines are as they were exported" in said
    before, after = (list(read_docs(folder / "target")) for folder in (built, tmp_path / "again"))
    assert [ents(doc) for doc in after] == [ents(doc) for doc in before]


def test_a_span_that_was_moved_is_the_only_one_corrected(exported, config, corpus, tmp_path, tool):
    move_end(exported[1], 1, 2)
    path = write(tmp_path / ("moved.json" if tool == "label-studio" else "moved.jsonl"), exported)
    said = run("build", config, corpus, tmp_path / "again", "--corrections", path, "--no-report")
    assert f"1 corrections in {path}; 3 lines" in said and "1 sentences are as they were reviewed" in said
    first, second = map(ents, read_docs(tmp_path / "again" / "target"))
    assert first == [("MARIA", "PER"), ("RIO", "LOC"), ("BOB", "PER"), ("LIMA .", "LOC")]
    assert second == [("MARIA", "PER"), ("RIO", "LOC"), ("BOB", "PER"), ("LIMA", "LOC")]


def test_a_sentence_whose_spans_were_all_taken_away_has_none(exported, tmp_path, tool):
    spans_of(exported[0]).clear()
    (correction,) = Corrections(write(tmp_path / "a.jsonl", exported))
    assert (correction.answer, correction.spans) == ("accept", ())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda meta, data: meta.pop("id"), 'E564.*a.jsonl, line 2: "meta" has no "id"'),
        (lambda meta, data: meta.update(id=meta["id"][:-1] + "g"), "E573.*a.jsonl, line 2: the text is not that"),
        (lambda meta, data: data.update(text="X" + data["text"][1:]), "E573.*line 2: the text has no token 'BOB'"),
        (lambda meta, data: data.update(text=data["text"] + "!"), "E573.*a.jsonl, line 2: no token has '!'"),
        (lambda meta, data: meta.update(format=2), "E569.*a.jsonl, line 2"),
    ],
)
def test_lines_without_id_and_with_another_text_are_errors_with_their_number(
    exported, tmp_path, change: Callable[[Task, Task], Any], said
):
    move_end(exported[1], 1, 2)
    data = exported[1].get("data", exported[1])
    change(data["meta"], data)
    with pytest.raises(XltError, match=said):
        Corrections(write(tmp_path / "a.jsonl", exported))


def test_a_span_that_ends_inside_a_word_is_an_error_with_its_line(exported, tmp_path):
    move_end(exported[0], 0, -1)
    with pytest.raises(XltError, match="E573.*a.jsonl, line 1: the span PER .* does not begin and end with tokens"):
        Corrections(write(tmp_path / "a.jsonl", exported))


def test_entities_that_overlap_are_an_error_with_their_line(exported, tmp_path):
    task = exported[0]
    before = json.loads(json.dumps(spans_of(task)[1]))
    move_end(task, 1, 2)
    spans = task["annotations"][0]["result"] if "data" in task else spans_of(task)
    spans.append(before)
    with pytest.raises(XltError, match="E573.*a.jsonl, line 1: the entities 'RIO' and 'RIO 0' have words in common"):
        Corrections(write(tmp_path / "a.jsonl", exported))


def test_answers_of_prodigy_count_also_where_nothing_was_changed(built, tmp_path):
    run("shards", "export", built, tmp_path / "tasks.jsonl", "--format", "prodigy")
    tasks = [json.loads(line) for line in (tmp_path / "tasks.jsonl").read_text("utf8").splitlines()]
    for task, answer in zip(tasks, ("accept", "reject", "ignore"), strict=False):
        task["answer"] = answer
    corrections = Corrections(write(tmp_path / "a.jsonl", tasks))
    assert [one.answer for one in corrections] == ["accept", "reject"] and corrections.n_as_exported == 2


def test_what_was_accepted_is_gold_for_a_projector(exported, built, corpus, tmp_path, nlp, tool):
    path = write(tmp_path / "gold.jsonl", [one for one in exported if spans_of(one)])
    pairs = reviewed_pairs(corpus, path, vocab=nlp.vocab, target_lang="pt")
    assert [source.text.strip() for source, _ in pairs][1] == "Bob saw Lima ." and len(pairs) == N_SENTENCES
    assert ents(pairs[1][1]) == [("BOB", "PER"), ("LIMA", "LOC")]


def test_spans_of_groups_come_back_to_their_groups(config, make_doc, write_corpus, tmp_path, tool):
    doc = make_doc("Maria saw Rio .", (0, 1, "PER"))
    doc.spans["facts"] = [Span(doc, 0, 1, "PER"), Span(doc, 0, 3, "FACT")]
    corpus = write_corpus([doc], "groups.spacy")
    run("build", config, corpus, tmp_path / "first", "--no-report")
    run("shards", "export", tmp_path / "first", tmp_path / "a.jsonl", "--format", tool)
    task = json.loads((tmp_path / "a.jsonl").read_text("utf8"))
    is_fact = ["FACT" in str(span) for span in spans_of(task)]
    move_end(task, is_fact.index(True), 2)
    (correction,) = Corrections(write(tmp_path / "b.jsonl", [task]))
    assert set(correction.spans) == {(0, 1, "PER", "ents"), (0, 1, "PER", "facts"), (0, 4, "FACT", "facts")}


def test_tasks_are_a_corpus_of_the_target_and_an_array_in_a_json_file(built, tmp_path, tool):
    path = tmp_path / "tasks.json"
    run("shards", "export", built, path, "--format", tool)
    tasks = json.loads(path.read_text("utf8"))
    assert len(tasks) == N_SENTENCES
    for task in tasks:
        spans_of(task)
    (tmp_path / "done.json").write_text(json.dumps(tasks))
    docs = list(read_corpus(tmp_path / "done.json", lang="pt"))
    assert ents(docs[1]) == [("BOB", "PER"), ("LIMA", "LOC")]


def test_a_tool_that_is_not_known_is_an_error(built, tmp_path):
    result = CliRunner().invoke(app, ["shards", "export", str(built), str(tmp_path / "a"), "--format", "inception"])
    assert result.exit_code == 1 and "XLT-E510" in result.output and "label-studio" in result.output


def test_metadata_of_the_input_and_lines_that_were_not_accepted_are_in_what_is_built(config, tmp_path):
    line = {"text": "Maria saw Rio.", "spans": [{"start": 0, "end": 5, "label": "PER"}], "meta": {"id": "a-1"}}
    others = [{**line, "answer": answer} for answer in ("reject", "ignore", "reject")]
    path, built = write(tmp_path / "mine.jsonl", [others[0], line, *others[1:]]), tmp_path / "built"
    said = run("build", config, path, built)
    assert "1 documents" in said and "Lines left out: ignore 1, reject 2" in said
    assert json.loads((built / "summary.json").read_text())["lines_left_out"] == {"ignore": 1, "reject": 2}
    assert json.loads((built / "report.json").read_text())["lines_left_out"] == {"ignore": 1, "reject": 2}
    assert "1 ignore, 2 reject" in (built / "report.html").read_text("utf8")
    for part in ("bitext", "target"):
        assert [doc.user_data["meta"] for doc in read_docs(built / part)] == [{"id": "a-1"}]
    run("shards", "export", built, tmp_path / "rows.jsonl")
    run("shards", "export", built, tmp_path / "tasks.jsonl", "--format", "prodigy")
    assert json.loads((tmp_path / "rows.jsonl").read_text("utf8"))["meta"] == {"id": "a-1"}
    assert json.loads((tmp_path / "tasks.jsonl").read_text("utf8"))["meta"]["document"] == {"id": "a-1"}
