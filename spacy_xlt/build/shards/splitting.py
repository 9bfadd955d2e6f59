"""Target documents for training, and for development: a text is always on the same side."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spacy.attrs import ENT_IOB, ENT_TYPE
from spacy.strings import StringStore
from spacy.tokens import DocBin

from ...docs import select_docs, tokens_digest
from ...errors import error, warn
from ...io import replacing_folder, write_json
from .draws import draw
from .output import check_folder
from .reading import check_found, read_sources, read_targets, translated
from .records import SUFFIX, Record, Records

TRAIN, DEV = "train", "dev"
MARKER = "split.json"
_BEGIN = 3  # of ENT_IOB


@dataclass
class Side:
    """What is on a side: source documents, target documents and tokens by language, entities by label."""

    sources: int = 0
    docs: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    entities: Counter[str] = field(default_factory=Counter)

    def to_json(self) -> dict[str, Any]:
        """Plain data, with the keys in a fixed order."""
        counters = {key: dict(sorted(getattr(self, key).items())) for key in ("docs", "tokens", "entities")}
        return {"sources": self.sources, **counters}


@dataclass
class Splitter:
    """Splits the target documents of a build in two.

    The side of a document follows from the seed and the tokens of its source alone, whatever else is in the build and
    however it is cut into shards: all translations of a text, and of its copies, are on the same side.

    dev (float): The share of different texts for development, between 0 and 1; what it comes to is near it.
    lang (str): Only this target language; all where left out.
    sides (dict[str, Side]): What is on which, "train" and "dev".
    empty (int): Target documents left out because all their sentences were.
    RAISES (XltError): E510 for a share that cannot be; E580 where no shard is finished.
    """

    records: Records
    dev: float = 0.1
    seed: int = 0
    lang: str = ""
    sides: dict[str, Side] = field(default_factory=lambda: {TRAIN: Side(), DEV: Side()})
    empty: int = 0
    _langs: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        if not 0.0 < self.dev < 1.0:
            raise error("E510", setting="--dev", value=self.dev, expected="a share between 0 and 1, such as 0.1")
        self.records.check_any()

    def side_of(self, digest: str) -> str:
        """Where a text belongs.

        digest (str): The `tokens_digest` of its source document.
        """
        return DEV if draw(self.seed, digest) < self.dev else TRAIN

    def write(
        self, output: Path, *, overwrite: bool = False, progress: Callable[[int], object] = lambda n_shards: None
    ) -> None:
        """Write both sides: `train/LANG-SHARD.spacy`, `dev/LANG-SHARD.spacy`, and `split.json` with what they are.

        progress (Callable[[int], object]): Called with a number of shards each time that many more are done.
        RAISES (XltError): E550 for a shard that cannot be read; E552 for a language that is not there; E553, E554 for
            a folder that must not be written over; E556 where there is nothing to split.
        """
        folder = self.records.folder
        check_folder(output, folder, marker=MARKER, overwrite=overwrite)
        with replacing_folder(output) as beside:
            for side in self.sides:
                (beside / side).mkdir()
            for record in self.records:
                self._split(record, beside)
                progress(1)
            n_docs = sum(side.docs.total() for side in self.sides.values())
            check_found(folder, n_docs=n_docs, known=self._langs, lang=self.lang, what="a split")
            write_json(beside / MARKER, self._said())
        for name, one in self.sides.items():
            if not one.docs:
                warn("W550", side=name, n=n_docs, share=self.dev)

    def _split(self, record: Record, output: Path) -> None:
        self._langs.update(record.langs)
        if self.lang and self.lang not in record.langs:
            return
        folder = self.records.folder
        found = list(translated(folder, record, read_sources(folder, record), self.lang))
        targets = read_targets(folder, record, found)
        side_of = {one.number: self.side_of(tokens_digest(one.source)) for one in found}
        places: dict[tuple[str, str], list[int]] = defaultdict(list)
        used = set()
        for one in found:
            if not len(targets[one.lang].tokens[one.place]):
                self.empty += 1
                continue
            places[side_of[one.number], one.lang].append(one.place)
            used.add(one.number)
        for number in used:
            self.sides[side_of[number]].sources += 1
        for (side, lang), chosen in places.items():
            part = select_docs(targets[lang], chosen)
            _count(self.sides[side], lang, part)
            (output / side / f"{lang}-{record.shard}{SUFFIX}").write_bytes(part.to_bytes())

    def _said(self) -> dict[str, Any]:
        sides = {name: side.to_json() for name, side in self.sides.items()}
        return {"dev_share": self.dev, "seed": self.seed, "lang": self.lang, **sides, "left_out_empty": self.empty}


def _count(side: Side, lang: str, docs: DocBin) -> None:
    side.docs[lang] += len(docs)
    strings = StringStore(docs.strings)
    iob, label = docs.attrs.index(ENT_IOB), docs.attrs.index(ENT_TYPE)
    for tokens in docs.tokens:
        side.tokens[lang] += len(tokens)
        side.entities.update(strings[int(one)] for one in tokens[tokens[:, iob] == _BEGIN, label])
