"""Engines that end, stop or delay their own process, as a user's --code file; and what the tests of workers share."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Sequence
from typing import Any

from spacy.util import registry

from spacy_xlt import Alignment
from spacy_xlt.errors import error
from spacy_xlt.protocols import Translation

CONFIG = """
[nlp]
lang = "en"
pipeline = ["xlt_translator","xlt_aligner","xlt_projector"]
[components]
[components.xlt_translator]
factory = "xlt_translator"
target = "pt"
[components.xlt_translator.engine]
@misc = "workers.Upper.v1"
[components.xlt_aligner]
factory = "xlt_aligner"
[components.xlt_aligner.engine]
@misc = "workers.Diagonal.v1"
[components.xlt_projector]
factory = "xlt_projector"
"""


class Upper:
    """Translates by writing everything in capitals. Some words do something to the process that it runs in."""

    signature = "upper-1"

    def __init__(self, seconds: float = 0.0):
        self.seconds = seconds

    def translate(self, texts: Sequence[str], *, source: str, target: str) -> list[Translation]:
        for text in texts:
            time.sleep(self.seconds)
            if "kill" in text:
                os.kill(os.getpid(), signal.SIGKILL)
            if "exit" in text:
                os._exit(7)
            if "raise" in text:
                raise RuntimeError("this text cannot be translated")
        return [Translation(text.upper(), score=-0.5) for text in texts]


class Diagonal:
    signature = "diagonal-1"

    def align(self, pairs: Sequence[Any], *, contexts: Sequence[Any] | None = None) -> list[Alignment]:
        return [Alignment([(i, i) for i in range(min(len(a), len(b)))]) for a, b in pairs]


@registry.misc("workers.Upper.v1")
def make_upper(seconds: float = 0.0, fails: str = "") -> Upper:
    # Only where it is made again
    if multiprocessing.parent_process() is not None:
        if fails == "error":
            raise error("E220", engine="Upper", setting="fails", value=fails, expected="nothing")
        if fails == "exit":
            os._exit(3)
    return Upper(seconds)


@registry.misc("workers.Diagonal.v1")
def make_diagonal() -> Diagonal:
    return Diagonal()
