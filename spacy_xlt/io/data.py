"""Data as files, each written whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .replacing import replacing

if TYPE_CHECKING:
    from spacy.tokens import Doc


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    with replacing(path) as beside:
        beside.write_bytes(data)


def write_json(path: str | Path, data: Any) -> None:
    """Write plain data as indented JSON, whole or not at all."""
    write_bytes(path, json_bytes(data, indent=2))


def json_bytes(data: Any, **settings: Any) -> bytes:
    """Plain data as JSON in UTF-8 with a line end; half a surrogate pair, as in file names, becomes an escape."""
    text = json.dumps(data, ensure_ascii=False, **settings) + "\n"
    # What cannot be encoded can only stand inside text, where JSON has the same escapes as Python
    return text.encode("utf8", "backslashreplace")


def write_docs(path: str | Path, docs: Iterable[Doc], *, store_user_data: bool = False) -> None:
    """Write documents as one `.spacy` file, whole or not at all, with `doc.user_data` such as Bitexts if asked for."""
    write_bytes(path, docs_bytes(docs, store_user_data=store_user_data))


def docs_bytes(docs: Iterable[Doc], *, store_user_data: bool = False) -> bytes:
    """Documents as the bytes of a `.spacy` file."""
    from spacy.tokens import DocBin

    return bytes(DocBin(docs=docs, store_user_data=store_user_data).to_bytes())


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
