"""Text with tags around its entities, as `xlt_seq2seq_ner` writes it, and drafts of it while it is searched for.

A wheel with the component has the file beside that of `xlt_ner`, and no other of spacy_xlt; without postponed
annotations, as there.

What is written: before a word the tag that closes an entity, or one that opens one, or both in this order, and all
pieces of the word. So an output is a sequence of O, B and I, numbered as in xlt_ner.py, and every such sequence is one
that is valid: nothing else can be written. Behind the last word there is nothing to decide.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

try:
    from .xlt_ner import EncodedText, Window, spans_of_tags
except ImportError:
    # `spacy package` runs the file by itself
    from spacy_xlt.ner.xlt_ner import EncodedText, Window, spans_of_tags

# The logarithm of no probability, small enough to stay finite in sums
NEVER = -1e9
# What may come before a word, by number: the word itself, the tag that closes, and those that open, one for each label
GO_ON, CLOSE, OPEN = 0, 1, 2


class Words(NamedTuple):
    """The words of a window.

    Attributes:
        pieces: Of all words, `(n_pieces,)`.
        sizes: How many pieces each has, `(n_words,)`.
        firsts: The first piece of each, `(n_words,)`.
    """

    pieces: NDArray[np.int64]
    sizes: NDArray[np.int64]
    firsts: NDArray[np.int64]


def words_of(text: EncodedText, window: Window) -> Words:
    """The words of a window of a document."""
    starts = text.starts[window.start : window.end + 1].astype(np.int64)
    pieces = text.pieces[starts[0] : starts[-1]].astype(np.int64)
    return Words(pieces, np.diff(starts), text.pieces[starts[:-1]].astype(np.int64))


class Written(NamedTuple):
    """Words with tags, as the decoder writes them.

    Attributes:
        tokens: Pieces and tags, `(length,)`.
        words: The word that each is of, or comes before.
        places: Of the decisions, in `tokens`: `(n_decisions,)`.
        before: The word that each is made before.
        closes: Whether it is to close or go on; else to open or go on.
        chosen: What was decided.
    """

    tokens: NDArray[np.int64]
    words: NDArray[np.int64]
    places: NDArray[np.int64]
    before: NDArray[np.int64]
    closes: NDArray[np.bool_]
    chosen: NDArray[np.int64]


def write(words: Words, tags: NDArray[Any], n_labels: int, first_tag: int) -> Written:
    """Write words with tags.

    Args:
        tags: A valid sequence, `(n_words,)`.
        first_tag: The number, among tokens, of the tag that closes. Those that open come behind it.
    """
    inside = tags > n_labels
    begins = (tags > 0) & ~inside
    was_open = np.concatenate([[False], tags[:-1] > 0])
    closes = was_open & ~inside
    sizes = words.sizes + closes + begins
    ends = sizes.cumsum()
    starts = ends - sizes
    tokens = np.empty(ends[-1], dtype=np.int64)
    is_piece = np.ones(len(tokens), dtype=np.bool_)
    opening = starts + closes
    is_piece[starts[closes]] = is_piece[opening[begins]] = False
    tokens[is_piece] = words.pieces
    tokens[starts[closes]] = first_tag
    tokens[opening[begins]] = first_tag + tags[begins]
    places = np.concatenate([starts[was_open], opening[~inside]])
    before = np.concatenate([np.flatnonzero(was_open), np.flatnonzero(~inside)])
    chosen = np.concatenate([np.where(closes, CLOSE, GO_ON)[was_open], np.where(begins, 1 + tags, GO_ON)[~inside]])
    is_closing = np.arange(len(places)) < was_open.sum()
    return Written(tokens, np.repeat(np.arange(len(sizes)), sizes), places, before, is_closing, chosen)


def valid_tags(tags: NDArray[np.int64], n_labels: int) -> NDArray[np.int64]:
    """Tags of which some may be missing (-1), or I without a beginning, as a valid sequence."""
    tags = tags.clip(min=0)
    labels = np.where(tags > n_labels, tags - n_labels, tags)
    before = np.concatenate([[0], labels[:-1]])
    return np.where((tags > n_labels) & (labels != before), labels, tags)


@dataclass
class Draft:
    """What would be decided before each word of a window, as far as is known.

    Attributes:
        opens: Where nothing is open, the label that is opened, from 1, or 0: int64 `(n_words,)`.
        closes: Where something is open, 1 to close it and 0 to go on; -1 where that was never asked.
        fixed: The decisions that stay as they are: all before this word.
        and_at: And at it, "nothing", what is "closed", or "all".
    """

    opens: NDArray[np.int64]
    closes: NDArray[np.int64]
    fixed: int = 0
    and_at: str = "nothing"

    def tags(self, n_labels: int) -> NDArray[np.int64]:
        """The sequence of tags that it amounts to."""
        # What was never asked is closed where another entity would begin
        closes = np.where(self.closes < 0, self.opens > 0, self.closes)
        tags: list[int] = []
        label = 0
        for opened, closed in zip(self.opens.tolist(), closes.tolist(), strict=True):
            if label and not closed:
                tags.append(n_labels + label)
                continue
            label = opened
            tags.append(label)
        return np.array(tags, dtype=np.int64)

    def learn(self, written: Written, log_probs: NDArray[Any]) -> None:
        """Take over what is likeliest, given what was written before it."""
        best = log_probs.argmax(axis=1)
        free = written.before > self.fixed
        if self.and_at != "all":
            free |= (written.before == self.fixed) & ((self.and_at == "nothing") | ~written.closes)
        closing, opening = free & written.closes, free & ~written.closes
        self.closes[written.before[closing]] = best[closing]
        self.opens[written.before[opening]] = (best[opening] - 1).clip(min=0)

    def departing(self, word: int, closes: bool, choice: int) -> "Draft":
        """The same up to one decision, which is another one."""
        other = replace(self, opens=self.opens.copy(), closes=self.closes.copy(), fixed=word)
        if closes:
            other.closes[word], other.and_at = choice, "closed"
        else:
            other.opens[word], other.and_at = max(0, choice - 1), "all"
        return other


class Output(NamedTuple):
    """An output for a window.

    Attributes:
        tags: `(n_words,)`.
        written: The words with these tags.
        log_probs: Of what could be decided, `(n_decisions, 2 + n_labels)`.
    """

    tags: NDArray[np.int64]
    written: Written
    log_probs: NDArray[np.float64]

    @property
    def total(self) -> float:
        """The log-probability of the output among all valid ones."""
        return float(self.log_probs[np.arange(len(self.log_probs)), self.written.chosen].sum())

    def spans(self, temperature: float) -> list[tuple[int, int, int, float]]:
        """The spans `(start, end, label, probability)`.

        The probability is that of the decisions that make the span, given what was written before it: to open it, to go
        on at each of its words but the first, and to close it.
        """
        log_probs = self.log_probs / temperature
        log_probs = log_probs - np.logaddexp.reduce(log_probs, axis=1, keepdims=True)
        chosen = log_probs[np.arange(len(log_probs)), self.written.chosen]
        opened = np.zeros(len(self.tags))
        kept = np.zeros(len(self.tags))
        closes = self.written.closes
        opened[self.written.before[~closes]] = chosen[~closes]
        kept[self.written.before[closes]] = chosen[closes]
        found = spans_of_tags(self.tags, self.log_probs.shape[1] - OPEN)
        return [(s, e, label, float(np.exp(opened[s] + kept[s + 1 : e + 1].sum()))) for s, e, label in found]

    def doubts(self, n: int) -> list[tuple[int, bool, int]]:
        """The likeliest other decisions: the word before which, whether to close, and what is decided."""
        written = self.written
        chosen = self.log_probs[np.arange(len(self.log_probs)), written.chosen]
        lost = self.log_probs - chosen[:, None]
        lost[np.arange(len(lost)), written.chosen] = NEVER
        rows, choices = np.unravel_index(np.argsort(-lost, axis=None, kind="stable")[:n], lost.shape)
        possible = [(row, choice) for row, choice in zip(rows, choices, strict=True) if lost[row, choice] > NEVER / 2]
        return [(int(written.before[row]), bool(written.closes[row]), int(choice)) for row, choice in possible]
