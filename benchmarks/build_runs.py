"""What `build_kills.py` and `build_power.py` share: a small corpus, builds of it that can be killed, and what they must
end with.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "assets" / "uner" / "English-PUD" / "en_pud-ud-test.iob2"
DATA = ("target", "bitext", "lost")
# What a build folder has beside the files of shards
KNOWN = {"manifest.jsonl", "summary.json", "report.json", "report.html", "log.jsonl", ".lock"}
# What differs between two builds that come to the same
TIMES = ("seconds", "sentences_per_second", "cache", "cache_hit_share")
PATIENCE = 600.0
ENGINES = '''
from spacy.util import registry
from spacy_xlt.bitext import Alignment
from spacy_xlt.protocols import Translation

class Capitals:
    """Translates by writing everything in capitals, the last word first."""
    signature = "capitals-1"
    def translate(self, texts, *, source, target):
        return [Translation(" ".join(reversed(text.upper().split())), score=-0.5) for text in texts]

class Backwards:
    """Links the first token to the last, and so on; not those of six letters, so that spans are lost."""
    signature = "backwards-1"
    def align(self, pairs, *, contexts=None):
        return [
            Alignment([(i, len(b) - 1 - i) for i in range(min(len(a), len(b))) if len(a[i]) != 6]) for a, b in pairs
        ]

@registry.misc("kills.Capitals.v1")
def make_capitals():
    return Capitals()

@registry.misc("kills.Backwards.v1")
def make_backwards():
    return Backwards()
'''
CONFIG = """
[nlp]
lang = "en"
pipeline = ["xlt_translator","xlt_aligner","xlt_projector"]
[components]
[components.xlt_translator]
factory = "xlt_translator"
target = "pt"
engine = {"@misc":"kills.Capitals.v1"}
[components.xlt_aligner]
factory = "xlt_aligner"
engine = {"@misc":"kills.Backwards.v1"}
[components.xlt_projector]
factory = "xlt_projector"
"""


@dataclass(frozen=True)
class Setting:
    """What is built. `arguments` are those of `spacy xlt build` without the output folder."""

    folder: Path
    corpus: Path
    config: Path
    code: Path
    shard: int
    report: bool = True

    def arguments(self, output: Path, *more: str) -> list[str]:
        words = ["xlt", "build", str(self.config), str(self.corpus), str(output), "--code", str(self.code), "--silent"]
        words += [] if self.report else ["--no-report"]
        return [*words, "--docs-per-shard", str(self.shard), *more]


def make_setting(folder: Path, *, docs: int, shard: int, config: Path | None = None, report: bool = True) -> Setting:
    """Write corpus, config and engines."""
    from spacy.tokens import DocBin

    from spacy_xlt.readers import read_corpus

    corpus = folder / "a corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    bins = [DocBin() for _ in range(3)]
    for n, doc in zip(range(docs), read_corpus(SOURCE), strict=False):
        # Not as many in each file, and no multiple of the shard's size
        bins[0 if n < docs // 2 + 3 else 1 if n < docs - 7 else 2].add(doc)
    for name, data in zip("aáb", bins, strict=True):
        data.to_disk(corpus / f"{name} .spacy")
    (folder / "engines.py").write_text(ENGINES, encoding="utf8")
    (folder / "kills.cfg").write_text(CONFIG, encoding="utf8")
    return Setting(folder, corpus, config or folder / "kills.cfg", folder / "engines.py", shard, report)


def digests(folder: Path) -> dict[str, str]:
    """Of each file below, by relative path."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def without_times(data: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key not in TIMES}


