"""What an engine cannot spell goes through as it is, in a plain form that is put back, or is flagged."""

from __future__ import annotations

import unicodedata

import pytest
import spacy
from helpers.translators import Standins
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_xlt.protocols import Translation
from spacy_xlt.translation.bergamot.engine import BergamotTranslator
from spacy_xlt.translation.cache import CachedTranslator
from spacy_xlt.translation.constraints import KINDS
from spacy_xlt.translation.masking import MaskingTranslator, Request
from spacy_xlt.translation.parallel import ParallelTranslator
from spacy_xlt.translation.plain_forms import plain_form


class Ascii(Standins):
    """Translates into capitals, and knows the letters of ASCII."""

    lost = frozenset("#<>{}^~\\")

    def unknown(self, texts, *, source, target):
        return [frozenset(c for c in text if not c.isascii() or c in self.lost) for text in texts]


def sent(text: str, engine=None) -> tuple[str, Translation]:
    """What the engine was given first, and the translation."""
    engine = engine or Ascii()
    (made,) = MaskingTranslator(CachedTranslator(engine), protect=KINDS).translate(
        [Request(text)], source="en", target="pt"
    )
    return (engine.seen or [""])[0], made


@pytest.mark.parametrize(
    ("text", "given", "made"),
    [
        ("he met Jörg Müller today", "he met http://x.com today", "HE MET Jörg Müller TODAY"),
        ("she paid £5 for 20 µg", "she paid http://x.com for 20 http://y.com", "SHE PAID £5 FOR 20 µg"),
        ("it is (p<0.05) so", "it is (http://x.com) so", None),
        ("in C# we go", "in http://x.com we go", "IN C# WE GO"),
        ("O’Brien’s “big” pub", "O'Brien's \"big\" pub", "O’BRIEN’S “BIG” PUB"),
        ("he — she – and it", "he - she - and it", "HE — SHE – AND IT"),
        ("it—or not—is", "it - or not - is", "IT—OR NOT—IS"),
        ("2010–2012 and well-known", "2010-2012 and well-known", "2010–2012 AND WELL-KNOWN"),
        ("wait… what", "wait... what", "WAIT… WHAT"),
        ("co\u00adoperate hy\u200bphen", "cooperate hyphen", "COOPERATE HYPHEN"),
        ("ＡＢＣ １２ ﬁn", "ABC 12 fin", "ABC 12 FIN"),
        ("10² m and ½", "http://x.com m and http://y.com", "10² M AND ½"),
        ("• one item ❤️", "one item", "• ONE ITEM ❤️"),
        ("so 👨‍👩‍👧 and 1️⃣ great👍🏽 here", "so http://x.com and http://y.com great http://z.com here",
         "SO 👨‍👩‍👧 AND 1️⃣ GREAT👍🏽 HERE"),
        ("love 東京 and Москва now", "love http://x.com and http://y.com now", "LOVE 東京 AND Москва NOW"),
        ("a Müller-Schmidt b", "a http://x.com b", "A Müller-Schmidt B"),
    ],
)  # fmt: skip
def test_plain_forms_are_put_back_and_words_stay(text, given, made):
    seen, translation = sent(text)
    assert seen == given
    if made is not None:
        assert (translation.text, translation.flags) == (made, ())


def test_letters_with_marks_behind_them_are_composed_first():
    class Accents(Ascii):
        def unknown(self, texts, *, source, target):
            return [frozenset(c for c in text if c > "\x7f" and c not in "éü") for text in texts]

        def _one(self, text):
            return Translation(text)

    text = unicodedata.normalize("NFD", "Jose\u0301 and Malmö")
    seen, made = sent(text, Accents())
    assert seen == "José and http://x.com" and made.text == "José and " + unicodedata.normalize("NFD", "Malmö")


def test_what_cannot_be_put_back_surely_is_flagged():
    class Adds(Ascii):
        def _one(self, text):
            return Translation(text.replace("now", "- now -"))

    _, made = sent("go – now", Adds())
    assert made.flags == ("unknown",)


@pytest.mark.parametrize(
    "text", ["Москва — столица России.", "東京は日本の首都です。", "我在 Google Cloud 平台上工作", "Łódź", "محمد"]
)
def test_a_text_in_letters_that_are_unknown_stays_as_it_is_and_is_flagged(text):
    engine = Ascii()
    _, made = sent(text, engine)
    assert made.text == text and made.flags == ("unknown",) and engine.seen == []


@pytest.mark.parametrize("text", ["£5", "❤️", "→", "http://x.org €"])
def test_a_text_without_letters_is_no_doubtful_one(text):
    assert sent(text)[1] == Translation(text)


def test_a_text_whose_words_get_lost_stays_as_it_is_and_is_flagged():
    class Loses(Ascii):
        def _one(self, text):
            return Translation("nada")

        _say = None

    assert sent("he met Jörg today", Loses())[1] == Translation("he met Jörg today", flags=("unknown",))


