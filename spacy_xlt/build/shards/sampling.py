"""Some documents of a build, each with the same chance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from heapq import heappush, heappushpop
from pathlib import Path

from spacy.tokens import Doc, DocBin

from ...bitext import USER_DATA_KEY
from ...docs import select_docs
from ...errors import error
from ...io import docs_bytes, write_bytes
from ...languages import blank
from .draws import draw
from .output import check_file
from .reading import check_found, read_file, read_sources, translated
from .records import Record, Records

TARGET, BITEXT = "target", "bitext"
WHAT = (TARGET, BITEXT)


@dataclass
class Sampler:
    """Draws documents, in one pass over the shards: those with the `n` lowest of the numbers that each one draws.

    A document's number depends on the seed, its shard and its place in it alone. In memory are a shard and the `n`
    documents, compressed. Target documents without a token, all of whose sentences were left out, are not drawn.

    n (int): How many documents.
    what (str): "target" for target documents, "bitext" for the source documents with their bitexts.
    lang (str): Only this target language; of source documents, only the bitexts in it. It has to be given for "target"
        where the build has several.
    found (int): Documents to draw from.
    drawn (int): Documents drawn.
    RAISES (XltError): E510 for settings that cannot be; E580 where no shard is finished.
    """

    records: Records
    n: int = 100
    seed: int = 0
    what: str = TARGET
    lang: str = ""
    found: int = 0
    drawn: int = 0
    _langs: set[str] = field(default_factory=set)
    # Minus its number, shard, place: the highest number comes first
    _heap: list[tuple[float, str, int]] = field(default_factory=list)
    _kept: dict[tuple[str, int], bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.n < 1:
            raise error("E510", setting="-n", value=self.n, expected="a number from 1")
        if self.what not in WHAT:
            raise error("E510", setting="--what", value=self.what, expected=" or ".join(WHAT))
        self.records.check_any()

    def write(
        self, path: Path, *, overwrite: bool = False, progress: Callable[[int], object] = lambda n_shards: None
    ) -> None:
        """Write the documents that are drawn as one `.spacy` file, in the order of the build.

        progress (Callable[[int], object]): Called with a number of shards each time that many more are done.
        RAISES (XltError): E550 for a shard that cannot be read; E551 for targets in several languages; E552 for a
            language that is not there; E553, E554 for what must not be written over; E556 where nothing is found.
        """
        check_file(path, self.records.folder, overwrite=overwrite)
        for record in self.records:
            self._draw_from(record)
            progress(1)
        check_found(self.records.folder, n_docs=self.found, known=self._langs, lang=self.lang, what="a sample")
        sample = DocBin(store_user_data=self.what == BITEXT)
        for place in sorted(self._kept):
            one = DocBin(store_user_data=self.what == BITEXT).from_bytes(self._kept.pop(place))
            sample.merge(one)
        self.drawn = len(sample)
        write_bytes(path, sample.to_bytes())

    def _draw_from(self, record: Record) -> None:
        self._langs.update(record.langs)
        docs: DocBin | list[Doc]
        if self.what == BITEXT and self.lang:
            docs, numbers = self._of_one_lang(record)
        else:
            docs, numbers = self._of_all(record)
        self.found += len(numbers)
        for number in numbers:
            entry = (-draw(self.seed, f"{record.shard}:{number}"), record.shard, number)
            if len(self._heap) < self.n:
                heappush(self._heap, entry)
            else:
                _, shard, gone = heappushpop(self._heap, entry)
                self._kept.pop((shard, gone), None)
                if (shard, gone) == entry[1:]:
                    continue
            self._kept[record.shard, number] = b""
        chosen = [number for number in numbers if (record.shard, number) in self._kept]
        for number, doc in zip(chosen, _docs_of(docs, chosen), strict=True):
            self._kept[record.shard, number] = docs_bytes([doc], store_user_data=self.what == BITEXT)

    def _of_all(self, record: Record) -> tuple[DocBin, list[int]]:
        """A file of a shard, and the numbers of the documents that can be drawn."""
        folder = self.records.folder
        if self.what == BITEXT:
            docs = read_file(folder, record, record.bitext)
            return docs, list(range(len(docs)))
        if not self.lang and len(self._langs) > 1:
            raise error("E551", known=", ".join(sorted(self._langs)))
        lang = self.lang or "".join(self._langs)
        docs = read_file(folder, record, record.target(lang)) if lang in record.langs else DocBin()
        return docs, [i for i, tokens in enumerate(docs.tokens) if len(tokens)]

    def _of_one_lang(self, record: Record) -> tuple[list[Doc], list[int]]:
        """The source documents of a shard, and the numbers of those with a bitext in the language, and only that."""
        folder = self.records.folder
        docs = read_sources(folder, record)
        numbers = []
        for one in list(translated(folder, record, docs, self.lang)):
            stored = one.source.user_data[USER_DATA_KEY]
            one.source.user_data[USER_DATA_KEY] = {one.key: stored[one.key]}
            numbers.append(one.number)
        return docs, numbers


def _docs_of(docs: DocBin | list[Doc], numbers: list[int]) -> Iterator[Doc]:
    if isinstance(docs, DocBin):
        return select_docs(docs, numbers).get_docs(blank("xx").vocab) if numbers else iter(())
    return (docs[number] for number in numbers)
