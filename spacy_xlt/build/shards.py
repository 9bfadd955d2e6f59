"""What is in a build, and taking documents out of it: listing, sampling, splitting, exporting."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from heapq import nsmallest
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from spacy.attrs import ENT_IOB, ENT_TYPE
from spacy.strings import StringStore
from spacy.tokens import Doc, DocBin

from ..bitext import USER_DATA_KEY, Bitext
from ..docs import select_docs, tokens_digest
from ..errors import XltError, error, warn
from ..io import file_digest, replacing, replacing_folder, write_bytes, write_json
from ..languages import blank
from ..readers.docbin import read_bin
from .manifest import read_manifest
from .rows import Row, bitext_row, target_row
from .shard import BITEXT, TARGET

SPLIT = "split.json"
_COUNTED = ("spans_in", "spans_projected", "lost_reasons")
_BEGIN = 3  # of ENT_IOB
# Called with each shard that is done
Progress = Callable[["BuiltShard"], object]


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
        path = self.folder / file
        return path.stat().st_size if path.is_file() else None

    def count(self, name: str) -> int:
        """A count, summed over labels or reasons if it has some; 0 if an older version did not count it."""
        value = self.counts.get(name, 0)
        return sum(value.values()) if isinstance(value, dict) else len(value) if isinstance(value, list) else value

    def read(self, file: str) -> DocBin:
        """Read one of its `.spacy` files.

        Raises:
            XltError: E550 if it is missing, cannot be read, or is not what the build wrote.
        """
        path = self.folder / file
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
        try:
            # The words of a shard are kept by the vocabulary, which is a fresh one from time to time
            for number, doc in enumerate(self.read(self.bitext).get_docs(blank("xx").vocab)):
                for key, data in (doc.user_data.get(USER_DATA_KEY) or {}).items():
                    target_lang = str(data.get("target_lang", key))
                    if lang in ("", target_lang):
                        translated.append(Translated(number, places[target_lang], doc, target_lang, key))
                    places[target_lang] += 1
        except XltError:
            raise
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
        XltError: E580 if it is no build folder, E581 if the manifest is damaged, E582 if a newer version wrote it.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.header, records = read_manifest(self.folder)
        self._shards = [
            BuiltShard(self.folder, name, record.pop("files"), {k: v for k, v in record.items() if k != "shard"})
            for name, record in records.items()
        ]

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
            raise error("E552", lang=lang, path=self.folder, known=", ".join(self.langs) or "none")


def list_shards(shards: BuiltShards) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What each shard has, as plain data, and what all have together.

    Returns:
        Of each shard its name, its counts and the size of each of its `files` in bytes (None: missing); and the sums,
        with whether the build is `finished`.
    """
    lines: list[dict[str, Any]] = []
    for shard in shards:
        counts = {"docs": shard.count("docs"), "docs_failed": shard.count("failed")}
        by_name = {name: shard.counts.get(name) or {} for name in _COUNTED}
        files = {name: shard.size(name) for name in sorted(shard.files)}
        lines.append({"shard": shard.name, **counts, "sentences": shard.count("sentences"), **by_name, "files": files})
    sizes = [size for line in lines for size in line["files"].values()]
    missing = sum(size is None for size in sizes)
    sums = {name: sum(line[name] for line in lines) for name in ("docs", "sentences", "docs_failed")}
    by_name = {name: dict(sorted(sum((Counter(line[name]) for line in lines), Counter()).items())) for name in _COUNTED}
    expected = _expected(shards)
    total = {"shards": len(lines), **sums, "bytes": sum(filter(None, sizes)), "shards_expected": expected, **by_name}
    return lines, {**total, "files_missing": missing, "finished": len(lines) == expected and not missing}


