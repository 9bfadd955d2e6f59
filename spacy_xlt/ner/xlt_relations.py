"""`xlt_relations`: links between spans, by classifying pairs of them on a Hugging Face encoder.

`spacy package --code xlt_ner.py,span_links.py,xlt_relations.py` copies the three files into a wheel, which then needs
spaCy, PyTorch and transformers only. There they stand beside each other.
"""

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import accumulate, islice, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab

try:
    from .span_links import ENTS, LINKS_GROUP, End, Link, SpanLinks, get_links, score_links, set_links
    from .xlt_ner import (
        EncodedText,
        EncoderPipe,
        EncoderSettings,
        TokenClassifier,
        add_requirements,
        message,
        same_tokens,
    )
except ImportError:
    # In spacy_xlt they do not, and `spacy package` runs the file by itself
    from spacy_xlt.ner.xlt_ner import (
        EncodedText,
        EncoderPipe,
        EncoderSettings,
        TokenClassifier,
        add_requirements,
        message,
        same_tokens,
    )
    from spacy_xlt.span_links import ENTS, LINKS_GROUP, End, Link, SpanLinks, get_links, score_links, set_links

# The size of what an entity's label and a distance are turned into, and of the layer before the last
_LABEL_SIZE, _DISTANCE_SIZE, _HIDDEN_SIZE = 16, 16, 256
# Distances in words are told apart up to these; a span may also overlap the other
_DISTANCES = (0, 1, 2, 3, 4, 7, 15, 31)
# Words before and behind a pair that say what it is about
_AROUND = 8
# Pairs that are classified at once
_PAIRS_AT_ONCE = 16_384
# Before labels, in the output layer: a pair without a link
_NONE = 0


@dataclass(frozen=True, kw_only=True)
class Settings(EncoderSettings):
    """The settings of the component in a config, with those of `EncoderSettings`.

    Attributes:
        spans_keys: Where the spans are that may be linked: "ents", or keys in `doc.spans`.
        max_distance: The most words between the two spans of a pair.
        same_sentence: Whether pairs of one sentence alone are looked at, where a document has sentences.
        balanced: Whether the loss of a pair is weighed by the inverse square root of how frequent its label is, so
            that rare labels, and all of them beside pairs without a link, are learnt earlier.
        threshold: The least probability that there is a link of any label, from 0 to 1: lower finds more.
    """

    spans_keys: list[str] = field(default_factory=lambda: [ENTS])
    max_distance: int = 60
    same_sentence: bool = False
    balanced: bool = False
    threshold: float = 0.5

    def _checks(self) -> list[tuple[str, bool, str]]:
        return [
            *super()._checks(),
            ("spans_keys", bool(self.spans_keys) and LINKS_GROUP not in self.spans_keys, "names of span groups"),
            ("max_distance", self.max_distance >= 0, "a number from 0"),
            ("threshold", 0 < self.threshold < 1, "a number between 0 and 1"),
        ]


# --- Pairs -----------------------------------------------------------------------------------------------------------


class Place(NamedTuple):
    """A span that may be linked: which one of its document it is, its words `[start, stop)` and its label."""

    end: End
    start: int
    stop: int
    label: str


class Pairs(NamedTuple):
    """Pairs of spans of a batch of documents, whose words are numbered one document after the other.

    Attributes:
        spans: Words `[start, stop)` and the number of the label, int64 `(n_spans, 3)`.
        bounds: The words `[start, stop)` of each span's document, int64 `(n_spans, 2)`.
        heads: Places in `spans`, int64 `(n_pairs,)`.
        children: The same.
    """

    spans: NDArray[np.int64]
    bounds: NDArray[np.int64]
    heads: NDArray[np.int64]
    children: NDArray[np.int64]

    def between(self) -> NDArray[np.int64]:
        """The words `[start, stop)` between the two spans, int64 `(n_pairs, 2)`; start >= stop where there are none."""
        ends = np.stack([self.spans[self.heads], self.spans[self.children]], axis=2)
        return np.stack([ends[:, 1].min(axis=1), ends[:, 0].max(axis=1)], axis=1)

    def around(self) -> NDArray[np.int64]:
        """The words `[start, stop)` from a few before the first span to a few behind the second, `(n_pairs, 2)`."""
        ends = np.stack([self.spans[self.heads], self.spans[self.children]], axis=2)
        bounds = self.bounds[self.heads]
        start = np.maximum(ends[:, 0].min(axis=1) - _AROUND, bounds[:, 0])
        stop = np.minimum(ends[:, 1].max(axis=1) + _AROUND, bounds[:, 1])
        return np.stack([start, stop], axis=1)

    def distances(self) -> NDArray[np.int64]:
        """The number of each pair's distance by size, those with the head first apart."""
        start, stop = self.between().T
        numbers = np.where(stop < start, 0, 1 + np.searchsorted(_DISTANCES, stop - start))
        is_first = self.spans[self.heads, 0] < self.spans[self.children, 0]
        return numbers + np.where(is_first, 0, len(_DISTANCES) + 2)