def test_a_capital_may_be_all_that_is_unknown():
    class NoCapital(Standins):
        def unknown(self, texts, *, source, target):
            return [frozenset(c for c in text if c in "ÀÂÓ") for text in texts]

        def _one(self, text):
            words = {"à": "at", "noite,": "night,", "óbidos": "obidos", "ângela": "angela", "índia": "India"}
            return Translation(" ".join(words.get(word, word) for word in text.split()))

    seen, made = sent("À noite, em Óbidos", NoCapital())
    assert seen == "à noite, em óbidos" and made.text == "At night, em Óbidos"


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("tom &amp; jerry", "TOM &amp; JERRY"),
        ("it&#39;s here", "IT&#39;S HERE"),
        ("&quot;go&quot; on", "&quot;GO&quot; ON"),
        ("now &euro;5 here", "NOW &euro;5 HERE"),
        ("see <b>ana</b> here", "SEE <b>ANA</b> HERE"),
        ("a line<br/>and %name% or $x or ${y} or #{z}", "A LINE<br/>AND %name% OR $x OR ${y} OR #{z}"),
        ("see <a href='x y'>it</a>. <!-- no --> so :it", "SEE <a href='x y'>IT</a>. <!-- no --> SO :it"),
        ("<p>all of it</p>", "<p>ALL OF IT</p>"),
        (r"go\nOn {% if x %} now <%= y %> :smile: here", r"GO\nON {% if x %} NOW <%= y %> :smile: HERE"),
        (r"%s of %1$s, %d%% and 50% of %(n)d here", r"%s OF %1$s, %d%% AND 50% OF %(n)d HERE"),
        ("[1] says @you and #this in ~/a/b.txt now", "[1] SAYS @you AND #this IN ~/a/b.txt NOW"),
        ("at 10:30 it is 5 < 6 and $5", None),
    ],
)  # fmt: skip
def test_markup_variables_and_references_go_through(text, made):
    _, translation = sent(text)
    assert translation.flags == ()
    assert made is None or translation.text == made


def test_a_memory_gets_what_it_knows_as_it_is_and_its_fallback_the_rest(tmp_path):
    (tmp_path / "memory.tsv").write_text("“Hi” Jörg {x}\t“Oi” Jörg {x}\n", encoding="utf8")
    engine = ParallelTranslator(memory=str(tmp_path / "memory.tsv"), languages=["en", "pt"], fallback=Ascii())
    engine.seen = engine.fallback.seen
    assert sent("“Hi” Jörg {x}", engine) == ("", Translation("“Oi” Jörg {x}"))
    assert sent("“bye” for now Jörg", engine)[1].text == "“BYE” FOR NOW Jörg"


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet="ab A.-'\"’“”—–…£#<é東Жł\u0301\u00ad\u200d❤\ufe0f😀1\n", max_size=30))
def test_no_text_goes_wrong_in_silence(text):
    """What is not a quote, a dash or a soft hyphen is in the translation, or the translation is flagged."""
    _, made = sent(text)
    if "unknown" not in made.flags and "placeholder_lost" not in made.flags:
        lost = {c for c in text if text.count(c) > made.text.count(c) and plain_form(c) is None and not c.isspace()}
        assert not {c for c in lost if not c.isascii() or c in Ascii.lost}


def test_the_vocabulary_of_the_bundled_model():
    engine = BergamotTranslator()
    (unknown,) = engine.unknown(["José Peña’s £5 – Łódź, 東 10² ½ ç\u0301 \t\u00a0\ud800"], source="en", target="pt")
    assert unknown == frozenset("ñ’£–Łź東²½\u0301")
    # Control characters would go or become a dash
    assert engine.unknown(["a\x00\x01b\x7f\t\n"], source="en", target="pt") == [frozenset("\x00\x01\x7f")]
    assert engine.unknown(["ok", "ö"], source="en", target="pt") == [frozenset(), frozenset("ö")]


CASES = [
    ("Jörg Müller met José Peña in Łódź.", ["Jörg Müller", "José Peña", "Łódź"]),
    ("She took 20 µg and paid £5 and €6 (p < 0.05).", ["20 µg", "£5"]),
    ("O’Brien’s pub is in Dublin.", ["O’Brien"]),
    ("I saw 東京 and Москва last year.", ["東京", "Москва"]),
    ("Νίκος lives in Αθήνα.", ["Νίκος", "Αθήνα"]),
    ("The Łódź Film School's dean, Søren Ærø, met “Ana O’Neil” 😀.", ["Søren Ærø", "Ana O’Neil"]),
]


@pytest.fixture(scope="module")
def to_portuguese():
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_translator", config={"target": "pt"})
    nlp.add_pipe("xlt_aligner")
    nlp.add_pipe("xlt_projector")
    return nlp


@pytest.mark.parametrize(("text", "names"), CASES)
def test_names_that_the_bundled_model_cannot_spell_are_projected_as_they_are(to_portuguese, text, names):
    doc = to_portuguese.make_doc(text)
    ents = [doc.char_span(text.index(name), text.index(name) + len(name), label="X") for name in names]
    assert all(ents)
    doc.ents = ents
    bitext = to_portuguese(doc)._.xlt["pt"]
    assert [ent.text for ent in bitext.target.ents] == names
    assert bitext.flags == () and bitext.target.text != text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "<b>Ana</b> works for AT&amp;T and sees %from% and :number.",
            "<b>Ana</b> trabalha para AT&amp;T e vê %from% e :number.",
        ),
        ("<b>Nokia</b>", "<b>Nokia</b>"),
        ("Nokia &amp; Siemens", "Nokia &amp; Siemens"),
        ("<p>Bob lives in <i>Rio</i>.</p>", "<p>Bob vive em <i>Rio</i>.</p>"),
        ("1 &lt; 2", "1 &lt; 2"),
    ],
)
def test_markup_and_the_bundled_model(to_portuguese, text, expected):
    bitext = to_portuguese(text)._.xlt["pt"]
    assert bitext.target.text == expected and bitext.flags == ()


def test_a_reference_that_is_not_carried_is_flagged(to_portuguese):
    bitext = to_portuguese("A &lt; B &amp;&amp; C")._.xlt["pt"]
    assert "&amp;&amp;" in bitext.target.text or bitext.flags
