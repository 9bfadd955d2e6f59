"""How many strings that must not be translated come through the bundled model, by the way they are given to it.

    python benchmarks/placeholders.py [--sentences 40] [--json OUT.json]

Addresses, code, handles, paths and variables are put into templates, where they have a part in the sentence, and at
random places of sentences of NTREX-128, where they have none, which is harder. "as it is" gives them to the model as
they are, each stand-in style alone in their place, and "component" is what xlt_translator does, with everything.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path

import spacy

from spacy_xlt.translation.bergamot.engine import make_bergamot_translator
from spacy_xlt.translation.placeholders import KINDS, find_protected
from spacy_xlt.translation.standins import STYLES, Fixed, attempt, missing

ASSETS = Path(__file__).parents[1] / "assets" / "ntrex"
STRINGS = {
    "url": [
        "https://www.example.com/path/to?q=1&r=two",
        "http://t.co/AbC12x",
        "www.bbc.co.uk/news",
        "example.org/a.html",
    ],
    "email": ["john.smith@example.com", "info@acme-corp.co.uk", "a_b+tag@mail.org"],
    "code": ['`git commit -m "fix"`', "`nlp.pipe(texts)`", "`x = 1`"],
    "handle": ["@realDonaldTrump", "@user_123"],
    "hashtag": ["#BlackLivesMatter", "#winning"],
    "path": ["/usr/local/bin/python3", r"C:\Users\John\file.txt", "~/Documents/report.pdf", "src/main.py"],
    "variable": ["{name}", "%s", "%(count)d", "${HOME}", "{{ user }}", "{0}"],
}
TEMPLATES = (
    "See {} for more details.",
    "Please send it to {} before Monday, or call us.",
    "{} was not found on this server.",
    "According to {}, the number of visitors rose last year.",
    "I opened {} and then {} did not work.",
    "Welcome, {}! You have new messages.",
    "Copy {} to {}, then open {}.",
)  # fmt: skip


def examples(n_sentences: int) -> Iterator[tuple[str, str, str]]:
    """YIELDS (tuple[str, str, str]): "templates" or "random places", the kind of string, and a sentence."""
    rng = random.Random(0)
    lines = (ASSETS / "newstest2019-src.eng.txt").read_text(encoding="utf8").splitlines()
    plain = [line for line in lines if len(line.split()) > 4 and not find_protected(line)]
    for kind, strings in STRINGS.items():
        for template in TEMPLATES:
            for string in strings:
                others = [rng.choice(strings) for _ in range(template.count("{}") - 1)]
                yield "templates", kind, template.format(string, *others)
        for line in rng.sample(plain, n_sentences):
            words = line.split(" ")
            words.insert(rng.randrange(1, len(words)), rng.choice(strings))
            yield "random places", kind, " ".join(words)


def measure(n_sentences: int) -> dict[str, dict[str, list[int]]]:
    """RETURNS: Way → "where kind" → how many sentences came through with all strings, and how many there are."""
    engine = make_bergamot_translator()
    rows = list(examples(n_sentences))
    fixed = [tuple(Fixed(s, e, text[s:e], kind) for s, e, kind in find_protected(text)) for _, _, text in rows]
    result: dict[str, dict[str, list[int]]] = {}

    def count(way: str, i: int, is_good: bool) -> None:
        where, kind, _ = rows[i]
        for name in (f"{where}: {kind}", f"{where}: all"):
            cell = result.setdefault(way, {}).setdefault(name, [0, 0])
            cell[0] += is_good
            cell[1] += 1

    for way in (None, *STYLES):
        tries = [attempt(text, f, style=way, with_terms=True) for (_, _, text), f in zip(rows, fixed, strict=True)]
        answers = engine.translate([one.sent for one in tries], source="en", target="pt")
        for i, (one, answer) in enumerate(zip(tries, answers, strict=True)):
            made = one.finish(answer)
            count(
                way or "as it is", i, made is not None and not missing(made.text, one.text, fixed[i], target_lang="pt")
            )
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_translator", config={"target": "pt", "protect": list(KINDS)})
    for i, doc in enumerate(nlp.pipe([text for _, _, text in rows])):
        lost = missing(doc._.xlt["pt"].target.text, doc.text, fixed[i], target_lang="pt")
        flagged = "placeholder_lost" in doc._.xlt["pt"].flags
        if lost and not flagged:
            raise SystemExit(f"lost without a flag: {doc.text}")
        count("component", i, not lost)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=int, default=40, help="sentences with a string at a random place, a kind")
    parser.add_argument("--json", type=Path, help="also write the table to this file")
    args = parser.parse_args()
    result = measure(args.sentences)
    print(f"{'':28}" + "".join(f"{way:>16}" for way in result))
    for name in sorted(result["component"], key=lambda name: (name.startswith("random"), name.endswith("all"))):
        cells = [f"{good}/{total}" for good, total in (result[way][name] for way in result)]
        print(f"{name:28}" + "".join(f"{cell:>16}" for cell in cells))
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
