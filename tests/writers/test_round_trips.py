"""What is read, projected onto itself and written is read again as the same, as far as a format can hold it."""

import json
import warnings

import pytest
import spacy
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from spacy.tokens import Span

from spacy_xlt.bitext import Bitext
from spacy_xlt.docs import META, with_vocab
from spacy_xlt.errors import XltError, XltWarning
from spacy_xlt.languages import blank
from spacy_xlt.links import Alignment
from spacy_xlt.readers import read_corpus
from spacy_xlt.span_links import End, Link, Record, SpanLinks, get_links, set_links, span_at
from spacy_xlt.writers import WRITTEN_FORMATS, write_corpus

WORDS = ["Ada", "works", "in", "Köln", "for", "IBM", "🙂", "東京", "said", '"', ",", "(", ")", ".", "e\u0301"]
LABELS = st.sampled_from(["PER", "founded_by", "org:city", "Größe"])
NAMES = st.sampled_from(["a1", "17", "Q42:x", "D003"])
NO_ID = st.just("")
# How what was written is read again
READ_AS = {"slots": {"format": "conll", "token_col": 2, "tag_col": 4}}
PROJECTOR = spacy.blank("xx").add_pipe("xlt_projector")


@st.composite
def texts(draw):
    words = draw(st.lists(st.sampled_from(WORDS), min_size=2, max_size=9))
    return blank("en").tokenizer(" ".join(words))


def places(doc):
    n = len(doc)
    return st.integers(0, n - 1).flatmap(lambda a: st.tuples(st.just(a), st.integers(a + 1, n)))


@st.composite
def entities(draw, doc, *, kb_ids=NO_ID):
    """Entities that do not overlap."""
    cuts = sorted(draw(st.sets(st.integers(0, len(doc)), max_size=6)))
    kept = [pair for pair in zip(cuts, cuts[1:], strict=False) if draw(st.booleans())]
    return [Span(doc, a, b, label=draw(LABELS), kb_id=draw(kb_ids)) for a, b in kept]


@st.composite
def brat_docs(draw):
    """Not held: groups beside entities, tuples without a trigger, scores, meta, categories."""
    doc = draw(texts())
    doc.set_ents(draw(entities(doc, kb_ids=st.one_of(NO_ID, NAMES))), default="outside")
    ends = [End("ents", n) for n in range(len(doc.ents))]
    links, records = [], []
    if len(ends) > 1:
        pair = st.permutations(ends).map(lambda some: some[:2])
        label = st.sampled_from(["works_for", "cause"])
        links = [Link(*draw(pair), draw(label)) for _ in range(draw(st.integers(0, 3)))]
        for n in range(draw(st.integers(0, 3))):
            others = st.sampled_from([*ends, *range(n)])
            roles = draw(st.lists(st.tuples(st.sampled_from(["Theme", "Site"]), others), max_size=3))
            records.append(Record("Event", draw(st.sampled_from(ends)), tuple(roles)))
    set_links(doc, SpanLinks(links, records))
    return [doc]


@st.composite
def pair_docs(draw, format):
    """Not held: entities, scores, more than a pair; in TACRED spaces between tokens."""
    doc = draw(texts())
    labels = ["e1", "e2"] if format == "marked" else [draw(LABELS), draw(LABELS)]
    doc.spans["sc"] = [Span(doc, *draw(places(doc)), label=label) for label in labels]
    # In TACRED these are one
    assume(len({(span.start, span.end) for span in doc.spans["sc"]}) == 2)
    label = draw(st.one_of(st.none(), LABELS))
    reverse = format == "marked" and draw(st.booleans())
    head, child = (End("sc", 1), End("sc", 0)) if reverse else (End("sc", 0), End("sc", 1))
    set_links(doc, SpanLinks([] if label is None else [Link(head, child, label)]))
    id = draw(NAMES)
    if format == "marked":
        arrow = "(e2,e1)" if reverse else "(e1,e2)"
        doc.user_data[META] = {"id": id, "relation": "Other" if label is None else f"{label}{arrow}"}
    else:
        words = [token.text for token in doc]
        other = spacy.tokens.Doc(doc.vocab, words=words)
        other.spans["sc"] = [Span(other, s.start, s.end, label=s.label_) for s in doc.spans["sc"]]
        set_links(other, get_links(doc))
        doc = other
        doc.user_data[META] = {"id": id, "docid": "d"}
    return [doc]


