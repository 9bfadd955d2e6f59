"""Documents in pieces that an encoder can take: word pieces, splitting, and `spacy_xlt.batch_by_word_pieces.v1`."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.training import Example

from ..bundled.encoder import PREFIX, load_tokenizer
from ..device import refuse_model_code
from ..docs import all_spans, slice_doc, with_words
from ..engine import Engine, invalid_setting, setting
from ..errors import error, warn
from ..hub import located


class WordCounter:
    """Counts words, for pipelines without an encoder: a PieceCounter to which every word is one piece."""

    unit = "words"
    n_special_tokens = 0

    def docs(self, docs: Sequence[Doc | Span]) -> list[int]:
        return [len(doc) for doc in docs]

    def words(self, words: Sequence[str]) -> list[int]:
        return [1] * len(words)


class PieceCounter:
    """Counts the word pieces that an encoder's tokenizer makes of texts: they are what fills memory in training.

    Args:
        encoder: Model folder or Hugging Face name, the one that the pipeline is trained with. Loaded at first use.
    """

    unit = "word pieces"

    def __init__(self, encoder: str):
        if not encoder:
            raise invalid_setting("a training reader", "encoder", encoder, "a model folder or a Hugging Face name")
        self.encoder = str(encoder)

    def docs(self, docs: Sequence[Doc | Span]) -> list[int]:
        """Pieces of each whole document or span, with the encoder's special tokens.

        Never fewer than its words: spaces and zero-width characters can be words and no pieces, and thousands of them
        would still be windows for the encoder and words for the other components.
        """
        # What spacy-transformers gives the encoder is a span's text, which has no space at its end.
        counts = self._count([doc[:].text for doc in docs], special=True)
        return [max(n_pieces, len(doc)) for n_pieces, doc in zip(counts, docs, strict=True)]

    def words(self, words: Sequence[str]) -> list[int]:
        """Pieces of each word taken alone, without special tokens, and one at least: never fewer than in the text, up
        to joined spaces."""
        return [max(1, n_pieces) for n_pieces in self._count(words, special=False)]

    @property
    def n_special_tokens(self) -> int:
        """Pieces that the encoder adds to every text."""
        return int(_load_tokenizer(self.encoder).num_special_tokens_to_add())

    def _count(self, texts: Sequence[str], *, special: bool) -> list[int]:
        if not texts:
            return []
        tokenizer = _load_tokenizer(self.encoder)
        encoded = tokenizer(list(texts), add_special_tokens=special, return_attention_mask=False)
        return [len(ids) for ids in encoded["input_ids"]]


@lru_cache(maxsize=4)
def _load_tokenizer(encoder: str) -> Any:
    """An encoder's own tokenizer; E303 where it cannot be loaded, E630 where it is not a fast one."""
    from transformers import AutoTokenizer

    if encoder.startswith(PREFIX):
        tokenizer: Any = load_tokenizer(encoder.removeprefix(PREFIX))
        tokenizer.model_max_length = int(1e9)
        return tokenizer
    place = located(encoder, "E303", setting="encoder")
    try:
        # spacy-transformers loads the encoder later, and asks whether to run its code
        refuse_model_code(place)
        tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as err:
        raise error("E303", model=encoder, setting="encoder", reason=" ".join(str(err).split())[:300]) from err
    if not tokenizer.is_fast:
        raise error("E630", encoder=encoder, found=type(tokenizer).__name__, setting="encoder")
    # We count, and warn ourselves about what is too long.
    tokenizer.model_max_length = int(1e9)
    return tokenizer


@dataclass
class SplitStats:
    """What was done to a corpus so that it fits.

    Attributes:
        words_shortened: Words whose end was left out, because they had too many pieces.
        docs_cut: Documents that were cut.
        windows: What became of them.
        spans_cut: Entities and spans that no cut could spare, because each is longer than a window.
    """

    words_shortened: int = 0
    docs_cut: int = 0
    windows: int = 0
    spans_cut: int = 0

    def __bool__(self) -> bool:
        return bool(self.words_shortened or self.docs_cut)


