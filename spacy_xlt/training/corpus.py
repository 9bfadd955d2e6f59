"""`spacy_xlt.Corpus.v1`: a corpus reader that lets nothing through that would not fit in memory."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example, dont_augment

from ..errors import error, warn
from ..readers.docbin import has_annotation_to_project, read_docs
from .cutting import CutCounts
from .examples import Augmenter, ExampleMaker


class Corpus:
    """Reads `.spacy` files for training, as `spacy.Corpus.v1` does, in pieces an encoder can take.

    path (str | Path): A file or a folder.
    encoder (str | None): The encoder that is trained: model folder or Hugging Face name. None for a pipeline without
        one: then `max_pieces` counts words.
    also (str | Path | None): A second corpus to read after the first, without the augmenter: the source beside its
        translation.
    max_pieces (int): The most word pieces an example may have; a longer document is cut, at a sentence end where there
        is one, and outside entities.
    max_word_pieces (int): The most word pieces a word may have; of a longer one the beginning is read.
    gold_tokens (bool): Give the pipeline the corpus's own tokens instead of those of its tokenizer. Needed where the
        corpus is in another language than the pipeline, whose tokenizer would not split it as annotated.
    keep_empty (float): Share of the documents without an entity or span that are read, drawn at random. A short
        training sees more entities where it is small. Documents whose annotation is missing count as empty.
    limit (int): The most documents to read of each corpus; 0 for all.
    shuffle (bool): Whether to read in random order.
    augmenter (Augmenter | None): Makes more examples of each, as in spaCy.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        encoder: str | None,
        also: str | Path | None = None,
        max_pieces: int = 256,
        max_word_pieces: int = 32,
        gold_tokens: bool = False,
        keep_empty: float = 1.0,
        limit: int = 0,
        shuffle: bool = False,
        augmenter: Augmenter | None = None,
    ):
        self.paths = [Path(path), *([Path(also)] if also else [])]
        self.maker = ExampleMaker(
            encoder=encoder, max_pieces=max_pieces, max_word_pieces=max_word_pieces, gold_tokens=gold_tokens
        )
        if not 0 <= keep_empty <= 1:
            raise error("E601", setting="keep_empty", value=keep_empty, expected="a share from 0 to 1")
        self.keep_empty = keep_empty
        self.limit = limit
        self.shuffle = shuffle
        self.augmenter = augmenter or dont_augment
        self.counts: CutCounts | None = None

    def __call__(self, nlp: Language) -> Iterator[Example]:
        """Yield examples.

        nlp (Language): The pipeline that is trained.
        YIELDS (Example): The examples. What was cut or shortened is in `counts` afterwards, and is said once.
        """
        counts = CutCounts()
        docs = self._docs(nlp)
        if self.shuffle:
            shuffled = list(docs)
            random.shuffle(shuffled)
            docs = iter(shuffled)
        for doc, augmenter in docs:
            yield from self.maker.examples(nlp, doc, augmenter, counts)
        if counts and self.counts is None:
            where = " and ".join(str(path) for path in self.paths)
            warn("W601", path=where, max_pieces=self.maker.cutter.max_pieces, unit=self.maker.unit, **vars(counts))
        self.counts = counts

    def _docs(self, nlp: Language) -> Iterator[tuple[Doc, Augmenter]]:
        for number, path in enumerate(self.paths):
            augmenter = dont_augment if number else self.augmenter
            for i, doc in enumerate(read_docs(path, vocab=nlp.vocab)):
                if self.limit and i >= self.limit:
                    break
                if len(doc) and (self.keep_empty == 1 or has_annotation_to_project([doc]) or self._draw()):
                    yield doc, augmenter

    def _draw(self) -> bool:
        return random.random() < self.keep_empty


def create_corpus(
    path: str | Path | None,
    encoder: str | None,
    also: str | Path | None = None,
    max_pieces: int = 256,
    max_word_pieces: int = 32,
    gold_tokens: bool = False,
    keep_empty: float = 1.0,
    limit: int = 0,
    shuffle: bool = False,
    augmenter: Any | None = None,
) -> Corpus:
    """Registered reader `spacy_xlt.Corpus.v1`. See Corpus.

    RAISES (XltError): E601 for a value that cannot be, among them no path.
    """
    if path is None:
        raise error("E601", setting="path", value=path, expected="a .spacy file or a folder of them (--paths.train)")
    return Corpus(
        path,
        encoder=encoder,
        also=also,
        max_pieces=max_pieces,
        max_word_pieces=max_word_pieces,
        gold_tokens=gold_tokens,
        keep_empty=keep_empty,
        limit=limit,
        shuffle=shuffle,
        augmenter=augmenter,
    )
