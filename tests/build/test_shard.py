"""A shard through a pipeline: what must not grow, and what is set aside."""

from __future__ import annotations

import spacy
from helpers.engines import DIAGONAL, UPPER
from helpers.vocabs import vocab_of
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example

from spacy_xlt.build.shard import Shard, ShardProcessor


def make_shard(name: str, texts: list[str], **settings) -> Shard:
    docs = [Doc(vocab_of("en"), words=text.split()) for text in texts]
    for doc in docs:
        doc.set_ents([Span(doc, 0, 1, "PER")], default="outside")
    return Shard(name, DocBin(docs=docs).to_bytes(), len(docs), **settings)


def with_ordinary_components() -> spacy.language.Language:
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "LOC", "pattern": "Rio"}])
    nlp.add_pipe("tagger")
    nlp.add_pipe("morphologizer")
    nlp.add_pipe("xlt_translator", config={"engine": UPPER, "target": "pt"})
    nlp.add_pipe("xlt_aligner", config={"engine": DIAGONAL})
    nlp.add_pipe("xlt_projector")
    words, morphs = ["She", "left"], ["Number=Sing", "Tense=Past"]
    doc = Doc(nlp.vocab, words=words, tags=["A", "B"], pos=["PRON", "VERB"], morphs=morphs)
    for name in ("tagger", "morphologizer"):
        nlp.get_pipe(name).initialize(lambda: [Example(nlp.make_doc(doc.text), doc)], nlp=nlp)
    return nlp


def test_vocabulary_does_not_grow_over_shards():
    processor, sizes, results = ShardProcessor(with_ordinary_components()), [], []
    for i in range(4):
        texts = [f"Maria{i} saw{j} Rio . She{i}x{j} left ." for j in range(5)]
        results.append(processor(make_shard(f"{i:05d}", texts)))
        sizes.append(len(processor.nlp.vocab.strings))
    assert sizes == [sizes[0]] * 4
    docs = list(DocBin().from_bytes(results[3].files["target/pt-00003.spacy"]).get_docs(spacy.blank("pt").vocab))
    assert docs[0].text == "MARIA3 SAW0 RIO . SHE3X0 LEFT . "
    assert [(ent.text, ent.label_) for ent in docs[0].ents] == [("MARIA3", "PER"), ("RIO", "LOC")]


def test_documents_set_aside_are_counted_and_not_processed(nlp):
    shard = make_shard("00000", ["Maria crash", "Rui sleeps"], set_aside={0: "the reason"})
    result = ShardProcessor(nlp)(shard)
    assert result.counts["failed"] == [{"text": "Maria crash ", "error": "the reason"}]
    assert result.counts["docs"] == 2 and result.counts["spans_in"] == {"PER": 1}


def test_candidates_of_an_annotator_are_not_counted_as_annotation(nlp):
    doc = Doc(vocab_of("en"), words=["Maria", "saw", "Rio"])
    doc.set_ents([Span(doc, 0, 1, "PER")], default="outside")
    doc.spans["xlt_candidates"] = [Span(doc, 0, 1, "PER"), Span(doc, 2, 3, "LOC")]
    counts = ShardProcessor(nlp)(Shard("00000", DocBin(docs=[doc]).to_bytes(), 1)).counts
    assert counts["spans_in"] == counts["spans_projected"] == {"PER": 1} and counts["kept"]["spans"] == 1
