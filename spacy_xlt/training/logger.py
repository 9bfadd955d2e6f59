"""`spacy_xlt.Logger.v1`: spaCy's table of scores, and a JSON file of what a training took."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from spacy.language import Language
from spacy.training.loggers import console_logger_v3

from ..io import write_json

LogStep = Callable[[dict[str, Any] | None], None]


def create_logger(
    output_file: str | Path | None = None, progress_bar: str | None = None
) -> Callable[..., tuple[LogStep, Callable[[], None]]]:
    """Registered logger `spacy_xlt.Logger.v1`: prints like `spacy.ConsoleLogger.v3` and sums up in a file.

    Args:
        output_file: A JSON file, written over at each evaluation: updates, words seen, seconds (with those of the
            evaluations), words a second, and the score of each checkpoint.
        progress_bar: "train", "eval" or none, as in spaCy.
    """
    console = console_logger_v3(progress_bar=progress_bar)

    def setup(nlp: Language, stdout: IO[str] = sys.stdout, stderr: IO[str] = sys.stderr) -> Any:
        log_console, finalize = console(nlp, stdout, stderr)

        def log_step(info: dict[str, Any] | None) -> None:
            log_console(info)
            if info is not None and output_file is not None:
                write_json(output_file, _summary(info))

        return log_step, finalize

    return setup


def _summary(info: dict[str, Any]) -> dict[str, Any]:
    score, step = max(
        ((float(score), step) for score, step in info["checkpoints"]), key=lambda item: (item[0], -item[1])
    )
    return {
        "updates": info["step"],
        "epochs": info["epoch"] + 1,
        "words": info["words"],
        "seconds": info["seconds"],
        "words_per_second": round(info["words"] / max(1, info["seconds"]), 1),
        "best_step": step,
        "best_score": round(score, 4),
        "checkpoints": [[step, round(float(score), 4)] for score, step in info["checkpoints"]],
    }
