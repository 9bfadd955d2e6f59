"""Addresses, code and the like go through translation as they are; given terms appear as they are given."""

from __future__ import annotations

import time

import numpy as np
import pytest
import spacy
from helpers.standins import Standins
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_xlt.alignment.soft import token_weights
from spacy_xlt.errors import XltError
from spacy_xlt.protocols import Translation
from spacy_xlt.translation.cached import CachedTranslator
from spacy_xlt.translation.component import TranslatorPipe
from spacy_xlt.translation.guarded import GuardedTranslator, Request
from spacy_xlt.translation.placeholders import KINDS, find_protected
from spacy_xlt.translation.standins import STYLES, Fixed, attempt


def found(text: str) -> list[tuple[str, str]]:
    return [(text[start:end], kind) for start, end, kind in find_protected(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("See https://en.wikipedia.org/wiki/A_(b), www.bbc.co.uk/news. (http://x.org/a).",
         ["https://en.wikipedia.org/wiki/A_(b)", "www.bbc.co.uk/news", "http://x.org/a"]),
        ("At home.example.com, example.org/help.html or bit.ly/abc!",
         ["home.example.com", "example.org/help.html", "bit.ly/abc"]),
        ("To a.b+c@d-e.co.uk, or cat...@gmail.com.", ["a.b+c@d-e.co.uk", "cat...@gmail.com"]),
        ('Run `git commit -m "x"` or ```a\'b```.', ['`git commit -m "x"`', "```a'b```"]),
        ("@user_1: hi #WeAreHere", ["@user_1", "#WeAreHere"]),
        (r"C:\Users\me\a.txt, /usr/local/bin, ~/x/y.pdf and src/main.py",
         [r"C:\Users\me\a.txt", "/usr/local/bin", "~/x/y.pdf", "src/main.py"]),
        ("{name}, %s, %(n)d, {{ user }}, ${HOME}, {0} and {}",
         ["{name}", "%s", "%(n)d", "{{ user }}", "${HOME}", "{0}", "{}"]),
        ("e.g. this, so.It ends, 100% sure, 1/2, 12/05/2019, and/or, km/h, #1, C#, 3.5, U.S., TCP/IP, a@b", []),
    ],
)  # fmt: skip
def test_what_is_protected(text, expected):
    assert [string for string, _ in found(text)] == expected


@pytest.mark.parametrize(
    "unit", ["a", "a.", "a-", "a/", "{", "%", "@", "`", "a@", "{a", "/", "a.b/", "\\", "@a", ".com"]
)
def test_long_texts_take_no_long_time(unit):
    start = time.perf_counter()
    find_protected(unit * 5000 + "@ a.b/")
    assert time.perf_counter() - start < 2


def guarded(engine, texts, *, terms=()) -> list[Translation]:
    requests = [Request(text, tuple(terms)) for text in texts]
    return GuardedTranslator(CachedTranslator(engine), protect=KINDS).translate(requests, source="en", target="pt")


def looks_at(translation: Translation, source: str, word: str, form: str) -> float:
    """How much the target string looks at the source string."""
    spans = [np.asarray([[t.index(w), t.index(w) + len(w)]]) for t, w in ((source, word), (translation.text, form))]
    return float(token_weights(translation.alignment, *spans)[0, 0])


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("loses", [(), ("www",), ("www", "XZ"), ("www", "XZ", "http")])
def test_a_placeholder_stands_for_itself_whatever_the_model_loses(loses, swap):
    text = "write to a@b.com or {name} today"
    engine = Standins(loses, swap)
    (made,) = guarded(engine, [text])
    words = text.split()[:: -1 if swap else 1]
    assert made.text == " ".join(w if w in ("a@b.com", "{name}") else w.upper() for w in words)
    assert made.flags == () and len(engine.seen) == len(loses) + 1
    for word in ("a@b.com", "{name}", "write", "today"):
        assert looks_at(made, text, word, word if word in made.text else word.upper()) == pytest.approx(1.0)


def test_what_cannot_be_kept_is_flagged():
    class Deaf:
        signature = "deaf"

        def translate(self, texts, *, source, target):
            return [Translation("nada", flags=("truncated",)) for _ in texts]

    (made,) = guarded(Deaf(), ["write to a@b.com today"])
    assert (made.text, made.flags) == ("nada", ("truncated", "placeholder_lost"))


def test_a_doubled_placeholder_counts_as_lost():
    class Twice:
        signature = "twice"

        def translate(self, texts, *, source, target):
            return [Translation(f"{text} {text}") for text in texts]

    (made,) = guarded(Twice(), ["to {name} now"])
    assert made.flags == ("placeholder_lost",)