def nearby(places: Sequence[Place], sentences: Sequence[int] | None, max_distance: int) -> Iterator[tuple[int, int]]:
    """Yield the pairs that are looked at, both ways, as numbers in `places`.

    Args:
        sentences: The sentence of each word; None where they do not matter.
    """
    order = sorted(range(len(places)), key=lambda n: places[n].start)
    for at, i in enumerate(order):
        for j in islice(order, at + 1, None):
            first, second = places[i], places[j]
            if second.start - first.stop > max_distance:
                # All others begin even later
                break
            if sentences is None or sentences[first.start] == sentences[second.start]:
                yield i, j
                yield j, i


# --- The model -------------------------------------------------------------------------------------------------------


class PairClassifier(TokenClassifier):
    """An encoder and layers that classify pairs of spans.

    A span is the mean of its words and a vector of its label. A pair is both, their product, the mean of the words
    between them, that of the words around them, and a vector of the distance. Means carry over to other languages
    better than greatest values do.
    """

    n_span_labels = 1

    def _make_head(self, hidden_size: int, n_outputs: int) -> Any:
        from torch import nn

        output = nn.Linear(_HIDDEN_SIZE, n_outputs)
        nn.init.zeros_(output.weight)
        nn.init.zeros_(output.bias)
        layers = {
            "labels": nn.Embedding(self.n_span_labels, _LABEL_SIZE),
            "distances": nn.Embedding(2 * (len(_DISTANCES) + 2), _DISTANCE_SIZE),
            "hidden": nn.Linear(5 * hidden_size + 2 * _LABEL_SIZE + _DISTANCE_SIZE, _HIDDEN_SIZE),
            "output": output,
        }
        return nn.ModuleDict(layers)

    @property
    def _output(self) -> tuple[Any, str]:
        return self.net["head"], "output"

    def pair_logits(self, texts: Sequence[EncodedText], pairs: Pairs) -> Any:
        """The scores of all pairs of documents, `(n_pairs, n_outputs)`."""
        import torch

        self._ready_to_predict()
        with torch.inference_mode():
            words = self._words(texts)
            chunks = [
                self._classify(words, pairs._replace(heads=heads, children=children))
                for at in range(0, len(pairs.heads), _PAIRS_AT_ONCE)
                for heads, children in [(side[at : at + _PAIRS_AT_ONCE] for side in (pairs.heads, pairs.children))]
            ]
            return torch.cat(chunks)

    def learn_pairs(
        self, texts: Sequence[EncodedText], pairs: Pairs, gold: NDArray[Any], weights: NDArray[Any], *, drop: float
    ) -> float:
        """Add the gradients of a batch to those that are there.

        Args:
            gold: Probabilities of the outputs, float32 `(n_pairs, n_outputs)`.
            weights: Of the loss, float32 `(n_pairs,)`.

        Returns:
            The mean loss of a pair.
        """
        self.net.train()
        logits = self._classify(self._words(texts), pairs, drop)
        losses = -(self._tensor(gold) * logits.log_softmax(dim=1)).sum(dim=1)
        loss = (losses * self._tensor(weights)).sum()
        loss.backward()
        self._n_learnt += len(gold)
        return float(loss.detach()) / len(gold)

    def _words(self, texts: Sequence[EncodedText]) -> Any:
        """What the encoder says of the words of all documents, `(n_words, hidden_size)`."""
        import torch

        batches = list(self.batches(texts))
        hidden = torch.cat([self._hidden(batch, batch.rows, batch.columns) for batch in batches])
        order = np.argsort(np.concatenate([batch.words for batch in batches]))
        return hidden[self._tensor(order)]

    def _classify(self, words: Any, pairs: Pairs, drop: float = 0.0) -> Any:
        import torch
        from torch.nn import functional as F

        head = self.net["head"]
        spans = self._means(words, pairs.spans[:, :2])
        labels = head["labels"](self._tensor(pairs.spans[:, 2]))
        heads, children = self._tensor(pairs.heads), self._tensor(pairs.children)
        vectors = [
            *(part[side] for side in (heads, children) for part in (spans, labels)),
            spans[heads] * spans[children],
            self._means(words, pairs.between()),
            self._means(words, pairs.around()),
            head["distances"](self._tensor(pairs.distances())),
        ]
        hidden = F.gelu(head["hidden"](F.dropout(torch.cat(vectors, dim=1), drop, drop > 0)))
        return head["output"](F.dropout(hidden, drop, drop > 0))

    def _means(self, words: Any, ranges: NDArray[np.int64]) -> Any:
        """The means of the words of ranges `[start, stop)`, zeros for those without any."""
        from torch.nn import functional as F

        lengths = np.maximum(ranges[:, 1] - ranges[:, 0], 0)
        offsets = np.concatenate([[0], lengths.cumsum()[:-1]])
        # Each word of each range, one range after the other
        chosen = np.arange(lengths.sum()) + np.repeat(ranges[:, 0] - offsets, lengths)
        return F.embedding_bag(self._tensor(chosen), words, self._tensor(offsets), mode="mean")


