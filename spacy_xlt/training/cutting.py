"""Documents that an encoder cannot take whole: over-long words are shortened, over-long documents cut in windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from spacy.tokens import Doc, Span

from ..docs import slice_doc, with_words
from .pieces import PieceCounter, WordCounter


@dataclass
class CutCounts:
    """What was done to a corpus so that it fits.

    words_shortened (int): Words whose end was left out, because they had too many pieces.
    docs_cut (int): Documents that were cut.
    windows (int): What became of them.
    spans_cut (int): Entities and spans that no cut could spare, because each is longer than a window.
    """

    words_shortened: int = 0
    docs_cut: int = 0
    windows: int = 0
    spans_cut: int = 0

    def __bool__(self) -> bool:
        return bool(self.words_shortened or self.docs_cut)


class Cutter:
    """Makes documents fit an encoder, losing no annotation that could be kept.

    counter (PieceCounter | WordCounter): Counts pieces, or words where there is no encoder.
    max_pieces (int): The most pieces a document may have, with the marks at its ends.
    max_word_pieces (int): The most pieces a word may have. Of a longer word (an URL, a base64 line) the beginning is
        kept; the number of words, and so every annotation, stays as it is.
    """

    def __init__(self, counter: PieceCounter | WordCounter, *, max_pieces: int, max_word_pieces: int):
        self.counter = counter
        self.max_pieces = max_pieces
        self.max_word_pieces = max_word_pieces

    def fit(self, doc: Doc, counts: CutCounts) -> Iterator[Doc]:
        """The document itself where it fits, else what it becomes, in order."""
        doc = self._shorten_words(doc, counts)
        (n_pieces,) = self.counter.docs([doc])
        if n_pieces <= self.max_pieces:
            yield doc
            return
        windows = self._windows(doc)
        counts.docs_cut += 1
        counts.windows += len(windows)
        for start, end in windows:
            counts.spans_cut += _n_cut(doc, start, end)
            yield slice_doc(doc, start, end)

    def _shorten_words(self, doc: Doc, counts: CutCounts) -> Doc:
        # A piece is at least one byte, so most words need no counting.
        suspects = [token for token in doc if len(token.text.encode("utf8")) > self.max_word_pieces]
        found = self.counter.words([token.text for token in suspects])
        too_long = {token.i for token, n in zip(suspects, found, strict=True) if n > self.max_word_pieces}
        if not too_long:
            return doc
        counts.words_shortened += len(too_long)
        words = [self._shorten(token.text) if token.i in too_long else token.text for token in doc]
        return with_words(doc, words)

    def _shorten(self, word: str) -> str:
        """The longest beginning of a word that has few enough pieces; one character at least."""
        low, high = 1, len(word) - 1
        while low < high:
            middle = (low + high + 1) // 2
            (n_pieces,) = self.counter.words([word[:middle]])
            if n_pieces <= self.max_word_pieces:
                low = middle
            else:
                high = middle - 1
        return word[:low]

    def _windows(self, doc: Doc) -> list[tuple[int, int]]:
        """Token ranges `[start, end)` that cover the document, each small enough."""
        sizes = self.counter.words([token.text for token in doc])
        budget = max(1, self.max_pieces - self.counter.marks)
        windows, start = [], 0
        while start < len(doc):
            end, used = start, 0
            while end < len(doc) and (end == start or used + sizes[end] <= budget):
                used += sizes[end]
                end += 1
            if end < len(doc):
                end = _best_end(doc, start, end)
            windows += self._fitting(doc, start, end)
            start = end
        return windows

    def _fitting(self, doc: Doc, start: int, end: int) -> list[tuple[int, int]]:
        """The window, or its halves: spaces between words are pieces to some tokenizers, and then it is larger than its
        words."""
        (n_pieces,) = self.counter.docs([doc[start:end]])
        if n_pieces <= self.max_pieces or end - start == 1:
            return [(start, end)]
        middle = _best_end(doc, start, (start + end) // 2)
        return [*self._fitting(doc, start, middle), *self._fitting(doc, middle, end)]


def _best_end(doc: Doc, start: int, end: int) -> int:
    """The last sentence end in the second half of a window, else its last place outside every span, else its end."""
    inside = _inside_spans(doc)
    free = [i for i in range(end, start, -1) if i not in inside]
    if doc.has_annotation("SENT_START"):
        for i in free:
            if i > (start + end) // 2 and doc[i].is_sent_start:
                return i
    return free[0] if free else end


def _inside_spans(doc: Doc) -> set[int]:
    """Tokens that a cut before them would separate from the beginning of their entity or span."""
    groups: list[Sequence[Span]] = [doc.ents, *doc.spans.values()]
    return {i for group in groups for span in group for i in range(span.start + 1, span.end)}


def _n_cut(doc: Doc, start: int, end: int) -> int:
    """How many entities and spans begin in a window and end behind it."""
    groups: list[Sequence[Span]] = [doc.ents, *doc.spans.values()]
    return sum(start <= span.start < end < span.end for group in groups for span in group)
