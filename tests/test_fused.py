"""Reading the annotated translation before the text: the corpus to train on, and the component."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import spacy
from helpers.engines import UPPER
from helpers.tiny_pipelines import saved_ruler
from spacy.language import Language
from spacy.tokens import Doc, Span
from typer.testing import CliRunner

from spacy_xlt.build.builder import build
from spacy_xlt.cli import app
from spacy_xlt.docs import missing_ranges
from spacy_xlt.errors import XltError
from spacy_xlt.fused import fuse
from spacy_xlt.readers.docbin import read_docs


@Language.component("test_reads_the_translation", assigns=["doc.ents"])
def read_translation(doc: Doc) -> Doc:
    """Gives each word of the text the label that the word in the same place of the translation has."""
    words = [token.text for token in doc]
    border = words.index("|||")
    kinds, label = [], ""
    for word in words[:border]:
        if word.startswith("<"):
            label = "" if word.startswith("</") else word[1:-1]
        else:
            kinds.append(label)
    doc.set_ents([Span(doc, border + 1 + i, border + 2 + i, label=kind) for i, kind in enumerate(kinds) if kind])
    return doc


def test_the_text_is_behind_its_translation_with_tags(make_doc: Callable[..., Doc]) -> None:
    text = make_doc("MARIA SILVA SINGS HERE", (0, 2, "PER"))
    translation = make_doc("Maria Silva sings", (0, 2, "PER"))
    doc, offset = fuse(text, translation, text.vocab)
    assert [token.text for token in doc][:offset] == ["<PER>", "Maria", "Silva", "</PER>", "sings", "|||"]
    assert doc[offset:].text == text.text.strip()
    assert [(ent.start - offset, ent.end - offset, ent.label_) for ent in doc.ents] == [(0, 2, "PER")]
    assert missing_ranges(doc) == [(0, offset)] and len(list(doc.sents)) == 1


def test_a_build_becomes_a_corpus_to_train_on(
    tmp_path: Path, nlp: Language, make_doc: Callable[..., Doc], write_corpus: Callable[..., Path]
) -> None:
    docs = [make_doc("Ana lives here . Rui sings .", (0, 1, "PER"), (4, 5, "PER"), sents=[4]), make_doc("nothing")]
    build(nlp, write_corpus(docs), tmp_path / "built")
    call = ["shards", "fuse", str(tmp_path / "built"), str(tmp_path / "fused.spacy")]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 0 and "3 sentences" in result.output
    first, second, third = read_docs(tmp_path / "fused.spacy")
    assert first.text.strip() == "<PER> Ana </PER> lives here . ||| ANA LIVES HERE ."
    assert [ent.text for doc in (first, second, third) for ent in doc.ents] == ["ANA", "RUI"]
    group = second.spans["xlt_ents"]
    assert [span.text for span in group] == ["RUI"] and group.attrs["scores"][0] > 0.9
    assert third.text.strip() == "nothing ||| NOTHING"
    assert "E554" in CliRunner().invoke(app, call).output


@pytest.fixture
def pipeline(tmp_path: Path) -> Language:
    reader = spacy.blank("en")
    reader.add_pipe("test_reads_the_translation")
    reader.to_disk(tmp_path / "reader")
    annotator = saved_ruler(tmp_path / "annotator", "pt", {"ANA": "PER", "PORTO": "LOC"})
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.add_pipe("xlt_translator", config={"engine": UPPER, "target": "pt"})
    nlp.add_pipe("xlt_annotator", config={"pipeline": str(annotator)})
    nlp.add_pipe("xlt_fused", config={"pipeline": str(tmp_path / "reader")})
    return nlp


def test_each_sentence_is_annotated_by_its_own_translation(pipeline: Language) -> None:
    doc, empty = pipeline.pipe(["Nothing here. Ana lives in Porto.", ""])
    assert [(ent.text, ent.label_, ent.start) for ent in doc.ents] == [("Ana", "PER", 3), ("Porto", "LOC", 6)]
    assert doc.spans["xlt_ents"].attrs["scores"] == [1.0, 1.0] and not missing_ranges(doc)
    assert not empty.ents


def test_a_saved_pipeline_needs_no_other_folder(pipeline: Language, tmp_path: Path) -> None:
    pipeline.to_disk(tmp_path / "saved")
    (tmp_path / "reader").rename(tmp_path / "gone")
    doc = spacy.load(tmp_path / "saved")("Ana lives in Porto.")
    assert [ent.text for ent in doc.ents] == ["Ana", "Porto"]


def test_a_document_without_translation_and_a_pipeline_without_entities_are_refused(tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_fused", config={"pipeline": str(saved_ruler(tmp_path / "ruler", "en", {"a": "X"}))})
    with pytest.raises(XltError, match="E102.*xlt_fused"):
        nlp("Ana lives in Porto.")
    blank = spacy.blank("en")
    blank.add_pipe("sentencizer")
    blank.to_disk(tmp_path / "blank")
    other = spacy.blank("en")
    other.add_pipe("xlt_fused", config={"pipeline": str(tmp_path / "blank")})
    with pytest.raises(XltError, match="E161.*xlt_fused.*sentencizer"):
        other.initialize()
