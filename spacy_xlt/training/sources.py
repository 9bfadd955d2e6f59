"""The blocks `[corpora.*.sources.NAME]` of a config: where documents come from, and what was done to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from ..errors import error
from ..languages import to_spacy
from .examples import Augmenter

GOLD, PROJECTED = "gold", "projected"


@dataclass(frozen=True, kw_only=True)
class Source:
    """A corpus among several.

    name (str): Name of its block.
    path (str): A `.spacy` file or a folder of them.
    lang (str): Its language, "xx" for several. It must be said.
    kind (str): "gold" for annotation by people, "projected" for one that was carried over.
    weight (float): How often each of its documents is read in an epoch, where there is no temperature: 2.0 for twice,
        0.5 for one half in an epoch and the other in the next. 0 leaves the source out.
    share (float | None): In place of a weight: its part of an epoch's documents, whatever the size of the others: 0.5
        for as many as all others have together. Its documents are read as often as that takes.
    min_score (float): The least score of a projected span, from 0 to 1; see `on_low_score` of the reader.
    limit (int): The most documents to read, drawn at random; 0 for all.
    limit_seed (int | None): What they are drawn by; the reader's seed where left out. Runs with different seeds and the
        same documents differ by the training alone.
    keep_empty (float): Share of the documents without an entity or span that are read, drawn by the reader's seed.
    labels (Mapping[str, str | None]): Its labels → ours; "" or None leaves one out.
    augmenter (Augmenter | None): Makes more examples of each, as in spaCy.
    """

    name: str
    path: str
    lang: str
    kind: str = GOLD
    weight: float = 1.0
    share: float | None = None
    min_score: float = 0.0
    limit: int = 0
    limit_seed: int | None = None
    keep_empty: float = 1.0
    labels: Mapping[str, str | None] = field(default_factory=dict)
    augmenter: Augmenter | None = None

    @property
    def is_gold(self) -> bool:
        return self.kind == GOLD


@dataclass
class SourceCounts:
    """What became of the documents of a source.

    documents (int): In the files.
    read (int): Read, in one pass over the source.
    blank (int): Documents left out because they have no text.
    duplicates, near_duplicates (int): Sentences left out because they are in an evaluation set, or nearly.
    doubtful (int): Documents left out because of a span with a low score.
    spans_missing (int): Entities with a low score that were marked missing.
    without_group (int): Documents left out because some annotation is missing, which a span group cannot say.
    empty (int): Documents without an entity or span left out, as `keep_empty` says.
    over_limit (int): Documents that were not drawn, as `limit` says.
    labels (dict[str, Counter[str]]): Annotation ("ents" or a span group) → label → number, as ours, before `limit`.
    labels_out (Counter[str]): Spans left out with their label, as the mapping says.
    drawn (list[tuple[str, int]]): Where there is a `limit`: file and number of each document that is read.
    """

    documents: int = 0
    read: int = 0
    blank: int = 0
    duplicates: int = 0
    near_duplicates: int = 0
    doubtful: int = 0
    spans_missing: int = 0
    without_group: int = 0
    empty: int = 0
    over_limit: int = 0
    labels: dict[str, Counter[str]] = field(default_factory=dict)
    labels_out: Counter[str] = field(default_factory=Counter)
    drawn: list[tuple[str, int]] = field(default_factory=list)

    def left_out(self) -> str:
        """What is not read, in words; "" where nothing happened that nobody asked for by number."""
        said = [
            (self.blank, "documents without text"),
            (self.duplicates, "sentences that are in an evaluation set"),
            (self.near_duplicates, "sentences nearly as in an evaluation set"),
            (self.doubtful, "documents with a span below min_score"),
            (self.without_group, "documents with missing annotation, which a span group cannot say"),
        ]
        parts = [f"{n} {what}" for n, what in said if n]
        text = f"{', '.join(parts)} left out" if parts else ""
        if self.spans_missing:
            text += f"{'; ' if text else ''}{self.spans_missing} entities below min_score marked missing"
        return text

    def __str__(self) -> str:
        asked = [(self.empty, "without an entity"), (self.over_limit, "over the limit")]
        parts = [self.left_out(), *(f"{n} documents {what} left out" for n, what in asked if n)]
        lost = ", ".join(f"{label} {n}" for label, n in sorted(self.labels_out.items()))
        parts.append(f"spans left out by label: {lost}" if lost else "")
        return "; ".join([f"{self.read} of {self.documents} documents read", *(part for part in parts if part)])


def parse_sources(blocks: Mapping[str, Any], section: str) -> list[Source]:
    """Check the blocks of a config. Sources with a weight of 0 are left out.

    section (str): Where they stand, for messages: "corpora.train.sources".
    RAISES (XltError): E610 for a value that cannot be, E611 for a setting that does not exist, E010 for an unknown
        language.
    """
    if not isinstance(blocks, Mapping) or not all(isinstance(block, Mapping) for block in blocks.values()):
        raise error("E610", section=section, setting="sources", value=blocks, expected="a block for each source")
    sources = [
        _parse(name, block, f"{section}.{name}") for name, block in blocks.items() if block.get("weight", 1) != 0
    ]
    if not sources:
        raise error("E610", section=section, setting="sources", value=dict(blocks), expected="at least one source")
    shares = {source.name: source.share for source in sources if source.share is not None}
    if shares and (len(shares) == len(sources) or sum(shares.values()) >= 1):
        expected = "a sum of shares below 1, and a source without one that has the rest"
        raise error("E610", section=section, setting="share", value=shares, expected=expected)
    return sources


def _parse(name: str, block: Mapping[str, Any], section: str) -> Source:
    known = [one.name for one in fields(Source) if one.name != "name"]
    found = sorted(set(block) - set(known))
    if found:
        raise error("E611", section=section, found=", ".join(found), known=", ".join(known))
    values = {key: value for key, value in block.items() if value is not None}
    checks = [
        ("path", bool(values.get("path")), "a .spacy file or a folder of them"),
        ("lang", bool(values.get("lang")), "the code of its language"),
        ("kind", values.get("kind", GOLD) in (GOLD, PROJECTED), '"gold" or "projected"'),
        ("weight", _number(values, "weight", 1) and values.get("weight", 1) > 0, "a number above 0, or 0"),
        ("share", _number(values, "share", 0.5) and 0 < values.get("share", 0.5) < 1, "above 0 and below 1, or null"),
        ("share", not {"share", "weight"} <= set(values), "`share` or `weight`, not both"),
        ("min_score", _number(values, "min_score", 0) and 0 <= values.get("min_score", 0) <= 1, "a number from 0 to 1"),
        ("limit", isinstance(values.get("limit", 0), int) and values.get("limit", 0) >= 0, "a whole number from 0"),
        ("limit_seed", isinstance(values.get("limit_seed", 0), int), "a whole number, or null for the reader's seed"),
        ("keep_empty", _number(values, "keep_empty", 1) and 0 <= values.get("keep_empty", 1) <= 1, "a share: 0 to 1"),
        ("labels", isinstance(values.get("labels", {}), Mapping), "a mapping from its labels to ours"),
        ("augmenter", callable(values.get("augmenter", len)), "a registered augmenter"),
    ]
    for setting, fits, expected in checks:
        if not fits:
            raise error("E610", section=section, setting=setting, value=block.get(setting), expected=expected)
    values.update(path=str(values["path"]), lang=to_spacy(str(values["lang"])), labels=dict(values.get("labels", {})))
    return Source(name=name, **values)


def _number(values: Mapping[str, Any], key: str, default: float) -> bool:
    value = values.get(key, default)
    return isinstance(value, (int, float)) and not isinstance(value, bool)
