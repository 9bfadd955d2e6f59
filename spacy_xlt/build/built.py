"""The finished shards of a build: what their files and their lines of the manifest hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from spacy.tokens import Doc, DocBin

from ..bitext import USER_DATA_KEY, Bitext
from ..errors import XltError, error
from ..io import file_digest
from ..languages import blank
from ..readers.docbin import read_bin
from .manifest import file_in, read_manifest
from .shard import BITEXT, TARGET


class Translated(NamedTuple):
    """A source document in one of its languages.

    Attributes:
        number: Of the source document in its shard, from 0.
        place: Of its translation in the shard's file of that language.
        source: The source document.
        lang: The target language.
        key: Under which its bitext is stored.
    """

    number: int
    place: int
    source: Doc
    lang: str
    key: str


@dataclass(frozen=True)
class BuiltShard:
    """A finished shard.

    Attributes:
        folder: The build folder.
        name: Of the shard.
        files: SHA-256 by path in the build folder.
        counts: What the build counted: `docs`, `sentences`, `spans_in` and so on.
    """

    folder: Path
    name: str
    files: dict[str, str]
    counts: dict[str, Any]

    @property
    def bitext(self) -> str:
        """The file of the source documents with their bitexts."""
        return f"{BITEXT}/{self.name}.spacy"

    def target(self, lang: str) -> str:
        """The file of the documents in a target language."""
        return f"{TARGET}/{lang}-{self.name}.spacy"

    @property
    def langs(self) -> list[str]:
        """The target languages of which it has documents, sorted."""
        first, last = f"{TARGET}/", f"-{self.name}.spacy"
        names = (name for name in self.files if name.startswith(first) and name.endswith(last))
        return sorted(name[len(first) : -len(last)] for name in names)

    def size(self, file: str) -> int | None:
        """The size of one of its files in bytes; None if it is missing."""
        path = self.path(file)
        return path.stat().st_size if path.is_file() else None

    def path(self, file: str) -> Path:
        """Where one of its files is; errors as `file_in`."""
        return file_in(self.folder, file)

    def read(self, file: str) -> DocBin:
        """Read one of its `.spacy` files.

        Raises:
            XltError: E550 if it is missing, cannot be read, or is not what the build wrote; E557 as `path`.
        """
        path = self.path(file)
        try:
            digest = file_digest(path)
        except OSError as err:
            raise self._unreadable(file, err.strerror or str(err)) from err
        if digest != self.files.get(file):
            raise self._unreadable(file, "it is not what the build wrote")
        try:
            return read_bin(path)
        except XltError as err:
            raise self._unreadable(file, err.message) from err

    def translated(self, lang: str = "") -> list[Translated]:
        """Its documents in each of their target languages, in order.

        The file of a language has a document for each source document with a bitext in that language, in the same
        order; sentences of it may be left out, even all.

        Args:
            lang: Only this language.

        Raises:
            XltError: E550 if the source documents or what they store cannot be read.
        """
        translated, places = [], Counter[str]()
        docs = self.read(self.bitext)
        try:
            # The words of a shard are kept by the vocabulary, which is a fresh one from time to time
            for number, doc in enumerate(docs.get_docs(blank("xx").vocab)):
                for key, data in (doc.user_data.get(USER_DATA_KEY) or {}).items():
                    target_lang = data["target_lang"]
                    if lang in ("", target_lang):
                        translated.append(Translated(number, places[target_lang], doc, target_lang, key))
                    places[target_lang] += 1
        except Exception as err:  # whatever data of another form runs into
            raise self._unreadable(self.bitext, f"{type(err).__name__}: {err}") from err
        return translated

    def targets(self, translated: Sequence[Translated]) -> dict[str, DocBin]:
        """The target documents by language, for what `translated` gave.

        Raises:
            XltError: E550 for a file that cannot be read or has another number of documents.
        """
        targets = {}
        for lang, expected in sorted(Counter(one.lang for one in translated).items()):
            targets[lang] = self.read(self.target(lang))
            if len(targets[lang]) != expected:
                reason = f"it has {len(targets[lang])} documents, and {expected} source documents are translated"
                raise self._unreadable(self.target(lang), reason)
        return targets

    def stored_bitext(self, one: Translated) -> Bitext:
        """The bitext of a document.

        Raises:
            XltError: E550 if what is stored cannot be read.
        """
        try:
            return Bitext.from_stored(one.source, one.source.user_data[USER_DATA_KEY][one.key])
        except Exception as err:  # XltError, and whatever data of another form runs into
            raise self._unreadable(self.bitext, f"document {one.number}: {type(err).__name__}: {err}") from err

    def _unreadable(self, file: str, reason: str) -> XltError:
        return error("E550", shard=self.name, path=self.folder / file, reason=reason)


class BuiltShards(Sequence[BuiltShard]):
    """The finished shards of a build folder, in order, as the manifest had them when this was made.

    Args:
        folder: The build folder.

    Attributes:
        header: Of the manifest.

    Raises:
        XltError: E557 if it names files outside the folder, E580 if it is no build folder, E581 if the manifest is
            damaged, E582 if a newer version wrote it.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.header, records = read_manifest(self.folder)
        self._shards = [
            BuiltShard(self.folder, name, record.pop("files"), {k: v for k, v in record.items() if k != "shard"})
            for name, record in records.items()
        ]
        for shard in self._shards:
            for file in shard.files:
                shard.path(file)

    def __len__(self) -> int:
        return len(self._shards)

    def __getitem__(self, index: Any) -> Any:
        return self._shards[index]

    @property
    def langs(self) -> list[str]:
        """The target languages of all shards, sorted."""
        return sorted({lang for shard in self for lang in shard.langs})

    def check(self, lang: str = "") -> None:
        """Make sure that there is something to read.

        Args:
            lang: A target language that must be there; any if left out.

        Raises:
            XltError: E580 if no shard is finished, E552 for a language that is not there.
        """
        if not self:
            raise error("E580", path=self.folder, reason="no shard of it is finished")
        if lang and lang not in self.langs:
            raise error("E552", lang=lang, path=self.folder, known=", ".join(self.langs) or "none", setting="--lang")
