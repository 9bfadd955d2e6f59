"""Building a projected corpus: documents through the components, shard by shard, into a folder that can be resumed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spacy.language import Language
from spacy.vocab import Vocab
from tqdm import tqdm

from .. import __version__
from ..config import component_config
from ..errors import XltError, error, warn
from ..io import remove_leftovers, write_bytes, write_json
from ..languages import MULTI
from ..readers.settings import lines_named
from ..review.records import Corrections
from .executors.base import Executor
from .executors.local import InProcess
from .inputs import InputFile, InputSettings, open_inputs
from .manifest import Manifest, read_header
from .planning import ShardPlan
from .processing import ShardProcessor, stage_names
from .sharding import Built, ShardCounts, cache_hit_share, shard_id

if TYPE_CHECKING:
    from .progress import Numbers

SUMMARY = "summary.json"
# Seconds after which there is a bar while the input is looked through
_BAR_AFTER = 2.0


class Builder:
    """Takes a corpus through a pipeline of xlt components and writes bitexts and target documents.

    nlp (Language): The pipeline.
    source (Path): A corpus: a file of any known format or a folder of them.
    output (Path): The build folder: new, empty, or one of the same config and input to go on with.
    docs_per_shard (int): Documents in an output file; what is done again after a kill is at most the shards that were
        being worked on.
    corrections (Path | None): JSON lines that the page of `spacy xlt view --review` saved: what was reviewed replaces
        what is projected.
    reading (InputSettings | None): How the input is read; by its looks, in the language of the translator, if left out.
    skip_corrupt (bool): Leave out an input file that cannot be read, with a warning, instead of stopping.
    verify (bool): Check the checksums of what is finished, not only that it is there.
    silent (bool): No bar while the input is looked through, which takes long only where it is large.
    asked (str | None): A checksum of what was asked for, by which the next run knows that it has nothing to do; see
        `unchanged`.
    RAISES (XltError): E502, E503, E504 and those of `open_inputs` for the input; E507 where it has nothing to project;
        E505 and E506 where the output folder holds something else; E564 to E569 for the corrections.
    """

    def __init__(
        self,
        nlp: Language,
        source: Path,
        output: Path,
        *,
        docs_per_shard: int = 200,
        corrections: Path | None = None,
        reading: InputSettings | None = None,
        skip_corrupt: bool = False,
        verify: bool = True,
        silent: bool = True,
        asked: str | None = None,
    ):
        if docs_per_shard < 1:
            raise error("E510", setting="--docs-per-shard", value=docs_per_shard, expected="a number from 1")
        self.nlp = nlp
        self.source = source
        self.output = output
        self.reading = reading or InputSettings(lang=source_language(nlp))
        self.skip_corrupt = skip_corrupt
        self.verify = verify
        self.silent = silent
        self.asked = asked
        files = open_inputs(source, self.reading)
        self.input = self._scan(files)
        docs = [self.input[file.name].get("docs", 0) for file in files]
        self.plan = ShardPlan(files, docs, size=docs_per_shard)
        if not self.plan.n_docs:
            raise error("E503", path=source)
        self._check_annotation()
        self.corrections = None if corrections is None else Corrections(corrections)
        # Shards that this run has built
        self.n_built = 0
        self.manifest = Manifest(output, self._header(docs_per_shard))
        if self.corrections is not None:
            self._check_corrections(self.corrections)

    @property
    def n_docs(self) -> int:
        """Documents of the whole input."""
        return self.plan.n_docs

    def _scan(self, files: Sequence[InputFile]) -> dict[str, dict[str, Any]]:
        """What the input files hold. One that an earlier run has seen, byte for byte, is not read again."""
        known = read_header(self.output).get("input", {})
        found: dict[str, dict[str, Any]] = {}
        for file in tqdm(files, desc="read", unit="file", delay=_BAR_AFTER, disable=self.silent):
            digest = file.digest()
            seen = known.get(file.name)
            if isinstance(seen, dict) and seen.get("sha256") == digest and ("docs" in seen or self.skip_corrupt):
                found[file.name] = seen
                continue
            try:
                found[file.name] = {"sha256": digest, **asdict(file.scan())}
            except XltError as err:
                if not self.skip_corrupt:
                    raise
                warn("W583", path=file.path, reason=err.message)
                found[file.name] = {"sha256": digest, "left_out": f"{err.code}"}
        return found

    def _check_annotation(self) -> None:
        projectors = [pipe for _, pipe in self.nlp.pipeline if getattr(pipe, "direction", "") == "source_to_target"]
        if projectors and not any(one.get("annotated") for one in self.input.values()):
            raise error("E507", path=self.source, n=self.n_docs)

    def _header(self, docs_per_shard: int) -> dict[str, Any]:
        header = {
            "spacy_xlt": __version__,
            "docs_per_shard": docs_per_shard,
            "config": component_config(self.nlp, deciding=True),
            "input": self.input,
            "reading": {**asdict(self.reading), "labels": sorted(self.reading.labels or ())},
            "engines": {name: getattr(pipe, "signature", "") for name, pipe in self.nlp.pipeline},
        }
        if self.corrections is not None:
            header["corrections"] = self.corrections.digest
        plain: dict[str, Any] = json.loads(json.dumps(header))
        return plain

    def _check_corrections(self, corrections: Corrections) -> None:
        if len(self.manifest):
            # Then they fitted when the build began
            return
        shards = self.plan.read(range(self.plan.n_shards))
        corrections.check_sources((doc for shard in shards for doc in shard.docs(Vocab())), self.source)

    def run(
        self,
        executor: Executor | None = None,
        *,
        numbers: Numbers | None = None,
    ) -> dict[str, Any]:
        """Build what is not built yet. The folder must not be another build's meanwhile: see `BuildLock`.

        executor (Executor | None): Where to work on the shards; in this process if left out. It is closed.
        numbers (Numbers | None): Hears of each shard.
        RETURNS (dict[str, Any]): The summary, which is also in `summary.json`.
        RAISES (XltError): E508 where not a single document could be processed.
        """
        if executor is None:
            executor = InProcess(ShardProcessor(self.nlp, corrections=self.corrections))
        to_do = []
        try:
            self.manifest.open()
            remove_leftovers(self.output)
            for number, record in self.manifest.finished_of(self.plan.n_shards, verify=self.verify):
                if record is None:
                    to_do.append(number)
                elif numbers is not None:
                    numbers.finished_before(record)
            if to_do:
                for built in executor.run(self.plan.read(to_do)):
                    self._store(built)
                    if numbers is not None:
                        numbers.finished(built.record)
        except BaseException:
            executor.close(now=True)
            raise
        executor.close()
        return self._finish()

    def _store(self, built: Built) -> None:
        """Write a shard's files, and only then the line that says that they are there."""
        for name, data in built.files.items():
            write_bytes(self.output / name, data)
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in built.files.items()}
        self.manifest.add(built.shard, {"files": digests, **built.record})
        self.n_built += 1

    def _finish(self) -> dict[str, Any]:
        total = ShardCounts()
        for number in range(self.plan.n_shards):
            total.add(self.manifest.record(shard_id(number)))
        if len(total.failed) == self.n_docs:
            raise error("E508", n=self.n_docs, reason=total.failed[0]["error"])
        if self.corrections is not None and (left_over := self.corrections.left_over(total.corrected)):
            n, path = len(left_over), self.corrections.path
            warn("W561", n=n, total=n + len(total.corrected), path=path, lines=lines_named(left_over))
        summary = self._summary(total)
        write_json(self.output / SUMMARY, summary)
        return summary

    def _summary(self, total: ShardCounts) -> dict[str, Any]:
        stages = stage_names(self.nlp.pipe_names)
        seconds = {name: round(total.seconds[name], 2) for name in stages if name in total.seconds}
        left_out = [name for name, one in self.input.items() if "left_out" in one]
        return {
            "signature": " | ".join(f"{name}={engine}" for name, engine in self.manifest.header["engines"].items()),
            **{key: value for key, value in total.to_json().items() if key not in ("failed", "seconds", "corrected")},
            **({"sentences_reviewed": len(total.corrected)} if self.corrections is not None else {}),
            **({"inputs_left_out": left_out} if left_out else {}),
            **({"asked": self.asked} if self.asked is not None else {}),
            "spans_lost": sum(total.lost_reasons.values()),
            "docs_failed": len(total.failed),
            "failed": total.failed[:20],
            "cache_hit_share": cache_hit_share(total),
            "seconds": seconds,
            "sentences_per_second": {name: round(total.sentences / s, 1) for name, s in seconds.items() if s},
        }


def source_language(nlp: Language) -> str:
    """The language that a pipeline translates from; its own where it has no translator."""
    found = (getattr(pipe, "source", None) for _, pipe in nlp.pipeline)
    return next((lang for lang in found if isinstance(lang, str)), nlp.lang or MULTI)
