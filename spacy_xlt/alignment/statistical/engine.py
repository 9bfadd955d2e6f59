"""The engine: both directions of a statistical model, trained on parallel text, and their links."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import srsly

from ... import __version__
from ...errors import error, warn
from ...links import Alignment
from ...protocols import PairContext, TokenPair, Tokens
from ...tokens import has_text
from ..soft import SYMMETRISATIONS, symmetrise
from .corpora import read_corpus
from .model import STAGES, Direction, thot

# Fewer sentence pairs are too few to learn from.
_FEW = 1000
_SETTINGS = "settings.json"
_SIDES = ("forward", "backward")


def make_statistical_aligner(
    *,
    model: str = "fast_align",
    corpus: list[Any] | None = None,
    path: str | None = None,
    target: str = "",
    lower: bool = True,
    prefix: int | None = 4,
    symmetrisation: str = "geometric",
    threshold: float = 0.4,
    seed: int = 0,
) -> StatisticalAligner:
    """Make the aligner from a config. The settings are those of `StatisticalAligner`."""
    return StatisticalAligner(
        model,
        corpus=corpus,
        path=path,
        target=target,
        lower=lower,
        prefix=prefix,
        symmetrisation=symmetrisation,
        threshold=threshold,
        seed=seed,
    )


class StatisticalAligner:
    """Links words by how often they come together in parallel text; it knows no language beforehand.

    It learns from `corpus`, from what `fit` is given, or, where there is neither and no `path`, anew in each call from
    the very pairs to be aligned. One engine serves one pair of languages, in one direction of reading. Needs the
    package sil-thot: pip install 'spacy-xlt[statistical]'.

    model (str): "fast_align" (Dyer et al. 2013), "eflomal" (Östling & Tiedemann 2016: better and slower), "hmm",
        "ibm2" or "ibm1".
    corpus (list[str | list[str]] | None): Parallel text, tokenised as the pairs to be aligned will be, each item as
        `read_corpus` takes it. Read at first use.
    path (str | None): A folder that `to_disk` wrote, to use instead of training.
    target (str): Of bitexts in `corpus`, only those into this language.
    lower (bool): Take words as equal that differ in capitals alone.
    prefix (int | None): Take words as equal that begin with the same so many characters, which makes up for
        inflection where there is little text; null for whole words.
    symmetrisation (str): How both directions become one, see `soft.symmetrise`.
    threshold (float): What the probability of a link must exceed.
    seed (int): For "eflomal", which samples.
    RAISES (XltError): E301 for an unknown model or symmetrisation, E360 for another impossible setting.
    """

    def __init__(
        self,
        model: str = "fast_align",
        *,
        corpus: Sequence[Any] | None = None,
        path: str | None = None,
        target: str = "",
        lower: bool = True,
        prefix: int | None = 4,
        symmetrisation: str = "geometric",
        threshold: float = 0.4,
        seed: int = 0,
    ):
        for setting, value, known in (("model", model, STAGES), ("symmetrisation", symmetrisation, SYMMETRISATIONS)):
            if value not in known:
                raise error("E301", setting=setting, value=value, known=", ".join(known))
        self.model = model
        self.corpus = None if corpus is None else list(corpus)
        self.path = path
        self.target = target
        self.lower = lower
        self.prefix = prefix
        self.symmetrisation = symmetrisation
        self.threshold = float(threshold)
        self.seed = seed
        self._check()
        self._directions: tuple[Direction, Direction] | None = None
        self._n_pairs = 0

    def _check(self) -> None:
        def is_item(item: object) -> bool:
            return isinstance(item, (str, Path)) or (isinstance(item, (list, tuple)) and len(item) == 2)

        whole = isinstance(self.prefix, int) and not isinstance(self.prefix, bool) and self.prefix >= 1
        for setting, right, expected in (
            ("prefix", self.prefix is None or whole, "a whole number from 1, or null"),
            ("threshold", 0 <= self.threshold <= 1, "a number from 0 to 1"),
            ("corpus", all(map(is_item, self.corpus or [])), "a list of paths, or of lists of two paths"),
        ):
            if not right:
                raise error("E360", setting=setting, value=getattr(self, setting), expected=expected)

    @property
    def signature(self) -> str:
        """Model, settings, how many pairs it learned from, and versions."""
        learned = self._n_pairs or ("path" if self.path else "corpus" if self.corpus else "the pairs themselves")
        settings = f"lower:{'yes' if self.lower else 'no'}|prefix:{self.prefix or 'no'}|{self.symmetrisation}"
        settings += f"|threshold:{self.threshold:g}|learned from:{learned}"
        if self.model == "eflomal":
            settings += f"|seed:{self.seed}"
        return f"StatisticalAligner|model:{self.model}|{settings}|sil-thot:{_version()}|version:{__version__}"

    @property
    def needs_fit(self) -> bool:
        """Whether there is nothing yet that it has learned or could learn from, but the pairs to be aligned."""
        return self._directions is None and self.path is None and not self.corpus

    def fit(self, pairs: Iterable[TokenPair]) -> StatisticalAligner:
        """Learn from sentence pairs, in place of all that was learned before.

        pairs (Iterable[TokenPair]): Tokens of both sides. They are held in memory.
        RETURNS (StatisticalAligner): Itself.
        RAISES (XltError): E362 where there are none; E359 where sil-thot is not installed.
        """
        self._directions, self._n_pairs = self._trained(pairs, "the pairs given")
        return self

    def align(self, pairs: Sequence[TokenPair], *, contexts: Sequence[PairContext] | None = None) -> list[Alignment]:
        """Link the words of pairs.

        contexts: Not used.
        RETURNS (list[Alignment]): In order; a score is the probability of a link in both directions, averaged.
            Tokens without text get no link.
        RAISES (XltError): As `fit` and `read_corpus`; E361 for a `path` that cannot be read.
        """
        if not any(_has_words(source) and _has_words(target) for source, target in pairs):
            return [Alignment() for _ in pairs]
        directions = self._ready() or self._trained(pairs, "the pairs to be aligned")[0]
        limit = directions[0].limit
        result, long = [], 0
        for source, target in pairs:
            (i, first), (j, second) = self._keys(source), self._keys(target)
            if limit is not None and max(len(first), len(second)) > limit:
                long += 1
                result.append(Alignment())
                continue
            forward = directions[0].weights(first, second)
            backward = directions[1].weights(second, first).T
            found = symmetrise(forward, backward, method=self.symmetrisation, threshold=self.threshold)
            # Places among the tokens with text become places among all tokens
            links = np.stack([np.asarray(i, np.int32)[found.links[:, 0]], np.asarray(j, np.int32)[found.links[:, 1]]])
            result.append(Alignment(links.T, found.scores))
        if long:
            warn("W351", n=long, limit=limit, model=self.model)
        return result

    def _ready(self) -> tuple[Direction, Direction] | None:
        if self._directions is None and self.path is not None:
            self.from_disk(self.path)
        elif self._directions is None and self.corpus:
            pairs = (pair for item in self.corpus for pair in read_corpus(item, target=self.target))
            self._directions, self._n_pairs = self._trained(pairs, "`corpus`")
        return self._directions

    def _trained(self, pairs: Iterable[TokenPair], source: str) -> tuple[tuple[Direction, Direction], int]:
        thot()
        keys = [(self._keys(first)[1], self._keys(second)[1]) for first, second in pairs]
        keys = [both for both in keys if both[0] and both[1]]
        if not keys:
            raise error("E362", source=source)
        if len(keys) < _FEW:
            warn("W350", n=len(keys), stacklevel=4)
        forward, backward = (Direction(self.model, seed=self.seed) for _ in _SIDES)
        forward.fit(keys)
        backward.fit((second, first) for first, second in keys)
        return (forward, backward), len(keys)

    def _keys(self, tokens: Tokens) -> tuple[list[int], list[str]]:
        """Which tokens have text, and what stands for each."""
        kept = [(i, token) for i, token in enumerate(tokens) if has_text(token)]
        keys = (token.lower() if self.lower else token for _, token in kept)
        # The package keeps its words in files with white space between
        return [i for i, _ in kept], ["_".join(key[: self.prefix].split()) or "_" for key in keys]

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

        RAISES (XltError): E361 where it is missing or was made with other settings.
        """
        folder = Path(path)
        if not (folder / _SETTINGS).is_file():
            raise error("E361", path=folder, reason=f"it has no {_SETTINGS}")
        saved = srsly.read_json(folder / _SETTINGS)
        other = [f"{name} was {saved.get(name)!r}" for name, value in self._kept().items() if saved.get(name) != value]
        if other:
            raise error("E361", path=folder, reason=", ".join(other))
        if not saved["pairs"]:
            return self
        parts = [{file.name: file.read_bytes() for file in (folder / side).glob("*")} for side in _SIDES]
        self._load(parts, saved["pairs"])
        return self

    def _kept(self) -> dict[str, Any]:
        """The settings that what was learned depends on."""
        return {"model": self.model, "lower": self.lower, "prefix": self.prefix}

    def _load(self, parts: Sequence[dict[str, bytes]], n_pairs: int) -> None:
        forward, backward = (Direction(self.model, seed=self.seed) for _ in _SIDES)
        for direction, files in zip((forward, backward), parts, strict=True):
            direction.load(files)
        self._directions, self._n_pairs = (forward, backward), n_pairs

    def __getstate__(self) -> dict[str, Any]:
        # What was learned from a corpus or a folder can be made again, what `fit` was given cannot
        again = self._directions is None or self.path is not None or self.corpus
        parts = None if again else [direction.dump() for direction in self._directions or ()]
        return {**self.__dict__, "_directions": parts}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        parts, self._directions = self._directions, None
        if parts:
            self._load(parts, self._n_pairs)  # type: ignore[arg-type]


def _has_words(tokens: Tokens) -> bool:
    return any(map(has_text, tokens))


def _version() -> str:
    try:
        return version("sil-thot")
    except ImportError:
        return "missing"
