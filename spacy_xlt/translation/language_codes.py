"""How translation models of each family are told the languages. Plain Python on strings: any engine can use it.

A family is a way to write the languages into the input: tags such as `por_Latn` before the text, a forced first token
of the translation, words in front of the text, or nothing. Sources: the model cards and tokenizers of NLLB-200,
M2M100, MADLAD-400, mBART-50, OPUS-MT and T5.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import langcodes

from ..engine import invalid_setting
from ..errors import XltError, error
from ..languages import parse, to_nllb, to_spacy

# What the language tokens of a family look like; the group is the code inside
_TAGS = {
    "nllb": re.compile(r"([a-z]{3}_[A-Z][a-z]{3})"),
    "m2m100": re.compile(r"__([a-z]{2,3})__"),
    "madlad": re.compile(r"<2([a-z]{2,3}(?:_[A-Z][A-Za-z]+)*)>"),
    "mbart50": re.compile(r"([a-z]{2}_[A-Z]{2})"),
    "marian": re.compile(r">>([A-Za-z]{2,3}(?:_[A-Za-z]+)*)<<"),
}
FAMILIES = (*_TAGS, "prefix")
# T5 and its kin
T5_TYPES = frozenset({"t5", "mt5", "umt5", "longt5", "switch_transformers"})
# Tags that are no codes of the standards
_ALIASES = {"ns": "nso"}
_TASK = re.compile(r"translation_([a-z]{2,3})_to_([a-z]{2,3})")


@dataclass(frozen=True)
class Tags:
    """What a direction adds to a text, whose end mark stands behind it.

    Attributes:
        before: A token before the pieces of the source.
        text_before: Text whose pieces come first of all.
        first: A token that a translation is forced to begin with; it is no part of its text.
    """

    before: str | None = None
    text_before: str = ""
    first: str | None = None


def detect_family(
    config: Mapping[str, Any], tokenizer: Mapping[str, Any], *, name: str, vocabulary: Iterable[str] = ()
) -> str | None:
    """Tell a model's family from its name, `config.json`, `tokenizer_config.json` and all tokens of its tokenizer.

    Returns:
        One of FAMILIES; None for one that is not known. T5 models without language tags are "prefix".
    """
    model_type = str(config.get("model_type", ""))
    tokenizer_class = str(tokenizer.get("tokenizer_class") or config.get("tokenizer_class") or "").lower()
    names = f"{name} {config.get('_name_or_path', '')} {tokenizer_class}".lower()
    if model_type == "marian":
        return "marian"
    if model_type == "mbart":
        return "mbart50" if re.search(r"mbart-?(large-)?50", names) else None
    if model_type in {"m2m_100", "nllb-moe"}:
        if "nllb" in names or model_type == "nllb-moe":
            return "nllb"
        return "nllb" if _find_tags("nllb", vocabulary) and "m2m100" not in tokenizer_class else "m2m100"
    if model_type in T5_TYPES:
        # One tag could be a mark of another purpose
        return "madlad" if len(_find_tags("madlad", vocabulary)) > 1 else "prefix"
    return None


@dataclass
class LanguageCodes:
    """The languages of one model, and how it is told them.

    Args:
        family: One of FAMILIES.
        vocabulary: All tokens of the model.
        engine: Named in errors, and so is the model.
        pair: The languages that the model's files or its name give (Marian).
        prefix: For "prefix": what comes before a text. `{source}` and `{target}` stand for the English names of the
            languages, `{source_code}` and `{target_code}` for spaCy's codes.
        directions: The pairs of languages to allow, where the model does not tell them.
        tasks: T5's `task_specific_params`.

    Raises:
        XltError: E223 where the family needs language tokens and there are none, E224 where a prefix is missing, E225
            where no languages are known, E150 for a prefix with other places to fill.
    """

    family: str
    vocabulary: Iterable[str] = field(repr=False)
    engine: str = "Seq2SeqTranslator"
    model: str = ""
    pair: tuple[str | None, str | None] = (None, None)
    prefix: str | None = None
    directions: Sequence[Sequence[str]] | None = None
    tasks: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        self._tags = _find_tags(self.family, self.vocabulary) if self.family in _TAGS else {}
        self._prefixes = _task_prefixes(self.tasks or {}) if self.prefix is None else {}
        self.vocabulary = ()
        if self.family in _TAGS and self.family != "marian" and not self._tags:
            raise error("E223", engine=self.engine, model=self.model, family=self.family)
        if self.family == "prefix" and self.prefix is None and not self._prefixes:
            raise error("E224", engine=self.engine, model=self.model)
        if self.family == "prefix" and self.prefix is not None:
            self._fill(self.prefix, "en", "en")
        chooses_target = bool(self._tags) or "{target" in (self.prefix or "")
        if not chooses_target and not self._pairs and not all(self.pair):
            raise error("E225", engine=self.engine, model=self.model)

    @property
    def _pairs(self) -> list[tuple[str, str]]:
        """The only directions allowed; none where the model chooses among its languages."""
        if self.directions is not None:
            return [(to_spacy(source), to_spacy(target)) for source, target in self.directions]
        return sorted(self._prefixes)

    @property
    def known(self) -> str:
        """The directions or languages that the model knows, for people to read."""
        if self._pairs:
            return ", ".join(f"{source} to {target}" for source, target in self._pairs)
        if self._tags and self.family == "marian":
            return f"{self.pair[0] or 'any language'} to any of {', '.join(_languages(self._tags))}"
        if self._tags:
            return f"any two of {', '.join(_languages(self._tags))}"
        if all(self.pair):
            return f"{self.pair[0]} to {self.pair[1]}"
        return "any two languages"

    def tags(self, source: str, target: str) -> Tags:
        """What the direction adds to a text, of language codes of any kind.

        Raises:
            XltError: E010 for a code of no language, E201 where the model lacks one of them.
        """
        languages = to_spacy(source), to_spacy(target)
        if self._pairs and languages not in self._pairs:
            raise self._unknown(source, target)
        if self.family == "prefix":
            return Tags(text_before=self._prefixes.get(languages) or self._fill(self.prefix or "", source, target))
        if self.family == "marian":
            return self._marian_tags(source, target)
        # MADLAD is told the target alone, and only knows the languages it has tokens for
        source_token, target_token = self._token(source), self._token(target)
        if source_token is None or target_token is None:
            raise self._unknown(source, target)
        if self.family == "madlad":
            return Tags(text_before=target_token)
        return Tags(before=source_token, first=target_token)

    def _marian_tags(self, source: str, target: str) -> Tags:
        if not self._pairs and not _covers(self.pair[0], source):
            raise self._unknown(source, target)
        if not self._tags:
            if not self._pairs and not _covers(self.pair[1], target):
                raise self._unknown(source, target)
            return Tags()
        token = self._token(target)
        if token is None:
            raise self._unknown(source, target)
        return Tags(before=token)

    def _token(self, code: str) -> str | None:
        """The token of a language: its own, else that of the nearest variety that the model has."""
        exact = code if code in self._tags else to_nllb(code)
        if exact in self._tags:
            return self._tags[exact]
        language = parse(code).maximize()
        best, best_rank = None, (0, False, False, 0)
        for name, token in self._tags.items():
            rank = _nearness(name, language)
            if rank > best_rank:
                best, best_rank = token, rank
        return best

    def _unknown(self, source: str, target: str) -> XltError:
        return error("E201", engine=self.engine, source=source, target=target, known=self.known)

    def _fill(self, prefix: str, source: str, target: str) -> str:
        try:
            return prefix.format(
                source=_english_name(source),
                target=_english_name(target),
                source_code=to_spacy(source),
                target_code=to_spacy(target),
            )
        except (KeyError, IndexError, ValueError, AttributeError) as err:
            expected = "text with {source}, {target}, {source_code} and {target_code} as the only places to fill"
            raise invalid_setting(self.engine, "prefix", prefix, expected) from err


def marian_pair(tokenizer: Mapping[str, Any], *, name: str) -> tuple[str | None, str | None]:
    """The languages of a Marian model: what its `tokenizer_config.json` says, else what its name says."""
    source, target = tokenizer.get("source_lang"), tokenizer.get("target_lang")
    if source and target:
        return str(source), str(target)
    match = re.search(r"(?:opus|tatoeba|marian)\S*?-([A-Za-z_+]+)-([A-Za-z_+]+)$", name.rstrip("/\\"))
    return (match.group(1), match.group(2)) if match else (None, None)


def _english_name(code: str) -> str:
    # A table of a hundred languages that is there anyway; langcodes needs one more package for names
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    language = to_spacy(code)
    return {to_spacy(code): name for code, name in LANGUAGES.items()}.get(language, language).title()


def _task_prefixes(tasks: Mapping[str, Any]) -> dict[tuple[str, str], str]:
    prefixes = {}
    for name, settings in tasks.items():
        match = _TASK.fullmatch(name)
        if match and isinstance(settings, Mapping) and settings.get("prefix"):
            prefixes[to_spacy(match.group(1)), to_spacy(match.group(2))] = str(settings["prefix"])
    return prefixes


def _find_tags(family: str, vocabulary: Iterable[str]) -> dict[str, str]:
    """Code → token, of all language tokens in a vocabulary."""
    tags = {}
    for token in vocabulary:
        match = _TAGS[family].fullmatch(token)
        if match and _parse_tag(match.group(1)) is not None:
            tags[match.group(1)] = token
    return tags


@lru_cache(maxsize=4096)
def _parse_tag(name: str) -> langcodes.Language | None:
    try:
        return parse(_ALIASES.get(name, name).replace("_XX", ""))
    except XltError:
        return None


def _nearness(name: str, wanted: langcodes.Language) -> tuple[int, bool, bool, int]:
    """How well a tag stands for a language: the language itself or its macrolanguage, script, region, plain code."""
    language = _parse_tag(name)
    if language is None or to_spacy(str(language.language)) != to_spacy(str(wanted.language)):
        return (0, False, False, 0)
    full = language.maximize()
    same = 2 if language.to_alpha3() == wanted.to_alpha3() else 1
    return (same, full.script == wanted.script, full.territory == wanted.territory, -len(name))


def _covers(side: str | None, code: str) -> bool:
    """Whether one side of a Marian model, a language or a group (`ROMANCE`, `itc`, `fr+es`), may include a language."""
    language = None if side is None else _parse_tag(side)
    if language is None or _may_be_group(language):
        return True
    return to_spacy(str(language.language)) == to_spacy(code)


def _may_be_group(language: langcodes.Language) -> bool:
    """Whether a code stands for many languages: nothing is known of where a group is spoken, or of a rare language."""
    unknown = langcodes.Language.get("und").maximize()
    full = language.maximize()
    return len(str(language.language)) == 3 and (full.script, full.territory) == (unknown.script, unknown.territory)


def _languages(tags: Iterable[str]) -> list[str]:
    return sorted({to_spacy(str(language.language)) for language in map(_parse_tag, tags) if language})
