"""How a pipeline is made again in another process, or on another machine."""

from __future__ import annotations

import io
import os
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from spacy.language import Language

from ..io import inside
from ..memory import limit_allocator_caches
from ..pipe import XltPipe
from .shard import Corrections, ShardProcessor

# As spaCy calls it
_CODE_MODULE = "python_code"


@dataclass(frozen=True)
class WorkerSpec:
    """All that a worker needs to process shards; can be pickled.

    Args:
        config: The pipeline's config.
        weights: What its components from elsewhere have learned or were given; None if it has none of them.
        corrections: What was reviewed.
        code: The text of a Python file with the user's own registered functions, run first.
        code_path: Where it is from.
        threads: Threads that PyTorch computes with; 0 for its own choice.
    """

    config: str
    weights: bytes | None = None
    corrections: Corrections | None = None
    code: str | None = None
    code_path: str = ""
    threads: int = 0

    @classmethod
    def of(
        cls, nlp: Language, *, corrections: Corrections | None = None, code: Path | None = None, threads: int = 0
    ) -> WorkerSpec:
        """What makes a pipeline like this one; `code` is a Python file with the user's own registered functions."""
        others = any(not isinstance(pipe, XltPipe) and hasattr(pipe, "to_bytes") for _, pipe in nlp.pipeline)
        return cls(
            nlp.config.to_str(),
            weights=_pack(nlp) if others else None,
            corrections=corrections,
            code=None if code is None else code.read_text(encoding="utf8"),
            code_path="" if code is None else str(code.resolve()),
            threads=threads,
        )

    def start(self, gpu_id: int = -1) -> ShardProcessor:
        """Make the pipeline in a process that is for nothing else; its models are loaded at first use.

        Args:
            gpu_id: GPU, or -1 for the CPU.

        Raises:
            XltError: If it cannot be made here, for example because a package is missing.
        """
        from spacy.util import load_model_from_config
        from thinc.api import Config, require_gpu

        limit_allocator_caches()
        if gpu_id >= 0:
            require_gpu(gpu_id)
        if self.threads:
            import torch

            torch.set_num_threads(self.threads)
        if self.code is not None:
            _run_code(self.code, self.code_path)
        nlp = load_model_from_config(Config().from_str(self.config), auto_fill=True)
        if self.weights is not None:
            _unpack(self.weights, nlp)
        return ShardProcessor(nlp, corrections=self.corrections)


def share_of_cores(n_workers: int, cores: Sequence[int] | None = None) -> int:
    """Threads for each of several workers on this machine: at least one.

    Args:
        n_workers: How many workers.
        cores: The cores; those that this process may use if left out.
    """
    if cores is None:
        has_affinity = hasattr(os, "sched_getaffinity")
        cores = sorted(os.sched_getaffinity(0)) if has_affinity else range(os.cpu_count() or 1)
    # For example "4,2", where threads have threads of their own
    wished = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    limit = int(wished) if wished.isdecimal() and int(wished) else len(cores)
    return max(1, min(limit, len(cores) // max(1, n_workers)))


def _made_by_config(nlp: Language) -> list[str]:
    return [name for name, pipe in nlp.pipeline if isinstance(pipe, XltPipe)]


def _pack(nlp: Language) -> bytes:
    """What `to_disk` saves of components from elsewhere. (Not `to_bytes`: EntityRuler.from_bytes loses phrases.)"""
    data = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder:
        for name in nlp.component_names:
            # A folder for each
            inside(folder, name)
        nlp.to_disk(folder, exclude=_made_by_config(nlp))
        with zipfile.ZipFile(data, "w") as archive:
            for path in sorted(Path(folder).rglob("*")):
                archive.write(path, path.relative_to(folder))
    return data.getvalue()


def _unpack(data: bytes, nlp: Language) -> None:
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            archive.extractall(folder)
        nlp.from_disk(folder, exclude=_made_by_config(nlp))


def _run_code(text: str, path: str) -> None:
    """Run a file's text as spaCy imports one. It is a real module, as dataclasses look theirs up."""
    module = ModuleType(_CODE_MODULE)
    module.__file__ = path
    sys.modules[_CODE_MODULE] = module
    exec(compile(text, path or _CODE_MODULE, "exec"), module.__dict__)
