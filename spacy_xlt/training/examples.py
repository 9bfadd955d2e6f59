"""From a document of a corpus to the examples that a pipeline is trained on: what every reader of ours does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from ..errors import error
from .cutting import CutCounts, Cutter
from .pieces import PieceCounter, WordCounter

Augmenter = Callable[[Language, Example], Iterable[Example]]


class ExampleMaker:
    """Makes examples of documents, in pieces that the pipeline can take.

    encoder (str | None): The encoder that is trained: model folder or Hugging Face name. None for a pipeline without
        one: then `max_pieces` counts words.
    max_pieces (int): The most word pieces an example may have; a longer document is cut, at a sentence end where there
        is one, and outside entities.
    max_word_pieces (int): The most word pieces a word may have; of a longer one the beginning is read.
    gold_tokens (bool): Give the pipeline the corpus's own tokens instead of those of its tokenizer.
    RAISES (XltError): E601 for a value that cannot be.
    """

    def __init__(self, *, encoder: str | None, max_pieces: int, max_word_pieces: int, gold_tokens: bool):
        for setting, value, least in (("max_pieces", max_pieces, 8), ("max_word_pieces", max_word_pieces, 1)):
            if value < least:
                raise error("E601", setting=setting, value=value, expected=f"a number from {least}")
        if max_word_pieces >= max_pieces:
            raise error("E601", setting="max_word_pieces", value=max_word_pieces, expected="less than max_pieces")
        counter = WordCounter() if encoder is None else PieceCounter(encoder)
        self.cutter = Cutter(counter, max_pieces=max_pieces, max_word_pieces=max_word_pieces)
        self.gold_tokens = gold_tokens

    @property
    def unit(self) -> str:
        """What `max_pieces` counts."""
        return "words" if isinstance(self.cutter.counter, WordCounter) else "word pieces"

    def examples(self, nlp: Language, doc: Doc, augmenter: Augmenter, counts: CutCounts) -> Iterator[Example]:
        """The examples of one document.

        augmenter (Augmenter): Makes more examples of each, as in spaCy.
        counts (CutCounts): Is added to.
        """
        for part in self.cutter.fit(doc, counts):
            yield from augmenter(nlp, self._example(nlp, part))

    def _example(self, nlp: Language, reference: Doc) -> Example:
        return Example(bare_doc(nlp, reference, own_tokens=self.gold_tokens), reference)


def bare_doc(nlp: Language, doc: Doc, *, own_tokens: bool) -> Doc:
    """A document's text without annotation, for a pipeline to annotate.

    own_tokens (bool): With the document's tokens; else what the pipeline's tokenizer makes of the text, unless the text
        is not known.
    """
    if not (own_tokens or doc.has_unknown_spaces):
        return nlp.make_doc(doc.text)
    return Doc(nlp.vocab, words=[token.text for token in doc], spaces=[bool(token.whitespace_) for token in doc])