# --- The component ---------------------------------------------------------------------------------------------------


class Candidates(NamedTuple):
    """The pairs of a document that are looked at: its spans, and heads and children among them."""

    places: list[Place]
    pairs: list[tuple[int, int]]


class XltRelations(EncoderPipe):
    """Finds links between the spans of a document: for each pair of them, both ways, a label or none.

    Links are in `doc._.xlt_links` with their probabilities. Those that are there already stay. The component learns
    from the annotated spans and their links, and looks at those that a document has: entities that `xlt_ner` has found
    before it, or others. A link of spans that were not found is missed.

    A pair whose annotation is missing has no loss: all pairs of a document without the group of links, and those
    without a link where its links are not `complete`. Of several links of a pair each has its part of the probability,
    and the likeliest is found.

    The encoder is the component's own, as separate ones find more than a shared one (Zhong and Chen 2021, "A
    Frustratingly Easy Approach for Entity and Relation Extraction").

    Args:
        vocab: The pipeline's.
        name: The component's name.
        settings: See `Settings`.

    Raises:
        ValueError: E170 for an invalid setting.
    """

    model: PairClassifier

    def __init__(self, vocab: Vocab, name: str, settings: Settings):
        settings.check(name)
        self.vocab = vocab
        self.name = name
        self.settings = settings
        self.cfg: dict[str, Any] = {"labels": [], "span_labels": [], "weights": [1.0]}
        self.model = PairClassifier(name, settings)

    @property
    def tags(self) -> list[str]:
        """No link, and the labels."""
        return ["", *self.labels]

    def add_label(self, label: str) -> int:
        """See `EncoderPipe.add_label`. The loss of the new label has the weight 1."""
        weights = dict(zip(self.tags, self.cfg["weights"], strict=True))
        is_new = super().add_label(label)
        self.cfg["weights"] = [weights.get(tag, 1.0) for tag in self.tags]
        return is_new

    def _labels_of(self, examples: Iterable[Example], labels: Sequence[str] | None) -> set[str]:
        """See EncoderPipe; raises E180, too, where all links are between spans that are not looked at."""
        counts: Counter[str] = Counter()
        missed: Counter[str] = Counter()
        span_labels: set[str] = set()
        n_pairs = 0
        for eg in examples:
            found = self._candidates(eg.reference, eg)
            span_labels.update(place.label for place in found.places)
            pairs = {(found.places[head].end, found.places[child].end) for head, child in found.pairs}
            for link in get_links(eg.reference).links:
                if (link.head, link.child) in pairs:
                    counts[link.label] += 1
                else:
                    missed[self._why_missed(link)] += 1
            n_pairs += len(pairs)
        why = ", ".join(f"{n} {reason}" for reason, n in missed.most_common())
        known = {*(counts if labels is None else labels), *self.labels}
        if not known and missed:
            raise ValueError(message("E180", name=self.name, missed=why))
        if not known:
            raise ValueError(message("E175", name=self.name, what="a link between two spans"))
        if missed:
            total = missed.total() + counts.total()
            warnings.warn(message("W171", name=self.name, n=missed.total(), total=total, missed=why), stacklevel=2)
        n_linked = [counts[label] for label in sorted(known)]
        weights = self._balance([max(0, n_pairs - counts.total()), *n_linked])
        self.cfg.update(span_labels=sorted(span_labels), weights=weights)
        self.model.n_span_labels = 1 + len(span_labels)
        return known

    def _why_missed(self, link: Link) -> str:
        others = {link.head.key, link.child.key}.difference(self.settings.spans_keys)
        return f"with spans of {' and '.join(sorted(others))}" if others else "of spans that are too far apart"

    def _balance(self, counts: Sequence[int]) -> list[float]:
        """The weights of no link and of the labels in the loss, 1 in the mean of all pairs."""
        n = np.maximum(np.array(counts, dtype=np.float64), 1)
        weights = n**-0.5 if self.settings.balanced else np.ones_like(n)
        return [float(weight) for weight in weights * n.sum() / (weights * n).sum()]

    def _check_cfg(self, cfg: dict[str, Any]) -> None:
        weights = [float(weight) for weight in cfg["weights"]]
        if len(weights) != 1 + len(cfg["labels"]):
            raise ValueError(f"it has {len(weights)} weights for {len(cfg['labels'])} labels")
        self.model.n_span_labels = 1 + len(cfg["span_labels"])

    # Prediction

    def predict(self, docs: Iterable[Doc]) -> list[list[Link]]:
        """The links of each document.

        Raises:
            ValueError: E172 without weights.
        """
        self._require_weights()
        docs = list(docs)
        found = [self._candidates(doc) for doc in docs]
        links: list[list[Link]] = [[] for _ in docs]
        filled = [i for i, candidates in enumerate(found) if candidates.pairs]
        if not filled:
            return links
        texts = self.model.encode([docs[i] for i in filled])
        pairs = self._pairs([found[i] for i in filled], [len(docs[i]) for i in filled])
        probabilities = self.model.pair_logits(texts, pairs).softmax(dim=1).cpu().numpy()
        at = 0
        for i in filled:
            for (head, child), row in zip(found[i].pairs, probabilities[at:], strict=False):
                best = int(row[1:].argmax())
                if 1 - row[_NONE] >= self.settings.threshold:
                    ends = (found[i].places[side].end for side in (head, child))
                    links[i].append(Link(*ends, self.labels[best], float(row[1 + best])))
            at += len(found[i].pairs)
        return links

    def set_annotations(self, docs: Iterable[Doc], predictions: Sequence[Sequence[Link]]) -> None:
        """Write links. Those that are there stay, and a pair that has one gets no other."""
        for doc, found in zip(docs, predictions, strict=True):
            links = get_links(doc)
            linked = {(link.head, link.child) for link in links.links}
            new = [link for link in found if (link.head, link.child) not in linked]
            set_links(doc, SpanLinks([*links.links, *new], links.records))

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        """See `score_links`: a gold link between spans that were not found, or that are too far apart, is missed."""
        annotated = [eg for eg in examples if LINKS_GROUP in eg.reference.spans]
        if not annotated:
            warnings.warn(message("W172", name=self.name), stacklevel=2)
        return score_links((eg.predicted for eg in annotated), (eg.reference for eg in annotated))

    # Training

    def _learn(self, examples: list[Example], drop: float) -> float:
        learnt = [(eg, *self._gold(eg)) for eg in examples if LINKS_GROUP in eg.reference.spans]
        learnt = [item for item in learnt if item[1].pairs]
        if not learnt:
            return 0.0
        texts = self.model.encode([eg.predicted for eg, *_ in learnt], keep=True)
        pairs = self._pairs([found for _, found, _ in learnt], [len(eg.predicted) for eg, *_ in learnt])
        gold = np.concatenate([rows for *_, rows in learnt])
        weights = gold @ np.array(self.cfg["weights"], dtype=np.float32)
        return self.model.learn_pairs(texts, pairs, gold, weights, drop=drop)

    def _gold(self, eg: Example) -> tuple[Candidates, NDArray[np.float32]]:
        """The pairs of an example of which something is known, and the probabilities of no link and of each label."""
        links = get_links(eg.reference)
        found = self._candidates(eg.reference, eg)
        numbers = {place.end: n for n, place in enumerate(found.places)}
        labels: dict[tuple[int, int], list[int]] = {}
        looked_at = set(found.pairs)
        for link in links.links:
            pair = numbers.get(link.head, -1), numbers.get(link.child, -1)
            if pair in looked_at:
                labels.setdefault(pair, []).append(self._check_label(link.label))
        pairs = [pair for pair in found.pairs if links.complete or pair in labels]
        rows = np.zeros((len(pairs), self.n_outputs), dtype=np.float32)
        for row, pair in zip(rows, pairs, strict=True):
            several = labels.get(pair, [])
            for number in several:
                row[1 + number] += 1 / len(several)
            row[_NONE] = not several
        return found._replace(pairs=pairs), rows

    def _candidates(self, doc: Doc, eg: Example | None = None) -> Candidates:
        """The spans of a document, and pairs of them, where their words stand in the example's predicted document."""
        # Asked once for all spans: a training sees each document again and again
        same = eg is not None and same_tokens(eg)
        places = []
        for key in self.settings.spans_keys:
            for n, span in enumerate(doc.ents if key == ENTS else doc.spans.get(key, ())):
                for there in [span] if same or eg is None else eg.get_aligned_spans_y2x([span], allow_overlap=True)[:1]:
                    places.append(Place(End(key, n), there.start, there.end, span.label_))
        words = doc if eg is None else eg.predicted
        sentences = None
        if self.settings.same_sentence and words.has_annotation("SENT_START"):
            sentences = [n for n, sentence in enumerate(words.sents) for _ in sentence]
        return Candidates(places, list(nearby(places, sentences, self.settings.max_distance)))

    def _pairs(self, found: Sequence[Candidates], lengths: Sequence[int]) -> Pairs:
        """The pairs of documents together, whose words and spans are numbered one document after the other."""
        # 0 is a label that was not in training
        numbers = {label: 1 + n for n, label in enumerate(self.cfg["span_labels"])}
        words = [0, *accumulate(lengths)]
        before = [0, *accumulate(len(each.places) for each in found)]
        spans = [
            (start + place.start, start + place.stop, numbers.get(place.label, 0), start, stop)
            for (start, stop), each in zip(pairwise(words), found, strict=True)
            for place in each.places
        ]
        pairs = [(offset + i, offset + j) for offset, each in zip(before, found, strict=False) for i, j in each.pairs]
        rows = np.array(spans, dtype=np.int64)
        heads, children = np.ascontiguousarray(np.array(pairs, dtype=np.int64).T)
        return Pairs(rows[:, :3], rows[:, 3:], heads, children)


def make_xlt_relations(
    nlp: Language,
    name: str,
    spans_keys: list[str],
    max_distance: int,
    same_sentence: bool,
    balanced: bool,
    threshold: float,
    window: int,
    overlap: int,
    batch_pieces: int,
    precision: str,
) -> XltRelations:
    """The factory `xlt_relations`; see `Settings`."""
    settings = {key: value for key, value in locals().items() if key not in ("nlp", "name")}
    add_requirements(nlp)
    return XltRelations(nlp.vocab, name, Settings(**settings))


# As in xlt_ner.py
make_xlt_relations.__module__ = "xlt_relations"

if not Language.has_factory("xlt_relations"):
    Language.factory(
        "xlt_relations",
        assigns=["doc._.xlt_links"],
        default_config=asdict(Settings()),
        default_score_weights={"links_f": 1.0, "links_p": 0.0, "links_r": 0.0, "links_per_type": None},
        func=make_xlt_relations,
    )
