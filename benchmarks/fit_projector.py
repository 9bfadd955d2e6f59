"""Fit the weights of LinkProjector on gold data, and measure them on languages left out. Prints Markdown.

    python benchmarks/fit_projector.py [CONFIG] [--data FOLDER] [--write]

Reads what `projection_quality.py` reads, links it with the aligner of a config (configs/project.cfg), and learns from
all of it but ABSA, whose licence allows research only. Conditional likelihood of the places of spans of the same label,
each data set counting the same, L2 regularised, by L-BFGS: the result is the same in each run. As one data set more
count whole sentences, with and without their last mark, alone and beside another one: where a sentence went is known in
any parallel text, and few data have spans as long as clauses. Columns of the table:
F1 of weights learned without the language of a data set; without that data set alone, as all data with long spans are
in Spanish; and of the final weights. "Unscored" is for the same links without scores and weak links, as of an aligner
that has none. `--write` stores the final weights in the package.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import projection_quality
import projector_costs
import torch
from spacy.tokens import Doc, Span

from spacy_xlt import Alignment, Bitext
from spacy_xlt.config import find_component, load_pipeline_config
from spacy_xlt.evaluation.projection import make_bitext
from spacy_xlt.evaluation.spans import keep_entities, match_entities, prf
from spacy_xlt.projection.component import ProjectorPipe
from spacy_xlt.projection.links import scorer
from spacy_xlt.projection.links.evidence import LinkIndex
from spacy_xlt.projection.links.features import Texts, features_of
from spacy_xlt.projection.links.projector import LinkProjector
from spacy_xlt.tokens import is_symbol

KINDS = ("scored", "unscored")
NAMES = ("inside", "starts", "ends")
NOT_LEARNED_FROM = "ABSA"
# A pair is a sentence and its translation
SENTENCES = ("Europarl", "PUD", "xSID")
L2 = 1e-3
STEPS = 40
NEVER = -1e9


class Gold(NamedTuple):
    """A data set: its bitexts with both kinds of links, and the targets as annotated."""

    bitexts: dict[str, list[Bitext]]
    golds: list[Doc]
    lang: str


class Examples(NamedTuple):
    """The features of the spans of a data set, and the places where they should go.

    Attributes:
        features: Of `inside`, `starts` and `ends`, those for all spans and those for clauses: (2 * n, n_columns).
        columns: The span and the token, counted from its window, of each column: (2, n_columns).
        shape: Number of spans and size of the largest window.
        places: The span, first and last token of each right place: (3, n_places).
    """

    features: list[torch.Tensor]
    columns: torch.Tensor
    shape: tuple[int, int]
    places: torch.Tensor


def read(config: Path, data: Path) -> dict[str, Gold]:
    """Read and link all data sets that are there."""
    nlp = load_pipeline_config(config)
    aligner = find_component(nlp, "xlt_aligner", config)
    result = {}
    for name, (corpus, folder) in projection_quality.find(data).items():
        pairs = projection_quality.read_pairs(corpus, folder)
        for doc in (doc for pair in pairs for doc in pair):
            keep_entities(doc, corpus.labels)
        scored = [make_bitext(source, gold) for source, gold in pairs]
        aligner.align(scored)
        unscored = [replace(bitext, alignment=Alignment(bitext.alignment.links)) for bitext in scored]
        result[name] = Gold({"scored": scored, "unscored": unscored}, [gold for _, gold in pairs], corpus.lang)
    return result


def examples(bitexts: Sequence[Bitext], golds: Sequence[Doc]) -> Examples:
    """What is learned from: spans for which an annotator marked one of the same label in the window."""
    texts = Texts([LinkIndex(b) for b in bitexts], [[(e.start, e.end) for e in b.source.ents] for b in bitexts])
    spans = texts.spans
    places = []
    for n, ((b, k), low, high) in enumerate(zip(texts.origins, spans.low.tolist(), spans.high.tolist(), strict=True)):
        label = bitexts[b].source.ents[k].label_
        right = [e for e in golds[b].ents if e.label_ == label and low <= e.start and e.end <= high]
        places += [(n, e.start - low, e.end - 1 - low) for e in right]
    features = features_of(texts, spans)
    sizes = spans.high - spans.low
    span = np.repeat(np.arange(len(sizes)), sizes)
    token = np.arange(len(span)) - features.first[span]
    both = [np.concatenate([rows, features.clause * rows]) for rows in (getattr(features, name) for name in NAMES)]
    return Examples(
        [torch.from_numpy(rows.astype(np.float32)) for rows in both],
        torch.from_numpy(np.stack([span, token])),
        (len(sizes), int(sizes.max())),
        torch.tensor(places).T,
    )


def sentences(bitexts: Sequence[Bitext], size: int) -> tuple[list[Bitext], list[Doc]]:
    """Whole sentences as spans: the bitexts of `size` neighbours each, one of which is marked, and their targets."""
    result = []
    for n, start in enumerate(range(0, len(bitexts) - size + 1, size)):
        bitext = projector_costs.joined(bitexts[start : start + size])
        pair, docs = bitext.sentences[n // 2 % size], (bitext.source, bitext.target)
        ranges = pair.source, pair.target
        ends_with_marks = all(is_symbol(doc[end - 1].text) for doc, (_, end) in zip(docs, ranges, strict=True))
        for doc, (first, end) in zip(docs, ranges, strict=True):
            doc.ents = [Span(doc, first, end - (n % 2 and ends_with_marks), label="SENTENCE")]
        result.append(replace(bitext, sentences=[]))
    return result, [bitext.target for bitext in result]


def loss(weights: Sequence[torch.Tensor], data: Examples) -> torch.Tensor:
    """The mean negative log-likelihood of the right places, taken together for each span."""
    inside, starts, ends = (weight @ rows for weight, rows in zip(weights, data.features, strict=True))

    def padded(values: torch.Tensor, fill: float) -> torch.Tensor:
        return torch.full(data.shape, fill).index_put(tuple(data.columns), values)

    sums = padded(inside, 0.0).cumsum(1)
    opening = padded(starts, NEVER) - torch.cat([torch.zeros(len(sums), 1), sums[:, :-1]], dim=1)
    closing = padded(ends, NEVER) + sums
    total = torch.logsumexp(opening.logcumsumexp(1) + closing, dim=1)
    span, first, last = data.places
    right = opening[span, first] + closing[span, last]
    highest = torch.full((len(total),), NEVER).scatter_reduce(0, span, right, "amax")
    share = torch.zeros(len(total)).scatter_add(0, span, torch.exp(right - highest[span]))
    has_place = share > 0
    return (total - highest - share.clamp_min(1e-30).log())[has_place].mean()


def fit(data: Sequence[Examples], of_sentences: Sequence[Examples]) -> dict[str, np.ndarray]:
    """The weights that make the right places of some data sets most likely; those of sentences are one together."""
    weights = [torch.zeros(len(rows), requires_grad=True) for rows in data[0].features]
    optimizer = torch.optim.LBFGS(weights, max_iter=STEPS, history_size=20, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        losses = [loss(weights, of_set) for of_set in data]
        losses.append(torch.stack([loss(weights, of_set) for of_set in of_sentences]).mean())
        objective = torch.stack(losses).mean()
        objective = objective + L2 * sum((weight**2).sum() for weight in weights)
        objective.backward()
        return objective

    optimizer.step(closure)
    rounded = [np.round(weight.detach().numpy().astype(np.float64), 3).reshape(2, -1) for weight in weights]
    return dict(zip(NAMES, rounded, strict=True))


def f1(gold: Gold, kind: str, weights: dict[str, np.ndarray]) -> float:
    """Exact F1 of LinkProjector with some weights."""
    # Sentences in which only the spelling links words count as unscored
    scorer.weights().update({kind: {name: rows.astype(np.float32) for name, rows in weights.items()} for kind in KINDS})
    ProjectorPipe("xlt_projector", LinkProjector()).project(gold.bitexts[kind])
    targets = [bitext.target for bitext in gold.bitexts[kind]]
    return 100 * prf(*match_entities(targets, gold.golds))["f"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("config", nargs="?", type=Path, default=projection_quality.ROOT / "configs" / "project.cfg")
    parser.add_argument("--data", type=Path, default=projection_quality.ROOT / "assets")
    parser.add_argument("--write", action="store_true", help="store the final weights in the package")
    args = parser.parse_args()
    torch.set_num_threads(1)
    sets = read(args.config, args.data)
    learned = {name: gold for name, gold in sets.items() if not name.startswith(NOT_LEARNED_FROM)}
    found = {kind: {name: examples(gold.bitexts[kind], gold.golds) for name, gold in learned.items()} for kind in KINDS}
    whole = {
        kind: {
            name: [examples(*sentences(gold.bitexts[kind], size)) for size in (1, 2)]
            for name, gold in learned.items()
            if name.startswith(SENTENCES)
        }
        for kind in KINDS
    }
    fitted: dict[tuple[str, tuple[str, ...]], dict[str, np.ndarray]] = {}

    def without(kind: str, left_out: Iterable[str]) -> dict[str, np.ndarray]:
        kept = tuple(name for name in learned if name not in left_out)
        if (kind, kept) not in fitted:
            of_sentences = [part for name in kept for part in whole[kind].get(name, ())]
            fitted[kind, kept] = fit([found[kind][name] for name in kept], of_sentences)
        return fitted[kind, kept]

    print("| data | language left out | data left out | final | unscored: language left out | unscored: final |")
    print("|---|---|---|---|---|---|")
    means = []
    for name, gold in sets.items():
        language = [other for other, of in learned.items() if of.lang == gold.lang]
        columns = (("scored", language), ("scored", [name]), ("scored", []), ("unscored", language), ("unscored", []))
        means.append([f1(gold, kind, without(kind, left_out)) for kind, left_out in columns])
        print(f"| {name} | " + " | ".join(f"{figure:.1f}" for figure in means[-1]) + " |", flush=True)
    print("| mean | " + " | ".join(f"{figure:.2f}" for figure in np.mean(means, axis=0)) + " |")
    final = {kind: {name: rows.tolist() for name, rows in without(kind, []).items()} for kind in KINDS}
    if args.write:
        path = Path(scorer.__file__).with_name("weights.json")
        path.write_text(json.dumps(final) + "\n")
        print(f"\n{path.name} written")
    else:
        print(f"\n{json.dumps(final)}")


if __name__ == "__main__":
    main()