class DocSplitter:
    """Makes documents fit an encoder, losing no annotation that could be kept.

    Args:
        counter: Counts pieces, or words where there is no encoder.
        max_pieces: The most pieces a document may have, special tokens included.
        max_word_pieces: The most pieces a word may have. Of a longer word (an URL, a base64 line) the beginning is
            kept; the number of words, and so every annotation, stays as it is.

    Attributes:
        stats: What was done so far.
    """

    def __init__(self, counter: PieceCounter | WordCounter, *, max_pieces: int, max_word_pieces: int):
        self.counter = counter
        self.max_pieces = max_pieces
        self.max_word_pieces = max_word_pieces
        self.stats = SplitStats()

    def split(self, doc: Doc) -> list[Doc]:
        """The document itself where it fits, else its windows in order."""
        doc = self._shorten_words(doc)
        (n_pieces,) = self.counter.docs([doc])
        if n_pieces <= self.max_pieces:
            return [doc]
        windows = self._windows(doc)
        self.stats.docs_cut += 1
        self.stats.windows += len(windows)
        self.stats.spans_cut += sum(_n_cut(doc, start, end) for start, end in windows)
        return [slice_doc(doc, start, end) for start, end in windows]

    def _shorten_words(self, doc: Doc) -> Doc:
        # A piece is at least one byte, so most words need no counting.
        suspects = [token for token in doc if len(token.text.encode("utf8")) > self.max_word_pieces]
        counts = self.counter.words([token.text for token in suspects])
        too_long = {token.i for token, n in zip(suspects, counts, strict=True) if n > self.max_word_pieces}
        if not too_long:
            return doc
        self.stats.words_shortened += len(too_long)
        return with_words(doc, [self._shorten(token.text) if token.i in too_long else token.text for token in doc])

    def _shorten(self, word: str) -> str:
        """The longest beginning of a word that has few enough pieces; one character at least."""
        low, high = 1, len(word) - 1
        while low < high:
            middle = (low + high + 1) // 2
            (n_pieces,) = self.counter.words([word[:middle]])
            low, high = (middle, high) if n_pieces <= self.max_word_pieces else (low, middle - 1)
        return word[:low]

    def _windows(self, doc: Doc) -> list[tuple[int, int]]:
        """Token ranges `[start, end)` that cover the document, each small enough."""
        sizes = self.counter.words([token.text for token in doc])
        budget = max(1, self.max_pieces - self.counter.n_special_tokens)
        inside = _inside_spans(doc)
        windows, start = [], 0
        while start < len(doc):
            end, used = start, 0
            while end < len(doc) and (end == start or used + sizes[end] <= budget):
                used += sizes[end]
                end += 1
            if end < len(doc):
                end = _best_end(doc, start, end, inside)
            windows += self._fitting(doc, start, end, inside)
            start = end
        return windows

    def _fitting(self, doc: Doc, start: int, end: int, inside: set[int]) -> list[tuple[int, int]]:
        """The window, or its halves: where spaces are pieces to a tokenizer, it is larger than its words."""
        (n_pieces,) = self.counter.docs([doc[start:end]])
        if n_pieces <= self.max_pieces or end - start == 1:
            return [(start, end)]
        middle = _best_end(doc, start, (start + end) // 2, inside)
        return [*self._fitting(doc, start, middle, inside), *self._fitting(doc, middle, end, inside)]


def _best_end(doc: Doc, start: int, end: int, inside: set[int]) -> int:
    """The last sentence end in the second half of a window, else its last place outside every span, else its end."""
    free = [i for i in range(end, start, -1) if i not in inside]
    if doc.has_annotation("SENT_START"):
        for i in free:
            if i > (start + end) // 2 and doc[i].is_sent_start:
                return i
    return free[0] if free else end


def _inside_spans(doc: Doc) -> set[int]:
    """Tokens that a cut before them would separate from the beginning of their entity or span."""
    return {i for span in all_spans(doc) for i in range(span.start + 1, span.end)}


def _n_cut(doc: Doc, start: int, end: int) -> int:
    """How many entities and spans begin in a window and end behind it."""
    return sum(start <= span.start < end < span.end for span in all_spans(doc))


def bare_doc(nlp: Language, doc: Doc, *, own_tokens: bool) -> Doc:
    """A document's text without annotation, for a pipeline to annotate.

    Args:
        own_tokens: With the document's tokens; else with what the pipeline's tokenizer makes of the text, unless the
            spaces of the text are unknown.
    """
    if not (own_tokens or doc.has_unknown_spaces):
        return nlp.make_doc(doc.text)
    return Doc(nlp.vocab, words=[token.text for token in doc], spaces=[bool(token.whitespace_) for token in doc])


@dataclass(kw_only=True, eq=False)
class WordPieceBatcher(Engine):
    """Registered batcher `spacy_xlt.batch_by_word_pieces.v1`: batches of a bounded number of word pieces.

    Examples of similar length come together, so that the padded batch has at most `size` pieces. spaCy's
    `batch_by_padded` counts words; an URL is one word and hundreds of pieces, and every row is padded to it.

    Args:
        encoder: The encoder that is trained: model folder or Hugging Face name.
        size: Budget: pieces of the longest example times examples. Words count where a document has more of them than
            pieces.
        buffer: Examples that are read before they are sorted by length; batches come out in random order.

    Raises:
        XltError: E150 for an invalid setting.
    """

    encoder: str
    size: int = setting(1200, ge=1)
    buffer: int = setting(256, ge=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.counter = PieceCounter(self.encoder)
        self.oversize = 0

    def __call__(self, examples: Iterable[Example]) -> Iterator[list[Example]]:
        """Yield batches. Every example is in one, alone where it is larger than the budget (warned once)."""
        stream = iter(examples)
        while group := list(islice(stream, self.buffer)):
            batches = list(self._batches(group))
            random.shuffle(batches)
            yield from batches

    def _batches(self, group: list[Example]) -> Iterator[list[Example]]:
        sizes = self._sizes([example.predicted for example in group])
        batch: list[Example] = []
        # The random number keeps examples of the same length from always meeting the same others.
        for n_pieces, _, i in sorted((n, random.random(), i) for i, n in enumerate(sizes)):
            if batch and n_pieces * (len(batch) + 1) > self.size:
                yield batch
                batch = []
            if n_pieces > self.size:
                self.oversize += 1
                if self.oversize == 1:
                    warn("W602", n_pieces=n_pieces, size=self.size)
            batch.append(group[i])
        if batch:
            yield batch

    def _sizes(self, docs: list[Doc]) -> list[int]:
        """Pieces of each document. A training sees its documents again and again, and counts them once."""
        # In the document, which goes when its example goes, and is never saved.
        key = f"xlt_pieces {self.encoder}"
        new = [doc for doc in docs if key not in doc.user_data]
        for doc, n_pieces in zip(new, self.counter.docs(new), strict=True):
            doc.user_data[key] = n_pieces
        return [doc.user_data[key] for doc in docs]
