"""How a sentence is written whose spans a text-to-text model is to find: its words, and a slot for each span.

The slots are the sentinels that T5's kind is trained to fill (Raffel et al. 2020, https://arxiv.org/abs/1910.10683).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, count, takewhile
from typing import Any, NamedTuple

from ..errors import error
from ..translation.subwords import TokenizerCodec
from .queries import Range

# Of a longer word only so many pieces are read
_LONGEST_WORD = 64


class Slot(NamedTuple):
    """A span to be found: its label, and the runs of words `[start, end)` that it may be."""

    label: str
    places: Sequence[Range]


class SlotSentence(NamedTuple):
    """A sentence and the spans to be found in it.

    Attributes:
        words: Its words.
        spaces: Whether white space follows each.
        slots: The spans.
    """

    words: Sequence[str]
    spaces: Sequence[bool]
    slots: Sequence[Slot]


class SlotCodec:
    """Writes sentences with slots in the pieces of a model.

    Args:
        model: Its name, for errors.
        config: Its PretrainedConfig.
        tokenizer: Its PreTrainedTokenizerBase.
        n_pieces: How many pieces it has embeddings for.

    Attributes:
        sentinels: What slots are written as, in order.
        pad: What fills up a batch.
        start: What an answer begins with.
        end: The end mark.

    Raises:
        XltError: E285 for a model without sentinels.
    """

    def __init__(self, model: str, config: Any, tokenizer: Any, *, n_pieces: int):
        if not tokenizer.is_fast and not hasattr(tokenizer, "sp_model"):
            raise error("E285", model=model, reason="its tokenizer does not tell where pieces are in a text")
        vocabulary = tokenizer.get_vocab()
        # mT5's have the mark of a word before them
        ids = (vocabulary.get(f"<extra_id_{i}>", vocabulary.get(f"▁<extra_id_{i}>", n_pieces)) for i in count())
        self.sentinels: list[int] = list(takewhile(lambda i: i < n_pieces, ids))
        if not self.sentinels:
            raise error("E285", model=model, reason="it has no sentinels such as <extra_id_0>")
        self._vocabulary = vocabulary
        self._names = {i: name for name, i in vocabulary.items()}
        self._codec, _ = TokenizerCodec.both_sides(tokenizer)
        self.end = int(config.eos_token_id)
        self.pad = int(config.pad_token_id)
        self.start = int(self.pad if config.decoder_start_token_id is None else config.decoder_start_token_id)

    def words(self, words: Sequence[str], spaces: Sequence[bool]) -> list[list[int]]:
        """The pieces of each word as they are in the sentence. A word of nothing that can be read has none.

        Words that share a piece are cut one by one.
        """
        owners = [
            i for i, (word, space) in enumerate(zip(words, spaces, strict=True)) for _ in word + " " * bool(space)
        ]
        text = "".join(word + " " * bool(space) for word, space in zip(words, spaces, strict=True))
        pieces = self._encode(text)
        found: list[list[int]] = [[] for _ in words]
        shared: set[int] = set()
        for piece, start, end in pieces:
            first, last = owners[start], owners[end - 1]
            found[first].append(piece)
            if first != last:
                shared.update(range(first, last + 1))
        for i in shared:
            found[i] = self._inner(words[i], begins=i == 0 or bool(spaces[i - 1]))
        return [of_word[:_LONGEST_WORD] for of_word in found]

    def prompt(self, words: Sequence[Sequence[int]], labels: Sequence[str]) -> tuple[int, ...]:
        """The pieces of a sentence and its slots: `Ann lives in Rio . LOC: <extra_id_0> PER: <extra_id_1>`.

        Args:
            words: The pieces of each word.
            labels: Of each slot, at most as many as there are sentinels.
        """
        prompt = [piece for of_word in words for piece in of_word]
        for label, sentinel in zip(labels, self.sentinels, strict=False):
            prompt += [piece for piece, _, _ in self._encode(f"{label}:")][-_LONGEST_WORD:]
            prompt.append(sentinel)
        return (*prompt, self.end)

    def _encode(self, text: str) -> list[tuple[int, int, int]]:
        """The pieces of a text that stand for something, and their places in it. No sentinel is among them."""
        (pieces,) = self._codec.encode([text])
        sentinels = set(self.sentinels)
        rows = zip(pieces.ids.tolist(), pieces.spans.tolist(), strict=True)
        known = ((self._codec.unk if i in sentinels else i, *place) for i, place in rows)
        return [(i, start, end) for i, start, end in known if i >= 0 and start < end]

    def _inner(self, word: str, *, begins: bool) -> list[int]:
        """The pieces of a word by itself; without the mark of a space before it unless it begins behind one."""
        pieces = [piece for piece, _, _ in self._encode(word)]
        if begins or not pieces:
            return pieces
        bare = self._names.get(pieces[0], "").removeprefix("▁")
        return [*([self._vocabulary.get(bare, pieces[0])] if bare else []), *pieces[1:]]


def by_label(labels: Sequence[str], *, most: int) -> Iterator[list[int]]:
    """The indices of slots in the order in which they are written, in groups of at most so many.

    Those of a label together, so that it does not matter in which order a language has them.
    """
    order = sorted(range(len(labels)), key=lambda i: labels[i])
    for first in range(0, len(order), most):
        yield order[first : first + most]


def windows(words: Sequence[Sequence[int]], limit: int) -> list[Range]:
    """Words `[start, end)` of at most so many pieces together, or a longer word; each shares half with the one before.

    The whole where it is not longer.
    """
    totals = [0, *accumulate(map(len, words))]
    found: list[Range] = []
    start = end = 0
    while end < len(words):
        end = start + 1
        while end < len(words) and totals[end + 1] - totals[start] <= limit:
            end += 1
        found.append((start, end))
        start = next(i for i in range(start + 1, end + 1) if i == end or totals[end] - totals[i] <= limit // 2)
    return found
