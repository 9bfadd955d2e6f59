"""Links that people corrected in an annotation tool come back into a build, with the spans that they corrected."""

import json

import pytest
from spacy.tokens import Span
from typer.testing import CliRunner

from spacy_xlt.cli import app
from spacy_xlt.errors import XltError
from spacy_xlt.readers.docbin import read_docs
from spacy_xlt.review.records import Corrections
from spacy_xlt.review.tools import TOOLS
from spacy_xlt.span_links import End, Link, Record, SpanLinks, span_at

BOB, IBM, RIO, ADA, HP = (End("ents", n) for n in range(5))
LINKS = [
    Link(BOB, IBM, "works_for"),
    Link(IBM, RIO, "in"),
    Link(RIO, BOB, "home"),
    Link(ADA, HP, "left"),
    Link(ADA, BOB, "knows"),
]
HIRED = Record("Hire", End("events", 0), (("who", BOB), ("by", IBM)))


def run(*args):
    result = CliRunner().invoke(app, [*map(str, args)])
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


@pytest.fixture
def config(nlp, tmp_path):
    nlp.config.to_disk(tmp_path / "config.cfg")
    return tmp_path / "config.cfg"


@pytest.fixture
def corpus(make_doc, write_corpus):
    """Two sentences, an event in the first one, and a link from the second to the first."""
    ents = (0, 1, "PER"), (2, 3, "ORG"), (4, 5, "LOC"), (7, 8, "PER"), (9, 10, "ORG")
    doc = make_doc("Bob joined IBM in Rio city . Ada left HP .", *ents, sents=(7,))
    doc.spans["events"] = [Span(doc, 1, 2, "hire")]
    doc._.xlt_links = SpanLinks(LINKS, [HIRED])
    return write_corpus([doc])


@pytest.fixture(params=TOOLS)
def tool(request):
    return request.param


@pytest.fixture
def tasks(config, corpus, tmp_path, tool):
    """As a tool saves them: doccano gives spans ids of its own."""
    run("build", config, corpus, tmp_path / "built", "--no-report")
    run("shards", "export", tmp_path / "built", tmp_path / "tasks.jsonl", "--format", tool)
    exported = [json.loads(line) for line in (tmp_path / "tasks.jsonl").read_text("utf8").splitlines()]
    for task in exported:
        if tool == "doccano":
            for span in task["entities"]:
                span["id"] += 70
            for link in task["relations"]:
                link.update(from_id=link["from_id"] + 70, to_id=link["to_id"] + 70)
    return exported


@pytest.fixture
def corrected(config, corpus, tasks, tmp_path):
    """Build with the tasks as they are by then: what was printed, and the document."""

    def build():
        path = tmp_path / "corrected.json"
        path.write_text(json.dumps(tasks), "utf8")
        said = run("build", config, corpus, tmp_path / "again", "--corrections", path, "--no-report")
        (doc,) = read_docs(tmp_path / "again" / "bitext")
        return said, doc._.xlt["pt"]

    return build


def spans_of(task):
    return task.get("spans") or task.get("entities") or [one for one in results(task) if "value" in one]


def results(task):
    """Those of Label Studio, which makes an annotation of a prediction when a person begins."""
    return task.setdefault("annotations", [{"id": 1, "result": task["predictions"][0]["result"]}])[0]["result"]


def relations_of(task):
    return task["relations"] if "relations" in task else [one for one in results(task) if "from_id" in one]


def set_relations(task, relations):
    if "data" in task:
        results(task)[:] = [*spans_of(task), *relations]
    else:
        task["relations"] = relations


def span_of(task, text):
    whole = task["data"]["text"] if "data" in task else task["text"]
    start = whole.index(text)
    return next(
        span
        for span in spans_of(task)
        if start in (span.get("start"), span.get("start_offset"), span.get("value", {}).get("start"))
    )


def relation(task, head, label, child):
    """A relation as the tool saves it."""
    head, child = span_of(task, head), span_of(task, child)
    if "spans" in task:
        return {
            "head": head["token_end"],
            "child": child["token_end"],
            "head_span": head,
            "child_span": child,
            "label": label,
        }
    ends = {"from_id": head["id"], "to_id": child["id"]}
    return (
        {**ends, "type": label}
        if "entities" in task
        else {**ends, "type": "relation", "direction": "right", "labels": [label]}
    )


