"""Where objectives read sentence pairs from: the bitexts that a build stored."""

import pytest
import spacy
from spacy.tokens import DocBin

from spacy_xlt.adapting.texts import StoredBitexts
from spacy_xlt.bitext import Bitext, SentencePair
from spacy_xlt.errors import XltError
from spacy_xlt.links import Alignment


@pytest.fixture
def source():
    """A document of two sentences, without what says the same."""
    return spacy.blank("en")("Maria sings . John works .")


@pytest.mark.parametrize("folder", ["built/bitext", "built"])
def test_the_sentences_of_stored_bitexts_are_read_with_their_links(source, folder, tmp_path):
    target = spacy.blank("pt")("Maria canta . O John trabalha .")
    links = Alignment([(0, 0), (1, 1), (2, 2), (3, 4), (4, 5), (5, 6)])
    sentences = [SentencePair(0, 3, 0, 3), SentencePair(3, 6, 3, 7)]
    source._.xlt["pt"] = Bitext(source, target, links, sentences=sentences)
    (tmp_path / folder).mkdir(parents=True)
    DocBin(docs=[source], store_user_data=True).to_disk(tmp_path / folder / "0.spacy")
    first, second = StoredBitexts(path=str(tmp_path / "built"))
    assert (first.source, first.target) == (["Maria", "sings", "."], ["Maria", "canta", "."])
    assert (second.source, second.target) == (["John", "works", "."], ["O", "John", "trabalha", "."])
    assert (first.source_lang, first.target_lang) == ("en", "pt")
    assert first.links.to_pharaoh() == "0-0 1-1 2-2" and second.links.to_pharaoh() == "0-1 1-2 2-3"


def test_documents_without_bitexts_are_an_error(source, tmp_path):
    DocBin(docs=[source], store_user_data=True).to_disk(tmp_path / "0.spacy")
    with pytest.raises(XltError, match="E515"):
        list(StoredBitexts(path=str(tmp_path)))
