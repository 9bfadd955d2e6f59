"""Language codes of the different worlds, and spaCy's class for a language."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import langcodes

from .errors import XltError, error, warn

if TYPE_CHECKING:
    from spacy.vocab import Vocab

MULTI = "xx"
# Stands for the code of each of several languages in paths and names
LANG = "{lang}"
# BCP-47 and ISO 639-3 allow a macrolanguage where NLLB-200 names the one variety it was trained on.
# Source: the language list of the FLORES-200 data set.
_FLORES_VARIETY = {
    "ara": "arb", "aym": "ayr", "aze": "azj", "est": "est", "fas": "pes", "grn": "grn", "khk": "khk", "kon": "kon",
    "kur": "kmr", "lav": "lvs", "mlg": "plt", "mon": "khk", "msa": "zsm", "nep": "npi", "nor": "nob", "ori": "ory",
    "orm": "gaz", "pus": "pbt", "que": "quy", "san": "san", "sqi": "als", "srd": "srd", "swa": "swh", "uzb": "uzn",
    "yid": "ydd", "cmn": "zho", "fil": "tgl", "din": "dik", "kau": "knc", "fas-AF": "prs",
}  # fmt: skip
# Where the CLDR does not know the usual script, or NLLB-200 has another one
_FLORES_SCRIPT = {
    **dict.fromkeys("acm acq ajp azb kas pbt".split(), "Arab"), **dict.fromkeys("aka crh tgl".split(), "Latn"),
    "ben": "Beng", "kor": "Hang", "sat": "Beng", "tzm": "Tfng", "yue": "Hant",
}  # fmt: skip
# Written without spaces between words: white space does not cut them.
UNSEGMENTED = frozenset({"zh", "yue", "ja", "th", "lo", "km", "my", "bo", "dz"})
# Scripts that a language may be written in beside another one, and the first word of their letters' names in Unicode
_SCRIPTS = {"Arab": "ARABIC", "Cyrl": "CYRILLIC", "Deva": "DEVANAGARI", "Latn": "LATIN"}
# Words that the vocab of a shared blank pipeline takes in; they are some 50 MB
MAX_NEW_STRINGS = 100_000


def codes_in(text: str) -> list[str]:
    """The codes of several languages, from text with commas between: "de, sv" → ["de", "sv"]."""
    return [code.strip() for code in text.split(",") if code.strip()]


@lru_cache(maxsize=1024)
def parse(code: str) -> langcodes.Language:
    """Read a language code: spaCy's ("pt"), BCP-47 ("pt-BR"), ISO 639-3 ("por") or NLLB's ("por_Latn").

    Raises:
        XltError: E010 where no such language exists.
    """
    try:
        language = langcodes.Language.get(code)
    except (ValueError, AttributeError, TypeError) as err:
        raise error("E010", code=code) from err
    if not language.language or not language.is_valid():
        raise error("E010", code=code)
    return language


def to_spacy(code: str) -> str:
    """The code under which spaCy knows a language: "por_Latn" → "pt", "swh_Latn" → "sw"; "xx" stays as it is."""
    if code == MULTI:
        return MULTI
    language = str(parse(code).language)
    # spaCy has Bokmål ("nb") and no class for the macrolanguage
    if language in {"nb", "no"}:
        return "nb"
    return langcodes.standardize_tag(language, macro=True)


def to_iso639_3(code: str) -> str:
    """The three-letter code: "pt" → "por".

    Raises:
        XltError: E010 where the code stands for no language ("xx").
    """
    try:
        return parse(code).to_alpha3()
    except LookupError as err:
        raise error("E010", code=code) from err


def to_nllb(code: str) -> str:
    """The FLORES-200 code that NLLB uses: "pt" → "por_Latn", "zh" → "zho_Hans", "prs" → "prs_Arab"."""
    language = parse(code)
    alpha3 = to_iso639_3(code)
    variety = _FLORES_VARIETY.get(f"{alpha3}-{language.territory}") or _FLORES_VARIETY.get(alpha3, alpha3)
    script = language.script if language.script != "Kore" else None
    return f"{variety}_{script or _FLORES_SCRIPT.get(variety) or language.maximize().script}"


def language_name(code: str) -> str:
    """The English name of a language, with a script or region that the code names: "pt-BR" → "Portuguese (Brazil)".

    The names are those of the IANA registry, without what it has in brackets.

    Raises:
        XltError: E010 where no such language exists.
    """
    language = parse(code)
    names = _registry_names()
    name = names.get(f"language {language.language}", code)
    usual = parse(str(language.language)).maximize().script
    script = names.get(f"script {language.script}") if language.script != usual else None
    stated = [f"{script} script" if script else None, names.get(f"region {language.territory}")]
    beside = ", ".join(filter(None, stated))
    return f"{name} ({beside})" if beside else name


@lru_cache(maxsize=1)
def _registry_names() -> dict[str, str]:
    """The first name of each language, script and region, by kind and code: "script Cyrl" → "Cyrillic"."""
    from langcodes.registry_parser import parse_registry

    names = {
        f"{entry['Type']} {entry['Subtag']}": entry["Description"] for entry in parse_registry() if "Subtag" in entry
    }
    # "Swahili (macrolanguage)", "Han (Simplified variant)": what tells scripts apart is kept
    return {
        key: first.replace(" (", ", ").rstrip(")") if key.startswith("script") else first.partition(" (")[0]
        for key, (first, *_) in names.items()
    }


def same_language(first: str, second: str) -> bool:
    """Whether two codes, of whatever kind, mean the same language ("pt", "por_Latn")."""
    return to_spacy(first) == to_spacy(second)


def closest(wanted: str, codes: Sequence[str]) -> list[str]:
    """The code that is the same, else those with language, script and region the same, else the language alone.

    So "deu" finds "de", and "srp" both "srp-Cyrl" and "srp-Latn". What is no code of a language is passed over.
    """
    if wanted in codes:
        return [wanted]
    key = code_key(wanted)
    same = [code for code in codes if key and code_key(code) == key]
    return same or [code for code in codes if key and code_key(code)[:1] == key[:1]]


def code_key(code: str) -> tuple[str | None, ...]:
    """Language, script and region of a code; nothing for what is none."""
    with suppress(XltError):
        language = parse(code)
        return to_spacy(code), language.script, language.territory
    return ()


def in_script_of(text: str, code: str) -> bool:
    """Whether most letters are of the script that a code names ("srp-Cyrl"); true where it names none of `_SCRIPTS`."""
    script = _SCRIPTS.get(parse(code).script or "")
    letters = [unicodedata.name(char, "") for char in text if char.isalpha()]
    return script is None or not letters or 2 * sum(name.startswith(script) for name in letters) > len(letters)


def is_right_to_left(code: str) -> bool:
    """Whether the language's usual script runs from right to left."""
    if code == MULTI:
        return False
    script = parse(code).script or parse(code).maximize().script
    return script in {"Arab", "Hebr", "Syrc", "Thaa", "Nkoo", "Adlm", "Rohg", "Mand", "Samr"}