@st.composite
def squad_docs(draw):
    """Not held: anything but answers; questions whose answers were lost."""
    docs = []
    for number in range(draw(st.integers(1, 2))):
        context = draw(texts())
        context.user_data[META] = {"paragraph": number, "title": draw(st.sampled_from(["", "T"]))}
        docs.append(context)
        spans = []
        for n in range(draw(st.integers(0, 3))):
            question, id = draw(texts()), f"{number}-{n}"
            found = draw(st.sets(places(context), max_size=2))
            spans += [Span(context, *place, label="answer", span_id=id) for place in found]
            question.user_data[META] = {"paragraph": number, "question": id, "possible": bool(found)}
            docs.append(question)
        context.spans["answers"] = spans
    return docs


@st.composite
def slots_docs(draw):
    """Not held: groups, categories beside the surest one, sentences; adjacent white space becomes one space."""
    doc = draw(texts())
    missing = [doc[a:b] for a, b in draw(st.lists(places(doc), max_size=1)) if b - a < len(doc)]
    ents = [e for e in draw(entities(doc)) if not any(e.start < m.end and m.start < e.end for m in missing)]
    doc.set_ents(ents, missing=missing, default="outside")
    if draw(st.booleans()):
        doc.cats = {draw(LABELS): 1.0}
    return [doc]


@st.composite
def texts_docs(draw):
    """Not held: categories that are no label, spans, labels with commas or bars."""
    doc = draw(texts())
    doc.cats = dict.fromkeys(draw(st.sets(LABELS, min_size=1, max_size=2)), 1.0)
    return [doc]


@st.composite
def pubtator_docs(draw):
    """Not held: links of spans without an identifier, which of several mentions a link is about, records, groups."""
    doc = draw(texts())
    if draw(st.booleans()):
        doc = blank("en").tokenizer(doc.text + "\n" + draw(texts()).text)
    inside = [(a, b) for a, b in draw(st.sets(places(doc), max_size=4)) if "\n" not in doc[a:b].text]
    doc.spans["sc"] = [Span(doc, a, b, label=draw(LABELS), kb_id=f"D{n}") for n, (a, b) in enumerate(sorted(inside))]
    ends = [End("sc", n) for n in range(len(inside))]
    pairs = [(a, b) for a in ends for b in ends if a != b]
    chosen = draw(st.sets(st.sampled_from(pairs), max_size=3)) if pairs else ()
    set_links(doc, SpanLinks([Link(*pair, draw(LABELS)) for pair in sorted(chosen)]))
    doc.user_data[META] = {"id": draw(NAMES)}
    return [doc]


DOCS = {
    "brat": brat_docs(),
    "marked": pair_docs("marked"),
    "tacred": pair_docs("tacred"),
    "squad": squad_docs(),
    "slots": slots_docs(),
    "texts": texts_docs(),
    "pubtator": pubtator_docs(),
}


def place(doc, end):
    if isinstance(end, int):
        return end
    span = span_at(doc, end)
    return span.start, span.end, span.label_


def content(doc):
    """All that any of the formats holds, without the order of spans and links."""
    groups = [("ents", doc.ents), *((key, group) for key, group in doc.spans.items() if not key.startswith("xlt_"))]
    links = get_links(doc)
    return {
        # Columns end with a space
        "tokens": [token.text_with_ws if token.i + 1 < len(doc) else token.text for token in doc],
        "spans": sorted(
            (key, span.start, span.end, span.label_, span.kb_id_, span.id_) for key, group in groups for span in group
        ),
        "known": [token.ent_iob_ for token in doc],
        "links": sorted((place(doc, link.head), link.label, place(doc, link.child)) for link in links.links),
        "records": [
            (one.label, place(doc, one.anchor), sorted(((role, place(doc, end)) for role, end in one.roles), key=str))
            for one in links.records
        ],
        "cats": dict(doc.cats),
        "meta": doc.user_data.get(META, {}),
    }


def onto_itself(doc):
    """A document projected along the identity alignment."""
    target = with_vocab(doc, doc.vocab)
    bitext = Bitext(doc, target, Alignment([(n, n) for n in range(len(doc))]), "en", "en")
    (projected,) = PROJECTOR.project([bitext])
    assert not projected.lost and not projected.lost_links
    projected.target.user_data[META] = doc.user_data.get(META, {})
    return projected.target


