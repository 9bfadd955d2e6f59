"""`ParallelTranslator`: looks translations up in memories and line-parallel files instead of making them."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import islice, permutations
from pathlib import Path
from typing import Any, NoReturn
from xml.etree import ElementTree
from xml.parsers import expat

from ..engine import Engine, invalid_setting, setting
from ..errors import XltError, error
from ..io import file_digest
from ..languages import parse, to_spacy
from ..protocols import Speller, Translation, Translator
from ..readers.lines import read_parallel
from ..textfiles import check_encoding, open_bytes, plain_name, text_lines

NOT_FOUND = "not_in_memory"
# Directions that an error names: their number grows with the square of that of the languages
_SHOWN = 200
# A text in several languages: language codes as the file has them, with texts
Unit = Sequence[tuple[str, str]]

_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
# Elements of TMX whose content is code of the original format, or another text (`sub`), not words of this one
_NOT_TEXT = frozenset({"bpt", "ept", "it", "ph", "ut"})


@dataclass(kw_only=True, eq=False)
class ParallelTranslator(Engine):
    """Translations that already exist.

    A text is found where a whole unit or line of a file is the same text: composed characters (NFC) and every run of
    white space a single space on both sides, nothing else is evened out. All directions between the languages of the
    files can be asked for. `xlt_translator` asks for a whole document first, then for runs of sentences, then for each.
    Of several translations the most frequent is taken, and of equally frequent ones the one
    that comes first in the files. Files are read when first used, into memory, and may be compressed.

    Args:
        memory: Translation memories: TMX files (`.tmx`), and tab-separated files of any other name with one language a
            column, without quoting.
        source_file: With `target_file`, two files that say the same thing line by line.
        target_file: The other one.
        languages: Which language `source_file` and `target_file` are in, and the columns of tab-separated memories;
            further columns are not read. TMX files say their languages themselves.
        encoding: Of all files but TMX, which names its own.
        fallback: A `Translator` for the texts that are in none of the files; without one, they get an empty translation
            with the flag "not_in_memory".
    """

    memory: str | list[str] | None = setting(None, decides=False)
    source_file: str | None = setting(None, decides=False)
    target_file: str | None = setting(None, decides=False)
    languages: list[str] | None = None
    encoding: str = "utf-8"
    fallback: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.source_file is None) != (self.target_file is None):
            absent = "source_file" if self.source_file is None else "target_file"
            self._refuse(absent, None, "a file, as the other side has one")
        if self.source_file is not None and len(self.languages or ()) != 2:
            expected = "the languages of source_file and target_file, such as [en, pt]"
            self._refuse("languages", self.languages, expected)
        if self.fallback is not None and not isinstance(self.fallback, Translator):
            self._refuse("fallback", self.fallback, "an engine that translates")
        try:
            check_encoding(self.encoding)
        except XltError:
            self._refuse("encoding", self.encoding, "an encoding that Python knows")
        for code in self.languages or ():
            parse(code)

    def details(self) -> dict[str, Any]:
        """The names and a checksum of the files."""
        return {"files": [path.name for path in self._paths], "sha256": self._digest}

    @property
    def directions(self) -> list[tuple[str, str]]:
        """The directions that the files have, as spaCy's codes. Raises as `translate`."""
        return list(permutations(sorted(self._units.languages), 2))

    def translate(self, texts: Sequence[str], *, source: str, target: str) -> list[Translation]:
        """Look texts up. What is found has no score: nothing was computed.

        Raises:
            XltError: E201 for a direction that no file has, E230 without any file, E106, E234, E235, E513, E531 and
                E535 for files that are broken.
        """
        units = self._units
        if self.fallback is None and not units.has(source, target):
            known = ", ".join(f"{s} to {t}" for s, t in islice(permutations(sorted(units.languages), 2), _SHOWN))
            raise error("E201", engine="ParallelTranslator", source=source, target=target, known=known)
        found = [units.translation(text, source=source, target=target) for text in texts]
        results = [Translation(text or "") for text in found]
        missing = [i for i, text in enumerate(texts) if found[i] is None and text and not text.isspace()]
        made = [Translation("", flags=(NOT_FOUND,))] * len(missing)
        if missing and self.fallback is not None:
            made = self.fallback.translate([texts[i] for i in missing], source=source, target=target)
        for i, translation in zip(missing, made, strict=True):
            results[i] = translation
        return results

    def finds(self, text: str, *, source: str, target: str) -> bool:
        """As `protocols.Finder.finds`."""
        return self._units.translation(text, source=source, target=target) is not None

    def unknown(self, texts: Sequence[str], *, source: str, target: str) -> list[frozenset[str] | None]:
        """As `protocols.Speller.unknown`: what is found is known whole, and of the rest `fallback` says it."""
        others: list[frozenset[str] | None] = [frozenset()] * len(texts)
        if isinstance(self.fallback, Speller):
            others = self.fallback.unknown(texts, source=source, target=target)
        found = [self._units.translation(text, source=source, target=target) for text in texts]
        return [other if text is None else None for text, other in zip(found, others, strict=True)]

    def _refuse(self, name: str, value: Any, expected: str) -> NoReturn:
        raise invalid_setting("ParallelTranslator", name, value, expected)

    @property
    def _memories(self) -> list[Path]:
        names = [self.memory] if isinstance(self.memory, str) else self.memory or []
        return [Path(name) for name in names]

    @property
    def _sides(self) -> list[Path]:
        return [Path(path) for path in (self.source_file, self.target_file) if path is not None]

    @property
    def _paths(self) -> list[Path]:
        return [*self._memories, *self._sides]

    @cached_property
    def _digest(self) -> str:
        """A checksum over the content of all files, in their order."""
        try:
            digests = "".join(file_digest(path) for path in self._paths)
        except OSError:
            return "unreadable"
        return hashlib.sha256(digests.encode("ascii")).hexdigest()[:16]

    @cached_property
    def _units(self) -> UnitIndex:
        if not self._paths:
            raise error("E230")
        units = UnitIndex()
        for path in self._memories:
            units.fill(self._read_memory(path), str(path))
        if self._sides:
            languages = self.languages or ()
            lines = read_parallel(self._sides, encoding=self.encoding)
            units.fill((list(zip(languages, row, strict=True)) for row in lines), " and ".join(map(str, self._sides)))
        return units

    def _read_memory(self, path: Path) -> Iterator[Unit]:
        if plain_name(path.name).lower().endswith(".tmx"):
            return read_tmx(path)
        if not self.languages:
            self._refuse("languages", None, f"a language for each column of {path.name}, such as [en, pt]")
        return _read_columns(path, self.languages, self.encoding)


