"""A report of a whole workflow, put together from the JSON files that its commands wrote. It computes no score."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..docs import sentence_ranges
from ..errors import error
from ..readers.docbin import read_docs
from .packaged import newest_wheel


@dataclass(frozen=True)
class Score:
    """How well a pipeline finds entities, in percent.

    per_type (dict[str, float]): F1 of each label.
    """

    name: str
    p: float
    r: float
    f: float
    per_type: dict[str, float]


@dataclass(frozen=True)
class Stage:
    """How long a stage took.

    seconds (float | None): None where the command did not measure it.
    sentences_per_second, words_per_second (float | None): None where unknown.
    """

    name: str
    seconds: float | None
    sentences_per_second: float | None
    words_per_second: float | None = None


@dataclass
class Report:
    """What a workflow reached.

    scores (list[Score]): One for each pipeline.
    projection (Score | None): Projection onto given translations.
    ceiling (float | None): The agreement of the two sides' own annotations, in percent, which no projection can pass.
    lost (dict[str, int]): Spans that the build could not carry over, by reason.
    projected (int): Spans that it carried over.
    package (str): Where the packaged pipeline lies.
    trial (list[dict[str, Any]]): What it found where spacy_xlt is not installed: `text` and `ents`.
    signatures (dict[str, str]): What made the projected corpus and the projection score.
    """

    scores: list[Score] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    projection: Score | None = None
    ceiling: float | None = None
    projected: int = 0
    lost: dict[str, int] = field(default_factory=dict)
    package: str = ""
    trial: list[dict[str, Any]] = field(default_factory=list)
    signatures: dict[str, str] = field(default_factory=dict)

    def add_build(self, path: Path) -> None:
        """Take speeds and counts from a build's `summary.json`."""
        summary = _read(path)
        self.projected = sum(_get(summary, "spans_projected", path).values())
        self.lost = dict(_get(summary, "lost_reasons", path))
        self.signatures["build"] = summary.get("signature", "")
        for name, seconds in _get(summary, "seconds", path).items():
            self.stages.append(Stage(name, seconds, summary.get("sentences_per_second", {}).get(name)))

    def add_training(self, name: str, path: Path, corpus: Path | None = None) -> None:
        """Take the speed from what `spacy_xlt.Logger.v1` wrote.

        corpus (Path | None): What it was trained on, to tell sentences from words.
        """
        summary = _read(path)
        words = _get(summary, "words_per_second", path)
        self.stages.append(Stage(f"train {name}", summary.get("seconds"), _sentences(words, corpus), words))

    def add_scores(self, name: str, path: Path, corpus: Path | None = None) -> None:
        """Take scores and speed from what `spacy evaluate --output` wrote."""
        data = _read(path)
        self.scores.append(_score(name, data, path))
        if words := data.get("speed"):
            self.stages.append(Stage(f"run {name}", None, _sentences(words, corpus), round(words, 1)))

    def add_projection(self, path: Path) -> None:
        """Take scores, ceiling and speed from what `spacy xlt eval-projection --json` wrote."""
        data = _read(path)
        self.projection = _score("projection", data, path)
        if data.get("ceiling_f") is not None:
            self.ceiling = _percent(data["ceiling_f"])
        self.signatures["projection"] = data.get("signature", "")
        self.stages.append(Stage("eval-projection", data.get("seconds"), data.get("pairs_per_second")))

    def add_package(self, folder: Path) -> None:
        """Note where the newest wheel below a folder lies.

        RAISES (XltError): E605 where there is none.
        """
        self.package = str(newest_wheel(folder))

    def add_trial(self, path: Path) -> None:
        """Take what the packaged pipeline found from what `spacy xlt try-package --json` wrote."""
        self.trial = list(_get(_read(path), "found", path))

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    def tables(self) -> list[tuple[str, list[str], list[list[str]]]]:
        """Title, head and rows of each table."""
        tables = []
        if self.scores:
            labels = sorted({label for score in self.scores for label in score.per_type})
            rows = [
                [
                    s.name,
                    *(f"{v:.1f}" for v in (s.p, s.r, s.f)),
                    *(f"{s.per_type.get(label, 0):.1f}" for label in labels),
                ]
                for s in self.scores
            ]
            tables.append(("Entities found on the test set", ["pipeline", "P", "R", "F1", *labels], rows))
        if self.projection is not None:
            ceiling = "" if self.ceiling is None else f"{self.ceiling:.1f}"
            row = [*(f"{v:.1f}" for v in (self.projection.p, self.projection.r, self.projection.f)), ceiling]
            tables.append(("Projection onto given translations", ["P", "R", "F1", "ceiling"], [row]))
        if self.stages:
            rows = [
                [s.name, *(_number(v) for v in (s.seconds, s.sentences_per_second, s.words_per_second))]
                for s in self.stages
            ]
            tables.append(("Speed", ["stage", "seconds", "sentences/s", "words/s"], rows))
        return tables

    def lines(self) -> list[str]:
        """What is not a table."""
        lines = []
        if self.projected or self.lost:
            reasons = ", ".join(f"{reason} {n}" for reason, n in self.lost.items())
            lines.append(
                f"Built: {self.projected} entities projected, {sum(self.lost.values())} lost"
                + f" ({reasons})" * bool(reasons)
            )
        if self.package:
            lines.append(f"Packaged pipeline: {self.package}")
        for item in self.trial:
            found = ", ".join(f"{text} {label}" for text, label in item["ents"]) or "nothing"
            lines.append(f"Without spacy_xlt it finds in {item['text']!r}: {found}")
        return lines

    def to_markdown(self) -> str:
        """The report as a page of Markdown."""
        parts = ["# Report\n"]
        for title, head, rows in self.tables():
            rule = ["---", *("--:" for _ in head[1:])]
            parts.append(f"## {title}\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in [head, rule, *rows]) + "\n")
        parts += [f"{line}\n" for line in self.lines()]
        parts += [f"`{name}`: `{signature}`\n" for name, signature in self.signatures.items() if signature]
        return "\n".join(parts)


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf8"))
    except FileNotFoundError as err:
        raise error("E605", path=path, reason="there is no such file; run the command that writes it first") from err
    except ValueError as err:
        raise error("E605", path=path, reason=f"it is not JSON ({err})") from err
    if not isinstance(data, dict):
        raise error("E605", path=path, reason="it holds no JSON object")
    return data


def _get(data: dict[str, Any], key: str, path: Path) -> Any:
    if key not in data:
        raise error("E605", path=path, reason=f"it has no {key!r}, so another command wrote it")
    return data[key]


def _score(name: str, data: dict[str, Any], path: Path) -> Score:
    p, r, f = (_percent(_get(data, f"ents_{key}", path)) for key in "prf")
    per_type = {label: _percent(values["f"]) for label, values in (data.get("ents_per_type") or {}).items()}
    return Score(name, p, r, f, per_type)


def _percent(share: float | None) -> float:
    # spaCy writes null where there was nothing to score
    return round(100 * (share or 0.0), 2)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _sentences(words_per_second: float, corpus: Path | None) -> float | None:
    """Sentences a second from words a second, with the mean length of a corpus's sentences."""
    if corpus is None:
        return None
    n_words = n_sentences = 0
    for doc in read_docs(corpus):
        n_words += len(doc)
        n_sentences += len(sentence_ranges(doc))
    return round(words_per_second * n_sentences / n_words, 1) if n_words else None
