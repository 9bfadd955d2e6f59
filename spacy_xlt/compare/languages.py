"""Plans for several languages: what has "{lang}" in it is there for each of `[overrides.languages] targets`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..languages import LANG, codes_in, to_spacy


def languages_of(targets: object) -> tuple[str, ...]:
    """The languages that a plan names.

    Args:
        targets: Codes with commas between, or a list of them.

    Raises:
        XltError: E010 for a code that nothing knows.
    """
    langs = codes_in(targets) if isinstance(targets, str) else list(targets) if isinstance(targets, list) else []
    for lang in langs:
        to_spacy(lang)
    return tuple(dict.fromkeys(langs))


def each_language(texts: Iterable[str], langs: Sequence[str]) -> list[str]:
    """Texts, each that has "{lang}" once for each language."""
    return [one for text in texts for one in ([text.replace(LANG, lang) for lang in langs] if LANG in text else [text])]


def with_files(path: str, langs: Sequence[str]) -> dict[str, str]:
    """The path of each language that has a file there; of all where none has, so that what is missing is an error."""
    paths = {lang: path.replace(LANG, lang) for lang in langs}
    return {lang: path for lang, path in paths.items() if Path(path).exists()} or paths


def expand_sets(sets: Mapping[str, str], langs: Sequence[str]) -> tuple[dict[str, Path], dict[str, str]]:
    """The paths of evaluation sets by name, and the languages of those that there are for each."""
    paths, set_langs = {}, {}
    for name, value in sets.items():
        for lang, path in with_files(value, langs).items() if LANG in name else [("", value)]:
            one = name.replace(LANG, lang)
            paths[one] = Path(path)
            if lang:
                set_langs[one] = lang
    return paths, set_langs


def expand_sections(
    sections: Mapping[str, Any], langs: Sequence[str]
) -> tuple[dict[str, Any], dict[str, tuple[str, str]]]:
    """The sections of strategies by name, and by name the language and the pattern, of those that are for each."""
    made, patterns = {}, {}
    for name, section in sections.items():
        for lang in langs if LANG in name else [""]:
            one = name.replace(LANG, lang)
            made[one] = _of_language(section, lang) if lang else section
            patterns[one] = (lang, name)
    return made, patterns


def expand_lists(settings: Mapping[str, Any], langs: Sequence[str]) -> dict[str, Any]:
    """Settings in which each path with "{lang}" in a list is there for each language that has such a file."""

    def expanded(item: Any) -> list[Any]:
        return list(with_files(item, langs).values()) if isinstance(item, str) and LANG in item else [item]

    return {
        name: [one for item in value for one in expanded(item)] if isinstance(value, list) else value
        for name, value in settings.items()
    }


def _of_language(value: Any, lang: str) -> Any:
    """A section with the code of a language in the place of "{lang}"."""
    if isinstance(value, str):
        return value.replace(LANG, lang)
    if isinstance(value, Mapping):
        return {key: _of_language(inner, lang) for key, inner in value.items()}
    return [_of_language(inner, lang) for inner in value] if isinstance(value, list) else value