def test_addresses_at_the_ends_are_not_given_to_the_translator():
    texts = ["All is said. https://x.org/a?b=c", "@me: go on", "https://x.org", "http://a.bc {x}"]
    engine = Standins()
    made = guarded(engine, texts)
    assert [m.text for m in made] == [
        "ALL IS SAID. https://x.org/a?b=c",
        "@me: GO ON",
        "https://x.org",
        "http://a.bc {x}",
    ]
    assert engine.seen == ["All is said.", "go on"]
    for one, text, word in zip(made, texts, ["https://x.org/a?b=c", "@me", "https://x.org", "{x}"], strict=True):
        assert looks_at(one, text, word, word) == pytest.approx(1.0)
    assert looks_at(made[1], texts[1], "on", "ON") == pytest.approx(1.0)


def test_the_same_string_twice_is_there_twice():
    (made,) = guarded(Standins(), ["from {x} to {x} and {x}y"])
    assert made.text == "FROM {x} TO {x} AND {x}y" and made.flags == ()


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(["go", "now", "{a}", "b@c.de", "https://d.ef/g", "#hi", "@you", "`x y`"]),
        min_size=1,
        max_size=9,
    ),
    st.booleans(),
    st.sampled_from([(), ("www",), ("www", "XZ", "http")]),
)
def test_every_mix_comes_through(words, swap, loses):
    text = " ".join(words)
    (made,) = guarded(Standins(loses, swap), [text])
    for word in set(words) - {"go", "now"}:
        assert made.text.count(word) == words.count(word) or "placeholder_lost" in made.flags
    if not loses:
        assert made.flags == ()


def test_addresses_may_touch_the_words_of_a_script_without_spaces():
    text = "请访问https://x.org/a，或写信给a@b.cn吧。"
    assert [string for string, _ in found(text)] == ["https://x.org/a", "a@b.cn"]

    class Glues(Standins):
        def _one(self, text):
            return Translation("前" + text + "后")

    request = [Request(text)]
    (made,) = GuardedTranslator(CachedTranslator(Glues()), protect=KINDS).translate(request, source="zh", target="ja")
    assert made.text == f"前{text}后" and made.flags == ()


def test_a_memory_of_whole_texts_is_asked_for_the_whole_text():
    class Memory:
        signature = "memory"

        def translate(self, texts, *, source, target):
            known = {"Go on. x.org/a": "Vai. x.org/a", "see {x} now": "veja {x} agora"}
            return [Translation(known.get(text, "")) for text in texts]

    made = guarded(Memory(), ["Go on. x.org/a", "see {x} now"])
    assert [(one.text, one.flags) for one in made] == [("Vai. x.org/a", ()), ("veja {x} agora", ())]


def test_standins_that_the_text_has_are_not_used():
    one = attempt("www.x.com and {a}", [Fixed(14, 17, "{a}", "variable")], style=STYLES[0], with_terms=True)
    assert one.sent == "www.x.com and www.y.com"


def test_protect_can_be_less_or_nothing():
    nlp = spacy.blank("en")
    for protect, expected in ((["url"], "#HI x.com/a"), ([], "#HI X.COM/A")):
        pipe = TranslatorPipe("t", Standins(), source="en", target="pt", protect=protect)
        assert pipe(nlp("#hi x.com/a"))._.xlt["pt"].target.text == expected
    with pytest.raises(XltError, match="E250.*tags.*url"):
        TranslatorPipe("t", Standins(), source="en", target="pt", protect=["tags"])


def test_the_bundled_model_keeps_all_kinds():
    texts = [
        "See https://github.com/explosion/spaCy/issues/123#comment for more details.",
        "Please send it to a_b+tag@mail.org before Monday, or call us.",
        "I opened `nlp.pipe(texts)` and then {{ user }} did not work.",
        "According to @realDonaldTrump, the number of visitors rose last year.",
        r"The file C:\Users\John\file.txt was not found on this server #sad",
        "Welcome, {name}! You have %(count)d new messages.",
    ]
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_translator", config={"target": "pt"})
    for doc in nlp.pipe(texts):
        bitext = doc._.xlt["pt"]
        assert bitext.flags == () and bitext.attention is not None
        for start, end, _ in find_protected(doc.text):
            string = doc.text[start:end]
            assert bitext.target.text.count(string) == 1
            place = bitext.target.text.index(string)
            ours = {t.i for t in doc if start <= t.idx < end}
            theirs = {t.i for t in bitext.target if place <= t.idx < place + len(string)}
            strong = bitext.attention.links[bitext.attention.scores > 0.4 / max(1, len(ours))]
            assert any(i in ours and j in theirs for i, j in strong.tolist()), string
