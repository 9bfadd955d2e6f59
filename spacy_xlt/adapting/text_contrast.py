"""Contrast of whole texts: sentences and translations, a sentence in two scripts, words of a lexicon."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..engine import setting
from ..errors import error
from ..textfiles import text_lines
from ..transliteration import Writer, writer
from .contrast import alike, info_nce
from .model import AdaptedModel
from .objective import Objective
from .pieces import ParallelPieces
from .texts import Pair

if TYPE_CHECKING:
    import torch


@dataclass(kw_only=True, eq=False)
class TextContrast(Objective):
    """Base class of objectives by which whole texts come nearer to each other: the means of their pieces.

    Rivals are the other texts of the batch, but for those that are the same.

    Args:
        temperature: What the cosines are divided by.
    """

    temperature: float = setting(0.05, gt=0)

    # What it learns from, and what both sides need, for the error where there is none
    what: ClassVar[str] = "The parallel text"
    having: ClassVar[str] = "text on both sides"

    def texts(self) -> Iterable[Pair]:
        """The texts that belong together."""
        raise NotImplementedError

    def prepare(self, model: AdaptedModel) -> NDArray[np.int64]:
        """Cut the texts into pieces."""
        self._data = ParallelPieces(self.texts(), model, what=self.what, having=self.having)
        self.n_read = self._data.n_read
        return self._data.lengths

    def loss(self, model: AdaptedModel, batch: Sequence[int], random: np.random.Generator) -> torch.Tensor:
        """See `info_nce`."""
        ids = [[self._data.sides[i][side][0] for i in batch] for side in (0, 1)]
        partners = np.stack([np.arange(len(batch))] * 2, axis=1)
        same = alike(partners, *([text.tobytes() for text in side] for side in ids))
        first, second = (model.texts(side) for side in ids)
        return info_nce(first, second, partners, same, self.temperature)


@dataclass(kw_only=True, eq=False)
class SentenceContrast(TextContrast):
    """Registered objective `spacy_xlt.SentenceContrast.v1`: sentences come nearer to their translations.

    Feng et al. 2022 (LaBSE), their translation ranking without a margin.

    Args:
        pairs: Sentence pairs.

    Raises:
        XltError: E150 for an invalid setting; when prepared E354 without pairs.
    """

    pairs: Any

    def texts(self) -> Iterable[Pair]:
        """The pairs."""
        return self.pairs


@dataclass(kw_only=True, eq=False)
class TransliterationContrast(TextContrast):
    """Registered objective `spacy_xlt.TransliterationContrast.v1`: a sentence comes nearer to itself in other letters.

    Liu et al. 2024 (TransliCo). In Latin letters with the package uroman: pip install 'spacy-xlt[romanise]'. Sentences
    that are written in these letters already are left out.

    Args:
        sentences: Sentences with their languages.
        table: File of a table of letters, see `transliteration.read_table`; null for Latin letters.

    Raises:
        XltError: E150 for an invalid setting; when prepared E354 without sentences to write in other letters, and as
            `transliteration.writer`.
    """

    sentences: Any
    table: str | None = None

    what: ClassVar[str] = "The text"
    having: ClassVar[str] = "words to write in other letters"

    def texts(self) -> Iterator[Pair]:
        """Yield each sentence with itself in other letters; with nothing where that is the same."""
        writers: dict[str, Writer] = {}
        for tokens, lang in self.sentences:
            if lang not in writers:
                writers[lang] = writer(table=self.table, lang=lang)
            written = [writers[lang](token) for token in tokens]
            yield Pair(tokens, written if written != list(tokens) else [])


@dataclass(kw_only=True, eq=False)
class LexiconContrast(TextContrast):
    """Registered objective `spacy_xlt.LexiconContrast.v1`: words by themselves come nearer to those that mean the same.

    Lexical specialisation as in Vulić et al. 2021 (LexFit), with words of several languages, or synonyms of one.

    Args:
        words: Files of word pairs, such as PanLex, Wiktionary and MUSE have: a pair a line, with a tab between both,
            or a space where the line has no tab. Further columns are not read.

    Raises:
        XltError: E150 for an invalid setting; when prepared E354 without word pairs, E502 for a file that is missing,
            E358 for a line without a second word, and others as `text_lines`.
    """

    words: Sequence[str]

    what: ClassVar[str] = "The lexicon"

    def texts(self) -> Iterator[Pair]:
        """Yield the pairs."""
        for path in map(Path, self.words):
            if not path.is_file():
                raise error("E502", what="file", path=path)
            for number, line in text_lines(path):
                cells = [cell.split() for cell in line.split("\t" if "\t" in line else None)]
                if not any(cells):
                    continue
                if len(cells) < 2 or not (cells[0] and cells[1]):
                    raise error("E358", path=path, line=number)
                yield Pair(cells[0], cells[1])