class UnitIndex:
    """Translation units, and where each text is.

    Languages are kept with their region ("pt-BR"). A question for "pt" is answered from all of them, one for "pt-BR"
    from that region before others.
    """

    def __init__(self) -> None:
        self._units: list[Unit] = []
        # Language → text → numbers of units; made for the languages that are looked up
        self._numbers: dict[str, dict[str, list[int]]] = {}
        self.languages: set[str] = set()

    def fill(self, units: Iterable[Unit], name: str) -> None:
        """Add what a file has. Empty texts say nothing and are left out.

        Raises:
            XltError: E235 where it has no text in two languages.
        """
        self._numbers.clear()
        useful = False
        for unit in units:
            texts = [(code, _without_layout(text)) for code, text in unit if text and not text.isspace()]
            codes = {code for code, _ in texts}
            self.languages.update(filter(None, map(spacy_code, codes)))
            self._units.append(texts)
            useful = len(codes) > 1 or useful
        if not useful:
            raise error("E235", path=name)

    def has(self, source: str, target: str) -> bool:
        """Whether it has both languages of a direction, as spaCy's codes or others."""
        codes = {to_spacy(source), to_spacy(target)}
        return len(codes) == 2 and codes <= self.languages

    def translation(self, text: str, *, source: str, target: str) -> str | None:
        """The best translation of a text: of the region asked for, then the most frequent, then the first one."""
        wanted = to_spacy(target)
        counts: Counter[str] = Counter()
        regional: set[str] = set()
        for number in self._index(to_spacy(source)).get(memory_key(text), ()):
            texts = [(code, other) for code, other in self._units[number] if spacy_code(code) == wanted]
            for code, other in sorted(texts, key=lambda item: item[0].lower() != target.lower()):
                counts[other] += 1
                if code.lower() == target.lower():
                    regional.add(other)
        return max(counts, key=lambda other: (other in regional, counts[other]), default=None)

    def _index(self, language: str) -> dict[str, list[int]]:
        if language not in self._numbers:
            index: dict[str, list[int]] = {}
            for number, unit in enumerate(self._units):
                # Regions differ in spelling only; the same sentence of both is one witness of the translation
                for key in {memory_key(text) for code, text in unit if spacy_code(code) == language}:
                    index.setdefault(key, []).append(number)
            self._numbers[language] = index
        return self._numbers[language]


