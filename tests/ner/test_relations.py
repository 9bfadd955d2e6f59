"""Links between spans: what the component learns, writes and scores, and what is missing annotation to it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from itertools import permutations

import numpy as np
import pytest
import spacy
from helpers.children import without
from helpers.cli import spacy_cli
from helpers.tiny_ner import make_ner
from helpers.tiny_relations import SENTENCES, found, make_doc, make_examples, make_relations, train
from spacy.tokens import Doc, DocBin, Span, SpanGroup
from spacy.training import Example

from spacy_xlt.ner.xlt_relations import End, Pairs, Place, nearby
from spacy_xlt.package.provenance import read_provenance
from spacy_xlt.span_links import Link, Record, SpanLinks, set_links
from spacy_xlt.training.readers import DevCorpus


@pytest.fixture(scope="module")
def trained(encoder):
    """Knows the examples by heart; to be read only."""
    return train(make_relations(encoder))


def weights_of(nlp) -> dict[str, np.ndarray]:
    state = nlp.get_pipe("xlt_relations").model.state_dict()
    return {name: values.detach().numpy().copy() for name, values in state.items()}


def make_eager(encoder, **settings):
    """A pipeline that links every pair that it looks at."""
    unlinked = [(text, ents, None) for text, ents, _ in SENTENCES]
    nlp = make_relations(encoder, examples=unlinked, init={"labels": ["x"]}, **settings)
    nlp.get_pipe("xlt_relations").model.net["head"]["output"].bias.data[1] = 10.0
    return nlp


def test_links_are_found_with_their_direction(trained):
    for sentence in SENTENCES:
        assert found(trained, sentence) == sorted(sentence[2])


def test_links_have_probabilities(trained):
    links = trained(make_doc(trained, SENTENCES[0], with_links=False))._.xlt_links.links
    assert all(0.5 < link.score <= 1.0 for link in links) and links


def test_a_batch_gives_the_same_as_one_document_after_the_other(trained):
    docs = [make_doc(trained, sentence, with_links=False) for sentence in SENTENCES * 3]
    alone = [trained(doc.copy())._.xlt_links.links for doc in docs]
    for doc, links in zip(trained.pipe(docs, batch_size=7), alone, strict=True):
        assert [link[:3] for link in map(vars_of, doc._.xlt_links.links)] == [link[:3] for link in map(vars_of, links)]
        assert [link.score for link in doc._.xlt_links.links] == pytest.approx([link.score for link in links], abs=1e-5)


def vars_of(link: Link) -> tuple:
    return link.head, link.child, link.label, link.score


@pytest.mark.parametrize("text", ["", " ", "\n\n", "x" * 5000, "a " * 3000])
def test_any_text_is_an_ordinary_input(trained, text):
    doc = trained(text)
    assert doc.text == text and not doc._.xlt_links


def test_pairs_of_a_long_document_are_near_each_other(encoder):
    nlp = make_eager(encoder)
    doc = Doc(nlp.vocab, words=["Maria", "lives", "in", "Lisbon", "."] * 100)
    doc.set_ents([Span(doc, i, i + 1, "PER") for i in range(0, 500, 5)])
    links = nlp(doc)._.xlt_links.links
    assert len(links) == 2 * sum(100 - n for n in range(1, 13))
    assert max(abs(link.head.number - link.child.number) for link in links) == 12


def test_links_and_records_that_are_there_stay(trained):
    doc = make_doc(trained, SENTENCES[0], with_links=False)
    ends = End("ents", 0), End("ents", 1)
    record = Record("life", None, (("who", ends[0]),))
    set_links(doc, SpanLinks([Link(*ends, "of mine")], [record]))
    after = trained(doc)._.xlt_links
    assert [(link.head, link.child, link.label) for link in after.links] == [(*ends, "of mine")]
    assert after.records == [record]


def test_spans_of_a_group_are_linked_where_it_is_named(encoder):
    nlp = make_eager(encoder, spans_keys=["sc"])
    doc = make_doc(nlp, SENTENCES[0], with_links=False)
    assert not nlp(doc)._.xlt_links
    doc.spans["sc"] = [Span(doc, 0, 1, "PER"), Span(doc, 3, 4, "LOC"), Span(doc, 3, 5, "LOC")]
    links = nlp(doc)._.xlt_links.links
    assert {(link.head.number, link.child.number) for link in links} == {
        (i, j) for i in range(3) for j in range(3) if i != j
    }
    assert {link.head.key for link in links} == {"sc"}


def test_pairs_are_of_one_sentence_where_it_is_asked_for(encoder):
    for same_sentence, n_links in ((False, 6), (True, 2)):
        nlp = make_eager(encoder, same_sentence=same_sentence)
        doc = Doc(nlp.vocab, words=["Maria", "sings", "Ana", ".", "Eva", "."], sent_starts=[1, 0, 0, 0, 1, 0])
        doc.set_ents([Span(doc, i, i + 1, "PER") for i in (0, 2, 4)])
        assert len(nlp(doc)._.xlt_links.links) == n_links


def test_pairs_are_near_each_other():
    places = [Place(End("ents", n), start, start + 2, "X") for n, start in enumerate((10, 0, 5))]
    assert set(nearby(places, None, 3)) == {(1, 2), (2, 1), (2, 0), (0, 2)}
    assert set(nearby(places, None, 2)) == set()
    assert set(nearby(places, [0] * 12, 8)) == set(permutations(range(3), 2))


def test_distances_tell_size_and_order():
    spans = np.array([(0, 1, 0), (1, 3, 0), (2, 4, 0), (40, 41, 0)])
    heads, children = np.array([0, 1, 1, 0, 3]), np.array([1, 0, 2, 3, 0])
    pairs = Pairs(spans, np.array([(0, 45)] * 4), heads, children)
    assert len(set(pairs.distances().tolist())) == 5
    assert pairs.between().tolist() == [[1, 1], [1, 1], [3, 2], [1, 40], [1, 40]]
    assert pairs.around().tolist() == [[0, 11], [0, 11], [0, 12], [0, 45], [0, 45]]


def test_a_document_without_links_annotated_teaches_nothing(encoder):
    nlp = make_relations(encoder)
    before = weights_of(nlp)
    unknown = make_examples(nlp, [(text, ents, None) for text, ents, _ in SENTENCES])
    losses = nlp.update(unknown, sgd=nlp.create_optimizer())
    assert losses == {"xlt_relations": 0.0}
    assert all((values == before[name]).all() for name, values in weights_of(nlp).items())


def test_where_links_are_not_complete_those_that_are_known_are_learnt_alone(encoder):
    nlp = make_relations(encoder)
    component = nlp.get_pipe("xlt_relations")
    doc = make_doc(nlp, SENTENCES[0], complete=False)
    pairs, gold = component._gold(Example(make_doc(nlp, SENTENCES[0], with_links=False), doc))
    assert pairs.pairs == [(0, 1)] and gold.tolist() == [[0.0, 0.0, 1.0]]
    pairs, gold = component._gold(make_examples(nlp)[0])
    assert sorted(zip(pairs.pairs, gold.tolist(), strict=True)) == [
        ((0, 1), [0.0, 0.0, 1.0]),
        ((1, 0), [1.0, 0.0, 0.0]),
    ]


def test_the_labels_of_a_pair_share_its_probability(encoder):
    nlp = make_relations(encoder)
    text, ents, _ = SENTENCES[0]
    both = make_doc(nlp, (text, ents, [(0, 1, "lives"), (0, 1, "knows")]))
    pairs, gold = nlp.get_pipe("xlt_relations")._gold(Example(nlp.make_doc(text), both))
    assert gold[pairs.pairs.index((0, 1))].tolist() == [0.0, 0.5, 0.5]


def test_balanced_weights_are_one_in_the_mean_and_greater_for_rare_labels(encoder):
    plain, balanced = (
        make_relations(encoder, balanced=value).get_pipe("xlt_relations").cfg["weights"] for value in (False, True)
    )
    assert plain == [1.0, 1.0, 1.0]
    # Two links of each label, and four pairs without one, of eight
    assert balanced[1] == balanced[2] == pytest.approx(balanced[0] * 2**0.5)
    assert np.dot(balanced, [4, 2, 2]) / 8 == pytest.approx(1)


def test_other_tokens_of_the_same_text_are_learnt_from(encoder):
    nlp = make_relations(encoder)
    gold = make_doc(nlp, SENTENCES[0])
    split = Doc(nlp.vocab, words=["Ma", "ria", "lives", "in", "Lis", "bon", "."], spaces=[0, 1, 1, 1, 0, 1, 1])
    found, _ = nlp.get_pipe("xlt_relations")._gold(Example(split, gold))
    assert [(place.start, place.stop) for place in found.places] == [(0, 2), (4, 6)]


def test_a_link_of_spans_that_were_not_found_is_missed(trained):
    examples = make_examples(trained)
    assert trained.evaluate(examples)["links_f"] == 1.0
    for eg in examples:
        eg.predicted.set_ents([ent for ent in eg.predicted.ents if ent.label_ == "PER"], default="outside")
    scores = trained.evaluate(examples)
    assert (scores["links_p"], scores["links_r"]) == (1.0, 0.5)


def test_texts_whose_links_are_not_annotated_are_not_scored(trained):
    known, unknown = make_examples(trained, SENTENCES[:1]), make_examples(trained, [(*SENTENCES[1][:2], None)])
    assert trained.evaluate([*known, *unknown])["links_p"] == 1.0
    with pytest.warns(UserWarning, match="XLT-W172"):
        assert trained.evaluate(unknown)["links_p"] is None


def test_saved_as_bytes_and_files_it_finds_the_same(trained, tmp_path):
    trained.to_disk(tmp_path / "nlp")
    copies = [spacy.load(tmp_path / "nlp"), make_empty().from_bytes(trained.to_bytes())]
    for nlp in copies:
        assert [found(nlp, sentence) for sentence in SENTENCES] == [sorted(sentence[2]) for sentence in SENTENCES]
    # and can be trained on
    train(copies[0], times=1)


def make_empty():
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_relations")
    return nlp


def test_an_unknown_label_of_a_span_is_no_error(trained):
    text, ents, _ = SENTENCES[0]
    assert isinstance(found(trained, (text, [(*ents[0][:2], "NEVER SEEN"), ents[1]], [])), list)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"spans_keys": []}, "spans_keys"),
        ({"spans_keys": ["xlt_links"]}, "spans_keys"),
        ({"max_distance": -1}, "max_distance"),
        ({"threshold": 1.0}, "threshold"),
        ({"window": 2}, "window"),
        ({"precision": "float8"}, "precision"),
    ],
)
def test_a_value_that_is_none_is_refused(settings, message):
    with pytest.raises(ValueError, match=rf"XLT-E170.*{message}"):
        spacy.blank("en").add_pipe("xlt_relations", config=settings)


def test_without_links_there_is_nothing_to_learn(encoder):
    with pytest.raises(ValueError, match="XLT-E175.*a link between two spans"):
        make_relations(encoder, examples=[(text, ents, []) for text, ents, _ in SENTENCES])


def make_far(nlp, labels=("near", "far")):
    """One link between entities, and one of an entity and a span of another group that stands far from it."""
    doc = Doc(nlp.vocab, words=["Maria", "lives", "in", "Lisbon", *["and"] * 8, "sings"])
    doc.set_ents([Span(doc, 0, 1, "PER"), Span(doc, 3, 4, "LOC"), Span(doc, 12, 13, "ACT")], default="outside")
    doc.spans["sc"] = [Span(doc, 12, 13, "ACT")]
    near, far = Link(End("ents", 0), End("ents", 1), "near"), Link(End("ents", 0), End("ents", 2), "far")
    other = Link(End("ents", 0), End("sc", 0), "other")
    set_links(doc, SpanLinks([link for link in (near, far, other) if link.label in labels]))
    return Example(Doc(nlp.vocab, words=[token.text for token in doc]), doc)


def initialize(encoder, labels, **settings):
    nlp = spacy.blank("en")
    component = nlp.add_pipe("xlt_relations", config=settings)
    component.initialize(lambda: [make_far(nlp, labels)], encoder=str(encoder))
    return nlp


@pytest.mark.parametrize(
    ("labels", "message"),
    [(["other"], "1 with spans of sc. See spans_keys"), (["far"], "1 of spans that are too far apart.*max_distance")],
)
def test_links_of_spans_that_are_not_looked_at_alone_are_an_error(encoder, labels, message):
    with pytest.raises(ValueError, match=f"XLT-E180.*{message}"):
        initialize(encoder, labels, max_distance=5)


def test_links_of_spans_that_are_not_looked_at_beside_others_are_counted_in_a_warning(encoder):
    labels = ["near", "far", "other"]
    with pytest.warns(UserWarning, match=r"XLT-W171.*2 of 3 links.*1 of spans that are too far apart, 1 with"):
        nlp = initialize(encoder, labels, max_distance=5)
    assert nlp.get_pipe("xlt_relations").labels == ("near",)
    assert nlp.update([make_far(nlp, labels)], sgd=nlp.create_optimizer())["xlt_relations"] > 0


def test_a_label_may_be_added_before_the_training_and_after_it(encoder, trained):
    before = make_empty()
    assert before.get_pipe("xlt_relations").add_label("knows") == 1
    before.get_pipe("xlt_relations").initialize(lambda: make_examples(before, SENTENCES[:2]), encoder=str(encoder))
    assert before.get_pipe("xlt_relations").labels == ("knows", "lives")
    after = make_empty().from_bytes(trained.to_bytes())
    assert [after.get_pipe("xlt_relations").add_label("left") for _ in range(2)] == [1, 0]
    assert after.get_pipe("xlt_relations").labels == ("knows", "left", "lives")
    assert [found(after, sentence) for sentence in SENTENCES] == [sorted(sentence[2]) for sentence in SENTENCES]
    taught = [(*SENTENCES[2][:2], [(0, 1, "left")]) if n == 2 else each for n, each in enumerate(SENTENCES)]
    train(after, examples=make_examples(after, taught))
    assert found(make_empty().from_bytes(after.to_bytes()), taught[2]) == [(0, 1, "left")]


def test_parts_of_a_batch_have_the_gradient_of_the_whole(encoder):
    nlp = make_relations(encoder)
    component, examples = nlp.get_pipe("xlt_relations"), make_examples(nlp)
    gradients = []
    for size in (5, 2, 1):
        component.model.net.zero_grad()
        for at in range(0, len(examples), size):
            component.update(examples[at : at + size])
        gradients.append(component.model.net["head"]["output"].weight.grad.numpy().copy())
    assert np.abs(gradients[0]).max() > 0.01
    for parts in gradients[1:]:
        np.testing.assert_allclose(parts, gradients[0], atol=1e-5)


def test_a_label_that_is_not_known_is_named(encoder):
    nlp = make_relations(encoder, init={"labels": ["lives"]})
    with pytest.raises(ValueError, match="XLT-E174.*'knows'"):
        nlp.update(make_examples(nlp), sgd=nlp.create_optimizer())


def test_without_weights_it_says_so():
    nlp = make_empty()
    with pytest.raises(ValueError, match="XLT-E172"):
        nlp(make_doc(nlp, SENTENCES[0], with_links=False))


@pytest.mark.parametrize(
    ("weights", "message"), [([1.0], "1 weights for 2 labels"), ([1, 1, "x"], "could not convert")]
)
def test_a_broken_file_is_named(trained, tmp_path, weights, message):
    trained.to_disk(tmp_path)
    cfg = tmp_path / "xlt_relations" / "cfg"
    cfg.write_text(json.dumps({**json.loads(cfg.read_text()), "weights": weights}))
    with pytest.raises(ValueError, match=f"XLT-E178.*{message}"):
        spacy.load(tmp_path)


def test_the_development_set_gives_the_spans_that_are_named(tmp_path, encoder):
    nlp = make_relations(encoder)
    docs = [make_doc(nlp, sentence) for sentence in SENTENCES]
    for doc in docs:
        doc.spans["sc"] = SpanGroup(doc, name="sc", spans=[doc[0:1]])
    DocBin(docs=docs).to_disk(tmp_path / "dev.spacy")
    sources = {"dev": {"path": str(tmp_path / "dev.spacy"), "lang": "en"}}
    nlp.config["training"]["dev_corpus"] = "corpora.dev"
    settings = {"sources": sources, "target_gold": True, "check_language": False}
    for keys, ents, groups in (([], 0, 0), (["ents"], 2, 0), (["ents", "sc"], 2, 1)):
        (first, *_) = DevCorpus(**settings, given_spans=keys)(nlp)
        assert (len(first.predicted.ents), len(first.predicted.spans.get("sc", ()))) == (ents, groups)


def test_ends_of_links_stay_with_their_words_where_entities_are_added(encoder):
    nlp = make_ner(encoder)
    doc = make_doc(nlp, SENTENCES[0])
    links = [Link(End("ents", 0), End("ents", 1), "lives"), Link(End("sc", 0), End("ents", 1), "in")]
    set_links(doc, SpanLinks(links, [Record("life", End("ents", 1), (("who", End("ents", 0)), ("where", 0)))]))
    doc.set_ents([doc.ents[0], Span(doc, 4, 5, "LOC")], default="outside")
    nlp.get_pipe("xlt_ner").set_annotations([doc], [[(2, 4, "LOC", 0.9)]])
    assert [ent.text for ent in doc.ents] == ["Maria", "in Lisbon", "."]
    links = doc._.xlt_links
    assert links.links == [Link(End("ents", 0), End("ents", 2), "lives"), Link(End("sc", 0), End("ents", 2), "in")]
    assert links.records == [Record("life", End("ents", 2), (("who", End("ents", 0)), ("where", 0)))]


@pytest.mark.long
def test_a_package_runs_without_spacy_xlt(encoder, trained, tmp_path):
    nlp = make_ner(encoder)
    nlp.add_pipe("xlt_relations", source=trained)
    nlp.to_disk(tmp_path / "pipeline")
    files = read_provenance(tmp_path / "pipeline").code
    assert [file.name for file in files] == ["xlt_ner.py", "span_links.py", "xlt_relations.py"]
    options = ["--name", "two", "--version", "1.0.0", "--build", "none", "--code", ",".join(map(str, files))]
    spacy_cli("package", tmp_path / "pipeline", tmp_path, *options)
    package = tmp_path / "en_two-1.0.0"
    # What a build does
    shutil.copy(package / "meta.json", package / "en_two")
    requirements = json.loads((package / "meta.json").read_text())["requirements"]
    assert sorted(item.split(">")[0] for item in requirements) == ["spacy", "torch", "transformers"]
    script = f"""
import sys
sys.path.insert(0, {str(package)!r})
import en_two
from spacy.tokens import Doc, Span
nlp = en_two.load()
nlp.disable_pipe("xlt_ner")
doc = Doc(nlp.vocab, words="Maria lives in Lisbon .".split())
doc.set_ents([Span(doc, 0, 1, "PER"), Span(doc, 3, 4, "LOC")])
print([(link.head.number, link.child.number, link.label) for link in nlp(doc)._.xlt_links.links])
print(type(nlp.get_pipe("xlt_relations")).__module__, type(doc._.xlt_links).__module__)
"""
    for missing, links in (([], "spacy_xlt.span_links"), (["spacy_xlt"], "en_two.span_links")):
        env = {**os.environ, **without("spacy_transformers", *missing)}
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.splitlines() == ["[(0, 1, 'lives')]", f"en_two.xlt_relations {links}"]