def sample(
    shards: BuiltShards,
    path: Path,
    *,
    n: int = 100,
    seed: int = 0,
    what: str = TARGET,
    lang: str = "",
    overwrite: bool = False,
    progress: Progress = lambda shard: None,
) -> tuple[int, int]:
    """Draw documents, each with the same chance, and write them as one `.spacy` file in the order of the build.

    A document's draw depends on the seed, its shard and its place in it alone. Target documents without a token, all of
    whose sentences were left out, are not drawn.

    Args:
        shards: The build.
        path: The file to write.
        n: How many documents.
        seed: Another one draws others.
        what: "target" for target documents, "bitext" for the source documents with their bitexts.
        lang: Only this target language; of source documents, only the bitexts in it. It has to be given for "target"
            if the build has several.
        overwrite: Replace a file that is there.
        progress: Called with each shard that is done.

    Returns:
        How many documents were drawn, and from how many.

    Raises:
        XltError: E510 for an invalid setting; E550 for a shard that cannot be read; E551 for targets in several
            languages; E552, E580 if the language or any shard is missing; E553, E554 for what must not be written over;
            E556 if nothing is there.
    """
    if n < 1:
        raise error("E510", setting="-n", value=n, expected="a number from 1")
    _check_what(what)
    shards.check(lang)
    if what == TARGET and not lang and len(shards.langs) > 1:
        raise error("E551", known=", ".join(shards.langs))
    _check_output(path, shards.folder, overwrite=overwrite)
    lang_of_targets = lang or "".join(shards.langs)
    n_found = 0

    def draws() -> Iterator[tuple[float, int, int]]:
        nonlocal n_found
        for place, shard in enumerate(shards):
            if what == TARGET:
                numbers = _with_tokens(shard, lang_of_targets)
            elif lang:
                numbers = [one.number for one in shard.translated(lang)]
            else:
                numbers = list(range(len(shard.read(shard.bitext))))
            n_found += len(numbers)
            yield from ((draw(seed, f"{shard.name}:{number}"), place, number) for number in numbers)
            progress(shard)

    drawn = sorted(found[1:] for found in nsmallest(n, draws()))
    if not drawn:
        raise error("E556", path=shards.folder, what="a sample")
    docs = DocBin(store_user_data=what == BITEXT)
    for place, numbered in groupby(drawn, key=lambda one: one[0]):
        shard = shards[place]
        file = shard.bitext if what == BITEXT else shard.target(lang_of_targets)
        for doc in select_docs(shard.read(file), [number for _, number in numbered]).get_docs(blank("xx").vocab):
            if what == BITEXT and lang:
                stored = doc.user_data[USER_DATA_KEY]
                doc.user_data[USER_DATA_KEY] = {k: v for k, v in stored.items() if v.get("target_lang", k) == lang}
            docs.add(doc)
    write_bytes(path, docs.to_bytes())
    return len(drawn), n_found


@dataclass
class Side:
    """What is on a side of a split: source documents, target documents and tokens by language, entities by label."""

    sources: int = 0
    docs: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    entities: Counter[str] = field(default_factory=Counter)

    def add(self, lang: str, docs: DocBin) -> None:
        """Count target documents."""
        self.docs[lang] += len(docs)
        strings = StringStore(docs.strings)
        iob, label = docs.attrs.index(ENT_IOB), docs.attrs.index(ENT_TYPE)
        for tokens in docs.tokens:
            self.tokens[lang] += len(tokens)
            self.entities.update(strings[int(one)] for one in tokens[tokens[:, iob] == _BEGIN, label])

    def to_json(self) -> dict[str, Any]:
        """Plain data, with the keys in a fixed order."""
        counters = {key: dict(sorted(getattr(self, key).items())) for key in ("docs", "tokens", "entities")}
        return {"sources": self.sources, **counters}


def side_of(doc: Doc, *, dev: float, seed: int) -> str:
    """The side of a source document: "dev" or "train". It follows from the seed and its tokens alone."""
    return "dev" if draw(seed, tokens_digest(doc)) < dev else "train"


def split(
    shards: BuiltShards,
    output: Path,
    *,
    dev: float = 0.1,
    seed: int = 0,
    lang: str = "",
    overwrite: bool = False,
    progress: Progress = lambda shard: None,
) -> dict[str, Any]:
    """Split the target documents into `train/LANG-SHARD.spacy` and `dev/LANG-SHARD.spacy`, counted in `split.json`.

    Whatever else is in the build and however it is cut into shards, all translations of a text, and of its copies, are
    on the same side. Target documents all of whose sentences were left out are left out.

    Args:
        shards: The build.
        output: The folder to write.
        dev: The share of different texts for development, between 0 and 1; what it comes to is near it.
        seed: Another one splits otherwise.
        lang: Only this target language; all if left out.
        overwrite: Replace a split that is there.
        progress: Called with each shard that is done.

    Returns:
        What `split.json` says.

    Raises:
        XltError: E510 for an invalid share; E550 for a shard that cannot be read; E552, E580 if the language or any
            shard is missing; E553, E554 for a folder that must not be written over; E556 if nothing is there.
    """
    if not 0.0 < dev < 1.0:
        raise error("E510", setting="--dev", value=dev, expected="a share between 0 and 1, such as 0.1")
    shards.check(lang)
    _check_output(output, shards.folder, overwrite=overwrite, marker=SPLIT)
    sides, n_empty = {"train": Side(), "dev": Side()}, 0
    with replacing_folder(output) as beside:
        for name in sides:
            (beside / name).mkdir()
        for shard in shards:
            translated = shard.translated(lang)
            targets = shard.targets(translated)
            side_by_number = {one.number: side_of(one.source, dev=dev, seed=seed) for one in translated}
            whole = [one for one in translated if len(targets[one.lang].tokens[one.place])]
            n_empty += len(translated) - len(whole)
            places: dict[tuple[str, str], list[int]] = defaultdict(list)
            for one in whole:
                places[side_by_number[one.number], one.lang].append(one.place)
            for number in {one.number for one in whole}:
                sides[side_by_number[number]].sources += 1
            for (name, target_lang), chosen in places.items():
                part = select_docs(targets[target_lang], chosen)
                sides[name].add(target_lang, part)
                (beside / name / f"{target_lang}-{shard.name}.spacy").write_bytes(part.to_bytes())
            progress(shard)
        n_docs = sum(side.docs.total() for side in sides.values())
        if not n_docs:
            raise error("E556", path=shards.folder, what="a split")
        counts = {name: side.to_json() for name, side in sides.items()}
        said = {"dev_share": dev, "seed": seed, "lang": lang, **counts, "left_out_empty": n_empty}
        write_json(beside / SPLIT, said)
    for name in sides:
        if not sides[name].docs:
            warn("W550", side=name, n=n_docs, share=dev)
    return said


