"""Files of several languages, each with the code of its language in its path."""

from __future__ import annotations

import glob
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..languages import LANG, closest, to_spacy


@dataclass(frozen=True)
class LanguageFiles:
    """The files of a language.

    Attributes:
        lang: Its code, as it was asked for.
        codes: What the files call it: none where there is no file, several where they have varieties or scripts of it.
        paths: The files, by name.
    """

    lang: str
    codes: tuple[str, ...]
    paths: tuple[Path, ...]


def find_by_language(pattern: str, langs: Sequence[str]) -> list[LanguageFiles]:
    """Files with a code of one of the languages in the place of "{lang}".

    Any code of the language will do: "deu" finds the file that has "de" there. See `languages.closest`.

    Args:
        pattern: A path with "{lang}" in it; `*` and `?` stand for characters of a name.
        langs: The codes that are asked for.

    Raises:
        XltError: E010 for a code of `langs` that nothing knows.
    """
    for lang in langs:
        to_spacy(lang)
    by_code: defaultdict[str, list[Path]] = defaultdict(list)
    shape = _regex(Path(pattern).as_posix())
    for path in sorted(map(Path, glob.glob(pattern.replace("[", "[[]").replace(LANG, "*")))):
        if match := shape.fullmatch(path.as_posix()):
            by_code[match["lang"]].append(path)
    found = {lang: closest(lang, list(by_code)) for lang in langs}
    return [
        LanguageFiles(lang, tuple(codes), tuple(path for code in codes for path in by_code[code]))
        for lang, codes in found.items()
    ]


def _regex(pattern: str) -> re.Pattern[str]:
    parts = [re.escape(part).replace(r"\*", "[^/]*").replace(r"\?", "[^/]") for part in pattern.split(LANG)]
    return re.compile("(?P<lang>[^/]+?)".join([parts[0], "(?P=lang)".join(parts[1:])]))
