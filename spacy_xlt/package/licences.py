"""What a pipeline is made from and under which licences: read from a file beside the data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import error

# Licences that ask for no more than that the author is named; whatever is made from it may have any licence.
_PERMISSIVE = re.compile(r"cc0|cc by \d|public domain|pddl|odc-by|mit\b|bsd|apache|isc\b|unlicense", re.IGNORECASE)
_SHARE_ALIKE = re.compile(r"cc by-sa (\d)\.(\d)", re.IGNORECASE)


@dataclass(frozen=True)
class Material:
    """Something that a pipeline is made from: a corpus, an encoder, a translator.

    key (str): Its name in the file of licences.
    licence (str | None): None where nobody knows.
    """

    key: str
    name: str
    licence: str | None = None
    url: str = ""
    author: str = ""

    def to_meta(self) -> dict[str, str]:
        """As spaCy has it in `sources` of meta.json, with the licence."""
        known = {"name": self.name, "url": self.url, "author": self.author, "license": self.licence or "unknown"}
        return {key: value for key, value in known.items() if value}


def read_licences(paths: Iterable[Path]) -> dict[str, Material]:
    """Read files of licences: JSON, key → name, licence, url, author. A later file's entry counts.

    RAISES (XltError): E502 where there is no such file, E680 for one that is something else.
    """
    found: dict[str, Material] = {}
    for path in paths:
        if not path.is_file():
            raise error("E502", what="file of licences", path=path)
        try:
            entries = json.loads(path.read_text(encoding="utf8"))
        except ValueError as err:
            raise error("E680", path=path, reason=str(err)) from err
        if not isinstance(entries, dict):
            raise error("E680", path=path, reason="it is no object of names")
        for key, entry in entries.items():
            found[key] = _material(key, entry, path)
    return found


def _material(key: str, entry: Any, path: Path) -> Material:
    if not isinstance(entry, Mapping):
        raise error("E680", path=path, reason=f"{key!r} is no object")
    values = {name: entry.get(name) for name in ("licence", "url", "author")}
    wrong = [name for name, value in values.items() if value is not None and not isinstance(value, str)]
    if wrong:
        raise error("E680", path=path, reason=f"`{wrong[0]}` of {key!r} is no text")
    texts = {name: value.strip() for name, value in values.items() if value and value.strip()}
    return Material(key, str(entry.get("name") or key), **texts)


def pick(keys: Sequence[str], known: Mapping[str, Material], *, allow_unknown: bool) -> list[Material]:
    """The materials with these keys.

    allow_unknown (bool): Take those that have no licence, or are not in the file, as "unknown".
    RAISES (XltError): E681 for those that have none.
    """
    found = [known.get(key, Material(key, key)) for key in dict.fromkeys(keys)]
    unknown = [material.key for material in found if material.licence is None]
    if unknown and not allow_unknown:
        raise error("E681", names=", ".join(unknown), known=", ".join(sorted(known)) or "none")
    return found


def licence_of_result(materials: Iterable[Material]) -> str:
    """A licence for what is made from several things, that all of theirs allow.

    Share-alike licences ask for the same one: CC BY-SA, whose later versions may take the place of earlier ones.
    Without one of these, a result of permissively licensed things has the licence of this package's code, MIT.

    RAISES (XltError): E682 where a licence says something else (no commercial use, no changes), or nothing is known.
    """
    share_alike: list[tuple[int, int]] = []
    for material in materials:
        licence = material.licence or "unknown"
        match = _SHARE_ALIKE.fullmatch(licence.strip())
        if match:
            share_alike.append((int(match[1]), int(match[2])))
        elif not _PERMISSIVE.match(licence.strip()):
            raise error("E682", name=material.name, licence=licence)
    if not share_alike:
        return "MIT"
    return "CC BY-SA {}.{}".format(*max(share_alike))


def hub_licence(licence: str) -> str:
    """A licence as the Hugging Face Hub writes it, which is how spacy-huggingface-hub does: "cc-by-sa-4.0"."""
    return licence.replace(" ", "-").lower().replace("gnu-", "")
