"""Placeholders go through translation as they are; given terms appear as they are given."""

from __future__ import annotations

import pytest
import spacy
from helpers.translators import Standins, translator_pipe
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_xlt.protocols import Translation
from spacy_xlt.translation.cache import CachedTranslator
from spacy_xlt.translation.constraints import KINDS, Constraint, find_placeholders
from spacy_xlt.translation.masking import MaskingTranslator, Request, missing
from spacy_xlt.translation.standins import RETRY, STANDIN, mask

FIRST, SECOND = r"http://[a-z]\d*\.com", r"http://www"


def masked(engine, *texts, terms=(), target="pt") -> list[Translation]:
    requests = [Request(text, tuple(terms)) for text in texts]
    translator = MaskingTranslator(CachedTranslator(engine, with_attention=True), protect=KINDS)
    return translator.translate(requests, source="en", target=target)


class Says:
    """Translates every text into the same one."""

    signature = "says"

    def __init__(self, text: str, *flags: str):
        self.translation = Translation(text, flags=flags)
        self.seen: list[str] = []

    def translate(self, texts, *, source, target):
        self.seen += texts
        return [self.translation] * len(texts)


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize(("loses", "n_calls"), [(None, 1), (FIRST, 2)])
def test_placeholders_stay_though_the_model_loses_the_first_stand_ins(loses, n_calls, swap):
    text = "write to a@b.com or {name} today"
    engine = Standins(loses, swap)
    (made,) = masked(engine, text)
    words = text.split()[:: -1 if swap else 1]
    assert made.text == " ".join(w if w in ("a@b.com", "{name}") else w.upper() for w in words)
    assert made.flags == () and len(engine.seen) == n_calls and made.alignment is None


def test_lost_placeholders_are_flagged_on_the_translation_of_the_text_as_it_is():
    engine = Standins(f"{FIRST}|{SECOND}")
    (made,) = masked(engine, "write to a@b.com today")
    assert (made.text, made.flags) == ("WRITE TO A@B.COM TODAY", ("placeholder_lost",))
    assert engine.seen[-1] == "write to a@b.com today" and made.alignment is not None
    (made,) = masked(Says("nada", "truncated"), "write to a@b.com today")
    assert (made.text, made.flags) == ("nada", ("truncated", "placeholder_lost"))


def test_a_doubled_placeholder_counts_as_lost():
    class Twice(Standins):
        def _one(self, text):
            return Translation(f"{text} {text}")

    (made,) = masked(Twice(), "to {name} now")
    assert made.flags == ("placeholder_lost",)


def test_addresses_at_the_ends_are_not_given_to_the_translator():
    engine = Standins()
    made = masked(engine, "All is said. https://x.org/a?b=c", "@me: go on", "https://x.org", "http://a.bc {x}")
    assert [m.text for m in made] == [
        "ALL IS SAID. https://x.org/a?b=c", "@me: GO ON", "https://x.org", "http://a.bc {x}",
    ]  # fmt: skip
    assert engine.seen == ["All is said.", "go on"]


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(["go", "now", "{a}", "b@c.de", "https://d.ef/g", "#hi", "@you", "`x y`"]),
        min_size=1,
        max_size=9,
    ),
    st.booleans(),
    st.sampled_from([None, FIRST, f"{FIRST}|{SECOND}"]),
)
def test_every_mix_of_placeholders_survives_or_is_flagged(words, swap, loses):
    text = " ".join(words)
    (made,) = masked(Standins(loses, swap), text)
    for word in set(words) - {"go", "now"}:
        assert made.text.count(word) == words.count(word) or "placeholder_lost" in made.flags
    if loses != f"{FIRST}|{SECOND}":
        assert made.flags == ()


def test_addresses_may_touch_the_words_of_a_script_without_spaces():
    class Glues(Standins):
        def _one(self, text):
            return Translation("前" + text + "后")

    text = "请访问https://x.org/a，或写信给a@b.cn吧。"
    (made,) = masked(Glues(), text, target="ja")
    assert made.text == f"前{text}后" and made.flags == ()


