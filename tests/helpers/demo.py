"""What the repository's own project is rendered from: the demo's data in the place of a person's."""

from __future__ import annotations

from typing import Any

from spacy_xlt.workflow.choices import Request, choose

FILES = {
    "sources": [
        {"name": "a", "file": "uner/English-EWT/en_ewt-ud-dev.iob2", "format": ""},
        {"name": "b", "file": "uner/English-EWT/en_ewt-ud-test.iob2", "format": ""},
        {"name": "c", "file": "wikigold/wikigold.conll.txt", "format": "conll"},
    ],
    # Not English PUD: its sentences are those of Portuguese PUD, which is a test set
    "dev": {"name": "dev", "file": "europarl-ner/en-europarl.test.conll02", "format": "conll"},
    "test": {"name": "test", "file": "uner/Portuguese-Bosque/pt_bosque-ud-test.iob2", "format": ""},
    "gold": {
        "train": "uner/Portuguese-Bosque/pt_bosque-ud-train.iob2",
        "dev": "uner/Portuguese-Bosque/pt_bosque-ud-dev.iob2",
    },
    "given": {
        "source": "uner/English-PUD/en_pud-ud-test.iob2",
        "target": "uner/Portuguese-PUD/pt_pud-ud-test.iob2",
    },
    "raw_text": "ntrex/newstest2019-ref.por-BR.txt",
    "parallel": {
        "targets": "deu,swe,rus,zho-CN,hrv,srp-Latn,dan,slv,por-BR,glg,swa,hau",
        "text": "ntrex",
        "test": "uner/*/{lang}_*-ud-test.iob2",
    },
    "sample": "O presidente Jorge Sampaio visitou ontem a sede das Nações Unidas em Nova York.",
}


def demo_values() -> dict[str, Any]:
    """The values of the demo: what `init` chooses for English and Portuguese, with the demo's files."""
    return {
        **choose(Request(source="en", target="pt", labels=("PER", "LOC", "ORG"))).values,
        **FILES,
        "test_name": "bosque",
        "compare_steps": 900,
        "package_data": "--data source=uner/English-EWT,wikigold --data encoder=bundled/encoder",
    }