def _without_layout(text: str) -> str:
    """The text without what pretty-printed XML and stray tabs put into it; a no-break space is part of it."""
    return re.sub(r"[ \t\r\n]{2,}|[\t\r\n]", " ", text).strip()


def memory_key(text: str) -> str:
    """The form in which texts are compared: composed characters (NFC), every run of white space a single space."""
    return " ".join(unicodedata.normalize("NFC", text).split())


@lru_cache(maxsize=1024)
def spacy_code(code: str) -> str | None:
    """spaCy's code for a language code found in a file; None where it stands for no known language."""
    try:
        return to_spacy(code)
    except XltError:
        return None


def _read_columns(path: Path, languages: Sequence[str], encoding: str) -> Iterator[Unit]:
    """The lines of a tab-separated file, all with as many columns as the first, and one at least for each language."""
    n_columns = 0
    for line, text in text_lines(path, encoding, cr_ends=False):
        if not text.strip():
            continue
        fields = text.split("\t")
        n_columns = n_columns or len(fields)
        if len(fields) < len(languages) or len(fields) != n_columns:
            expected = f"{n_columns} as above" if n_columns >= len(languages) else f"at least {len(languages)}"
            raise error("E531", path=path, line=line, reason=f"{len(fields)} columns; expected {expected}")
        yield list(zip(languages, fields, strict=False))


def read_tmx(path: Path) -> Iterator[Unit]:
    """Read a TMX file unit by unit (TMX 1.4b Specification, Localization Industry Standards Association, 2005).

    Files may come from anywhere, so that declarations of entities are refused, which can grow without bound. Nothing
    outside the file is ever read.

    Raises:
        XltError: E531 with the line where the file is broken or no TMX file; E106 and E535 as `open_bytes`.
    """
    _check_prolog(path)
    parser: Any = ElementTree.XMLPullParser(("start", "end"))
    body = None
    with open_bytes(path) as file:
        for line, data in enumerate(file, start=1):
            try:
                parser.feed(data)
                events = list(parser.read_events())
            except ElementTree.ParseError as err:
                raise _broken(path, err) from err
            for event, element in events:
                if event == "start":
                    body = element if element.tag == "body" else body
                elif element.tag == "tu":
                    yield [_variant(variant, path, line) for variant in element.findall("tuv")]
                    # Else the whole file would be kept
                    (element if body is None else body).clear()
    try:
        parser.close()
    except ElementTree.ParseError as err:
        raise _broken(path, err) from err


def _check_prolog(path: Path) -> None:
    """Read up to the first element, which must be that of a TMX file."""
    parser = expat.ParserCreate()

    def refuse(reason: str) -> NoReturn:
        raise error("E531", path=path, line=parser.CurrentLineNumber, reason=reason)

    def entity(name: str, *_: object) -> None:
        refuse(f"it declares the entity {name!r}, which is refused; write out what it stands for")

    def start(name: str, _: object) -> None:
        if name != "tmx":
            refuse(f"the root element is <{name}>, and a TMX file has <tmx>")
        raise StopIteration

    parser.EntityDeclHandler, parser.StartElementHandler = entity, start
    with open_bytes(path) as file:
        try:
            parser.ParseFile(file)
        except StopIteration:
            return
        except expat.ExpatError as err:
            raise error("E531", path=path, line=err.lineno, reason=expat.ErrorString(err.code)) from err
        except XltError:
            raise
        except (LookupError, ValueError) as err:
            # An encoding that expat leaves to Python, and that is unknown or has several bytes a character
            refuse(str(err))


def _broken(path: Path, err: ElementTree.ParseError) -> XltError:
    reason, _, _ = str(err).rpartition(": line")
    return error("E531", path=path, line=err.position[0], reason=reason)


def _variant(variant: ElementTree.Element, path: Path, line: int) -> tuple[str, str]:
    # TMX before 1.4 has `lang`
    language = variant.get(_XML_LANG) or variant.get("lang")
    if not language:
        raise error("E531", path=path, line=line, reason="<tuv> without xml:lang, so its language is unknown")
    segment = variant.find("seg")
    return language.replace("_", "-"), "" if segment is None else _text(segment)


def _text(element: ElementTree.Element) -> str:
    parts = [element.text or ""]
    for child in element:
        parts += ["" if child.tag in _NOT_TEXT else _text(child), child.tail or ""]
    return "".join(parts)
