"""Words without a link: counted on the Bitext, and said where a language is written without spaces."""

import warnings

import pytest
import spacy

from spacy_xlt.alignment.component import AlignerPipe
from spacy_xlt.bitext import Bitext
from spacy_xlt.errors import XltWarning
from spacy_xlt.links import Alignment


class First:
    """Links the first words only."""

    signature = "first"

    def align(self, pairs, *, contexts=None):
        return [Alignment([(0, 0)]) for _ in pairs]


def test_words_without_a_link_are_counted_on_both_sides(make_doc):
    source = spacy.tokens.Doc(spacy.blank("en").vocab, words=["a", " ", "b", "c"])
    bitext = Bitext(source, make_doc("x y", lang="pt"), Alignment([(0, 0), (2, 0)]))
    assert bitext.unlinked == (1, 1)
    assert Bitext(source, make_doc("", lang="pt")).unlinked == (3, 0)


@pytest.mark.parametrize("lang, length, said", [("th", 20, 1), ("th", 3, 0), ("pt", 20, 0)])
def test_a_language_without_spaces_whose_uncut_words_stay_unlinked_is_named_once(make_doc, lang, length, said):
    target = spacy.tokens.Doc(spacy.blank("xx").vocab, words=[letter * length for letter in "xyz"])
    pipe = AlignerPipe("xlt_aligner", First())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            pipe.align([Bitext(make_doc("a b c"), target, target_lang=lang)])
    messages = [str(w.message) for w in caught if issubclass(w.category, XltWarning)]
    assert len(messages) == said
    assert all("W340" in text and "2 of 3 words of 'th'" in text and "target_pipeline" in text for text in messages)
