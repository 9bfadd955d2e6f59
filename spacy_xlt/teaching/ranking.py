"""Which annotated corpus to learn from for a target language, by an encoder and by what the corpora have in common."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import langcodes
import numpy as np
from numpy.typing import NDArray
from spacy.tokens import Doc

from ..alignment.encoder import Encoder
from ..docs import sentence_ranges
from ..errors import error, warn
from ..languages import MULTI, parse
from ..tokens import has_text

if TYPE_CHECKING:
    import torch

# Of each target token, over all sources: fewer are noisier
_NEIGHBOURS = 5
# What 93% of the quality needs in the paper
FEW_SENTENCES = 25
# Similarities that are held at once
_CELLS = 1 << 22


@dataclass
class Corpus:
    """A source corpus, or the target's raw text.

    Attributes:
        name: Of its block in a config.
        lang: "xx" where it is not known.
        sentences: The words of each sentence.
        entities: Texts of entities, in lower case.
    """

    name: str
    lang: str
    path: str = ""
    n_docs: int = 0
    n_words: int = 0
    sentences: list[list[str]] = field(default_factory=list)
    entities: Counter[tuple[str, ...]] = field(default_factory=Counter)

    def add(self, docs: Iterable[Doc]) -> Corpus:
        """Add documents; words without text do not count."""
        for doc in docs:
            words = [token.text for token in doc]
            sentences = [[word for word in words[start:end] if has_text(word)] for start, end in sentence_ranges(doc)]
            self.sentences += [sentence for sentence in sentences if sentence]
            self.n_words += sum(map(len, sentences))
            self.n_docs += 1
            self.entities.update(tuple(token.lower_ for token in ent) for ent in doc.ents)
        return self

    def draw(self, n_words: int | None = None, *, n_sentences: int | None = None) -> list[list[str]]:
        """Sentences by chance, the same ones each time: the first so many, or those with the first so many words."""
        drawn = random.Random(0).sample(self.sentences, len(self.sentences))[:n_sentences]
        kept: list[list[str]] = []
        left = self.n_words if n_words is None else n_words
        for sentence in drawn:
            if left <= 0:
                break
            kept.append(sentence[:left])
            left -= len(kept[-1])
        return kept


@dataclass(frozen=True)
class Ranked:
    """A source and what speaks for it, all but the last as fractions.

    Attributes:
        neighbours: Its part of the nearest neighbours of the target's tokens; the ranking.
        vocabulary: Part of the target's distinct words that it has, in as many tokens as the others.
        entities: Part of its entities that the target's text has.
        distance: Of the languages, by langcodes (from 0 for the same one, to 134); None where one is not known.
    """

    corpus: Corpus
    neighbours: float
    vocabulary: float
    entities: float
    distance: int | None


def rank_sources(
    raw: Corpus, sources: Sequence[Corpus], encoder: Encoder, *, n_sentences: int, n_words: int
) -> tuple[list[Ranked], int]:
    """Rank annotated corpora for a target language, by raw text in it (NN-Rank: Ebrahimi et al. 2025).

    Each token of the target text is compared with the tokens of all sources, of which each gives as many. A source is
    as good as its part of the nearest ones.

    Args:
        raw: Text in the target language.
        sources: Two or more.
        encoder: Gives the vectors of words, the mean of their pieces'; at a middle layer.
        n_sentences: The most sentences of the target that are compared.
        n_words: The most words of each source.

    Returns:
        The sources, the best one first, and how many words of each were compared.

    Raises:
        XltError: E503 for a corpus without words, E594 for a source without entities.

    Warns:
        XltWarning: W593 for fewer sentences of the target than the ranking needs.
    """
    for corpus in (raw, *sources):
        if not corpus.n_words:
            raise error("E503", path=corpus.path)
    for source in sources:
        if not source.entities:
            raise error("E594", path=source.path, n=source.n_docs)
    if len(raw.sentences) < FEW_SENTENCES:
        warn("W593", path=raw.path, n=len(raw.sentences), needed=FEW_SENTENCES)
    n_words = min(n_words, *(source.n_words for source in sources))
    texts = [source.draw(n_words) for source in sources]
    target = _vectors(encoder, raw.draw(n_sentences=n_sentences))
    shares = _shares(target, (_vectors(encoder, text) for text in texts))
    known = {word.lower() for sentence in raw.sentences for word in sentence}
    names = _phrases(raw.sentences, {len(entity) for source in sources for entity in source.entities})
    ranked = []
    for source, text, share in zip(sources, texts, shares, strict=True):
        shared = known & {word.lower() for sentence in text for word in sentence}
        n_found = sum(n for entity, n in source.entities.items() if entity in names)
        entities = n_found / max(1, source.entities.total())
        ranked.append(Ranked(source, share, len(shared) / len(known), entities, distance(raw.lang, source.lang)))
    return sorted(ranked, key=lambda one: -one.neighbours), n_words


def distance(first: str, second: str) -> int | None:
    """How far two languages are apart, by langcodes; None where one is "xx"."""
    if MULTI in (first, second):
        return None
    return int(langcodes.tag_distance(str(parse(first)), str(parse(second))))


def _vectors(encoder: Encoder, sentences: Sequence[Sequence[str]]) -> torch.Tensor:
    """A vector of length one for each word, `(n_words, dim)`."""
    from ..alignment.word_vectors import TextVectors

    pieces = encoder.pieces(word for sentence in sentences for word in sentence)
    ids = [np.asarray([piece for word in sentence for piece in pieces[word]], np.int64) for sentence in sentences]
    words = [np.repeat(np.arange(len(sentence)), [len(pieces[word]) for word in sentence]) for sentence in sentences]
    return TextVectors(encoder.embed(ids, batch_tokens=1024), words).averaged().normalised().vectors


def _shares(target: torch.Tensor, sources: Iterable[torch.Tensor]) -> list[float]:
    """The part of each source in the nearest neighbours of the target's rows."""
    import torch

    found = []
    for source in sources:
        k = min(_NEIGHBOURS, len(source))
        parts = [(rows @ source.T).topk(k, dim=1).values for rows in target.split(max(1, _CELLS // len(source)))]
        found.append(torch.cat(parts))
    owners = np.repeat(np.arange(len(found)), [similarities.shape[1] for similarities in found])
    nearest = torch.cat(found, dim=1).topk(_NEIGHBOURS, dim=1).indices.cpu().numpy()
    counts: NDArray[Any] = np.bincount(owners[nearest.ravel()], minlength=len(found))
    return (counts / counts.sum()).tolist()


def _phrases(sentences: Sequence[Sequence[str]], lengths: Iterable[int]) -> set[tuple[str, ...]]:
    """All runs of words of these lengths, in lower case."""
    lowered = [tuple(word.lower() for word in sentence) for sentence in sentences]
    return {words[i : i + n] for n in lengths for words in lowered for i in range(len(words) - n + 1)}


def sources_block(ranked: Sequence[Ranked]) -> str:
    """`[corpora.train.sources]` of a training config, the best first; it alone is in `use`."""
    from thinc.api import Config

    blocks = {one.corpus.name: {"path": one.corpus.path, "lang": one.corpus.lang, "kind": "gold"} for one in ranked}
    return Config({"corpora": {"train": {"use": [ranked[0].corpus.name], "sources": blocks}}}).to_str(interpolate=False)
