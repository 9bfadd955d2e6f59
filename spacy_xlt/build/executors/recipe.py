"""How a pipeline is made again in another process, or on another machine."""

from __future__ import annotations

import io
import os
import socket
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

from spacy.language import Language

from ...pipe import XltPipe
from ...review.records import Corrections
from ..processing import ShardProcessor

# As spaCy calls it
_CODE_MODULE = "python_code"
# What decides the output beside the engines' own packages, which their signatures name
_PACKAGES = ("spacy-xlt", "spacy", "torch")


@dataclass(frozen=True)
class Recipe:
    """All that a worker needs to work on shards; can be pickled.

    config (str): The pipeline's config.
    weights (bytes | None): What its components from elsewhere have learned or were given; None where it has none.
    corrections (Corrections | None): What was reviewed.
    code (str | None): The text of a Python file with the user's own registered functions, run first.
    code_path (str): Where it is from.
    threads (int): Threads that PyTorch computes with; 0 for its own choice.
    gpu_id (int): GPU, or -1.
    """

    config: str
    weights: bytes | None = None
    corrections: Corrections | None = None
    code: str | None = None
    code_path: str = ""
    threads: int = 0
    gpu_id: int = -1

    @classmethod
    def of(cls, nlp: Language, *, corrections: Corrections | None = None, code: Path | None = None) -> Recipe:
        """How to make a pipeline like this one.

        code (Path | None): Python file with the user's own registered functions.
        """
        others = any(not isinstance(pipe, XltPipe) and hasattr(pipe, "to_bytes") for _, pipe in nlp.pipeline)
        return cls(
            nlp.config.to_str(),
            weights=_packed(nlp) if others else None,
            corrections=corrections,
            code=None if code is None else code.read_text(encoding="utf8"),
            code_path="" if code is None else str(code.resolve()),
        )

    def make(self) -> ShardProcessor:
        """Make the pipeline; its models are loaded at first use.

        RAISES (XltError): Where it cannot be made here, for example because a package is missing.
        """
        from spacy.util import load_model_from_config
        from thinc.api import Config, require_gpu

        if self.gpu_id >= 0:
            require_gpu(self.gpu_id)
        if self.threads:
            import torch

            torch.set_num_threads(self.threads)
        if self.code is not None:
            _run_code(self.code, self.code_path)
        nlp = load_model_from_config(Config().from_str(self.config), auto_fill=True)
        if self.weights is not None:
            _unpack(self.weights, nlp)
        return ShardProcessor(nlp, corrections=self.corrections)


def identity(nlp: Language | None = None) -> dict[str, Any]:
    """What has to be the same wherever shards of a build are worked on, and on which machine this is.

    nlp (Language | None): Also the signatures of its components.
    """
    # "+cpu" and "+cu128" are for the kind of machine
    versions = {name: version(name).partition("+")[0] for name in _PACKAGES}
    versions["python"] = "{}.{}".format(*sys.version_info)
    engines = {name: str(getattr(pipe, "signature", "")) for name, pipe in nlp.pipeline} if nlp is not None else {}
    return {"host": socket.gethostname(), "versions": versions, "engines": engines}


def share_of_cores(n_workers: int, cores: Sequence[int] | None = None) -> int:
    """Threads for each of several workers on this machine: at least one."""
    available = len(cores if cores is not None else _cores())
    # For example "4,2", where threads have threads of their own
    wished = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    limit = int(wished) if wished.isdecimal() and int(wished) else available
    return max(1, min(limit, available // max(1, n_workers)))


def _made_by_config(nlp: Language) -> list[str]:
    return [name for name, pipe in nlp.pipeline if isinstance(pipe, XltPipe)]


def _packed(nlp: Language) -> bytes:
    """What `to_disk` saves of components from elsewhere. (Not `to_bytes`: EntityRuler.from_bytes loses phrases.)"""
    data = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        nlp.to_disk(folder, exclude=_made_by_config(nlp))
        with zipfile.ZipFile(data, "w") as packed:
            for path in sorted(Path(folder).rglob("*")):
                packed.write(path, path.relative_to(folder))
    return data.getvalue()


def _unpack(data: bytes, nlp: Language) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            packed.extractall(folder)
        nlp.from_disk(folder, exclude=_made_by_config(nlp))


def _run_code(text: str, path: str) -> None:
    """Run a file's text as spaCy imports one. It is a real module, as for example dataclasses look it up."""
    module = ModuleType(_CODE_MODULE)
    module.__file__ = path
    sys.modules[_CODE_MODULE] = module
    exec(compile(text, path or _CODE_MODULE, "exec"), module.__dict__)


def _cores() -> list[int]:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
