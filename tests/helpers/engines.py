"""Engines small enough to predict by hand; as a file for `--code`, too."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Sequence

from spacy.util import registry

from spacy_xlt import Alignment
from spacy_xlt.errors import error
from spacy_xlt.protocols import PairContext, TokenPair, Translation


class UpperTranslator:
    """Translates by writing everything in capitals; cannot translate "crash".

    In a worker process "kill" and "exit" end the process. `seconds` is how long it waits for each text.
    """

    signature = "upper-1"
    seconds = 0.0

    def translate(self, texts: Sequence[str], *, source: str, target: str) -> list[Translation]:
        if any("crash" in text for text in texts):
            raise RuntimeError("this text cannot be translated")
        for text in texts:
            time.sleep(self.seconds)
            if "kill" in text and _is_worker():
                os.kill(os.getpid(), signal.SIGKILL)
            if "exit" in text and _is_worker():
                os._exit(7)
        return [Translation(text.upper(), score=-0.5) for text in texts]


class DiagonalAligner:
    """Links the first token to the first, the second to the second, and so on."""

    signature = "diagonal-1"

    def align(self, pairs: Sequence[TokenPair], *, contexts: Sequence[PairContext] | None = None) -> list[Alignment]:
        return [Alignment([(i, i) for i in range(min(len(a), len(b)))]) for a, b in pairs]


@registry.misc("test.UpperTranslator.v1")
def make_upper(seconds: float = 0.0, fails: str = "") -> UpperTranslator:
    """fails: "error" or "exit", when it is made in a worker process."""
    if fails == "error" and _is_worker():
        raise error("E150", owner="Upper", setting="fails", value=fails, expected="nothing")
    if fails == "exit" and _is_worker():
        os._exit(3)
    translator = UpperTranslator()
    translator.seconds = seconds
    return translator


@registry.misc("test.DiagonalAligner.v1")
def make_diagonal() -> DiagonalAligner:
    return DiagonalAligner()


def _is_worker() -> bool:
    return multiprocessing.parent_process() is not None


UPPER = {"@misc": "test.UpperTranslator.v1"}
DIAGONAL = {"@misc": "test.DiagonalAligner.v1"}
