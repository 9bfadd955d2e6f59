"""A large English corpus made of the texts in assets/: `benchmarks/build_corpus.py` builds it.

    python benchmarks/build_sentences.py FOLDER SENTENCES [--seed 0]

Each text is there once as it is, and then again and again with other digits in its numbers and other names in place of
its own, drawn from all names of the same label. Entities move with their words. No sentence is there twice; one without
a number or a name is there once. NTREX has no entities: names of the other texts that are found in it count as some.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spacy.tokens import Doc, DocBin, Span
from spacy.vocab import Vocab

ASSETS = Path(__file__).parent.parent / "assets"
ANNOTATED = {
    "uner/English-EWT/en_ewt-ud-dev.iob2": "iob2",
    "uner/English-EWT/en_ewt-ud-test.iob2": "iob2",
    "uner/English-PUD/en_pud-ud-test.iob2": "iob2",
    "wikigold/wikigold.conll.txt": "conll",
}
PLAIN = "ntrex/newstest2019-src.eng.txt"
DOCS_A_FILE = 5000
# Times that a sentence is tried again where it came out as one that is there already
TRIES = 5
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
# Shorter single words of the texts are names in one place and something else in another
_LEAST_NAME = 5
Name = tuple[tuple[str, ...], tuple[bool, ...]]


@dataclass(frozen=True)
class Template:
    """A sentence whose names and numbers can be others."""

    words: tuple[str, ...]
    spaces: tuple[bool, ...]
    entities: tuple[tuple[int, int, str], ...]

    @property
    def has_places(self) -> bool:
        return bool(self.entities) or any(_NUMBER.fullmatch(word) for word in self.words)

    def doc(self, vocab: Vocab) -> Doc:
        starts = [n == 0 for n in range(len(self.words))]
        doc = Doc(vocab, words=list(self.words), spaces=list(self.spaces), sent_starts=starts)
        doc.set_ents([Span(doc, start, end, label=label) for start, end, label in self.entities], default="outside")
        return doc

    def varied(self, names: dict[str, list[Name]], rng: random.Random) -> Template:
        """The same with other names and numbers."""
        words: list[str] = []
        spaces: list[bool] = []
        entities = []
        at = {start: (end, label) for start, end, label in self.entities}
        n = 0
        while n < len(self.words):
            if n in at:
                end, label = at[n]
                name, inside = rng.choice(names[label])
                entities.append((len(words), len(words) + len(name), label))
                words += name
                spaces += [*inside, self.spaces[end - 1]]
                n = end
                continue
            word = self.words[n]
            words.append(_other_number(word, rng) if _NUMBER.fullmatch(word) else word)
            spaces.append(self.spaces[n])
            n += 1
        return Template(tuple(words), tuple(spaces), tuple(entities))


def _other_number(word: str, rng: random.Random) -> str:
    digits = [rng.choice("0123456789") if char.isdigit() else char for char in word]
    if digits[0] == "0" and len(digits) > 1:
        digits[0] = rng.choice("123456789")
    return "".join(digits)


def templates() -> tuple[list[Template], dict[str, list[Name]]]:
    """All sentences, and the names of each label."""
    from spacy.lang.en import English

    from spacy_xlt.readers import read_corpus

    nlp, found = English(), []
    for path, format in ANNOTATED.items():
        for doc in read_corpus(ASSETS / path, format=format):
            entities = tuple((ent.start, ent.end, ent.label_) for ent in doc.ents)
            found.append(_template(doc, entities))
    names: dict[str, set[Name]] = defaultdict(set)
    for one in found:
        for start, end, label in one.entities:
            names[label].add((one.words[start:end], one.spaces[start : end - 1]))
    labels = {
        words: label
        for label, every in sorted(names.items())
        for words, _ in sorted(every)
        if words[0][0].isupper() and (len(words) > 1 or len(words[0]) >= _LEAST_NAME)
    }
    for line in (ASSETS / PLAIN).read_text(encoding="utf8").splitlines():
        if line.strip():
            doc = nlp.make_doc(line.strip())
            found.append(_template(doc, tuple(_known_names([token.text for token in doc], labels))))
    return found, {label: sorted(every) for label, every in names.items()}


def _template(doc: Doc, entities: tuple[tuple[int, int, str], ...]) -> Template:
    return Template(tuple(token.text for token in doc), tuple(bool(token.whitespace_) for token in doc), entities)


def _known_names(words: Sequence[str], labels: dict[tuple[str, ...], str]) -> Iterator[tuple[int, int, str]]:
    longest, n = max(map(len, labels)), 0
    while n < len(words):
        for length in range(min(longest, len(words) - n), 0, -1):
            if (label := labels.get(tuple(words[n : n + length]))) is not None:
                yield n, n + length, label
                n += length
                break
        else:
            n += 1


def sentences(seed: int = 0) -> Iterator[Template]:
    """Sentences without end, none of them twice."""
    rng = random.Random(seed)
    found, names = templates()
    known: set[bytes] = set()

    def is_new(one: Template) -> bool:
        text = "".join(word + " " * space for word, space in zip(one.words, one.spaces, strict=True)).strip()
        key = hashlib.blake2b(text.encode(), digest_size=8).digest()
        if key in known:
            return False
        known.add(key)
        return True

    rng.shuffle(found)
    yield from filter(is_new, found)
    found = [one for one in found if one.has_places]
    while True:
        before = len(known)
        rng.shuffle(found)
        for one in found:
            for _ in range(TRIES):
                if is_new(varied := one.varied(names, rng)):
                    yield varied
                    break
        if len(known) == before:
            return


def write_corpus(folder: Path, n: int, *, seed: int = 0) -> dict[str, Any]:
    """Write sentences as files of some thousands.

    RETURNS (dict[str, Any]): Sentences, tokens, spans and files.
    RAISES (SystemExit): Where there are not as many that differ.
    """
    folder.mkdir(parents=True, exist_ok=True)
    counts = {"sentences": 0, "tokens": 0, "spans": 0, "files": 0}
    vocab, data = Vocab(), DocBin()
    for one in sentences(seed):
        data.add(one.doc(vocab))
        counts["sentences"] += 1
        counts["tokens"] += len(one.words)
        counts["spans"] += len(one.entities)
        if len(data) == DOCS_A_FILE or counts["sentences"] == n:
            data.to_disk(folder / f"part-{counts['files']:05d}.spacy")
            counts["files"] += 1
            vocab, data = Vocab(), DocBin()
        if counts["sentences"] == n:
            return counts
    raise SystemExit(f"there are only {counts['sentences']} different sentences")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("sentences", type=int)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    print(write_corpus(args.folder, args.sentences, seed=args.seed))


if __name__ == "__main__":
    main()