@dataclass
class Reference:
    """What a build that nobody disturbs ends with."""

    setting: Setting
    files: dict[str, str] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    manifest: tuple[Any, Any] = ({}, {})
    texts: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, setting: Setting, output: Path) -> Reference:
        """RAISES (AssertionError): Where the build does not have each document once, in order."""
        from spacy_xlt.readers.docbin import read_docs

        texts = [doc.text for doc in read_docs(setting.corpus, lang="en")]
        assert [doc.text for doc in read_docs(output / "bitext", lang="en")] == texts, "not the documents of the input"
        found = cls(setting, {}, cls._summary(output), cls._manifest(output), texts)
        found.files = {name: one for name, one in digests(output).items() if cls._is_compared(name)}
        return found

    @staticmethod
    def _is_compared(name: str) -> bool:
        return name.split("/")[0] in (*DATA, "report.json")

    @staticmethod
    def _summary(output: Path) -> dict[str, Any]:
        return without_times(json.loads((output / "summary.json").read_text("utf8")))

    @staticmethod
    def _manifest(output: Path) -> tuple[Any, Any]:
        from spacy_xlt.build.shards.records import Records

        records = Records(output)
        shards = {one.shard: {"files": one.files, **without_times(one.counts)} for one in records}
        return records.header, shards

    def problems_so_far(self, output: Path) -> Iterator[str]:
        """What must not be in a folder at any moment, even of a build that was killed."""
        if not output.exists():
            return
        shards = readable_manifest(output)
        if isinstance(shards, str):
            yield shards
            return
        for name, found in digests(output).items():
            # A file of the same name as the reference's is one that has its final name
            if name.split("/")[0] in DATA and name in self.files and found != self.files[name]:
                yield f"{name} is not whole"
        for names in shards.values():
            yield from (f"{name} is in the manifest and not there" for name in names if not (output / name).is_file())

    def problems(self, output: Path) -> Iterator[str]:
        """What is not as it should be in a folder whose build came to its end."""
        found = digests(output)
        for name in sorted({*found, *self.files}):
            if self._is_compared(name) or name in self.files:
                if name not in found:
                    yield f"{name} is missing"
                elif name not in self.files:
                    yield f"{name} is left over"
                elif found[name] != self.files[name]:
                    yield f"{name} is another one"
            elif name not in KNOWN:
                yield f"{name} is left over"
        try:
            if self._summary(output) != self.summary:
                yield "summary.json is another one"
            if self._manifest(output) != self.manifest:
                yield "the manifest is another one"
            for line in (output / "log.jsonl").read_text("utf8").splitlines():
                json.loads(line)
        except (OSError, ValueError) as err:
            yield f"{type(err).__name__}: {err}"


def readable_manifest(output: Path) -> dict[str, list[str]] | str:
    """The files of the finished shards that a manifest names, or what is wrong with it."""
    from spacy_xlt.build.shards.records import Records

    from spacy_xlt.errors import XltError

    try:
        return {one.shard: list(one.files) for one in Records(output)}
    except XltError as err:
        # There is none yet
        return {} if err.code == "E580" else f"the manifest cannot be read: {err.message}"


class Run:
    """A build that runs."""

    def __init__(self, pid: int, log: Path):
        self.pid = pid
        self.log = log
        self.code: int | None = None

    def has_ended(self) -> bool:
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code is not None

    def wait(self, seconds: float, watch: Callable[[], None] = lambda: None) -> bool:
        """RETURNS (bool): Whether it has ended within this time."""
        end = time.monotonic() + seconds
        while not self.has_ended():
            left = end - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(left, 0.01))
            watch()
        return True

    def kill(self, *, group: bool = False) -> None:
        (os.killpg if group else os.kill)(self.pid, signal.SIGKILL)
        if not self.wait(PATIENCE):
            raise TimeoutError(f"process {self.pid} does not end")

    def said(self) -> str:
        return " ".join(self.log.read_text("utf8", errors="replace").split())[-400:]


def fork(arguments: Sequence[str], log: Path, *, before: Callable[[], Any] | None = None) -> Run:
    """Run a command of spaCy in a fork of this process, which has all imported.

    before: What is to be done in it first; what that returns, if anything, is called at its end.
    """
    pid = os.fork()
    if pid:
        return Run(pid, log)
    code = 1
    try:
        os.setsid()
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        after = before() if before is not None else None
        code = run_here(arguments)
        if after is not None:
            after()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run_here(arguments: Sequence[str]) -> int:
    from spacy.cli._util import app
    from typer.main import get_command

    import spacy_xlt.cli  # noqa: F401

    try:
        return int(get_command(app).main(list(arguments), prog_name="spacy", standalone_mode=False) or 0)
    except SystemExit as err:
        return int(err.code or 0)


def spawn(arguments: Sequence[str], log: Path) -> Run:
    """Run a command of spaCy as a person does."""
    with log.open("wb") as out:
        words = [sys.executable, "-m", "spacy", *arguments]
        process = subprocess.Popen(words, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True)
    run = Run(process.pid, log)
    # Waited for by `Run`
    process.returncode = 0
    return run


def make_reference(setting: Setting) -> Reference:
    """Build once, here: also so that what a build imports is there for all forks."""
    output = setting.folder / "reference"
    if code := run_here(setting.arguments(output)):
        raise SystemExit(f"a build that was not disturbed ended with {code}")
    return Reference.of(setting, output)