def set_end(task, text, by):
    """Move the end of a span by a token of these many characters; Prodigy's relations have its place as well."""
    span = span_of(task, text)
    place = span.get("value", span)
    place["end_offset" if "end_offset" in place else "end"] += by
    place.pop("text", None)
    if "token_end" in span:
        before = span["token_end"]
        span["token_end"] += 1
        for link in task["relations"]:
            for role in ("head", "child"):
                if link[role] == before:
                    link.update({role: span["token_end"], f"{role}_span": dict(span)})


def named(doc):
    return {(span_at(doc, k.head).text, k.label, span_at(doc, k.child).text) for k in doc._.xlt_links.links}


CARRIED = {
    ("BOB", "works_for", "IBM"),
    ("IBM", "in", "RIO"),
    ("RIO", "home", "BOB"),
    ("ADA", "left", "HP"),
    ("ADA", "knows", "BOB"),
}
IN_FIRST = {link for link in CARRIED if "ADA" not in link}


def test_links_that_come_back_unchanged_stay_as_they_are(corrected):
    said, bitext = corrected()
    assert "0 corrections in" in said and "2 lines are as they were exported" in said
    assert named(bitext.target) == CARRIED and bitext.target._.xlt_links.records == [HIRED]
    assert not bitext.lost_links and bitext.target._.xlt_links.complete


def test_links_are_added_removed_relabelled_and_turned_round(corrected, tasks):
    first = tasks[0]
    wanted = ("BOB", "leads", "IBM"), ("RIO", "in", "IBM"), ("BOB", "born_in", "RIO")
    set_relations(first, [relation(first, *one) for one in wanted])
    said, bitext = corrected()
    assert "1 corrections in" in said and "1 sentences are as they were reviewed" in said
    assert "Links between spans: Hire 1, Hire.by 1, Hire.who 1, born_in 1, in 1, knows 1, leads 1, left 1" in said
    assert "Lost links: reviewed 3" in said
    links = bitext.target._.xlt_links
    assert named(bitext.target) == (CARRIED - IN_FIRST) | set(wanted)
    assert all(link.score == 1.0 for link in links.links if link.label in ("leads", "born_in"))
    assert {(lost.label, lost.reason) for lost in bitext.lost_links} == {(k.label, "reviewed") for k in LINKS[:3]}
    # What was lost is known, as a person has said so
    assert links.complete and links.records == [HIRED]


def test_a_span_that_was_moved_keeps_its_links_and_events(corrected, tasks):
    set_end(tasks[0], "RIO", len(" CITY"))
    set_relations(tasks[0], [*relations_of(tasks[0]), relation(tasks[0], "BOB", "born_in", "RIO")])
    _, bitext = corrected()
    moved = {tuple(part.replace("RIO", "RIO CITY") for part in link) for link in CARRIED}
    assert named(bitext.target) == moved | {("BOB", "born_in", "RIO CITY")}
    assert bitext.target._.xlt_links.records == [HIRED] and not bitext.lost and not bitext.lost_links


def test_a_span_that_was_taken_away_takes_its_links(corrected, tasks):
    ibm = span_of(tasks[0], "IBM")
    relations = [one for one in relations_of(tasks[0]) if "home" in str(one)]
    spans = spans_of(tasks[0])
    spans.remove(ibm)
    if "data" in tasks[0]:
        results(tasks[0])[:] = spans
    set_relations(tasks[0], relations)
    _, bitext = corrected()
    assert named(bitext.target) == {link for link in CARRIED if "IBM" not in link}
    assert [lost.label for lost in bitext.lost_links] == ["works_for", "in", "Hire.by"]
    (event,) = bitext.target._.xlt_links.records
    assert event.roles == (("who", BOB),)


def test_no_links_any_more_is_not_the_same_as_nothing_said_of_links(corrected, tasks):
    set_relations(tasks[0], [])
    _, bitext = corrected()
    assert named(bitext.target) == CARRIED - IN_FIRST and bitext.target._.xlt_links.records == [HIRED]


