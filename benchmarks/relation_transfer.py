"""Relations in a language without annotated ones: zero-shot, and trained on their projection too, as Markdown.

    python benchmarks/relation_transfer.py SOURCE.spacy TARGET.spacy --lang fr --spans-key sc [--folds 5]

The corpora are the same texts in the same order, both with gold links. Each fold is measured with pipelines that were
trained on the others: on the source, on its links projected onto the target's text, and on both. So no text of the
evaluation is in the training in either language. All see the same number of updates, and are given the spans.
F1 of links with both ends and the label exact, of all folds together.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
from collections import defaultdict
from itertools import product
from pathlib import Path
from typing import Any

import spacy
from spacy.cli.train import train
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from tqdm import tqdm

from spacy_xlt.bitext import ENTS, Bitext
from spacy_xlt.config import find_component, load_pipeline_config, merge_configs
from spacy_xlt.docs import copy_span, with_vocab
from spacy_xlt.languages import MULTI
from spacy_xlt.readers.docbin import read_docs
from spacy_xlt.span_links import score_links

STRATEGIES = {
    "zero-shot": ["source"],
    "translate-train": ["projected"],
    "translate-train-all": ["source", "projected"],
}


def project(sources: list[Doc], targets: list[Doc]) -> list[Doc]:
    """The target's texts with what is projected onto them."""
    nlp = load_pipeline_config("project")
    bitexts = [Bitext.of_docs(*pair) for pair in zip(sources, targets, strict=True)]
    find_component(nlp, "xlt_aligner", "project").align(bitexts)
    find_component(nlp, "xlt_projector", "project").project(bitexts)
    return [bitext.target for bitext in bitexts]


def settings(args: argparse.Namespace, folder: Path, use: list[str]) -> dict[str, Any]:
    """Those of a training. Nothing is selected: it is the last of the updates."""
    return {
        "nlp.lang": MULTI,
        "languages.target": args.lang,
        "paths.source": str(folder / "source.spacy"),
        "paths.projected": str(folder / "projected.spacy"),
        "paths.dev": str(folder / "source.spacy"),
        "paths.encoder": str(args.encoder),
        "system.seed": args.seed,
        "reading.linked_spans": [args.spans_key],
        "corpora.train.use": use,
        "training.max_steps": args.steps,
        "training.eval_frequency": args.steps,
    }


def annotate(nlp: Language, golds: list[Doc], spans_key: str) -> list[Doc]:
    """The texts with the links that a pipeline finds between the gold spans."""
    docs = [with_vocab(gold, nlp.vocab) for gold in golds]
    for doc, gold in zip(docs, golds, strict=True):
        if spans_key == ENTS:
            doc.set_ents([copy_span(ent, doc) for ent in gold.ents])
        else:
            doc.spans[spans_key] = [copy_span(span, doc) for span in gold.spans[spans_key]]
    return list(nlp.pipe(docs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--lang", required=True, help="That of the target")
    parser.add_argument("--spans-key", default="ents")
    parser.add_argument("--encoder", type=Path, default=Path("models/encoder"), help="What is trained")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--only", help="Folds to measure, such as 0,1; all where left out")
    parser.add_argument("--strategies", default=",".join(STRATEGIES))
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    sources, golds = list(read_docs(args.source)), list(read_docs(args.target))
    print(f"{len(sources)} texts, {sum(len(doc._.xlt_links.links) for doc in sources)} links", flush=True)
    projected = project(sources, [with_vocab(doc, doc.vocab) for doc in golds])
    found: dict[str, list[Doc]] = defaultdict(list)
    folds = [int(fold) for fold in args.only.split(",")] if args.only else list(range(args.folds))
    tests = {fold: [doc for n, doc in enumerate(golds) if n % args.folds == fold] for fold in folds}
    wanted = [doc for fold in folds for doc in tests[fold]]
    with tempfile.TemporaryDirectory() as temporary:
        for name, fold in tqdm(list(product(args.strategies.split(","), folds)), unit="training"):
            folder = Path(temporary, f"{name}-{fold}")
            folder.mkdir()
            corpora = {"source": sources, "projected": projected}
            for corpus, docs in corpora.items():
                kept = [doc for n, doc in enumerate(docs) if n % args.folds != fold]
                DocBin(docs=kept, store_user_data=True).to_disk(folder / f"{corpus}.spacy")
            config = merge_configs(["train", "relations"], settings(args, folder, STRATEGIES[name]))
            config.to_disk(folder / "train.cfg", interpolate=False)
            with contextlib.redirect_stdout(io.StringIO()):
                train(folder / "train.cfg", folder)
            found[name] += annotate(spacy.load(folder / "model-last"), tests[fold], args.spans_key)
    print("| trained on | P | R | F1 |\n|---|--:|--:|--:|")
    for name, docs in found.items():
        scores = score_links(docs, wanted)
        print(f"| {name} | {' | '.join(f'{100 * scores[key]:.1f}' for key in ('links_p', 'links_r', 'links_f'))} |")


if __name__ == "__main__":
    main()
