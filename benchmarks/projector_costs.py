"""What each projector costs and gives, as a Markdown table: PUD English to Portuguese, PER, LOC and ORG, one bitext.

    python benchmarks/projector_costs.py [--limit 1000] [--reverse] [--only links,markers,candidates,constrained]
    python benchmarks/projector_costs.py --speed     spans a second of LinkProjector on one core, on longer documents

All projectors get the same links, those of configs/project.cfg, which are made before the clock runs. The engines of
configs/project_*.cfg are used as they are. "As published" is the same engine with the settings nearest to the paper's
method: no links, no second kind of markers, no fallback. Seconds are those of projecting alone, models loaded.
`--speed` takes documents of ten sentences of Europarl, English to Spanish, with their gold entities.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from spacy.tokens import Doc

from spacy_xlt import Alignment, Bitext
from spacy_xlt.bitext import LostSpan, SentencePair
from spacy_xlt.config import find_component, load_pipeline_config
from spacy_xlt.docs import with_words
from spacy_xlt.evaluation.spans import label_count_f1, match_entities, prf, reliability
from spacy_xlt.projection.candidates import CandidateProjector
from spacy_xlt.projection.combined import StackedProjector, VotingProjector
from spacy_xlt.projection.component import ProjectorPipe
from spacy_xlt.projection.constrained import ConstrainedProjector
from spacy_xlt.projection.links.projector import LinkProjector
from spacy_xlt.projection.markers import MarkerProjector
from spacy_xlt.readers import read_corpus

ROOT = Path(__file__).parent.parent
FILES = {"en": "English-PUD/en_pud-ud-test.iob2", "pt": "Portuguese-PUD/pt_pud-ud-test.iob2"}
LABELS = {"PER", "LOC", "ORG"}


def read(lang: str, limit: int) -> list[Doc]:
    """The sentences of one side of PUD with their entities of the three types."""
    docs = []
    for doc in read_corpus(ROOT / "assets" / "uner" / FILES[lang], lang=lang):
        doc.set_ents([ent for ent in doc.ents if ent.label_ in LABELS], default="outside")
        docs.append(doc)
    return docs[:limit]


def configured(name: str) -> Any:
    """The projector of a config."""
    path = ROOT / "configs" / f"{name}.cfg"
    return find_component(load_pipeline_config(path), "xlt_projector", path).engine


def projectors() -> dict[str, Callable[[], Any]]:
    """What is compared: a way to make each."""

    def all_of_them() -> dict[str, Any]:
        names = ("markers", "candidates", "constrained")
        return {"links": configured("project"), **{name: configured(f"project_{name}") for name in names}}

    def cheap() -> dict[str, Any]:
        return {key: value for key, value in all_of_them().items() if key != "constrained"}

    return {
        "links": lambda: configured("project"),
        "markers": lambda: configured("project_markers"),
        "markers as published": lambda: MarkerProjector(markers="brackets", fallback=None),
        "candidates": lambda: configured("project_candidates"),
        "candidates as published": lambda: CandidateProjector(pool=10_000, evidence=0.0),
        "constrained": lambda: configured("project_constrained"),
        "constrained as published": lambda: ConstrainedProjector(starts=None, n_best=5, fallback=None),
        "links then candidates": lambda: StackedProjector(
            projectors={"links": configured("project"), "candidates": configured("project_candidates")},
            order=["links", "candidates"],
        ),
        "vote of the first three": lambda: VotingProjector(projectors=cheap()),
        "vote of the four": lambda: VotingProjector(projectors=all_of_them()),
    }


def bitexts(pairs: Sequence[tuple[Doc, Doc]], links: Sequence[Any]) -> list[Bitext]:
    """Bitexts with bare targets."""
    made = []
    for (source, gold), alignment in zip(pairs, links, strict=True):
        words, spaces = [token.text for token in gold], [bool(token.whitespace_) for token in gold]
        made.append(Bitext(source, Doc(gold.vocab, words=words, spaces=spaces), alignment))
    return made


def align(todo: list[Bitext]) -> None:
    """Link the words with the aligner of configs/project.cfg."""
    path = ROOT / "configs" / "project.cfg"
    find_component(load_pipeline_config(path), "xlt_aligner", path).align(todo)


def row(name: str, engine: Any, todo: list[Bitext], golds: Sequence[Doc]) -> str:
    """One line of the table."""
    projector = ProjectorPipe("xlt_projector", engine)
    with_spans = next(bitext for bitext in todo if bitext.source.ents)
    projector.project([Bitext(with_spans.source, with_spans.target.copy(), with_spans.alignment)])
    start = time.perf_counter()
    projector.project(todo)
    seconds = time.perf_counter() - start
    found, wanted = match_entities([bitext.target for bitext in todo], golds)
    scores = {key: f"{100 * value:.2f}" for key, value in prf(found, wanted).items()}
    lost: list[LostSpan] = [span for bitext in todo for span in bitext.lost]
    surest = f"{100 * reliability(found)['precision_of_surest']:.2f}"
    cells = [name, f"{len(todo) / seconds:,.1f}", scores["p"], scores["r"], scores["f"], surest, str(len(lost))]
    return f"| {' | '.join(cells)} |"


def joined(parts: Sequence[Bitext]) -> Bitext:
    """One bitext of several."""
    links, sentences, i, j = [], [], 0, 0
    for part in parts:
        links.append(part.alignment.shift(i, j))
        sentences.append(SentencePair(i, i + len(part.source), j, j + len(part.target)))
        i, j = sentences[-1].source_end, sentences[-1].target_end
    source, target = (Doc.from_docs([getattr(part, side) for part in parts]) for side in ("source", "target"))
    return Bitext(source, target, Alignment.concatenate(links), sentences=sentences)


def measure_speed(limit: int, *, size: int = 10, rounds: int = 7) -> str:
    """Spans a second of LinkProjector on documents of several sentences, onto fresh targets in each round."""
    sides = [
        list(read_corpus(ROOT / "assets" / "europarl-ner" / f"{lang}-europarl.test.conll02", lang=lang))[:limit]
        for lang in ("en", "es")
    ]
    pairs = [Bitext(source, target) for source, target in zip(*sides, strict=True)]
    align(pairs)
    todo = [joined(pairs[k : k + size]) for k in range(0, len(pairs), size)]
    n_spans = sum(len(bitext.source.ents) for bitext in todo)
    projector = ProjectorPipe("xlt_projector", LinkProjector())
    speeds = []
    for _ in range(rounds):
        fresh = [replace(bitext, target=with_words(bitext.target, [t.text for t in bitext.target])) for bitext in todo]
        start = time.process_time()
        projector.project(fresh)
        speeds.append(n_spans / (time.process_time() - start))
    median = f"{statistics.median(speeds):,.0f} spans a second (median of {rounds}, {min(speeds):,.0f} at least)"
    return f"{n_spans} spans, {len(pairs)} sentence pairs in {len(todo)} documents: {median}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--limit", type=int, default=1000, help="sentence pairs")
    parser.add_argument("--reverse", action="store_true", help="Portuguese to English")
    parser.add_argument("--only", help="names of projectors with commas between; 'vote' for those that contain it")
    parser.add_argument("--speed", action="store_true", help="only the speed of LinkProjector")
    args = parser.parse_args()
    if args.speed:
        print(measure_speed(args.limit))
        return
    source, target = ("pt", "en") if args.reverse else ("en", "pt")
    pairs = list(zip(read(source, args.limit), read(target, args.limit), strict=True))
    aligned = bitexts(pairs, [Alignment() for _ in pairs])
    align(aligned)
    links = [bitext.alignment for bitext in aligned]
    n_spans = sum(len(source.ents) for source, _ in pairs)
    ceiling = f"ceiling {100 * label_count_f1(pairs):.1f}"
    print(f"{len(pairs)} sentence pairs, {source} to {target}, {n_spans} spans; {ceiling}\n")
    print("| projector | sentences a second | P | R | F1 | P without the least sure tenth | lost |")
    print("|---|---:|---:|---:|---:|---:|---:|", flush=True)
    wanted = None if args.only is None else [name.strip() for name in args.only.split(",")]
    for name, make in projectors().items():
        if wanted is None or any(name == one or (one == "vote" and one in name) for one in wanted):
            print(row(name, make(), bitexts(pairs, links), [gold for _, gold in pairs]), flush=True)


if __name__ == "__main__":
    main()
