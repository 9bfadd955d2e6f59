"""What is to be known of a person's data before a project is written: every error in it is found now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from spacy.tokens import Doc

from ..build.shards import draw
from ..docs import all_spans, tokens_digest
from ..errors import error
from ..readers import ReadNotes, read_corpus

# It calibrates probabilities, so that a few will do; most are to train on
_FEWEST_DEV = 10
_DEV_SHARES = (0.1, 0.2, 0.3)
# Documents that are kept, to be looked up in given translations
_FIRST = 100


@dataclass
class CorpusFacts:
    """What is to be known of a corpus.

    Attributes:
        draws: Of each annotated document, the number that decides its side in a split.
        first: The first annotated documents.
    """

    n_docs: int
    labels: Counter[str]
    draws: list[float]
    first: list[Doc]


def check_apart(data: Path, dev: Path | None, test: Path | None) -> None:
    """What measures or chooses is not what is trained on."""
    named = {"--data": data, "--dev": dev, "--test": test}
    paths = [(option, path) for option, path in named.items() if path is not None and path.exists()]
    for (first, path), (second, other) in combinations(paths, 2):
        if path.samefile(other):
            raise error("E510", setting=second, value=str(other), expected=f"another file than {first}")


def read_facts(path: Path, lang: str, *, format: str, task: str, labels: Sequence[str]) -> CorpusFacts:
    """Read a corpus once, which finds every error in it now and not in a step of the workflow."""
    if not path.exists():
        raise error("E502", what="file with annotated text", path=path)
    notes, n_docs = ReadNotes(), 0
    draws: list[float] = []
    first: list[Doc] = []
    wanted = frozenset(labels) or None
    spans_key = "sc" if task == "spancat" else ""
    for doc in read_corpus(path, notes=notes, lang=lang, format=format, labels=wanted, spans_key=spans_key):
        n_docs += 1
        if all_spans(doc):
            draws.append(draw(0, tokens_digest(doc)))
            if len(first) < _FIRST:
                first.append(doc)
    if not draws:
        raise error("E507", path=path, n=n_docs)
    return CorpusFacts(n_docs, notes.labels, draws, first)


def dev_share(corpus: CorpusFacts, path: Path) -> float:
    """The smallest share that gives a development set of some annotated documents, or else the largest share."""
    sizes = {share: sum(draw < share for draw in corpus.draws) for share in _DEV_SHARES}
    for share, n_dev in sizes.items():
        if n_dev >= _FEWEST_DEV:
            return share
    n_dev = sizes[_DEV_SHARES[-1]]
    if not 0 < n_dev < len(corpus.draws):
        raise error("E510", setting="--data", value=str(path), expected="more annotated documents, or also --dev FILE")
    return _DEV_SHARES[-1]