def export(
    shards: BuiltShards,
    path: Path,
    *,
    what: str = TARGET,
    lang: str = "",
    overwrite: bool = False,
    progress: Progress = lambda shard: None,
) -> int:
    """Write a JSON line for each document and language, for people outside spaCy.

    Args:
        shards: The build.
        path: The file to write.
        what: "target" for the target documents as they are trained on, "bitext" for both sides with their links.
        lang: Only this target language; all if left out.
        overwrite: Replace a file that is there.
        progress: Called with each shard that is done.

    Returns:
        How many lines.

    Raises:
        XltError: E510 for an invalid setting; E550 for a shard that cannot be read; E552, E580 if the language or any
            shard is missing; E553, E554 for what must not be written over; E556 if nothing is there.
    """
    _check_what(what)
    shards.check(lang)
    _check_output(path, shards.folder, overwrite=overwrite)
    n_rows = 0
    with replacing(path) as beside:
        with beside.open("w", encoding="utf8", newline="\n") as file:
            for shard in shards:
                for row in _rows(shard, what, lang):
                    file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")
                    n_rows += 1
                progress(shard)
        if not n_rows:
            raise error("E556", path=shards.folder, what="an export")
    return n_rows


def draw(seed: int, name: str) -> float:
    """A number from 0 up to 1 that looks drawn by chance, the same one each time for the same seed and name."""
    digest = blake2b(f"{seed}:{name}".encode(), digest_size=8).digest()
    # 53 bits, as many as a float has
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)


def _rows(shard: BuiltShard, what: str, lang: str) -> Iterable[Row]:
    translated = shard.translated(lang)
    docs: dict[str, list[Doc]] = {}
    if what == TARGET:
        docs = {lang: list(of.get_docs(blank(lang).vocab)) for lang, of in shard.targets(translated).items()}
    for one in translated:
        bitext = shard.stored_bitext(one)
        row = target_row(docs[one.lang][one.place], bitext) if what == TARGET else bitext_row(bitext)
        yield {"shard": shard.name, "doc": one.number, **row}


def _with_tokens(shard: BuiltShard, lang: str) -> list[int]:
    if lang not in shard.langs:
        return []
    return [number for number, tokens in enumerate(shard.read(shard.target(lang)).tokens) if len(tokens)]


def _expected(shards: BuiltShards) -> int | None:
    """How many shards the build has when it is finished; None if its header, of an older version, does not tell."""
    inputs, size = shards.header.get("input"), shards.header.get("docs_per_shard")
    if not isinstance(inputs, dict) or not isinstance(size, int):
        return None
    if not all(isinstance(file, dict) for file in inputs.values()):
        return None
    return -(-sum(file.get("docs", 0) for file in inputs.values()) // size)


def _check_what(what: str) -> None:
    if what not in (TARGET, BITEXT):
        raise error("E510", setting="--what", value=what, expected=f"{TARGET} or {BITEXT}")


def _check_output(path: Path, build: Path, *, overwrite: bool, marker: str = "") -> None:
    """Make sure that a file, or the folder that `marker` is in, can be written: E553 and E554."""
    inside, around = path.resolve(), build.resolve()
    if inside.is_relative_to(around):
        raise error("E553", path=path, reason="is in the build folder")
    if not marker and path.is_dir():
        raise error("E553", path=path, reason="is a folder")
    if marker and around.is_relative_to(inside):
        raise error("E553", path=path, reason="has the build in it")
    if marker and path.exists() and not path.is_dir():
        raise error("E553", path=path, reason="is a file")
    is_there = any(path.iterdir()) if path.is_dir() else path.exists()
    if is_there and marker and not (path / marker).is_file():
        raise error("E553", path=path, reason=f"is not empty and has no {marker}")
    if is_there and not overwrite:
        raise error("E554", path=path)
