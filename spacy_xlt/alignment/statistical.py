"""Word links from counting: models trained on the corpus at hand, for languages that no encoder knows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import srsly
from numpy.typing import NDArray

from ..engine import Engine, setting
from ..errors import error, warn
from ..languages import to_spacy
from ..links import Alignment
from ..protocols import PairContext, TokenPair, Tokens
from ..tokens import has_text
from .lexical import MODELS, LexicalModel, thot
from .soft import links_above, windows_of_large

# Fewer sentence pairs are too few to learn from
_FEW = 1000
_SETTINGS = "settings.json"
_SIDES = ("forward", "backward")


@dataclass(kw_only=True, eq=False)
class StatisticalAligner(Engine):
    """Links words by how often they come together in parallel text; it knows no language beforehand.

    It learns from `corpus`, from what `fit` is given, or, where there is neither and no `path`, anew in each call from
    the very pairs to be aligned. One engine serves one pair of languages, in one direction of reading. Words that
    differ in capitals alone are equal. Needs the package sil-thot: pip install 'spacy-xlt[statistical]'.

    Args:
        model: "fast_align" (Dyer et al. 2013), or "eflomal" (Östling & Tiedemann 2016: better and slower).
        corpus: Parallel text, tokenised as the pairs to be aligned will be: files with `source ||| target` on each
            line, or `.spacy` files (or folders of them) with bitexts. Read at first use.
        path: A folder that `to_disk` wrote, to use instead of training.
        target: Of bitexts in `corpus`, only those into this language.
        prefix: Take words as equal that begin with the same so many characters, which makes up for inflection where
            there is little text; null for whole words.
        threshold: What the probability of a link, the geometric mean of both directions, must exceed.

    Raises:
        XltError: E150 for an invalid setting.
    """

    extra: ClassVar[str | None] = "statistical"

    model: str = setting("fast_align", choices=MODELS)
    corpus: list[str] | None = None
    path: str | None = None
    target: str = ""
    prefix: int | None = setting(4, ge=1)
    threshold: float = setting(0.4, ge=0, le=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._directions: tuple[LexicalModel, LexicalModel] | None = None
        self._n_pairs = 0

    def details(self) -> dict[str, Any]:
        """How many pairs it learned from, and the version of sil-thot."""
        learned = self._n_pairs or ("path" if self.path else "corpus" if self.corpus else "the pairs themselves")
        try:
            package = version("sil-thot")
        except PackageNotFoundError:
            package = "missing"
        return {"learned from": learned, "sil-thot": package}

    @property
    def needs_fit(self) -> bool:
        """Whether there is nothing yet that it has learned or could learn from, but the pairs to be aligned."""
        return self._directions is None and self.path is None and not self.corpus

    def fit(self, pairs: Iterable[TokenPair]) -> StatisticalAligner:
        """Learn from sentence pairs, in place of all that was learned before.

        Args:
            pairs: Tokens of both sides. They are held in memory.

        Raises:
            XltError: E362 where there are none; E106 where sil-thot is not installed.
        """
        self._directions, self._n_pairs = self._trained(pairs, "the pairs given")
        return self

    def align(self, pairs: Sequence[TokenPair], *, contexts: Sequence[PairContext] | None = None) -> list[Alignment]:
        """Link the words of pairs; `contexts` is not used.

        Returns:
            In order; a score is the geometric mean of a link's probabilities in both directions. Tokens without text
            get no link.

        Raises:
            XltError: As `fit` and `corpus_pairs`; E361 for a `path` that cannot be read.
        """
        if not any(any(map(has_text, source)) and any(map(has_text, target)) for source, target in pairs):
            return [Alignment() for _ in pairs]
        there, back = self._ready() or self._trained(pairs, "the pairs to be aligned")[0]
        limit = there.limit
        result, n_long = [], 0
        for source, target in pairs:
            (i, first), (j, second) = self._keys(source), self._keys(target)
            if limit is not None and max(len(first), len(second)) > limit:
                n_long += 1
                result.append(Alignment())
                continue
            parts = []
            for window in windows_of_large(len(first), len(second)):
                sides = first[window.source], second[window.target]
                forward, backward = there.weights(*sides), back.weights(*sides[::-1]).T
                part = links_above(np.sqrt(forward * backward), self.threshold)
                parts.append(part.shift(window.source.start, window.target.start))
            links = Alignment.concatenate(parts)
            # Places among the tokens with text become places among all tokens
            places = np.stack([i[links.links[:, 0]], j[links.links[:, 1]]], axis=1)
            result.append(Alignment(places, links.scores))
        if n_long:
            warn("W351", n=n_long, limit=limit, model=self.model)
        return result

    def _ready(self) -> tuple[LexicalModel, LexicalModel] | None:
        if self._directions is None and self.path is not None:
            self.from_disk(self.path)
        elif self._directions is None and self.corpus:
            pairs = (pair for item in self.corpus for pair in corpus_pairs(item, target=self.target))
            self._directions, self._n_pairs = self._trained(pairs, "`corpus`")
        return self._directions

    def _trained(self, pairs: Iterable[TokenPair], source: str) -> tuple[tuple[LexicalModel, LexicalModel], int]:
        thot()
        keys = [(self._keys(first)[1], self._keys(second)[1]) for first, second in pairs]
        keys = [both for both in keys if both[0] and both[1]]
        if not keys:
            raise error("E362", source=source)
        if len(keys) < _FEW:
            warn("W350", n=len(keys), stacklevel=4)
        forward, backward = (LexicalModel(self.model) for _ in _SIDES)
        forward.fit(keys)
        backward.fit((second, first) for first, second in keys)
        return (forward, backward), len(keys)

    def _keys(self, tokens: Tokens) -> tuple[NDArray[np.int32], list[str]]:
        """Which tokens have text, and what stands for each."""
        kept = [(i, token) for i, token in enumerate(tokens) if has_text(token)]
        # The package keeps its words in files with white space between
        words = ["_".join(token.lower()[: self.prefix].split()) or "_" for _, token in kept]
        return np.asarray([i for i, _ in kept], np.int32), words

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Save what was learned: a folder that `path` can be set to. Where nothing was, the settings alone."""
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        for side, direction in zip(_SIDES, self._directions or (), strict=False):
            (folder / side).mkdir(exist_ok=True)
            for name, data in direction.dump().items():
                (folder / side / name).write_bytes(data)
        srsly.write_json(folder / _SETTINGS, {**self._kept(), "pairs": self._n_pairs})

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> StatisticalAligner:
        """Load what `to_disk` saved.

        Raises:
            XltError: E361 where it is missing or was made with other settings.
        """
        folder = Path(path)
        if not (folder / _SETTINGS).is_file():
            raise error("E361", path=folder, reason=f"it has no {_SETTINGS}")
        saved = srsly.read_json(folder / _SETTINGS)
        other = [f"{name} was {saved.get(name)!r}" for name, value in self._kept().items() if saved.get(name) != value]
        if other:
            raise error("E361", path=folder, reason=", ".join(other))
        if saved["pairs"]:
            parts = [{file.name: file.read_bytes() for file in (folder / side).glob("*")} for side in _SIDES]
            self._load(parts, saved["pairs"])
        return self

    def _kept(self) -> dict[str, Any]:
        """The settings that what was learned depends on."""
        return {"model": self.model, "prefix": self.prefix}

    def _load(self, parts: Sequence[dict[str, bytes]], n_pairs: int) -> None:
        forward, backward = (LexicalModel(self.model) for _ in _SIDES)
        for direction, files in zip((forward, backward), parts, strict=True):
            direction.load(files)
        self._directions, self._n_pairs = (forward, backward), n_pairs

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        # What was learned from a corpus or a folder can be made again, what `fit` was given cannot
        if self._directions is not None and self.path is None and not self.corpus:
            state["learned"] = [direction.dump() for direction in self._directions], self._n_pairs
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        learned = state.pop("learned", None)
        super().__setstate__(state)
        if learned is not None:
            self._load(*learned)


def corpus_pairs(item: str | Path, *, target: str = "") -> Iterator[TokenPair]:
    """The sentence pairs of one corpus, as tokens.

    Args:
        item: A `.spacy` file or a folder of them, with bitexts; or another file, with `source ||| target` on each line.
        target: Of bitexts, only those into this language; all where left out.

    Raises:
        XltError: E350 with the line that is wrong, and others for a file that cannot be read.
    """
    from ..readers.lines import read_line_pairs, split_tokens

    path = Path(item)
    if path.suffix == ".spacy" or path.is_dir():
        yield from _bitexts(path, to_spacy(target) if target else "")
        return
    for first, second in read_line_pairs(path):
        yield split_tokens(first), split_tokens(second)


def _bitexts(path: Path, target: str) -> Iterator[TokenPair]:
    # Makes `doc._.xlt` known
    from .. import bitext as _  # noqa: F401
    from ..readers.docbin import read_docs

    for doc in read_docs(path):
        for lang, bitext in doc._.xlt.items():
            for pair in bitext.sentences if not target or lang == target else ():
                source = [token.text for token in bitext.source[slice(*pair.source)]]
                yield source, [token.text for token in bitext.target[slice(*pair.target)]]
