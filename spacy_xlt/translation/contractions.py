"""Text as people write it, from text as treebanks have it: "de a" is "da" again before it is translated."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from spacy.tokens import Doc, Span

from ..docs import all_spans
from ..links import Alignment

# Contraction → its words, as in the Universal Dependencies treebanks of Portuguese. Where the same letters are also
# another word ("nos" as a pronoun, "pela" as a verb), the contraction is by far the more frequent.
_DEMONSTRATIVES = "este esta estes estas esse essa esses essas aquele aquela aqueles aquelas isto isso aquilo".split()
_PRONOUNS = "ele ela eles elas".split()
_PORTUGUESE: dict[str, tuple[str, str]] = {
    **{f"d{article}": ("de", article) for article in ("o", "a", "os", "as")},
    **{f"n{article}": ("em", article) for article in ("o", "a", "os", "as")},
    **{f"pel{article}": ("por", article) for article in ("o", "a", "os", "as")},
    **{f"a{article}": ("a", article) for article in ("o", "os")},
    **{"à": ("a", "a"), "às": ("a", "as")},
    **{f"n{article}": ("em", article) for article in ("um", "uma", "uns", "umas")},
    **{f"d{word}": ("de", word) for word in [*_DEMONSTRATIVES, *_PRONOUNS]},
    **{f"n{word}": ("em", word) for word in [*_DEMONSTRATIVES, *_PRONOUNS]},
}
TABLES: dict[str, dict[str, tuple[str, str]]] = {"pt": _PORTUGUESE}


@dataclass(frozen=True)
class ContractedView:
    """A document as it is translated, and how its tokens correspond to those of the document itself.

    Attributes:
        doc: What is translated.
        original: The document itself.
        first: For each token of `doc` the first of the original's tokens that it stands for, and at the end the number
            of the original's tokens.
    """

    doc: Doc
    original: Doc
    first: list[int]

    def offsets(self, start: int, end: int) -> tuple[int, int]:
        """Where a stretch of the original's characters is in `doc`, widened to whole tokens where those differ."""
        if self.doc is self.original:
            return start, end
        begin, last = (self.doc[self._token(place)] for place in (start, end - 1))
        return begin.idx, last.idx + len(last)

    def links(self, alignment: Alignment) -> Alignment:
        """Links of tokens of `doc` as links of the original's tokens: each token of a contraction has all of its."""
        if self.doc is self.original or not len(alignment):
            return alignment
        first = np.asarray(self.first)
        source, target = alignment.links.T
        counts = (first[1:] - first[:-1])[source]
        steps = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        links = np.stack([np.repeat(first[source], counts) + steps, np.repeat(target, counts)], axis=1)
        return Alignment(links.astype(np.int32), np.repeat(alignment.scores, counts))

    def _token(self, char: int) -> int:
        """The token of `doc` that stands for the original's token at a character."""
        starts = [token.idx for token in self.original]
        return bisect_right(self.first, max(0, bisect_right(starts, char) - 1)) - 1


@lru_cache(maxsize=8)
def contraction_table(lang: str) -> Mapping[tuple[str, str], str]:
    """Two words → their contraction, in lower case; nothing for a language without a table."""
    return {words: contraction for contraction, words in TABLES.get(lang, {}).items()}


def unchanged(doc: Doc) -> ContractedView:
    """A document that is translated as it is."""
    return ContractedView(doc, doc, list(range(len(doc) + 1)))


def contracted(doc: Doc, table: Mapping[tuple[str, str], str]) -> ContractedView:
    """A document with words that are written as one again, wherever two such stand side by side.

    Nothing is joined over the start of a sentence, nor where the second word alone is capitalised, as it is the
    beginning of a name then ("de O Globo"). For the table see `contraction_table`.
    """
    words: list[str] = []
    spaces: list[bool] = []
    first: list[int] = []
    starts: list[bool | int | None] = []
    has_sentences = doc.has_annotation("SENT_START")
    for i, token in enumerate(doc):
        # What was joined already ends here, and does not begin another contraction
        free = i > 0 and first[-1] == i - 1 and not (has_sentences and token.is_sent_start)
        both = _join(doc, i - 1, table) if free else None
        if both is not None:
            words[-1], spaces[-1] = both, bool(token.whitespace_)
            continue
        first.append(i)
        words.append(token.text)
        spaces.append(bool(token.whitespace_))
        starts.append(token.is_sent_start if has_sentences else None)
    if len(words) == len(doc):
        return unchanged(doc)
    copy = Doc(doc.vocab, words=words, spaces=spaces, sent_starts=starts if has_sentences else None)
    # In a group, as they could overlap here
    ends = [(bisect_right(first, span.start) - 1, bisect_left(first, span.end)) for span in all_spans(doc)]
    copy.spans["names"] = [Span(copy, start, end) for start, end in ends]
    return ContractedView(copy, doc, [*first, len(doc)])


def _join(doc: Doc, i: int, table: Mapping[tuple[str, str], str]) -> str | None:
    """The contraction of a token and the next one; None where they are no pair."""
    first, second = doc[i].text, doc[i + 1].text
    contraction = table.get((first.lower(), second.lower()))
    if contraction is None or doc[i].whitespace_ != " ":
        return None
    if first.islower():
        return contraction if second.islower() else None
    if second.isupper():
        return contraction.upper() if first.isupper() else None
    return contraction[0].upper() + contraction[1:]
