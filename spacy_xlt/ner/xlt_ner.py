"""`xlt_ner`: named entities by token classification on a Hugging Face encoder, all in this one file.

`spacy package --code` copies the file into a wheel, which then needs spaCy, PyTorch and transformers only. So the file
imports nothing else of spacy_xlt, and has its errors itself.

Without postponed annotations: `spacy package` runs the file as no module, and dataclasses would look for it.
"""

import copy
import json
import math
import os
import re
import tempfile
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.util import find_spec
from itertools import accumulate, count, groupby, islice, pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import srsly
from numpy.typing import NDArray
from spacy import util
from spacy.attrs import ENT_IOB, ENT_TYPE, ORTH
from spacy.language import Language
from spacy.pipeline.spancat import spancat_score
from spacy.pipeline.trainable_pipe import TrainablePipe
from spacy.scorer import get_ner_prf
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example, validate_examples, validate_get_examples
from spacy.util import registry
from spacy.vocab import Vocab
from thinc.api import Optimizer, get_torch_default_device

# What the wheel of a pipeline needs besides spaCy
REQUIREMENTS = ("torch>=2.4", "transformers>=4.44,<5")
# The span group that mirrors `doc.ents`, which has no room for scores
ENTS_GROUP = "xlt_ents"
# The one whose attributes have the links between spans, as span_links.py writes them
LINKS_GROUP = "xlt_links"
# In `doc.user_data`: probabilities of tags to learn from, in the place of labels
SOFT_LABELS = "xlt_soft_labels"
BUNDLED = "bundled:"
# Of a longer word the beginning is read: an URL or a line of base64 is no name
_MAX_WORD_CHARS, _MAX_WORD_PIECES = 1000, 32
# Word pieces of the examples that are kept encoded, about 10 bytes each
_CACHED_PIECES = 5_000_000
# Words and tags, padding included, that are decoded at once
_DECODED_AT_ONCE = 4_000_000
# The logarithm of no probability, small enough to stay finite in sums
_NEVER = -1e9
# The output layer's rate of learning, in those of the encoder: it begins at zero
_HEAD_RATE = 10.0
# A new label's score before it is trained: nothing that was found is taken for it
_NEW_LABEL_BIAS = -10.0
# Scripts that have no spaces between words, as Unicode's names of characters begin
_UNSPACED: tuple[str, ...] = ("CJK ", "IDEOGRAPHIC ITERATION ", "IDEOGRAPHIC NUMBER ", "HIRAGANA ", "BOPOMOFO ")
_UNSPACED += ("KATAKANA", "HALFWIDTH KATAKANA", "THAI ", "LAO ", "KHMER ", "MYANMAR ", "TIBETAN ", "YI ")
# In `to_bytes`: nothing that leads out of a folder
_FILE_NAME = re.compile(r"cfg|model/(\w+/)?\w[\w.-]*")

_ERRORS = {
    "E170": "[{name}] `{setting}` is {value!r}; expected {expected}.",
    "E171": "[{name}] This needs PyTorch and transformers ({reason}): pip install {packages}",
    "E172": "[{name}] There are no weights. Initialize the pipeline (nlp.initialize, or `spacy train` with "
    "[initialize.components.{name}] encoder), or load a trained one, with all files of its folder `model`.",
    "E173": "[{name}] The encoder {encoder!r} cannot be used: {reason}. Set [initialize.{section}] encoder to a "
    "model folder or a Hugging Face name.",
    "E174": "[{name}] The label {label!r} is in the examples, and the component has only: {known}. Add it with "
    "add_label, or give all of them with [initialize.components.{name}] labels.",
    "E175": "[{name}] There are no labels: no example has {what}. Give them with [initialize.components.{name}] "
    "labels.",
    "E176": "[{name}] The soft labels of a document are for the tags {found}, and the component has {known}. Make them "
    "with a pipeline that has the same labels and mode.",
    "E177": "[{name}] The soft labels of a document do not fit: {reason}.",
    "E178": "[{name}] It cannot be {action} {path}: {reason}",
    "E179": "[{name}] PyTorch's Adam cannot be set so: {reason}. Set [training.optimizer] to Adam.v1 with beta1 and "
    "beta2 between 0 and 1, and with eps above 0.",
    "E180": "[{name}] No link of the examples can be learnt: {missed}. See spans_keys, max_distance and same_sentence "
    "in [components.{name}].",
    "E181": "[{name}] The model {model!r} cannot be used: {reason}. Set [initialize.components.{name}] model to the "
    "folder or the Hugging Face name of a text-to-text model (T5, mT5, BART) with a fast tokenizer.",
    "W170": "[{name}] precision is 'bfloat16', and this {device} computes it slowly or not at all: float32 it is.",
    "W171": "[{name}] {n} of {total} links of the examples are not learnt: {missed}. See spans_keys, max_distance and "
    "same_sentence in [components.{name}].",
    "W172": "[{name}] No document that is scored has annotated links, so there is no score of links.",
}


def message(code: str, **values: Any) -> str:
    return f"[XLT-{code}] {_ERRORS[code].format(**values)}"


def require_torch(name: str) -> None:
    """Say what to install where PyTorch or transformers are missing."""
    try:
        import torch  # noqa: F401
        import transformers  # noqa: F401
    except ImportError as err:
        packages = " ".join(f"'{item}'" for item in REQUIREMENTS)
        raise ImportError(message("E171", name=name, reason=err, packages=packages)) from err