def test_a_task_that_says_nothing_of_links_leaves_them_as_they_were_carried(corrected, tasks):
    set_end(tasks[0], "RIO", len(" CITY"))
    if "data" in tasks[0]:
        set_relations(tasks[0], [])
        del tasks[0]["data"]["given_links"]
    else:
        del tasks[0]["relations"]
    said, bitext = corrected()
    assert "1 corrections in" in said
    assert named(bitext.target) == {tuple(part.replace("RIO", "RIO CITY") for part in link) for link in CARRIED}


def test_all_sentences_of_a_document_are_corrected(corrected, tasks):
    for task, added in zip(tasks, (("RIO", "of", "IBM"), ("HP", "fired", "ADA")), strict=True):
        set_relations(task, [relation(task, *added)])
    said, bitext = corrected()
    assert "2 sentences are as they were reviewed" in said
    assert named(bitext.target) == {("ADA", "knows", "BOB"), ("RIO", "of", "IBM"), ("HP", "fired", "ADA")}


def test_links_come_back_to_the_groups_of_their_spans(config, make_doc, write_corpus, tmp_path, tool):
    doc = make_doc("Bob saw Rio .", (0, 1, "PER"), (2, 3, "LOC"))
    doc.spans["facts"] = [Span(doc, 0, 1, "PER"), Span(doc, 2, 3, "LOC")]
    in_facts = Link(End("facts", 0), End("facts", 1), "saw")
    doc._.xlt_links = SpanLinks([in_facts, Link(BOB, End("facts", 1), "likes")])
    corpus = write_corpus([doc], "groups.spacy")
    run("build", config, corpus, tmp_path / "built", "--no-report")
    run("shards", "export", tmp_path / "built", tmp_path / "a.jsonl", "--format", tool)
    task = json.loads((tmp_path / "a.jsonl").read_text("utf8"))
    kept = [one for one in relations_of(task) if "saw" in str(one)]
    set_relations(task, kept)
    (tmp_path / "b.jsonl").write_text(json.dumps(task), "utf8")
    run("build", config, corpus, tmp_path / "again", "--corrections", tmp_path / "b.jsonl", "--no-report")
    (built,) = read_docs(tmp_path / "again" / "bitext")
    assert built._.xlt["pt"].target._.xlt_links.links == [in_facts]
    assert [lost.label for lost in built._.xlt["pt"].lost_links] == ["likes"]


def test_lines_that_differ_in_their_links_contradict_each_other(tasks, tmp_path):
    other = json.loads(json.dumps(tasks[0]))
    set_relations(tasks[0], [relation(tasks[0], "RIO", "of", "IBM")])
    set_relations(other, [relation(other, "RIO", "in", "IBM")])
    (tmp_path / "twice.json").write_text(json.dumps([*tasks, other]), "utf8")
    with pytest.raises(XltError, match="E567.*lines 1 and 3"):
        Corrections(tmp_path / "twice.json")


@pytest.mark.parametrize("tool", ["label-studio"], indirect=True)
def test_a_task_that_several_people_annotated_is_an_error_with_its_number(tasks, tmp_path):
    results(tasks[1])
    tasks[1]["annotations"] *= 2
    (tmp_path / "a.json").write_text(json.dumps(tasks), "utf8")
    with pytest.raises(XltError, match="E573.*a.json, line 2: .*several people; leave one"):
        Corrections(tmp_path / "a.json")


@pytest.mark.parametrize("given_links", [[[0, 9, "x"]], [[0, 1]], 3])
def test_links_that_are_not_as_they_were_exported_are_an_error(tasks, tmp_path, given_links):
    tasks[0].get("data", tasks[0])["given_links"] = given_links
    (tmp_path / "a.json").write_text(json.dumps(tasks), "utf8")
    with pytest.raises(XltError, match='E564.*line 1: "given_links" is .* not as it was exported'):
        Corrections(tmp_path / "a.json")


@pytest.mark.parametrize("tool", ["prodigy"], indirect=True)
def test_relations_that_a_tool_hands_back_untouched_follow_the_spans_that_were_corrected(corrected, tasks):
    """As in `ner.manual`, which knows nothing of relations."""
    before = json.dumps(relations_of(tasks[0]))
    set_end(tasks[0], "RIO", len(" CITY"))
    tasks[0]["spans"].remove(span_of(tasks[0], "BOB"))
    tasks[0]["relations"] = json.loads(before)
    _, bitext = corrected()
    assert named(bitext.target) == {("IBM", "in", "RIO CITY"), ("ADA", "left", "HP")}