def test_a_memory_of_whole_texts_is_asked_for_the_whole_text():
    class Memory:
        signature = "memory"

        def translate(self, texts, *, source, target):
            known = {"Go on. x.org/a": "Vai. x.org/a", "see {x} now": "veja {x} agora"}
            return [Translation(known.get(text, "")) for text in texts]

    made = masked(Memory(), "Go on. x.org/a", "see {x} now")
    assert [(one.text, one.flags) for one in made] == [("Vai. x.org/a", ()), ("veja {x} agora", ())]


@pytest.mark.parametrize(("standin", "expected"), [(STANDIN, "http://y.com"), (RETRY, "http://www.x.com/")])
def test_stand_ins_that_the_text_has_are_not_used(standin, expected):
    one = mask("go to http://x.com or {a} now", [Constraint(22, 25, "{a}", "variable")], standin=standin)
    assert one.sent == f"go to http://x.com or {expected} now"


def test_a_term_that_is_missing_gets_a_stand_in():
    term = Constraint(4, 8, "banco")
    engine = Standins()
    (made,) = masked(engine, "the bank of {x} here", terms=[term])
    assert made.text == "THE banco OF {x} HERE" and made.flags == ()
    assert engine.seen == ["the bank of http://x.com here", "the http://x.com of http://y.com here"]


def test_a_lost_term_is_flagged():
    engine = Says("bancos")
    (made,) = masked(engine, "the bank", terms=[Constraint(4, 8, "banco")])
    assert made.flags == ("term_missing",)
    # The text as it is was the first try
    assert engine.seen == ["the bank", "the http://x.com", "the http://www.x.com/"]


def test_terms_and_placeholders_never_overlap():
    (made,) = masked(Standins(), "see x.com/a b", terms=[Constraint(4, 9, "no"), Constraint(12, 13, "si")])
    assert made.text == "SEE x.com/a si"


@pytest.mark.parametrize(
    ("text", "term", "target_lang", "there"),
    [
        ("O gato dorme.", "gato", "pt", True),
        ("Os gatos dormem.", "gato", "pt", False),
        ("O Banco  Central.", "Banco Central", "pt", True),
        ("東京に行く", "東京", "ja", True),
        ("東京に行く", "東京", "pt", False),
        ("US$ 5 (cinco)", "US$", "pt", True),
        ("o gato", "O gato", "pt", False),
    ],
)
def test_a_term_is_there_as_it_stands_and_not_as_a_part_of_a_word(text, term, target_lang, there):
    assert missing(text, "a", [Constraint(0, 1, term)], target_lang=target_lang) == (
        [] if there else [Constraint(0, 1, term)]
    )


def test_a_term_asked_for_twice_must_be_there_twice():
    twice = [Constraint(0, 1, "gato"), Constraint(2, 3, "gato")]
    assert missing("um gato e um gato", "a b", twice, target_lang="pt") == []
    assert missing("um gato", "a b", twice, target_lang="pt") == twice


def test_fewer_kinds_or_none_can_be_protected():
    for protect, expected in ((["url"], "#HI x.com/a"), ([], "#HI X.COM/A")):
        pipe = translator_pipe(Standins(), protect=protect)
        assert pipe(spacy.blank("en")("#hi x.com/a"))._.xlt["pt"].target.text == expected


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
        assert bitext.flags == ()
        assert all(bitext.target.text.count(item.target) == 1 for item in find_placeholders(doc.text))


def test_the_bundled_model_uses_terms_and_keeps_names(tmp_path, make_doc):
    (tmp_path / "terms.tsv").write_text("river bank\tmargem do rio\nhouse\tmoradia\n", encoding="utf8")
    nlp = spacy.blank("en")
    config = {"target": "pt", "terms": str(tmp_path / "terms.tsv"), "keep": ["LOC"]}
    nlp.add_pipe("xlt_translator", config=config)
    doc = make_doc("They sold their house near the river bank in New York .", (9, 11, "LOC"))
    bitext = nlp(doc)._.xlt["pt"]
    assert bitext.flags == ()
    assert all(term in bitext.target.text for term in ("moradia", "margem do rio", "New York"))
