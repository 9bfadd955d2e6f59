"""Reading TMX, the XML format of translation memories, as a stream.

TMX 1.4b Specification, Localization Industry Standards Association, 2005. Files may come from anywhere, so what an
XML parser can be tricked with is refused: declarations of entities (they can grow without bound) and references to
entities that are declared elsewhere. Nothing outside the file is ever read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from xml.parsers import expat

from ...errors import XltError, error

_CHUNK = 1 << 16
# Elements whose content is code of the original format, or another text (`sub`), not words of this one
_NOT_TEXT = frozenset({"bpt", "ept", "it", "ph", "ut"})
_XML_LANG = "xml:lang"


def read_tmx(file: BinaryIO, path: Path) -> Iterator[list[tuple[str, str]]]:
    """The units of a TMX file: language codes as written there, with texts.

    file (BinaryIO): The content; its XML declaration names the encoding.
    path (Path): For messages.
    RAISES (XltError): E233 with the line where the file is broken or not a TMX file.
    """
    reader = _Reader(path)
    while chunk := file.read(_CHUNK):
        reader.feed(chunk)
        yield from reader.take()
    reader.feed(b"", last=True)
    yield from reader.take()


class _Reader:
    """Collects units while the parser meets them.

    path (Path): For messages.
    """

    def __init__(self, path: Path):
        self._path = path
        self._parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.EntityDeclHandler = self._entity
        parser.SkippedEntityHandler = self._skipped
        # The elements that are open
        self._within: list[str] = []
        self._units: list[list[tuple[str, str]]] = []
        self._unit: list[tuple[str, str]] = []
        self._language = ""
        self._text: list[str] = []
        self._not_text = 0

    def feed(self, data: bytes, *, last: bool = False) -> None:
        """Read on, to the end of the file where this is the last part of it.

        RAISES (XltError): E233.
        """
        try:
            self._parser.Parse(data, last)
        except expat.ExpatError as err:
            raise error("E233", path=self._path, line=err.lineno, reason=expat.ErrorString(err.code)) from err
        except XltError:
            raise
        except (ValueError, LookupError) as err:
            # An encoding that expat leaves to Python, and that is none or has several bytes a character
            raise self._broken(str(err)) from err

    def take(self) -> list[list[tuple[str, str]]]:
        """The units that were completed since the last call."""
        units, self._units = self._units, []
        return units

    def _broken(self, reason: str) -> XltError:
        return error("E233", path=self._path, line=self._parser.CurrentLineNumber, reason=reason)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._within and name != "tmx":
            raise self._broken(f"the root element is <{name}>, and a TMX file has <tmx>")
        self._within.append(name)
        if name == "tu":
            self._unit = []
        elif name == "tuv":
            # TMX before 1.4 has `lang`
            self._language = attributes.get(_XML_LANG) or attributes.get("lang") or ""
            if not self._language:
                raise self._broken("<tuv> without xml:lang, so its language is unknown")
        elif name == "seg":
            self._text = []
        elif name in _NOT_TEXT:
            self._not_text += 1

    def _end(self, name: str) -> None:
        self._within.pop()
        if name == "tu":
            self._units.append(self._unit)
        elif name == "seg" and self._within[-1:] == ["tuv"]:
            self._unit.append((self._language.replace("_", "-"), "".join(self._text)))
        elif name in _NOT_TEXT:
            self._not_text -= 1

    def _characters(self, data: str) -> None:
        if not self._not_text and "seg" in self._within:
            self._text.append(data)

    def _entity(self, name: str, *_: object) -> None:
        raise self._broken(f"it declares the entity {name!r}, which is refused; write out what it stands for")

    def _skipped(self, name: str, is_parameter: bool) -> None:
        if not is_parameter:
            raise self._broken(f"the entity &{name}; is not declared in the file")