# --- Settings --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class EncoderSettings:
    """The settings of everything that reads with an encoder.

    Attributes:
        window: The most word pieces that the encoder reads at once; a longer document is read in several windows.
        overlap: Word pieces that neighbouring windows share.
        batch_pieces: The most word pieces that are computed at once. The result does not depend on it.
        precision: "float32" or "bfloat16": what the encoder computes in, on a CPU in training alone.
    """

    window: int = 256
    overlap: int = 64
    batch_pieces: int = 2048
    precision: str = "float32"

    def check(self, name: str) -> None:
        """Raise E170 for a value that is none."""
        for setting, is_valid, expected in self._checks():
            if not is_valid:
                value = getattr(self, setting)
                raise ValueError(message("E170", name=name, setting=setting, value=value, expected=expected))

    def _checks(self) -> list[tuple[str, bool, str]]:
        return [
            ("window", self.window >= 8, "a number from 8"),
            ("overlap", 0 <= self.overlap <= self.window // 2, "a number from 0 to half of `window`"),
            ("batch_pieces", self.batch_pieces >= 1, "a number from 1"),
            ("precision", self.precision in ("float32", "bfloat16"), "float32 or bfloat16"),
        ]


@dataclass(frozen=True, kw_only=True)
class EntitySettings(EncoderSettings):
    """The settings of everything that learns entities, with those of `EncoderSettings`.

    Attributes:
        span_scores: What the scores of projected spans (`attrs["scores"]` of the span group "xlt_ents", or of another
            that is learnt) do to the loss of their words: "off" nothing, "linear" weighs it, "threshold" leaves it out
            for spans below `score_threshold`.
        score_threshold: From 0 to 1.
    """

    span_scores: str = "off"
    score_threshold: float = 0.5

    def _checks(self) -> list[tuple[str, bool, str]]:
        return [
            *super()._checks(),
            ("span_scores", self.span_scores in ("off", "linear", "threshold"), "off, linear or threshold"),
            ("score_threshold", 0 <= self.score_threshold <= 1, "a number from 0 to 1"),
        ]


@dataclass(frozen=True, kw_only=True)
class Settings(EntitySettings):
    """The settings of the component in a config, with those of `EntitySettings`.

    Attributes:
        mode: "entities" for `doc.ents`, or "per_label" for a sequence of tags for each label: spans that may nest in
            those of other labels, and overlap them.
        spans_key: The span group of the mode "per_label".
        soft_loss: "kl" or "mse": the loss against soft labels.
        temperature: Divides the logits on both sides of it; above 1 the less probable tags count more.
        label_smoothing: The share of a label that is spread over all tags.
        r_drop: The weight of the divergence between two passes of different dropout; 0 for one pass.
    """

    mode: str = "entities"
    spans_key: str = "sc"
    soft_loss: str = "kl"
    temperature: float = 1.0
    label_smoothing: float = 0.0
    r_drop: float = 0.0

    def _checks(self) -> list[tuple[str, bool, str]]:
        return [
            *super()._checks(),
            ("mode", self.mode in ("entities", "per_label"), "entities or per_label"),
            ("spans_key", bool(self.spans_key), "the name of a span group"),
            ("soft_loss", self.soft_loss in ("kl", "mse"), "kl or mse"),
            ("temperature", self.temperature > 0, "a number above 0"),
            ("label_smoothing", 0 <= self.label_smoothing < 1, "a number from 0, below 1"),
            ("r_drop", self.r_drop >= 0, "a number from 0"),
        ]


# --- Soft labels -----------------------------------------------------------------------------------------------------


def set_soft_labels(doc: Doc, tags: Sequence[str], probabilities: NDArray[Any]) -> None:
    """Store the probabilities of tags on a document; they are saved with it.

    Args:
        tags: `XltNer.tags` of the pipeline that they are from.
        probabilities: `(n_tokens, n_tags)`, kept as float16. A row of zeros says nothing of its token.

    Raises:
        ValueError: E177 for another shape, or for what are no probabilities.
    """
    values = np.ascontiguousarray(probabilities, dtype=np.float16)
    if values.shape != (len(doc), len(tags)):
        reason = f"they are {values.shape} for {len(doc)} tokens and {len(tags)} tags"
        raise ValueError(message("E177", name="set_soft_labels", reason=reason))
    _check_probabilities("set_soft_labels", values)
    doc.user_data[SOFT_LABELS] = {"tags": list(tags), "values": values.tobytes()}


def get_soft_labels(doc: Doc) -> tuple[list[str], NDArray[np.float16]] | None:
    """The tags and their probabilities `(n_tokens, n_tags)` on a document; None where it has none.

    Raises:
        ValueError: E177 for what `set_soft_labels` would not store.
    """
    stored = doc.user_data.get(SOFT_LABELS)
    if stored is None:
        return None
    try:
        tags = list(stored["tags"])
        values = np.frombuffer(stored["values"], dtype=np.float16).reshape(-1, len(tags))
    except (TypeError, KeyError, ValueError) as err:
        raise ValueError(message("E177", name="get_soft_labels", reason=first_line(err))) from err
    _check_probabilities("get_soft_labels", values)
    return tags, values


def _check_probabilities(name: str, values: NDArray[np.float16]) -> None:
    # Not so for NaN, either
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(message("E177", name=name, reason="they are not all from 0 to 1"))


# --- Words as pieces -------------------------------------------------------------------------------------------------


class EncodedText(NamedTuple):
    """The word pieces of a document.

    Attributes:
        pieces: Ids, without special ones: int32 `(n_pieces,)`.
        starts: The place of each word's first piece, and the end: int32 `(n_words + 1,)`.
        heads: The place of the piece that stands for each word: int32 `(n_words,)`.
    """

    pieces: NDArray[np.int32]
    starts: NDArray[np.int32]
    heads: NDArray[np.int32]


class Window(NamedTuple):
    """Words `[start, end)` that the encoder reads at once, and those of them `[first, last)` that are taken from it."""

    text: int
    start: int
    end: int
    first: int
    last: int


class WordEncoder:
    """Encodes documents word by word with a fast tokenizer.

    Args:
        tokenizer: A transformers.PreTrainedTokenizerFast.
        limit: The most pieces that are read at once, special ones included.
    """

    def __init__(self, tokenizer: Any, *, limit: int):
        backend = tokenizer.backend_tokenizer
        # A tokenizer.json may ask for either
        backend.no_truncation()
        backend.no_padding()
        probe = backend.encode("a")
        inner = [i for i, special in enumerate(probe.special_tokens_mask) if not special]
        self.prefix, self.suffix = probe.ids[: inner[0]], probe.ids[inner[-1] + 1 :]
        in_text = backend.encode("a a", add_special_tokens=False).ids
        alone = backend.encode(["a", "a"], is_pretokenized=True, add_special_tokens=False).ids
        # Byte-level tokenizers (RoBERTa) have other pieces for a word behind a space, as nearly all are
        self.add_space = alone[-1] != in_text[-1]
        self.backend = backend
        self.pad = tokenizer.pad_token_id or 0
        self.unknown = self.pad if tokenizer.unk_token_id is None else tokenizer.unk_token_id
        # A piece of its own before words that are written without spaces
        blanks = [tokenizer.convert_tokens_to_ids(mark) for mark in ("▁", "Ġ")]
        self.blanks = np.array([i for i in blanks if i is not None and i != tokenizer.unk_token_id], dtype=np.int32)
        self.capacity = limit - len(self.prefix) - len(self.suffix)

    def __call__(self, docs: Sequence[Doc]) -> list[EncodedText]:
        """Encode documents, none of which is empty. A word without pieces has the one for the unknown."""
        space = " " if self.add_space else ""
        words = [[space + token.text[:_MAX_WORD_CHARS] for token in doc] for doc in docs]
        encodings = self.backend.encode_batch(words, is_pretokenized=True, add_special_tokens=False)
        return [self._lay_out(encoding, len(doc)) for encoding, doc in zip(encodings, docs, strict=True)]

    def _lay_out(self, encoding: Any, n_words: int) -> EncodedText:
        ids = np.array(encoding.ids, dtype=np.int32)
        words = np.array(encoding.word_ids, dtype=np.int32)
        counts = np.bincount(words, minlength=n_words)
        in_word = np.arange(len(ids)) - np.concatenate([[0], np.cumsum(counts)])[words]
        sizes = counts.clip(1, min(_MAX_WORD_PIECES, self.capacity))
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
        pieces = np.full(starts[-1], self.unknown, dtype=np.int32)
        kept = in_word < sizes[words]
        pieces[starts[words[kept]] + in_word[kept]] = ids[kept]
        heads = starts[:-1] + (np.isin(pieces[starts[:-1]], self.blanks) & (sizes > 1))
        return EncodedText(pieces, starts, heads.astype(np.int32))

    def windows(self, text: int, encoded: EncodedText, overlap: int) -> list[Window]:
        """Windows that cover a document. Each word is taken from the one in which it is further from the ends.

        Args:
            text: Number of the document, which the windows have.
            overlap: Word pieces that neighbouring windows share.
        """
        starts, n_words = encoded.starts, len(encoded.heads)
        overlap = min(overlap, self.capacity // 2)
        if starts[-1] <= self.capacity:
            return [Window(text, 0, n_words, 0, n_words)]
        windows: list[Window] = []
        start = first = 0
        while True:
            end = int(np.searchsorted(starts, starts[start] + self.capacity, side="right")) - 1
            if end >= n_words:
                return [*windows, Window(text, start, n_words, first, n_words)]
            following = max(start + 1, int(np.searchsorted(starts, starts[end] - overlap)))
            last = (following + end) // 2
            windows.append(Window(text, start, end, first, last))
            start, first = following, last


@dataclass
class Batch:
    """Windows as the encoder reads them.

    Attributes:
        ids: `(n_windows, n_pieces)`.
        mask: Of the same shape, False for padding.
        windows: One a row.
        rows: For each word that is taken from it, its window.
        columns: And its place there.
        words: And its number among the words of all documents.
    """

    ids: NDArray[np.int64]
    mask: NDArray[np.bool_]
    windows: list[Window]
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    words: NDArray[np.int64]


def make_batches(encoder: WordEncoder, texts: Sequence[EncodedText], settings: EncoderSettings) -> Iterator[Batch]:
    """Yield the windows of documents in batches of similar length, the longest first."""
    offsets = [0, *accumulate(len(text.heads) for text in texts)]
    windows = [w for i, text in enumerate(texts) for w in encoder.windows(i, text, settings.overlap)]
    n_special = len(encoder.prefix) + len(encoder.suffix)
    lengths = [int(texts[w.text].starts[w.end] - texts[w.text].starts[w.start]) + n_special for w in windows]
    order = sorted(range(len(windows)), key=lambda i: -lengths[i])
    while order:
        longest = lengths[order[0]]
        n_rows = max(1, settings.batch_pieces // longest)
        chosen, order = order[:n_rows], order[n_rows:]
        ids = np.full((len(chosen), longest), encoder.pad, dtype=np.int64)
        mask = np.zeros(ids.shape, dtype=np.bool_)
        columns, words = [], []
        for row, i in enumerate(chosen):
            w = windows[i]
            text = texts[w.text]
            begin = text.starts[w.start]
            ids[row, : lengths[i]] = [*encoder.prefix, *text.pieces[begin : text.starts[w.end]], *encoder.suffix]
            mask[row, : lengths[i]] = True
            columns.append(text.heads[w.first : w.last] - begin + len(encoder.prefix))
            words.append(np.arange(w.first, w.last) + offsets[w.text])
        rows = np.repeat(np.arange(len(chosen)), [len(part) for part in words])
        yield Batch(
            ids,
            mask,
            [windows[i] for i in chosen],
            rows,
            np.concatenate(columns).astype(np.int64),
            np.concatenate(words),
        )


# --- Decoding --------------------------------------------------------------------------------------------------------
#
# The tags of a sequence are O, then B for each label, then I for each label. I follows B or I of its label alone.


def best_tags(scores: Any) -> Any:
    """The most probable valid tags of sequences (Viterbi), all at once.

    Args:
        scores: Log-probabilities, a tensor `(n, length, 1 + 2 * n_labels)`. Padding must be certain to be O.

    Returns:
        The numbers of the tags, `(n, length)`.
    """
    import torch

    n, length, n_tags = scores.shape
    k = (n_tags - 1) // 2
    reached = scores[:, 0].clone()
    reached[:, 1 + k :] = _NEVER
    before_any, before_inside = [], []
    for i in range(1, length):
        best, tag = reached.max(dim=1)
        begun, inside = reached[:, 1 : 1 + k], reached[:, 1 + k :]
        stays = inside > begun
        before_any.append(tag)
        before_inside.append(stays)
        free = best[:, None].expand(n, 1 + k)
        reached = scores[:, i] + torch.cat([free, torch.where(stays, inside, begun)], dim=1)
    tags = [reached.argmax(dim=1)]
    for tag, stays in zip(reversed(before_any), reversed(before_inside), strict=True):
        here = tags[-1]
        label = (here - 1 - k).clamp(min=0)
        inside = 1 + label + k * stays.gather(1, label[:, None]).squeeze(1)
        tags.append(torch.where(here > k, inside, tag))
    return torch.stack(tags[::-1], dim=1)


@dataclass
class Marginals:
    """What the probability of any span is made of, for sequences of the same padded length.

    Attributes:
        log_probs: Of the tags, by themselves, `(n, length, 1 + 2 * n_labels)`.
        scales: What normalises the tags of each token, given those before it, `(n, length)`.
        closed: Of all that may follow, if no entity is open before the token, `(n, length + 1)`.
        opened: Of all that may follow a token inside an entity of a label, `(n, length, n_labels)`.
    """

    log_probs: NDArray[np.float64]
    scales: NDArray[np.float64]
    closed: NDArray[np.float64]
    opened: NDArray[np.float64]

    def probability(self, sequence: int, start: int, end: int, label: int) -> float:
        """The probability that an entity with this label covers the tokens `[start, end)`, no more and no less."""
        return float(np.exp(self._reaching(sequence, start, end, label) + self.closed[sequence, end]))

    def probable(self, sequence: int, length: int, least: float) -> Iterator[tuple[int, int, int, float]]:
        """Yield `(start, end, label, probability)` of all entities that have at least this probability."""
        k = self.opened.shape[2]
        begun = self.log_probs[sequence, :length, 1 : 1 + k] - self.scales[sequence, :length, None]
        begun = np.exp(begun + self.opened[sequence, :length])
        for start, label in np.argwhere(begun >= least):
            for end in range(start + 1, length + 1):
                reaching = self._reaching(sequence, start, end, label)
                if np.exp(reaching + self.opened[sequence, end - 1, label]) < least:
                    break
                probability = float(np.exp(reaching + self.closed[sequence, end]))
                if probability >= least:
                    yield int(start), end, int(label), min(1.0, probability)

    def _reaching(self, sequence: int, start: int, end: int, label: int) -> float:
        k = self.opened.shape[2]
        tokens = self.log_probs[sequence, start:end]
        return tokens[0, 1 + label] + tokens[1:, 1 + k + label].sum() - self.scales[sequence, start:end].sum()


def marginals(scores: Any) -> Marginals:
    """The forward-backward algorithm over the valid sequences of tags (Rabiner 1989), normalised at each token.

    Args:
        scores: As for `best_tags`.
    """
    import torch

    n, length, n_tags = scores.shape
    k = (n_tags - 1) // 2
    scales = scores.new_zeros(n, length)
    closed = scores.new_zeros(n, length + 1)
    opened = scores.new_zeros(n, length, k)
    reached = scores[:, 0].clone()
    reached[:, 1 + k :] = _NEVER
    for i in range(length):
        if i:
            inside = torch.logaddexp(reached[:, 1 : 1 + k], reached[:, 1 + k :])
            reached = scores[:, i] + torch.cat([inside.new_zeros(n, 1 + k), inside], dim=1)
        scales[:, i] = reached.logsumexp(dim=1)
        reached = reached - scales[:, i, None]
    for i in range(length - 1, 0, -1):
        ahead = scores[:, i] - scales[:, i, None]
        outside = torch.cat([ahead[:, :1] + closed[:, i + 1, None], ahead[:, 1 : 1 + k] + opened[:, i]], dim=1)
        closed[:, i] = outside.logsumexp(dim=1)
        opened[:, i - 1] = torch.logaddexp(closed[:, i, None], ahead[:, 1 + k :] + opened[:, i])
    return Marginals(*(values.cpu().double().numpy() for values in (scores, scales, closed, opened)))


def spans_of_tags(tags: NDArray[Any], n_labels: int) -> list[tuple[int, int, int]]:
    """The spans `(start, end, label)` of one sequence of valid tags, in order."""
    begins = np.flatnonzero((tags >= 1) & (tags <= n_labels))
    inside = np.concatenate([tags > n_labels, [False]])
    # The first token that is not inside, behind each beginning
    ends = np.flatnonzero(~inside)
    return [(int(b), int(ends[np.searchsorted(ends, b + 1)]), int(tags[b]) - 1) for b in begins]


# --- The model -------------------------------------------------------------------------------------------------------


@dataclass
class Gold:
    """What to learn about the words of a batch of examples; see `XltNer.gold`.

    Attributes:
        tags: `(n_words, n_sequences)`, -1 where the annotation is missing.
        weights: Of the loss, of the same shape.
        soft: Probabilities of tags `(n_words, n_sequences, n_tags)`, zeros for a word without; None without any.
    """

    tags: NDArray[np.int64]
    weights: NDArray[np.float32]
    soft: NDArray[np.float32] | None = None

    @property
    def known(self) -> NDArray[np.bool_]:
        """Of which words something is known, `(n_words,)`."""
        known = (self.tags >= 0) & (self.weights > 0)
        if self.soft is not None:
            known = known | self.soft.any(axis=2)
        return np.asarray(known.any(axis=1))


def word_loss(logits: Any, tags: Any, weights: Any, soft: Any | None, settings: Settings) -> Any:
    """The loss of words, summed up.

    Args:
        logits: `(n_words, n_sequences, n_tags)`; the others are as in `Gold`.
    """
    from torch.nn import functional as F

    smoothing = settings.label_smoothing
    hard = F.cross_entropy(
        logits.flatten(0, 1), tags.flatten(), ignore_index=-1, reduction="none", label_smoothing=smoothing
    )
    hard = hard.view_as(weights) * weights
    if soft is None:
        return hard.sum()
    has_soft = soft.sum(dim=2) > 0
    # Not by index, for which a GPU would have to be waited for
    return (soft_loss(logits, soft, settings) * has_soft + hard * ~has_soft).sum()


def soft_loss(logits: Any, soft: Any, settings: Settings) -> Any:
    """The loss against the probabilities of another model, for each word and sequence.

    The divergence is multiplied with the temperature's square, which leaves the gradients their size (Hinton et al.
    2015); the squared error is that of UniTrans (Wu et al. 2020).
    """
    import torch

    target = soft ** (1 / settings.temperature)
    target = target / target.sum(dim=2, keepdim=True).clamp(min=1e-9)
    log_probs = (logits / settings.temperature).log_softmax(dim=2)
    if settings.soft_loss == "mse":
        return (log_probs.exp() - target).square().sum(dim=2)
    return settings.temperature**2 * (torch.xlogy(target, target) - target * log_probs).sum(dim=2)


def disagreement(first: Any, second: Any) -> Any:
    """Half the symmetric divergence of two passes with different dropout, summed (Liang et al. 2021, "R-Drop")."""
    a, b = first.log_softmax(dim=2), second.log_softmax(dim=2)
    return 0.5 * ((a.exp() - b.exp()) * (a - b)).sum()


class TokenClassifier:
    """An encoder with its tokenizer and an output layer, and PyTorch's optimizer: what the component has as `model`.

    Without weights before `build` or `load`.

    Args:
        name: The component's name, for messages.
        settings: The component's.
    """

    # What of transformers loads the encoder
    auto_class = "AutoModel"
    _ids = count()

    def __init__(self, name: str, settings: EncoderSettings):
        self.name = name
        self.settings = settings
        self.net: Any = None
        self.tokenizer: Any = None
        self.words: WordEncoder | None = None
        self._forget_training()

    def __deepcopy__(self, memo: dict[int, Any]) -> "TokenClassifier":
        """A copy of the weights, without the state of the optimizer."""
        other = copy.copy(self)
        other.net = copy.deepcopy(self.net, memo)
        other._forget_training()
        return other

    def _forget_training(self) -> None:
        self.id = f"xlt_ner_{next(self._ids)}"
        self._optimizer: Any = None
        self._settings: Any = None
        self._updates = self._n_learnt = 0
        self._cache: dict[bytes, EncodedText] = {}
        self._n_cached = 0
        self._process = os.getpid()

    @property
    def transformer(self) -> Any:
        """The encoder, a transformers.PreTrainedModel; None without weights."""
        return None if self.net is None else self.net["encoder"]

    def state_dict(self) -> dict[str, Any]:
        """The weights by name, as they are in memory; none without weights."""
        return {} if self.net is None else dict(self.net.state_dict())

    def build(self, tokenizer: Any, encoder: Any, n_outputs: int) -> None:
        """Take over an encoder, with an output layer of zeros: runs with the same labels begin the same."""
        import torch

        if getattr(encoder, "pooler", None) is not None:
            encoder.pooler = None
        head = self._make_head(encoder.config.hidden_size, n_outputs)
        device = get_torch_default_device()
        self.net = torch.nn.ModuleDict({"encoder": encoder.float(), "head": head}).to(device).eval()
        self.tokenizer = tokenizer
        self.words = WordEncoder(tokenizer, limit=min(self._most_pieces(), self.settings.window))
        self._forget_training()

    def _most_pieces(self) -> int:
        """How many pieces the encoder can read at once."""
        return _position_limit(self.transformer, self.tokenizer)

    def _make_head(self, hidden_size: int, n_outputs: int) -> Any:
        import torch

        head = torch.nn.Linear(hidden_size, n_outputs)
        torch.nn.init.zeros_(head.weight)
        torch.nn.init.zeros_(head.bias)
        return head

    @property
    def _output(self) -> tuple[Any, str]:
        """Where the output layer is: a torch.nn.ModuleDict and its name there."""
        return self.net, "head"

    def resize(self, old: Sequence[str], new: Sequence[str]) -> None:
        """Give the output layer other tags: a tag that it has already keeps its weights."""
        import torch

        layers, name = self._output
        before = layers[name]
        output = torch.nn.Linear(before.in_features, len(new)).to(before.weight)
        torch.nn.init.zeros_(output.weight)
        torch.nn.init.constant_(output.bias, _NEW_LABEL_BIAS)
        with torch.no_grad():
            for place, tag in enumerate(new):
                if tag in old:
                    output.weight[place] = before.weight[old.index(tag)]
                    output.bias[place] = before.bias[old.index(tag)]
        layers[name] = output
        self.net.zero_grad()
        self._forget_training()

    def add_lora(self, rank: int) -> None:
        """Freeze the encoder, and train matrices of a low rank beside its attention (Hu et al. 2021)."""
        from peft import LoraConfig
        from peft.tuners.lora import LoraModel
        from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as TARGETS

        targets: Any = TARGETS.get(self.transformer.config.model_type, "all-linear")
        # Changes the encoder in place
        LoraModel(self.transformer, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=targets), "default")

    # Encoding and forward passes

    def encode(self, docs: Sequence[Doc], *, keep: bool = False) -> list[EncodedText]:
        """Encode documents that are not empty.

        Args:
            keep: Whether to remember them: a training sees its documents again and again.
        """
        assert self.words is not None
        keys = [doc.to_array(ORTH).tobytes() for doc in docs]
        new = [i for i, key in enumerate(keys) if key not in self._cache]
        encoded = dict(zip(new, self.words([docs[i] for i in new]), strict=True))
        texts = [encoded[i] if i in encoded else self._cache[key] for i, key in enumerate(keys)]
        if keep:
            self._n_cached += sum(len(text.pieces) for text in encoded.values())
            if self._n_cached > _CACHED_PIECES:
                self._cache, self._n_cached = {}, sum(len(text.pieces) for text in encoded.values())
            self._cache.update((keys[i], text) for i, text in encoded.items())
        return texts

    def batches(self, texts: Sequence[EncodedText]) -> Iterator[Batch]:
        """Batches of the windows of documents."""
        assert self.words is not None
        return make_batches(self.words, texts, self.settings)

    def logits(self, texts: Sequence[EncodedText]) -> Any:
        """The scores of tags of all words of documents, one after the other: float32 `(n_words, n_outputs)`."""
        import torch

        head = self.net["head"]
        self._ready_to_predict()
        n_words = sum(len(text.heads) for text in texts)
        result = torch.empty(n_words, head.out_features, device=self.device)
        with torch.inference_mode():
            for batch in self.batches(texts):
                result[self._tensor(batch.words)] = self._forward(batch)
        return result

    def _ready_to_predict(self) -> None:
        import torch

        self.net.eval()
        if self._process != os.getpid():
            # In a forked process (n_process) PyTorch's threads do not exist, and it would wait for them for ever
            torch.set_num_threads(1)
            self._process = os.getpid()

    def _forward(self, batch: Batch, chosen: NDArray[np.bool_] | None = None, drop: float = 0.0) -> Any:
        from torch.nn import functional as F

        rows, columns = (batch.rows, batch.columns) if chosen is None else (batch.rows[chosen], batch.columns[chosen])
        head = self.net["head"]
        return F.linear(F.dropout(self._hidden(batch, rows, columns), drop, drop > 0), head.weight, head.bias)

    def _hidden(self, batch: Batch, rows: NDArray[Any], columns: NDArray[Any]) -> Any:
        """What the encoder says of pieces, in float32, which output layers compute in whatever the encoder does."""
        ids, mask = self._tensor(batch.ids), self._tensor(batch.mask.astype(np.int64))
        with self._computing(training=self.net.training):
            hidden = self.transformer(input_ids=ids, attention_mask=mask)[0]
        return hidden[self._tensor(rows), self._tensor(columns)].float()

    @property
    def device(self) -> Any:
        """Where the weights are, a torch.device."""
        return next(self.net["head"].parameters()).device

    def _tensor(self, values: NDArray[Any]) -> Any:
        import torch

        return torch.from_numpy(values).to(self.device, non_blocking=True)

    @contextmanager
    def _computing(self, *, training: bool) -> Iterator[None]:
        """Half precision where it is set, and attention kernels that take batches of any shape, for the encoder."""
        import torch

        device = self.device.type
        with ExitStack() as stack:
            # On a CPU in training alone, so that a pipeline finds the same on every one
            if self.settings.precision == "bfloat16" and (training or device == "cuda"):
                if _has_bfloat16(device):
                    stack.enter_context(torch.autocast(device_type=device, dtype=torch.bfloat16))
                else:
                    warnings.warn(message("W170", name=self.name, device=device), stacklevel=2)
            if device == "cuda":
                from torch.nn.attention import SDPBackend, sdpa_kernel

                # cuDNN would plan a kernel for each new shape, which takes longer than the batch
                kernels = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
                stack.enter_context(sdpa_kernel(kernels))
            yield

    # Training

    def accumulate(self, texts: Sequence[EncodedText], gold: Gold, settings: Settings, *, drop: float) -> float:
        """Add the gradients of a batch of documents to those that are there.

        Sums are added, and `finish_update` divides them by the number of words, so that a batch in parts has the same
        gradient as the whole.

        Returns:
            The mean loss of words of which something is known.
        """
        n_sequences = gold.tags.shape[1]
        self.net.train()
        known = gold.known
        total: Any = 0.0
        for batch in self.batches(texts):
            chosen = known[batch.words]
            if not chosen.any():
                continue
            words = batch.words[chosen]
            soft = None if gold.soft is None or not gold.soft[words].any() else self._tensor(gold.soft[words])
            learnt = (self._tensor(gold.tags[words]), self._tensor(gold.weights[words]), soft)
            shape = (len(words), n_sequences, -1)
            logits = self._forward(batch, chosen, drop).view(shape)
            value = word_loss(logits, *learnt, settings)
            if settings.r_drop:
                again = self._forward(batch, chosen, drop).view(shape)
                value = (value + word_loss(again, *learnt, settings)) / 2
                value = value + settings.r_drop * disagreement(logits, again)
            value.backward()
            total += value.detach()
        n_words = int(known.sum()) * n_sequences
        self._n_learnt += n_words
        return float(total) / max(1, n_words)

    def finish_update(self, sgd: Any) -> None:
        """One step of PyTorch's Adam with the settings that a thinc optimizer has at this moment.

        Args:
            sgd: A thinc.api.Optimizer. `nlp.rehearse` gives a function with a part of its attributes.

        Raises:
            ValueError: E179 for an optimizer that is no Adam.
        """
        import torch

        if self.net is None or not self._n_learnt:
            return
        weights = [weight for weight in self.net.parameters() if weight.grad is not None]
        gradients = [weight.grad for weight in weights]
        torch._foreach_div_(gradients, float(self._n_learnt))
        if clip := getattr(sgd, "grad_clip", 0.0):
            torch.nn.utils.clip_grad_norm_(weights, float(clip))
        self._step(sgd)
        for weight in weights:
            weight.grad = None
        self._n_learnt = 0
        self._updates += 1
        if getattr(sgd, "averages", None) is not None:
            self._add_to_averages(sgd.averages)

    def _step(self, sgd: Any) -> None:
        """The learning rate and the others may be schedules, so that they are set anew for each step."""
        if self._optimizer is None or (isinstance(sgd, Optimizer) and sgd is not self._settings):
            self._optimizer = self._make_optimizer(sgd)
            self._settings, self._updates = sgd, 0
        rate, b1, b2 = float(sgd.learn_rate), float(sgd.b1), float(sgd.b2)
        eps, decay = float(getattr(sgd, "eps", 1e-8)), float(getattr(sgd, "L2", 0.0))
        if not (0 <= rate < math.inf and 0 < b1 < 1 and 0 < b2 < 1 and eps > 0):
            reason = f"learn_rate {rate}, beta1 {b1}, beta2 {b2}, eps {eps}"
            raise ValueError(message("E179", name=self.name, reason=reason))
        for group in self._optimizer.param_groups:
            group.update(lr=rate * group["rate"], betas=(b1, b2), eps=eps, weight_decay=decay * group["decays"])
        self._optimizer.step()

    def _make_optimizer(self, sgd: Any) -> Any:
        import torch

        if getattr(sgd, "use_radam", False):
            raise ValueError(message("E179", name=self.name, reason="it is RAdam"))
        # Biases and scales don't decay, as is usual for encoders (Devlin et al. 2019)
        groups = [
            {"params": [w for w in part.parameters() if (w.ndim >= 2) is decays], "decays": decays, "rate": rate}
            for part, rate in ((self.transformer, 1.0), (self.net["head"], _HEAD_RATE))
            for decays in (True, False)
        ]
        kind = torch.optim.AdamW if getattr(sgd, "L2_is_weight_decay", True) else torch.optim.Adam
        return kind(groups, fused=self.device.type in ("cpu", "cuda"))

    def _add_to_averages(self, averages: dict[Any, Any]) -> None:
        """The moving averages of thinc's optimizers, with keys of our own beside theirs."""
        decay = min(0.9999, (1 + self._updates) / (10 + self._updates))
        for name, weight in self.net.named_parameters():
            if weight.requires_grad:
                average = averages.setdefault(f"{self.id}_{name}", weight.detach().clone())
                average.lerp_(weight.detach(), 1 - decay)

    @contextmanager
    def use_params(self, params: dict[Any, Any] | None) -> Iterator[None]:
        """Have averaged weights inside the block."""
        named = [] if self.net is None else list(self.net.named_parameters())
        swapped = [(weight, params[key]) for name, weight in named if params and (key := f"{self.id}_{name}") in params]
        before = [weight.detach().clone() for weight, _ in swapped]
        for weight, average in swapped:
            weight.data.copy_(average)
        try:
            yield
        finally:
            for (weight, _), value in zip(swapped, before, strict=True):
                weight.data.copy_(value)

    # Files

    def save(self, folder: Path) -> None:
        """Write an ordinary Hugging Face model and tokenizer, and the output layer, all as safetensors.

        Raises:
            OSError: E178 where there is no space, for example.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if self.net is None:
            return
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        head = {name: values.detach().cpu().contiguous() for name, values in self.net["head"].state_dict().items()}
        try:
            with _quiet():
                weights = _merged(self.transformer)
                self.transformer.save_pretrained(folder / "encoder", state_dict=weights, safe_serialization=True)
                self.tokenizer.save_pretrained(folder / "tokenizer")
            save_file(head, folder / "head.safetensors")
        except (OSError, SafetensorError) as err:
            values = {"action": "written to", "path": folder, "reason": first_line(err)}
            raise OSError(message("E178", name=self.name, **values)) from err
        # safetensors leaves its files readable by the owner alone
        for path in folder.rglob("*.safetensors"):
            path.chmod(0o644)

    def load(self, folder: Path, *, n_outputs: int) -> None:
        """The counterpart of `save`; needs neither a network nor what the encoder was made from.

        Raises:
            ValueError: E178 for files that are not what `save` writes.
        """
        if not (folder / "encoder").is_dir():
            self.net = None
            return
        require_torch(self.name)
        from safetensors.torch import load_file

        try:
            places = str(folder / "encoder"), str(folder / "tokenizer")
            self.build(*load_pretrained(places[0], tokenizer=places[1], auto_class=self.auto_class), n_outputs)
            self.net["head"].load_state_dict(load_file(folder / "head.safetensors"))
            if not all(weight.isfinite().all() for weight in self.net["head"].parameters()):
                raise ValueError("the weights of the output layer are not finite")
        # transformers and safetensors have many kinds of errors for a broken file
        except Exception as err:
            raise _unreadable(self.name, folder, first_line(err)) from err


def load_encoder(name: str, encoder: str, *, layers: int | None) -> tuple[Any, Any]:
    """Load an encoder to train, without running code that comes with it.

    Args:
        name: The component's name, for messages.
        encoder: A model folder, a Hugging Face name, or "bundled:NAME".
        layers: How many layers to keep, from the bottom; all where left out.

    Returns:
        Tokenizer and encoder.

    Raises:
        ValueError: E173 for what cannot be used.
    """
    try:
        if encoder.startswith(BUNDLED):
            load = registry.misc.get("spacy_xlt.load_bundled.v1")
            model, tokenizer = load(encoder.removeprefix(BUNDLED), layers=layers)
        else:
            tokenizer, model = load_pretrained(encoder, layers=layers)
        if not tokenizer.is_fast:
            raise ValueError("its tokenizer is not a fast one")
        if model.config.is_encoder_decoder:
            raise ValueError("it is an encoder with a decoder")
    # Each library has its own kinds of errors for a broken folder
    except Exception as err:
        values = {"name": name, "section": f"components.{name}", "encoder": encoder, "reason": first_line(err)}
        raise ValueError(message("E173", **values)) from err
    return tokenizer, model


def load_tokenizer(encoder: str) -> Any:
    """The tokenizer of an encoder, for `PieceTokenizer`; see `load_encoder`."""
    try:
        if encoder.startswith(BUNDLED):
            return registry.misc.get("spacy_xlt.load_bundled.v1")(encoder.removeprefix(BUNDLED), layers=1)[1]
        from transformers import AutoTokenizer

        _check_is_there(encoder)
        tokenizer = AutoTokenizer.from_pretrained(encoder, **_trusted(encoder))
        if not tokenizer.is_fast:
            raise ValueError("its tokenizer is not a fast one")
    except Exception as err:
        values = {"name": "nlp.tokenizer", "section": "tokenizer", "encoder": encoder, "reason": first_line(err)}
        raise ValueError(message("E173", **values)) from err
    return tokenizer


def _trusted(encoder: str) -> dict[str, Any]:
    return {"trust_remote_code": False, "local_files_only": Path(encoder).is_dir()}


def _check_is_there(encoder: str) -> None:
    """Ask the hub once for what is no folder and not in the cache, where transformers would ask for half a minute."""
    if Path(encoder).is_dir():
        return
    from huggingface_hub import HfApi, try_to_load_from_cache

    try:
        if not isinstance(try_to_load_from_cache(encoder, "config.json"), str):
            HfApi().model_info(encoder, timeout=5)
    except Exception as err:
        asked = type(err).__name__
        raise ValueError(
            f"there is no such folder, the local cache has no such model, and the hub gave {asked}"
        ) from err


def load_pretrained(
    encoder: str, *, tokenizer: str | None = None, layers: int | None = None, auto_class: str = "AutoModel"
) -> tuple[Any, Any]:
    """Load a model and its tokenizer, without running code that comes with them.

    Args:
        encoder: A model folder or a Hugging Face name.
        tokenizer: That of the tokenizer, where it is another.
        layers: How many layers to keep, from the bottom; all where left out.
        auto_class: What of transformers loads the model.

    Returns:
        Tokenizer and model.

    Raises:
        ValueError: For what cannot be used. transformers has other kinds of errors for a broken folder.
    """
    import transformers
    from transformers import MODEL_MAPPING, AutoConfig, AutoTokenizer

    _check_is_there(encoder)
    trusted = _trusted(encoder)
    config = AutoConfig.from_pretrained(encoder, **trusted)
    if getattr(config, "auto_map", None) and type(config) not in MODEL_MAPPING:
        raise ValueError("its code would have to be run")
    if layers is not None:
        if not 1 <= layers <= config.num_hidden_layers:
            raise ValueError(f"it has {config.num_hidden_layers} layers, and `layers` is {layers}")
        config.num_hidden_layers = layers
    with _quiet():
        model, loading = getattr(transformers, auto_class).from_pretrained(
            encoder, config=config, use_safetensors=_safetensors(encoder), output_loading_info=True, **trusted
        )
    # They would be random. The pooler is not used, and models for other tasks do not have one
    if missing := sorted(key for key in loading["missing_keys"] if not key.startswith("pooler.")):
        raise ValueError(f"weights are missing: {', '.join(missing[:3])}")
    model.config._name_or_path = ""
    return AutoTokenizer.from_pretrained(tokenizer or encoder, **trusted), model


def _safetensors(encoder: str) -> bool | None:
    """Only safetensors from a folder that has them; elsewhere what there is, which is read as weights only."""
    return True if any(Path(encoder).glob("*.safetensors")) else None


def _merged(encoder: Any) -> dict[str, Any]:
    """The weights of an encoder, what LoRA has trained added to them."""
    weights = {name: values for name, values in encoder.state_dict().items() if ".lora_" not in name}
    for name, module in encoder.named_modules():
        if hasattr(module, "get_delta_weight"):
            weights[f"{name}.base_layer.weight"] = module.base_layer.weight + module.get_delta_weight("default")
    return {name.replace(".base_layer.", "."): values.detach().contiguous() for name, values in weights.items()}


def _position_limit(encoder: Any, tokenizer: Any) -> int:
    limit = getattr(encoder.config, "max_position_embeddings", None) or 512
    for name, module in encoder.named_modules():
        # RoBERTa's positions start behind the index of the padding
        if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
            limit -= int(module.padding_idx) + 1
    return int(min(limit, tokenizer.model_max_length))


def _has_bfloat16(device: str) -> bool:
    import torch

    if device == "cuda":
        return torch.cuda.is_bf16_supported()
    # torch 2.10 and later say what the CPU has
    capabilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()
    asked = (getattr(torch.cpu, name, bool) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(has and "bf16" in name for name, has in capabilities.items()) or any(ask() for ask in asked)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers from reporting weights that are left out on purpose."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)


def _unreadable(name: str, path: str | Path, reason: str) -> ValueError:
    return ValueError(message("E178", name=name, action="read from", path=path, reason=reason))


def first_line(err: Exception) -> str:
    """What an error says, in one line that is not too long."""
    return (str(err).strip() or type(err).__name__).splitlines()[0][:200]


# --- The component ---------------------------------------------------------------------------------------------------


class EncoderPipe(TrainablePipe):
    """A component with an encoder of its own: what `xlt_ner` and `xlt_relations` have in common.

    Attributes:
        cfg: What is saved beside the weights, the labels among it.
        settings: The component's, with a `window` and what else the encoder is read with.
    """

    vocab: Vocab
    name: str
    settings: Any
    cfg: dict[str, Any]
    model: TokenClassifier

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, sorted."""
        return tuple(self.cfg["labels"])

    @property
    def label_data(self) -> tuple[str, ...]:
        """What `spacy init labels` stores for `[initialize.components.NAME] labels`."""
        return self.labels

    @property
    def tags(self) -> list[str]:
        """What the output layer has a score for, in its order."""
        raise NotImplementedError

    @property
    def n_outputs(self) -> int:
        """How many scores the output layer gives."""
        return len(self.tags)

    @property
    def is_resizable(self) -> bool:
        """Whether `add_label` works."""
        return True

    def add_label(self, label: str) -> int:
        """Add a label. What has been trained stays; the new one has to be.

        Returns:
            Whether it is new, 0 or 1.

        Raises:
            ValueError: E170 for what is no label.
        """
        if not isinstance(label, str) or not label:
            raise ValueError(message("E170", name=self.name, setting="label", value=label, expected="a text"))
        if label in self.labels:
            return 0
        before = self.tags
        self._set_labels([*self.labels, label])
        if self.model.net is not None:
            self.model.resize(before, self.tags)
        return 1

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Language | None = None,
        encoder: str | None = None,
        layers: int | None = None,
        lora_rank: int = 0,
        labels: list[str] | None = None,
    ) -> None:
        """Load the encoder and make the output layer, from `[initialize.components.NAME]`.

        Args:
            get_examples: Gives examples, from which the labels are.
            nlp: The pipeline; not used.
            encoder: A model folder, a Hugging Face name, or "bundled:NAME" (`spacy xlt bundled list`).
            layers: How many of its layers to use, from the bottom; all where left out.
            lora_rank: Above 0: train only matrices of this rank beside the attention, for which the package peft is
                needed. They are added to the weights when the pipeline is saved.
            labels: The labels, in the place of those of the examples.

        Raises:
            ValueError: E173 for an encoder that cannot be used, E175 where there are no labels.
        """
        validate_get_examples(get_examples, f"{type(self).__name__}.initialize")
        require_torch(self.name)
        self._set_labels(self._labels_of(get_examples(), labels))
        if not encoder:
            section = f"components.{self.name}"
            raise ValueError(message("E173", name=self.name, section=section, encoder=encoder, reason="none is named"))
        self._check_lora(lora_rank)
        self.model.build(*load_encoder(self.name, encoder, layers=layers), self.n_outputs)
        if lora_rank:
            self.model.add_lora(lora_rank)

    def _check_lora(self, rank: int) -> None:
        if rank < 0 or (rank and find_spec("peft") is None):
            expected = "a number from 0, and above 0 the package peft (pip install peft)"
            raise ValueError(message("E170", name=self.name, setting="lora_rank", value=rank, expected=expected))

    def _labels_of(self, examples: Iterable[Example], labels: Sequence[str] | None) -> set[str]:
        """The labels that are to be learnt: the given ones or those of the examples, and those that are there."""
        raise NotImplementedError

    def update(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: Optimizer | None = None,
        losses: dict[str, float] | None = None,
    ) -> dict[str, float]:
        """Learn from a batch.

        Args:
            examples: The batch.
            drop: The dropout of the layers behind the encoder. That of the encoder is as its own config says.
            sgd: Gives the settings of the optimizer; without, gradients are added up until `finish_update`.
            losses: Gets the mean loss of what is classified.

        Raises:
            ValueError: E172 without weights, E174 for an unknown label, and what the component says beside.
        """
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        examples = list(examples)
        validate_examples(examples, f"{type(self).__name__}.update")
        self._require_weights()
        losses[self.name] += self._learn([eg for eg in examples if len(eg.predicted)], drop)
        if sgd not in (None, False):
            self.finish_update(sgd)
        return losses

    def _learn(self, examples: list[Example], drop: float) -> float:
        """Add the gradients of examples, and give their mean loss."""
        raise NotImplementedError

    def _set_labels(self, labels: Iterable[str]) -> None:
        self.cfg["labels"] = sorted(labels)
        for label in self.labels:
            self.vocab.strings.add(label)

    def _require_weights(self) -> None:
        if self.model.net is None:
            raise ValueError(message("E172", name=self.name))

    def _check_label(self, label: str) -> int:
        if label not in self.labels:
            raise ValueError(message("E174", name=self.name, label=label, known=", ".join(self.labels)))
        return self.labels.index(label)

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Annotate documents in batches; where a batch fails, one by one, so that one document alone is lost."""
        handle_error = self.get_error_handler()
        for docs in util.minibatch(stream, size=batch_size):
            error = None
            try:
                self.set_annotations(docs, self.predict(docs))
            except Exception as err:
                # A batch is tried again, without what the failed call holds: there may not have been the memory for it
                error = err if len(docs) == 1 else err.with_traceback(None)
            if error is None:
                yield from docs
            elif len(docs) == 1:
                handle_error(self.name, self, docs, error)
            else:
                for doc in docs:
                    yield from self.pipe([doc], batch_size=1)

    # Saving

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Write labels and model."""
        writers = {"cfg": lambda p: srsly.write_json(p, self.cfg), "model": self.model.save}
        util.to_disk(path, writers, exclude)

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> "EncoderPipe":
        """Read what `to_disk` wrote.

        Raises:
            ValueError: E178 for what cannot be read.
        """
        readers = {
            "cfg": self._read_cfg,
            "model": lambda p: self.model.load(p, n_outputs=self.n_outputs),
        }
        util.from_disk(path, readers, exclude)
        return self

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """The files of `to_disk`."""
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            self.to_disk(folder, exclude=exclude)
            files = [path for path in folder.rglob("*") if path.is_file()]
            return bytes(srsly.msgpack_dumps({str(p.relative_to(folder).as_posix()): p.read_bytes() for p in files}))

    def from_bytes(self, bytes_data: bytes, *, exclude: Iterable[str] = ()) -> "EncoderPipe":
        """Read what `to_bytes` gave.

        Raises:
            ValueError: E178 for what cannot be read.
        """
        with tempfile.TemporaryDirectory() as temporary:
            try:
                files = dict(srsly.msgpack_loads(bytes_data))
            # msgpack has many kinds of errors
            except Exception as err:
                raise _unreadable(self.name, "bytes", first_line(err)) from err
            for name, data in files.items():
                if not _FILE_NAME.fullmatch(name):
                    raise _unreadable(self.name, "bytes", f"{name!r} is no name of a file that the component has")
                path = Path(temporary, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            return self.from_disk(temporary, exclude=exclude)

    def _read_cfg(self, path: Path) -> None:
        try:
            cfg = dict(srsly.read_json(path))
            self._check_cfg(cfg)
            labels = list(cfg["labels"])
        except (OSError, ValueError, TypeError, KeyError) as err:
            raise _unreadable(self.name, path, f"{type(err).__name__}: {first_line(err)}") from err
        self.cfg = cfg
        self._set_labels(labels)

    def _check_cfg(self, cfg: dict[str, Any]) -> None:
        """Raise ValueError, TypeError or KeyError for what `to_disk` would not have written."""
        raise NotImplementedError


# `(start, end, label, probability)`
FoundSpan = tuple[int, int, str, float]


class EntityPipe(EncoderPipe):
    """A component that finds entities: what `xlt_ner` and `xlt_seq2seq_ner` have in common."""

    @property
    def key(self) -> str | None:
        """The span group that it finds; None for the entities."""
        return None

    def _labels_of(self, examples: Iterable[Example], labels: Sequence[str] | None) -> set[str]:
        found = {*(self._labels_in(examples) if labels is None else labels), *self.labels}
        if not found:
            what = "an entity" if self.key is None else f"a span in the group {self.key!r}"
            raise ValueError(message("E175", name=self.name, what=what))
        self.cfg["calibration"] = 1.0
        return found

    def _labels_in(self, examples: Iterable[Example]) -> set[str]:
        return {span.label_ for eg in examples for span in self._spans_of(eg.reference)}

    def _spans_of(self, doc: Doc) -> list[Span]:
        return list(doc.spans.get(self.key, ()) if self.key else doc.ents)

    def _is_complete(self, doc: Doc) -> bool:
        return self.key in doc.spans if self.key else doc.has_annotation("ENT_IOB", require_complete=True)

    def calibrate(self, examples: Iterable[Example]) -> float:
        """Choose the temperature that makes the probabilities of spans right.

        The tags' scores are divided by it (Guo et al. 2017). It is that at which the mean probability of the spans that
        are found is the share of them that are right. That with the least log-loss is higher where a few sure ones are
        wrong, and makes all others less sure than they should be.

        Args:
            examples: Not those of the training, of which the component is too sure. Documents whose annotation is not
                complete are left out.

        Returns:
            The temperature, from 0.5 to 4; as it was where fewer than 50 spans are found.
        """
        annotated = [eg for eg in examples if len(eg.predicted) and self._is_complete(eg.reference)]
        gold = [
            {(s.start, s.end, s.label_) for s in aligned_spans(eg, self._spans_of(eg.reference))} for eg in annotated
        ]
        found_at = self._finder([eg.predicted for eg in annotated])
        low, high = 0.5, 4.0
        # To within a hundredth: the hotter, the less sure
        while high / low > 1.01:
            temperature = math.sqrt(low * high)
            found = found_at(temperature)
            if sum(map(len, found)) < 50:
                return float(self.cfg["calibration"])
            surplus = sum(
                span[3] - (span[:3] in spans) for spans, each in zip(gold, found, strict=True) for span in each
            )
            low, high = (temperature, high) if surplus > 0 else (low, temperature)
        self.cfg["calibration"] = round(math.sqrt(low * high), 3)
        return float(self.cfg["calibration"])

    def _finder(self, docs: Sequence[Doc]) -> Callable[[float], list[list[FoundSpan]]]:
        """What gives the spans of documents at any temperature."""
        raise NotImplementedError

    def set_annotations(self, docs: Iterable[Doc], predictions: Sequence[Sequence[FoundSpan]]) -> None:
        """Write entities, or the span group, with their probabilities.

        Entities that are there stay, with the probability that they have or 1, and blocked tokens stay blocked.
        """
        for doc, found in zip(docs, predictions, strict=True):
            spans = [(Span(doc, *_trimmed(doc, start, end), label=label), p) for start, end, label, p in found]
            key = self.key or ENTS_GROUP
            if self.key is None:
                there = list(doc.ents)
                iob, kinds = doc.to_array([ENT_IOB, ENT_TYPE]).T
                blocked = [doc[i : i + 1] for i in np.flatnonzero((iob == 3) & (kinds == 0)).tolist()]
                taken = {i for span in [*there, *blocked] for i in range(span.start, span.end)}
                spans = [item for item in spans if taken.isdisjoint(range(item[0].start, item[0].end))]
                known = _known_scores(doc)
                doc.set_ents([*there, *(span for span, _ in spans)], blocked=blocked, default="outside")
                _renumber_links(doc, there)
                spans.extend((ent, known.get((ent.start, ent.end, ent.label), 1.0)) for ent in there)
                spans.sort(key=lambda item: item[0].start)
            attrs = {"scores": [probability for _, probability in spans]}
            doc.spans[key] = SpanGroup(doc, name=key, attrs=attrs, spans=[span for span, _ in spans])

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        """The scores of the entities as for `ner`, or of the spans as for `spancat`."""
        if self.key is None:
            return get_ner_prf(examples)
        return spancat_score(examples, spans_key=self.key, allow_overlap=True)

    def entity_tags(self, eg: Example) -> NDArray[np.int64]:
        """The numbers in O, B for each label and I for each label of the predicted document's tokens, `(n_tokens,)`.

        It is -1 where the annotation is missing.
        """
        n_labels = len(self.labels)
        if not same_tokens(eg):
            names = ["O", *(f"{tag}-{label}" for tag in "BI" for label in self.labels)]
            places = {name: i for i, name in enumerate(names)}
            simple = {"U": "B", "L": "I"}
            aligned = [tag and simple.get(tag[0], tag[0]) + tag[1:] for tag in eg.get_aligned_ner()]
            for tag in aligned:
                if tag not in (None, "-", "O") and tag not in places:
                    self._check_label(tag[2:])
            return np.array([places.get(tag, -1) for tag in aligned], dtype=np.int64)
        iob, kinds = eg.reference.to_array([ENT_IOB, ENT_TYPE]).T
        place = {0: -1, **{self.vocab.strings[label]: i for i, label in enumerate(self.labels)}}
        for kind in set(kinds.tolist()) - place.keys():
            self._check_label(eg.reference.vocab.strings[kind])
        label = np.array([place[kind] for kind in kinds.tolist()], dtype=np.int64)
        tags = np.where(label < 0, 0, np.where(iob == 3, 1 + label, 1 + n_labels + label))
        tags = np.where(iob == 2, 0, tags)
        return np.asarray(np.where(iob == 0, -1, tags))

    def span_weights(self, eg: Example, group: SpanGroup | None) -> Iterator[tuple[Span, float]]:
        """Yield spans that have scores, in the predicted document, and what these make of the loss of their words."""
        if group is None or self.settings.span_scores == "off":
            return
        for span, score in zip(group, group.attrs.get("scores", ()), strict=False):
            if not isinstance(score, float | int | np.floating) or not 0 <= score <= 1:
                values = {"setting": f"a score of {group.name!r}", "value": score, "expected": "a number from 0 to 1"}
                raise ValueError(message("E170", name=self.name, **values))
            is_sure = float(score) >= self.settings.score_threshold
            for aligned in aligned_spans(eg, [span]):
                yield aligned, float(score) if self.settings.span_scores == "linear" else float(is_sure)


class XltNer(EntityPipe):
    """Finds named entities: an encoder, and a tag for each word from the first of its pieces.

    Entities are in `doc.ents`, and with their probabilities in `doc.spans["xlt_ents"].attrs["scores"]`. Those that are
    there already stay. In the mode "per_label" each label has a sequence of tags of its own, and its spans, which may
    nest in those of other labels and overlap them, are in `doc.spans[spans_key]`.

    A word whose annotation is missing has no loss. In the mode "per_label" it is missing where a document does not have
    the span group. Where a document has soft labels (`set_soft_labels`), they are learnt and not its labels.

    Args:
        vocab: The pipeline's.
        name: The component's name.
        settings: See `Settings`.

    Raises:
        ValueError: E170 for an invalid setting.
    """

    def __init__(self, vocab: Vocab, name: str, settings: Settings):
        settings.check(name)
        self.vocab = vocab
        self.name = name
        self.settings = settings
        self.cfg: dict[str, Any] = {"labels": [], "mode": settings.mode, "calibration": 1.0}
        self.model = TokenClassifier(name, settings)
        # `nlp.resume_training` puts a copy of the model here, and `rehearse` learns from it
        self._rehearsal_model: TokenClassifier | None = None

    @property
    def tags(self) -> list[str]:
        """The tags that the output layer has, in their order."""
        if self._per_label:
            return [f"{tag}-{label}" for label in self.labels for tag in "OBI"]
        return ["O", *(f"{tag}-{label}" for tag in "BI" for label in self.labels)]

    @property
    def key(self) -> str | None:
        """See EntityPipe."""
        return self.settings.spans_key if self._per_label else None

    @property
    def _per_label(self) -> bool:
        return self.settings.mode == "per_label"

    @property
    def _n_sequences(self) -> int:
        return len(self.labels) if self._per_label else 1

    # Prediction

    def predict(self, docs: Iterable[Doc]) -> list[list[FoundSpan]]:
        """The spans of each document with their probabilities, in order."""
        return self._decode(self.log_probabilities(docs), self._best_spans)

    def span_probabilities(
        self, docs: Iterable[Doc], *, least: float = 0.05, log_probabilities: Sequence[Any] | None = None
    ) -> list[list[FoundSpan]]:
        """All spans of this probability and more, whether `predict` chooses them or not; they may overlap.

        Args:
            log_probabilities: What to go by, as the method of this name gives it, which is called where it is left out.
        """

        def probable(scores: Any, lengths: Sequence[int]) -> list[list[tuple[int, int, int, float]]]:
            found = marginals(scores)
            return [list(found.probable(i, length, least)) for i, length in enumerate(lengths)]

        return self._decode(self.log_probabilities(docs) if log_probabilities is None else log_probabilities, probable)

    def tag_probabilities(self, docs: Iterable[Doc]) -> list[NDArray[np.float16]]:
        """The probabilities of `tags` for each token, by themselves, `(n_tokens, n_tags)`: soft labels for another."""
        return [values.exp().flatten(1).half().cpu().numpy() for values in self.log_probabilities(docs)]

    def log_probabilities(self, docs: Iterable[Doc]) -> list[Any]:
        """The logarithms of the probabilities of tags for each token, by themselves, as they were calibrated.

        Returns:
            For each document a float32 tensor `(n_tokens, n_sequences, n_tags)` on the model's device. There is one
            sequence of tags; in the mode "per_label" one for each label.

        Raises:
            ValueError: E172 without weights.
        """
        return self._log_probs(self.model, list(docs), self.cfg["calibration"])

    def _log_probs(self, model: TokenClassifier, docs: Sequence[Doc], temperature: float = 1.0) -> list[Any]:
        self._require_weights()
        logits = model.logits(model.encode([doc for doc in docs if len(doc)]))
        by_sequence = logits.unflatten(1, (self._n_sequences, -1))
        return list((by_sequence / temperature).log_softmax(dim=2).split([len(doc) for doc in docs]))

    def _decode(
        self, log_probs: Sequence[Any], search: Callable[[Any, Sequence[int]], list[Any]]
    ) -> list[list[FoundSpan]]:
        """Run a search on the log-probabilities of documents, as many at once as are of similar length and fit."""
        import torch

        by_doc: list[list[FoundSpan]] = [[] for _ in log_probs]
        filled = sorted((i for i, values in enumerate(log_probs) if len(values)), key=lambda i: -len(log_probs[i]))
        while filled:
            longest, n_sequences, n_tags = log_probs[filled[0]].shape
            n_docs = max(1, _DECODED_AT_ONCE // (longest * n_sequences * n_tags))
            chosen, filled = filled[:n_docs], filled[n_docs:]
            parts = [log_probs[i] for i in chosen]
            lengths = [len(part) for part in parts]
            padded = parts[0].new_full((len(chosen), longest, n_sequences, n_tags), _NEVER)
            padded[..., 0] = 0.0
            rows = torch.repeat_interleave(torch.arange(len(chosen)), torch.tensor(lengths))
            columns = torch.cat([torch.arange(length) for length in lengths])
            padded[rows, columns] = torch.cat(parts)
            scores = padded.transpose(1, 2).flatten(0, 1)
            found = search(scores, [length for length in lengths for _ in range(n_sequences)])
            for row, spans in enumerate(found):
                for start, end, label, probability in spans:
                    place = row % n_sequences if self._per_label else label
                    by_doc[chosen[row // n_sequences]].append((start, end, self.labels[place], probability))
        return [sorted(spans) for spans in by_doc]

    def _best_spans(self, scores: Any, lengths: Sequence[int]) -> list[list[tuple[int, int, int, float]]]:
        n_labels = (scores.shape[2] - 1) // 2
        tags = best_tags(scores).cpu().numpy()
        found = [spans_of_tags(row, n_labels) for row in tags]
        if not any(found):
            return [[] for _ in found]
        probabilities = marginals(scores)
        return [
            [(*span, min(1.0, probabilities.probability(row, *span))) for span in spans]
            for row, spans in enumerate(found)
        ]

    def _finder(self, docs: Sequence[Doc]) -> Callable[[float], list[list[FoundSpan]]]:
        # Not as they were calibrated before
        log_probs = self._log_probs(self.model, docs)

        def found_at(temperature: float) -> list[list[FoundSpan]]:
            return self._decode([(each / temperature).log_softmax(dim=2) for each in log_probs], self._best_spans)

        return found_at

    # Training

    def _learn(self, examples: list[Example], drop: float) -> float:
        """See `update`; raises E176 and E177, too, for soft labels that do not fit."""
        if not examples:
            return 0.0
        texts = self.model.encode([eg.predicted for eg in examples], keep=True)
        return self.model.accumulate(texts, self.gold(examples), self.settings, drop=drop)

    def rehearse(
        self,
        examples: Iterable[Example],
        *,
        sgd: Any = None,
        losses: dict[str, float] | None = None,
        drop: float = 0.0,
    ) -> dict[str, float]:
        """Learn what the model knew at `nlp.resume_training`: its distributions, of any text, are soft labels."""
        losses = {} if losses is None else losses
        docs = [eg.predicted for eg in examples if len(eg.predicted)]
        if self._rehearsal_model is None or not docs:
            return losses
        if len(self._rehearsal_model.state_dict()["head.bias"]) != len(self.tags):
            return losses
        soft = np.concatenate([values.exp().cpu().numpy() for values in self._log_probs(self._rehearsal_model, docs)])
        tags = np.full(soft.shape[:2], -1, dtype=np.int64)
        gold = Gold(tags, np.zeros(tags.shape, dtype=np.float32), soft)
        texts = self.model.encode(docs, keep=True)
        losses.setdefault(self.name, 0.0)
        losses[self.name] += self.model.accumulate(texts, gold, Settings(), drop=drop)
        if sgd not in (None, False):
            self.finish_update(sgd)
        return losses

    def gold(self, examples: Sequence[Example]) -> Gold:
        """What there is to learn about the predicted documents' tokens, one document after the other."""
        tags = [self.entity_tags(eg)[:, None] if not self._per_label else self._span_tags(eg) for eg in examples]
        weights = [self._weights(eg) for eg in examples]
        soft = [self._soft_labels(eg) for eg in examples]
        together = None
        if any(part is not None for part in soft):
            shape = (self._n_sequences, len(self.tags) // self._n_sequences)
            filled = [
                np.zeros((len(eg.predicted), *shape), dtype=np.float32) if part is None else part.reshape(-1, *shape)
                for part, eg in zip(soft, examples, strict=True)
            ]
            together = np.concatenate(filled).astype(np.float32)
        return Gold(np.concatenate(tags), np.concatenate(weights), together)

    def _span_tags(self, eg: Example) -> NDArray[np.int64]:
        shape = (len(eg.predicted), len(self.labels))
        group = eg.reference.spans.get(self.settings.spans_key)
        if group is None:
            return np.full(shape, -1, dtype=np.int64)
        tags = np.zeros(shape, dtype=np.int64)
        # Of spans that share a token and a label, the longest
        for span in sorted(aligned_spans(eg, group), key=lambda span: (span.start - span.end, span.start)):
            place = self._check_label(span.label_)
            if not tags[span.start : span.end, place].any():
                tags[span.start : span.end, place] = 2
                tags[span.start, place] = 1
        return tags

    def _weights(self, eg: Example) -> NDArray[np.float32]:
        weights = np.ones((len(eg.predicted), self._n_sequences), dtype=np.float32)
        for span, weight in self.span_weights(eg, eg.reference.spans.get(self.key or ENTS_GROUP)):
            place = self._check_label(span.label_) if self._per_label else 0
            weights[span.start : span.end, place] = weight
        return weights

    def _soft_labels(self, eg: Example) -> NDArray[Any] | None:
        stored = get_soft_labels(eg.reference)
        if stored is None:
            return None
        tags, values = stored
        if tags != self.tags:
            found, known = ", ".join(tags), ", ".join(self.tags)
            raise ValueError(message("E176", name=self.name, found=found, known=known))
        if len(values) != len(eg.predicted) or not same_tokens(eg):
            reason = (
                f"they have {len(values)} rows for {len(eg.predicted)} tokens, which must be those that they were made "
                "for (set gold_tokens = true in the reader of the corpus)"
            )
            raise ValueError(message("E177", name=self.name, reason=reason))
        return values

    def _check_cfg(self, cfg: dict[str, Any]) -> None:
        cfg.setdefault("calibration", 1.0)
        if cfg["mode"] != self.settings.mode:
            raise ValueError(f"it was saved with mode {cfg['mode']!r}, and the config has {self.settings.mode!r}")
        if not 0 < float(cfg["calibration"]) < math.inf:
            raise ValueError(f"calibration is {cfg['calibration']}")


def same_tokens(eg: Example) -> bool:
    """Whether both documents of an example have the same tokens."""
    x, y = eg.predicted, eg.reference
    return len(x) == len(y) and (x is y or bool(np.array_equal(x.to_array(ORTH), y.to_array(ORTH))))


def aligned_spans(eg: Example, spans: Iterable[Span]) -> list[Span]:
    """Spans of the reference, in the predicted document; those that are not there are left out."""
    spans = list(spans)
    return spans if same_tokens(eg) else list(eg.get_aligned_spans_y2x(spans, allow_overlap=True))


def _known_scores(doc: Doc) -> dict[tuple[int, int, int], float]:
    """The probabilities that entities have already, by start, end and label."""
    group = doc.spans.get(ENTS_GROUP)
    scores = () if group is None else group.attrs.get("scores", ())
    return {(span.start, span.end, span.label): p for span, p in zip(group or (), scores, strict=False)}


def _renumber_links(doc: Doc, before: Sequence[Span]) -> None:
    """Links between entities stay with the same words, where there are others among them now."""
    group = doc.spans.get(LINKS_GROUP)
    if group is None:
        return
    numbers = {ent.start: n for n, ent in enumerate(doc.ents)}

    def moved(end: Any) -> Any:
        return ["ents", numbers[before[end[1]].start]] if isinstance(end, (list, tuple)) and end[0] == "ents" else end

    links = [[moved(head), moved(child), *rest] for head, child, *rest in group.attrs.get("links", ())]
    records = [
        [label, moved(anchor), [[role, moved(end)] for role, end in roles]]
        for label, anchor, roles in group.attrs.get("records", ())
    ]
    attrs = {**group.attrs, "links": links, "records": records}
    doc.spans[LINKS_GROUP] = SpanGroup(doc, name=LINKS_GROUP, attrs=attrs)


def _trimmed(doc: Doc, start: int, end: int) -> tuple[int, int]:
    """A span without white space at its ends; as it is where there is nothing else."""
    first, last = start, end
    while first < last and doc[first].is_space:
        first += 1
    while first < last and doc[last - 1].is_space:
        last -= 1
    return (first, last) if first < last else (start, end)


# --- Words of scripts without spaces ---------------------------------------------------------------------------------


@lru_cache(maxsize=1 << 14)
def is_unspaced(char: str) -> bool:
    """Whether a character is of a script that has no spaces between words."""
    return unicodedata.name(char, "").startswith(_UNSPACED)


def _is_mark(char: str) -> bool:
    return unicodedata.category(char) == "Mn"


def unspaced_pieces(tokenizer: Any) -> str:
    """What an encoder's tokenizer cuts scripts without spaces with, as JSON.

    Args:
        tokenizer: A transformers.PreTrainedTokenizerFast. Of a unigram model's pieces, those of other scripts are left
            out: most of 17 MB.
    """
    data = json.loads(tokenizer.backend_tokenizer.to_str())
    data.update(truncation=None, padding=None, post_processor=None, added_tokens=[])
    if data["model"]["type"] == "Unigram":
        first, vocab = (data["model"]["unk_id"] or 0) + 1, data["model"]["vocab"]
        kept = (item for item in vocab[first:] if item[0] == "▁" or any(map(is_unspaced, item[0])))
        data["model"]["vocab"] = [*vocab[:first], *kept]
    return json.dumps(data, ensure_ascii=False)


class PieceTokenizer(util.DummyTokenizer):
    """Registered tokenizer `spacy_xlt.PieceTokenizer.v1`: spaCy's own, and the pieces of an encoder where a script has
    no spaces between words.

    To spaCy's tokenizer, a sentence in Chinese, Japanese, Thai, ... is one word, in which no name can begin or end. An
    encoder's pieces are made of what often stands together, in every language that it reads.

    Args:
        rules: What cuts everything else.

    Attributes:
        pieces: What `unspaced_pieces` gives; "" until `initialize`, and everything is left to the rules.
    """

    def __init__(self, rules: Any):
        self.rules, self.vocab = rules, rules.vocab
        self.pieces = ""
        self._backend: Any = None

    def initialize(self, get_examples: Any = None, *, nlp: Language | None = None, encoder: str | None = None) -> None:
        """Take over the pieces of an encoder.

        Args:
            get_examples: Not used.
            nlp: Not used.
            encoder: A model folder, a Hugging Face name, or "bundled:NAME".

        Raises:
            ValueError: E173 for one that cannot be used.
        """
        if encoder is not None:
            self._set_pieces(unspaced_pieces(load_tokenizer(encoder)))

    def _set_pieces(self, pieces: str) -> None:
        from tokenizers import Tokenizer

        self.pieces, self._backend = pieces, Tokenizer.from_str(pieces) if pieces else None

    def __call__(self, text: str) -> Doc:
        """Cut a text."""
        doc: Doc = self.rules(text)
        if self._backend is None or not any(map(is_unspaced, text)):
            return doc
        words: list[str] = []
        spaces: list[bool] = []
        for token in doc:
            parts = self.cut(token.text) if any(map(is_unspaced, token.text)) else [token.text]
            words += parts
            spaces += [False] * (len(parts) - 1) + [bool(token.whitespace_)]
        return Doc(self.vocab, words=words, spaces=spaces)

    def cut(self, word: str) -> list[str]:
        """The parts of a word: pieces of what is in a script without spaces, and what the rules make of the rest."""
        parts: list[str] = []
        # Marks belong to what they stand on
        inside = accumulate(word, lambda before, char: before if _is_mark(char) else is_unspaced(char), initial=False)
        for unspaced, chars in groupby(zip(word, islice(inside, 1, None), strict=True), itemgetter(1)):
            run = "".join(char for char, _ in chars)
            if not unspaced:
                parts += [token.text for token in self.rules(run)]
                continue
            offsets = self._backend.encode(run, add_special_tokens=False).offsets
            starts = sorted({0, *(start for start, end in offsets if start < end and not _is_mark(run[start]))})
            parts += [run[start:end] for start, end in pairwise([*starts, len(run)])]
        return parts

    def to_bytes(self, **kwargs: Any) -> bytes:
        """The rules and the pieces."""
        return bytes(srsly.msgpack_dumps({"rules": self.rules.to_bytes(exclude=["vocab"]), "pieces": self.pieces}))

    def from_bytes(self, data: bytes, **kwargs: Any) -> "PieceTokenizer":
        """Read what `to_bytes` gave.

        Raises:
            ValueError: E178 for anything else, such as what another tokenizer gave.
        """
        return self._read(data, "bytes")

    def _read(self, data: bytes, path: str | Path) -> "PieceTokenizer":
        try:
            saved = srsly.msgpack_loads(data)
            self.rules.from_bytes(saved["rules"])
            self._set_pieces(saved["pieces"])
        # Tokenizers raises plain exceptions
        except Exception as err:
            raise _unreadable("nlp.tokenizer", path, f"{type(err).__name__}: {first_line(err)}") from err
        return self

    def to_disk(self, path: str | Path, **kwargs: Any) -> None:
        """Write `to_bytes` as a file."""
        Path(path).write_bytes(self.to_bytes())

    def from_disk(self, path: str | Path, **kwargs: Any) -> "PieceTokenizer":
        """Read what `to_disk` wrote; raises as `from_bytes`."""
        return self._read(Path(path).read_bytes(), path)


def make_piece_tokenizer() -> Callable[[Language], PieceTokenizer]:
    """The registered function of `PieceTokenizer`."""

    def make(nlp: Language) -> PieceTokenizer:
        return PieceTokenizer(registry.tokenizers.get("spacy.Tokenizer.v1")()(nlp))

    return make


def add_requirements(nlp: Language) -> None:
    """Note what a pipeline's wheel needs: `spacy package` finds by itself only what installed components are from."""
    requirements = nlp.meta.setdefault("requirements", [])
    named = {util.split_requirement(item)[0] for item in requirements}
    requirements.extend(item for item in REQUIREMENTS if util.split_requirement(item)[0] not in named)


def make_xlt_ner(
    nlp: Language,
    name: str,
    mode: str,
    spans_key: str,
    window: int,
    overlap: int,
    batch_pieces: int,
    precision: str,
    span_scores: str,
    score_threshold: float,
    soft_loss: str,
    temperature: float,
    label_smoothing: float,
    r_drop: float,
) -> XltNer:
    """The factory `xlt_ner`; see `Settings`."""
    settings = {key: value for key, value in locals().items() if key not in ("nlp", "name")}
    add_requirements(nlp)
    return XltNer(nlp.vocab, name, Settings(**settings))


# As the functions of a file that `--code` names: else `spacy package` would have every wheel require spacy_xlt
make_xlt_ner.__module__ = make_piece_tokenizer.__module__ = "xlt_ner"

# Two wheels that have this file, or one beside spacy_xlt, may be loaded in one process
if not Language.has_factory("xlt_ner"):
    Language.factory(
        "xlt_ner",
        assigns=["doc.ents", "doc.spans", "token.ent_iob", "token.ent_type"],
        default_config=asdict(Settings()),
        default_score_weights={"ents_f": 1.0, "ents_p": 0.0, "ents_r": 0.0, "ents_per_type": None},
        func=make_xlt_ner,
    )
if not registry.has("tokenizers", "spacy_xlt.PieceTokenizer.v1"):
    registry.tokenizers("spacy_xlt.PieceTokenizer.v1", func=make_piece_tokenizer)