def again(tmp_path, docs, format, **how):
    path = tmp_path / "written"
    write_corpus(docs, path, format)
    return list(read_corpus(path, **{"format": format, "lang": "en", **READ_AS.get(format, {}), **how}))


@pytest.mark.parametrize("format", WRITTEN_FORMATS)
def test_nothing_is_lost_between_writing_and_reading(tmp_path_factory, format):
    tmp_path = tmp_path_factory.mktemp(format)

    @settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck), database=None)
    @given(DOCS[format])
    def check(docs):
        expected = [content(doc) for doc in docs]
        with warnings.catch_warnings():
            warnings.simplefilter("error", XltWarning)
            read = again(tmp_path, docs, format)
            assert [content(doc) for doc in read] == expected
            projected = [onto_itself(doc) for doc in read]
            assert [content(doc) for doc in again(tmp_path, projected, format)] == expected

    check()


def marked_doc(text, *places, links=(), complete=True):
    doc = blank("en").tokenizer(text)
    doc.spans["sc"] = [Span(doc, *place, label=f"e{n}") for n, place in enumerate(places, 1)]
    set_links(doc, SpanLinks([Link(End("sc", a), End("sc", b), label) for a, b, label in links], complete=complete))
    return doc


def test_marked_text_is_as_semeval_has_it(tmp_path):
    doc = marked_doc('"Ada" works at IBM', (1, 2), (5, 6), links=[(1, 0, "employs")])
    doc.user_data[META] = {"id": "7"}
    write_corpus([doc], tmp_path / "out", "marked")
    written = (tmp_path / "out").read_text(encoding="utf8")
    assert written == '7\t""<e1>Ada</e1>" works at <e2>IBM</e2>"\nemploys(e2,e1)\n'


@pytest.mark.parametrize("format", ["marked", "tacred"])
def test_a_lost_link_is_not_written_as_no_relation(tmp_path, format):
    kept = marked_doc("Ada left IBM", (0, 1), (2, 3))
    lost = marked_doc("Ada left IBM", (0, 1), (2, 3), complete=False)
    with pytest.warns(XltWarning, match="W576.*1 documents without a pair of spans"):
        assert write_corpus([kept, lost], tmp_path / "out", format) == 1
    (tmp_path / "out").unlink()
    with pytest.raises(XltError, match=f"E576.*{format}"):
        write_corpus([lost], tmp_path / "out", format)
    assert not (tmp_path / "out").exists()


def test_in_tacred_a_link_between_spans_of_the_same_words_is_left_out(tmp_path):
    doc = blank("en").tokenizer("Ada works .")
    doc.spans["a"], doc.spans["b"] = [Span(doc, 0, 1, "PER")], [Span(doc, 0, 1, "JOB"), Span(doc, 1, 2, "JOB")]
    links = [Link(End("a", 0), End("b", 0), "same"), Link(End("a", 0), End("b", 1), "does")]
    set_links(doc, SpanLinks(links))
    with pytest.warns(XltWarning, match="W576.*1 links between spans of the same words"):
        write_corpus([doc], tmp_path / "out.json", format="tacred")
    (example,) = json.loads((tmp_path / "out.json").read_text(encoding="utf8"))
    assert example["relation"] == "does"


def test_a_question_whose_answers_were_lost_is_left_out(tmp_path):
    context, asked, never = (blank("en").tokenizer(text) for text in ("Ada left.", "Who left?", "Who came?"))
    context.user_data[META] = {"paragraph": 3, "title": "T"}
    context.spans["answers"] = []
    asked.user_data[META] = {"paragraph": 3, "question": "q1", "possible": True}
    never.user_data[META] = {"paragraph": 3, "question": "q2", "possible": False}
    with pytest.warns(XltWarning, match="1 questions whose answers were lost"):
        write_corpus([context, asked, never], tmp_path / "out", "squad")
    (article,) = json.loads((tmp_path / "out").read_text(encoding="utf8"))["data"]
    question = {"id": "q2", "question": "Who came?", "is_impossible": True, "answers": []}
    assert article == {"title": "T", "paragraphs": [{"context": "Ada left.", "qas": [question]}]}
