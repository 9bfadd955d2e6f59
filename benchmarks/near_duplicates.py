"""How well near-duplicates are found: sentences of real corpora, changed in the ways that copies differ.

    python benchmarks/near_duplicates.py

For each change, the share of 250 changed sentences that is found again among 1,000 sentences of PUD and 1,166 of Bosque
(a copy that is missed is trained on), by threshold; then the pairs of sentences from corpora that share none
(every one found is a false alarm); then the cost.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

from spacy.tokens import Doc
from spacy_xlt.training.contractions import TABLES

from spacy_xlt.readers import read_corpus
from spacy_xlt.training.duplicates import MIN_LETTERS, NearDuplicates, sentences_of

UNER = Path(__file__).parent.parent / "assets" / "uner"
CORPORA = {
    "en": [UNER / "English-PUD" / "en_pud-ud-test.iob2"],
    "pt": [UNER / "Portuguese-PUD" / "pt_pud-ud-test.iob2", UNER / "Portuguese-Bosque" / "pt_bosque-ud-dev.iob2"],
    "de": [UNER / "German-PUD" / "de_pud-ud-test.iob2"],
}
# Web text, where people repeat one another
WEB = UNER / "English-EWT" / "en_ewt-ud-test.iob2", UNER / "English-EWT" / "en_ewt-ud-dev.iob2"
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
# Sentences of each language that are changed
N_CHANGED = 250
Change = Callable[[list[str], list[str], random.Random], list[str]]


def replace(n: int) -> Change:
    """Put n words of other sentences in the place of words."""

    def change(words: list[str], others: list[str], draw: random.Random) -> list[str]:
        for i in draw.sample(range(len(words)), min(n, len(words))):
            words[i] = draw.choice(others)
        return words

    return change


def delete(words: list[str], others: list[str], draw: random.Random) -> list[str]:
    """Leave a word out."""
    del words[draw.randrange(len(words))]
    return words


def misspell(words: list[str], others: list[str], draw: random.Random) -> list[str]:
    """Exchange two neighbouring letters, in two words."""
    for i in draw.sample(range(len(words)), min(2, len(words))):
        at = draw.randrange(max(1, len(words[i]) - 1))
        words[i] = words[i][:at] + words[i][at : at + 2][::-1] + words[i][at + 2 :]
    return words


def add(words: list[str], others: list[str], draw: random.Random) -> list[str]:
    """Put two words before it."""
    return [draw.choice(others), draw.choice(others), *words]


def truncate(words: list[str], others: list[str], draw: random.Random) -> list[str]:
    """Leave out the last fifth."""
    return words[: max(1, round(len(words) * 0.8))]


def swap_halves(words: list[str], others: list[str], draw: random.Random) -> list[str]:
    """Say the second half first."""
    half = len(words) // 2
    return [*words[half:], *words[:half]]


def respell(words: list[str], others: list[str], draw: random.Random) -> list[str]:
    """Other quotation marks, capitals and no final punctuation."""
    text = " ".join(words).upper().replace('"', "''").rstrip(" .")
    return text.split(" ")


def contract(words: list[str], others: list[str], draw: random.Random) -> list[str]:
    """Write Portuguese as people do, who do not take contractions apart as treebanks do."""
    together = {parts: word for word, parts in reversed(TABLES["pt"].items())}
    contracted: list[str] = []
    for word in words:
        pair = (contracted[-1].lower(), word.lower()) if contracted else ("", "")
        if pair in together:
            contracted[-1] = together[pair]
        else:
            contracted.append(word)
    return contracted


CHANGES: dict[str, Change] = {
    "spelling and punctuation": respell,
    "2 words misspelt": misspell,
    "1 word left out": delete,
    "1 word replaced": replace(1),
    "2 words replaced": replace(2),
    "3 words replaced": replace(3),
    "2 words added": add,
    "last fifth left out": truncate,
    "halves exchanged": swap_halves,
}


def main() -> None:
    docs = {lang: [doc for path in paths for doc in _read(path, lang)] for lang, paths in CORPORA.items()}
    texts = {lang: [doc.text for doc in read if len(doc.text) > MIN_LETTERS * 1.3] for lang, read in docs.items()}
    print(f"{'found again':28}" + "".join(f"{threshold:8}" for threshold in THRESHOLDS))
    for lang in texts:
        indexes = [NearDuplicates(texts[lang], threshold=threshold) for threshold in THRESHOLDS]
        others = [word for text in texts[lang] for word in text.split()]
        changed = {name: _changed(texts[lang], change, others) for name, change in CHANGES.items()}
        if lang in TABLES:
            changed["contracted"] = _changed(texts[lang], contract, others)
        for name, found in changed.items():
            shares = [sum(index.similarity(text) > 0 for text in found) / len(found) for index in indexes]
            print(f"{lang} {name:25}" + "".join(f"{100 * share:7.1f}%" for share in shares))
    print("\npairs of sentences of different corpora, of which one is found")
    web = [[doc.text for doc in _read(path, "en")] for path in WEB]
    pairs = {
        "en PUD in EWT": (texts["en"], web[0] + web[1]),
        "pt PUD in Bosque": (texts["pt"][:900], texts["pt"][1000:]),
        "pt in de, en": (texts["pt"], texts["de"] + texts["en"]),
        "EWT test in EWT dev": (web[0], web[1]),
    }
    for name, (asked, known) in pairs.items():
        exact = sum(NearDuplicates(known, threshold=1.0).similarity(text) > 0 for text in asked)
        near = []
        for threshold in THRESHOLDS:
            index = NearDuplicates(known, threshold=threshold)
            near.append(sum(0 < index.similarity(text) < 1 for text in asked))
        print(f"{name:28}" + "".join(f"{n:8}" for n in near) + f"   of {len(asked)}; and {exact} duplicates")
    _time(web)


def _time(web: list[list[str]]) -> None:
    begin = time.perf_counter()
    index = NearDuplicates(web[1], threshold=0.6)
    made = time.perf_counter()
    for text in web[0]:
        index.similarity(text)
    asked = time.perf_counter()
    per_second = len(index) / (made - begin), len(web[0]) / (asked - made)
    print("\n{:,.0f} sentences a second taken in, {:,.0f} asked for".format(*per_second))


def _changed(texts: list[str], change: Change, others: list[str]) -> list[str]:
    draw = random.Random(0)
    return [" ".join(change(text.split(), others, draw)) for text in texts[:N_CHANGED]]


def _read(path: Path, lang: str) -> list[Doc]:
    return [doc for doc in read_corpus(path, lang=lang) if sentences_of(doc)]


if __name__ == "__main__":
    main()
