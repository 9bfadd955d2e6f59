"""`ParallelTranslator`: looks translations up in memories and line-parallel files instead of making them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ... import __version__
from ...errors import error
from ...languages import parse, to_spacy
from ...protocols import NBestTranslator, Translation, Translator
from .memory import Memory
from .reading import Unit, read_memory, read_parallel

NOT_FOUND = "not_in_memory"
_MISSING = ("flag", "error")


def make_parallel_translator(
    *,
    memory: str | list[str] | None = None,
    source_file: str | None = None,
    target_file: str | None = None,
    languages: list[str] | None = None,
    encoding: str = "utf-8",
    missing: str = "flag",
    fallback: Any = None,
) -> ParallelTranslator:
    """Make the engine. Files are read when first used; every one of them may be gzipped.

    memory (str | list[str] | None): Translation memories: TMX files (`.tmx`), and tab-separated files of any other
        name with one language a column, without quoting.
    source_file, target_file (str | None): Two files that say the same thing line by line.
    languages (list[str] | None): Which language `source_file` and `target_file` are in, and the columns of
        tab-separated memories; further columns are not read. TMX files say their languages themselves.
    encoding (str): Of all files but TMX, which names its own. Line ends are the byte 10, so UTF-16 is not possible.
    missing (str): What to do with a text that is in none of the files and for which there is no `fallback`: "flag"
        gives an empty translation with the flag "not_in_memory", "error" stops.
    fallback (Translator | None): Another engine, which translates the texts that are in none of the files.
    RAISES (XltError): E231 for a setting that cannot be.
    """
    return ParallelTranslator(
        memory=memory,
        source_file=source_file,
        target_file=target_file,
        languages=languages,
        encoding=encoding,
        missing=missing,
        fallback=fallback,
    )


class ParallelTranslator:
    """Translations that already exist.

    A text is found where a whole unit or line of a file is the same text: composed characters (NFC) and every run of
    white space a single space on both sides, nothing else is evened out. All directions between the languages of
    the files can be asked for. Of several translations the most frequent is taken, and of equally frequent ones
    the one that comes first in the files.

    See `make_parallel_translator` for the settings.
    """

    def __init__(
        self,
        *,
        memory: str | list[str] | None = None,
        source_file: str | None = None,
        target_file: str | None = None,
        languages: list[str] | None = None,
        encoding: str = "utf-8",
        missing: str = "flag",
        fallback: Any = None,
    ):
        if missing not in _MISSING:
            raise error("E231", setting="missing", value=missing, expected=" or ".join(_MISSING))
        if (source_file is None) != (target_file is None):
            absent = "source_file" if source_file is None else "target_file"
            raise error("E231", setting=absent, value=None, expected="a file, as the other side has one")
        if source_file is not None and (languages is None or len(languages) != 2):
            expected = "the languages of source_file and target_file, such as [en, pt]"
            raise error("E231", setting="languages", value=languages, expected=expected)
        if fallback is not None and not isinstance(fallback, Translator):
            raise error("E231", setting="fallback", value=fallback, expected="an engine that translates")
        try:
            "".encode(encoding)
        except LookupError as err:
            raise error("E231", setting="encoding", value=encoding, expected="an encoding that Python knows") from err
        for code in languages or ():
            parse(code)
        self.memory = [memory] if isinstance(memory, str) else list(memory or ())
        self.source_file = source_file
        self.target_file = target_file
        self.languages = list(languages or ())
        self.encoding = encoding
        self.missing = missing
        self.fallback = fallback
        self._loaded: Memory | None = None
        self._checksum: str | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_loaded": None}

    @property
    def signature(self) -> str:
        """The names and a checksum of the files, and the settings that change the output."""
        parts = [
            f"parallel|files:{'+'.join(path.name for path in self._paths) or 'none'}|sha256:{self._digest()}",
            f"languages:{'-'.join(self.languages) or 'own'}|encoding:{self.encoding}|missing:{self.missing}",
            f"spacy_xlt:{__version__}",
        ]
        if self.fallback is not None:
            parts.insert(2, f"fallback:({getattr(self.fallback, 'signature', type(self.fallback).__name__)})")
        return "|".join(parts)

    @property
    def directions(self) -> list[tuple[str, str]]:
        """The directions that the files have, as spaCy's codes.

        RAISES (XltError): As `translate`.
        """
        return self._load().directions

    def translate(self, texts: Sequence[str], *, source: str, target: str) -> list[Translation]:
        """Look texts up. What is found has no score: nothing was computed.

        RETURNS (list[Translation]): In order; see `missing` and `fallback` for what was not found.
        RAISES (XltError): E201 for a direction that no file has, E237 for a text that is not there with
            `missing = "error"`, E230 without any file, E232 to E236 for files that are broken.
        """
        found = self._look_up(texts, source=source, target=target)
        results = [Translation(next(iter(translations), "")) for translations in found]
        missing = self._not_found(texts, found)
        if missing and self.fallback is not None:
            made = self.fallback.translate([texts[i] for i in missing], source=source, target=target)
            for i, translation in zip(missing, made, strict=True):
                results[i] = translation
        elif missing:
            for i in missing:
                results[i] = Translation("", flags=(NOT_FOUND,))
        return results

    def translate_n_best(self, texts: Sequence[str], *, n: int, source: str, target: str) -> list[list[Translation]]:
        """At most `n` different translations of each text, the most frequent first.

        RETURNS (list[list[Translation]]): The score is the natural logarithm of the share that a translation has
            among all of the text. The fallback gives one translation where it has no n best.
        RAISES (XltError): As `translate`.
        """
        found = self._look_up(texts, source=source, target=target)
        results = []
        for translations in found:
            total = sum(translations.values())
            best = list(translations.items())[:n]
            results.append([Translation(text, math.log(count / total)) for text, count in best])
        missing = self._not_found(texts, found)
        asked = [texts[i] for i in missing]
        if not missing:
            made = []
        elif isinstance(self.fallback, NBestTranslator):
            made = self.fallback.translate_n_best(asked, n=n, source=source, target=target)
        elif self.fallback is not None:
            made = [[one] for one in self.fallback.translate(asked, source=source, target=target)]
        else:
            made = [[Translation("", flags=(NOT_FOUND,))] for _ in missing]
        for i, translated in zip(missing, made, strict=True):
            results[i] = translated
        return [result or [Translation("")] for result in results]

    def _look_up(self, texts: Sequence[str], *, source: str, target: str) -> list[dict[str, int]]:
        memory = self._load()
        pair = to_spacy(source), to_spacy(target)
        if pair not in memory.directions:
            if self.fallback is not None:
                return [{} for _ in texts]
            known = ", ".join(f"{s} to {t}" for s, t in memory.directions)
            raise error("E201", engine="ParallelTranslator", source=source, target=target, known=known)
        return [dict(memory.lookup(text, source=source, target=target)) for text in texts]

    def _not_found(self, texts: Sequence[str], found: Sequence[dict[str, int]]) -> list[int]:
        """Which texts have words and no translation.

        RAISES (XltError): E237 where that must not be.
        """
        missing = [i for i, text in enumerate(texts) if not found[i] and text and not text.isspace()]
        if missing and self.missing == "error" and self.fallback is None:
            raise error("E237", text=texts[missing[0]], n=len(missing), total=len(texts))
        return missing

    @property
    def _paths(self) -> list[Path]:
        sides = [self.source_file, self.target_file]
        return [Path(path) for path in (*self.memory, *sides) if path is not None]

    def _digest(self) -> str:
        """A checksum over the content of all files, in their order."""
        if self._checksum is None:
            from ...io import file_digest

            try:
                digests = "".join(file_digest(path) for path in self._paths)
                self._checksum = hashlib.sha256(digests.encode("ascii")).hexdigest()[:16]
            except OSError:
                # Not kept: the files may come later
                return "unreadable"
        return self._checksum

    def _load(self) -> Memory:
        if self._loaded is None:
            if not self._paths:
                raise error("E230")
            memory = Memory()
            for name in self.memory:
                _fill(memory, read_memory(Path(name), languages=self.languages, encoding=self.encoding), name)
            if self.source_file is not None and self.target_file is not None:
                sides = [Path(self.source_file), Path(self.target_file)]
                lines = read_parallel(sides, languages=self.languages, encoding=self.encoding)
                _fill(memory, lines, f"{self.source_file} and {self.target_file}")
            self._loaded = memory
        return self._loaded


def _fill(memory: Memory, units: Iterable[Unit], name: str) -> None:
    """Add what a file has.

    RAISES (XltError): E235 where it has no text in two languages.
    """
    useful = False
    for unit in units:
        useful = memory.add(unit) > 1 or useful
    if not useful:
        raise error("E235", path=name)
