"""Ways to combine the members of an `xlt_ensemble`, and how right their probabilities are.

    python -m spacy assemble configs/ensemble_pt_en.cfg ENSEMBLE --paths.pipeline PT_PIPELINE --paths.annotator PIPELINE
    python benchmarks/ensemble.py ENSEMBLE GOLD.spacy [--json OUT.json]

Give development data, as the best row of a table on a test set is no result. Prints the seconds of every component, F1
of each member by itself, of unions, intersections and priority, and of the mean of probabilities at several thresholds
and weights; then, for each member, how many of the spans of some probability are right.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import spacy
from spacy.scorer import get_ner_prf
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example

from spacy_xlt.ensemble.combining import MemberSpans, combine
from spacy_xlt.probabilities import SpanKey

THRESHOLDS = (0.3, 0.4, 0.5, 0.6)
WEIGHTS = (2.0, 0.5)
BATCH = 64


def run(nlp: spacy.Language, gold: Sequence[Doc]) -> tuple[list[Doc], list[dict[str, MemberSpans]], dict[str, float]]:
    """What each member says of the text of each doc, and the seconds that each component took."""
    docs = [nlp.make_doc(doc.text) for doc in gold]
    found: list[dict[str, MemberSpans]] = []
    seconds = {}
    for name in nlp.pipe_names:
        pipe: Any = nlp.get_pipe(name)
        start = time.perf_counter()
        if name == "xlt_ensemble":
            for i in range(0, len(docs), BATCH):
                found += pipe.engine.find(docs[i : i + BATCH])
        else:
            docs = list(pipe.pipe(docs, batch_size=BATCH))
        seconds[name] = round(time.perf_counter() - start, 1)
    return docs, found, seconds


def score(docs: Sequence[Doc], gold: Sequence[Doc], spans: Sequence[Sequence[SpanKey]]) -> dict[str, Any]:
    """Exact precision, recall and F1 of entities, in per cent; all, and F1 by label."""
    examples = []
    for doc, reference, of_doc in zip(docs, gold, spans, strict=True):
        copy = Doc(doc.vocab, words=[t.text for t in doc], spaces=[bool(t.whitespace_) for t in doc])
        copy.set_ents([Span(copy, s.start, s.end, label=s.label) for s in of_doc], default="outside")
        examples.append(Example(copy, reference))
    scores = get_ner_prf(examples)
    found = {key: round(100 * (scores[f"ents_{key}"] or 0.0), 2) for key in "prf"}
    labels = sorted((scores["ents_per_type"] or {}).items())
    return {**found, **{label: round(100 * values["f"], 1) for label, values in labels}}


def compare(docs: Sequence[Doc], gold: Sequence[Doc], found: Sequence[Mapping[str, MemberSpans]]) -> dict[str, Any]:
    """The rows of the table, by name."""
    members = list(found[0])
    equal = dict.fromkeys(members, 1.0)
    rows = {f"only {name}": score(docs, gold, [sorted(one[name].spans) for one in found]) for name in members}

    def row(name: str, order: Sequence[str] = members, **settings: Any) -> None:
        settings = {"method": "mean", "weights": equal, "threshold": 0.4, **settings}
        spans = [[c.span for c in combine({key: one[key] for key in order}, **settings)] for one in found]
        rows[name] = score(docs, gold, spans)

    for method in ("union", "intersection", "priority"):
        row(method, method=method)
    row("priority, the other way round", members[::-1], method="priority")
    for threshold in THRESHOLDS:
        row(f"mean, threshold {threshold:g}", threshold=threshold)
    for weight in WEIGHTS:
        row(f"mean, {members[0]} {weight:g} times", weights={**equal, members[0]: weight})
    return rows


def calibration(docs: Sequence[Doc], gold: Sequence[Doc], found: Sequence[Mapping[str, MemberSpans]]) -> dict[str, Any]:
    """For each member and tenth of probability: how many spans have it, and the share that is right."""
    tables: dict[str, Any] = {}
    for name in found[0]:
        counts: Counter[int] = Counter()
        right: Counter[int] = Counter()
        for doc, reference, one in zip(docs, gold, found, strict=True):
            if [token.text for token in doc] != [token.text for token in reference]:
                continue
            ents = {(ent.start, ent.end, ent.label_) for ent in reference.ents}
            for span, probability in one[name].scores.items():
                tenth = min(9, int(10 * probability))
                counts[tenth] += 1
                right[tenth] += tuple(span) in ents
        tables[name] = {f"{t / 10:.1f}": [counts[t], round(right[t] / counts[t], 2)] for t in sorted(counts)}
    return tables


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pipeline", type=Path)
    parser.add_argument("gold", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    nlp = spacy.load(arguments.pipeline)
    gold = list(DocBin().from_disk(arguments.gold).get_docs(nlp.vocab))
    docs, found, seconds = run(nlp, gold)
    rows = compare(docs, gold, found)
    print(f"{len(gold)} documents; seconds: {seconds}\n")
    columns = list(next(iter(rows.values())))
    print("| | " + " | ".join(columns) + " |\n|---" + "|---" * len(columns) + "|")
    for name, row in rows.items():
        print(f"| {name} | " + " | ".join(f"{row.get(column, 0.0):.1f}" for column in columns) + " |")
    tables = calibration(docs, gold, found)
    for name, table in tables.items():
        print(f"\n{name}, probability: spans, share right")
        print("  ".join(f"{tenth}: {count}, {share:.2f}" for tenth, (count, share) in table.items()))
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": rows, "calibration": tables, "seconds": seconds}, indent=2))


if __name__ == "__main__":
    main()
