"""How a pipeline is made again in another process, or on another machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..corrections import Corrections
from ..processing import ShardProcessor


@dataclass(frozen=True)
class Recipe:
    """All that a worker needs to work on shards; can be pickled.

    config (str): The pipeline's config.
    corrections (Corrections | None): What was reviewed.
    code (str | None): The text of a Python file with the user's own registered functions, run first.
    threads (int): Threads that PyTorch computes with; 0 for its own choice.
    gpu_id (int): GPU, or -1.
    """

    config: str
    corrections: Corrections | None = None
    code: str | None = None
    threads: int = 0
    gpu_id: int = -1

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
            exec(compile(self.code, "<--code>", "exec"), {"__name__": "spacy_xlt_user_code"})
        nlp = load_model_from_config(Config().from_str(self.config), auto_fill=True)
        return ShardProcessor(nlp, corrections=self.corrections)


def share_of_cores(n_workers: int, cores: Sequence[int] | None = None) -> int:
    """Threads for each of several workers on this machine: at least one."""
    import os

    available = len(cores if cores is not None else _cores())
    limit = int(os.environ.get("OMP_NUM_THREADS") or available)
    return max(1, min(limit, available // max(1, n_workers)))


def _cores() -> list[int]:
    import os

    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