@dataclass
class Blank:
    """What spaCy's blank pipeline of a language has for text.

    A whole `Language` would import the factories of every package that is installed: spacy-transformers' alone take
    longer than all else that most commands do.
    """

    lang: str
    # Under this name, tokenizers look for the rules of the language
    Defaults: Any
    vocab: Vocab
    tokenizer: Any = None


# By code, and whether with the language's own tokenizer: the pipeline, and how many strings its vocab began with
_blanks: dict[tuple[str, bool], tuple[Blank, int]] = {}


def blank(code: str) -> Blank:
    """Tokenizer and vocabulary of spaCy's blank pipeline for a language, the multi-language one where it has no class.

    spaCy keeps every word that a vocab has seen. After `MAX_NEW_STRINGS` a fresh pipeline takes the place of the old
    one, which lives on as long as its docs do. So ask for it where it is needed, and do not keep it.

    Returns:
        Shared between callers.

    Raises:
        XltError: E010 for an unknown code, E011 where the tokenizer needs something that is not installed.
    """
    return _shared(code, tokenizes=True)


def vocab_of(code: str) -> Vocab:
    """The vocabulary of `blank`, for text that is given in tokens: also where the tokenizer cannot be made.

    Raises:
        XltError: E010 for an unknown code.
    """
    if (code, False) not in _blanks:
        try:
            return blank(code).vocab
        except XltError as err:
            if err.code != "E011":
                raise
    return _shared(code, tokenizes=False).vocab


def _shared(code: str, *, tokenizes: bool) -> Blank:
    made, n_first = _blanks.get((code, tokenizes), (None, 0))
    if made is None or len(made.vocab.strings) - n_first > MAX_NEW_STRINGS:
        made = _make_blank(code, tokenizes)
        _blanks[code, tokenizes] = made, len(made.vocab.strings)
    return made


def _make_blank(code: str, tokenizes: bool) -> Blank:
    from spacy.util import get_lang_class, registry
    from spacy.vocab import create_vocab

    lang = to_spacy(code)
    try:
        kind = get_lang_class(lang)
    except ImportError:
        warn("W010", lang=lang)
        if lang in UNSEGMENTED:
            warn("W011", lang=lang)
        kind = get_lang_class(MULTI)
    made = Blank(kind.lang or MULTI, kind.Defaults, create_vocab(kind.lang, kind.Defaults))
    named = kind.default_config["nlp"]["tokenizer"] if tokenizes else {"@tokenizers": "spacy.Tokenizer.v1"}
    try:
        made.tokenizer = registry.resolve({"tokenizer": named})["tokenizer"](made)
    except ImportError as err:
        raise error("E011", lang=lang, reason=" ".join(str(err).split()).rstrip(".")) from err
    return made
