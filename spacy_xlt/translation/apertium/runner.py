"""The pipelines of one process, started when needed and again when one died."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from ...errors import error
from .escaping import end_mark, protect, restore
from .modes import Mode, split_at_tagger
from .process import Pipeline, PipelineFailure

# The hidden Markov tagger of Apertium up to 3.8.3 takes the tags for unknown words from the last word of a kind that
# its training had not seen: what it makes of a text would depend on the texts before. It tells when asked to (-d).
_SPOILT = b"new ambiguity class"
# Texts under way between the programs at one time
_ROUND = 512


class Runner:
    """One direction: its programs, for one thread at a time.

    commands (list[list[str]]): The programs.
    timeout (float): See `Pipeline`.
    """

    def __init__(self, commands: list[list[str]], *, timeout: float):
        self._timeout = timeout
        self._lock = threading.Lock()
        self._before, self._tagger, self._after = split_at_tagger(commands)
        self._pipelines: dict[str, Pipeline] = {}

    def translate(self, texts: Sequence[str]) -> list[tuple[str, bool]]:
        """Translate texts that are neither empty nor have white space around them.

        Programs that fail are started again. The text they failed at is then tried alone, since they read ahead and
        the failure may be that of a later text.

        RETURNS (list[tuple[str, bool]]): The translations, and whether all that is no word came back.
        RAISES (XltError): E240 for a text that fails alone, E238 where a program is not installed.
        """
        protected = [protect(text, number) for number, text in enumerate(texts)]
        answers: list[bytes] = []
        alone = False
        with self._lock:
            while (first := len(answers)) < len(texts):
                asked = [data for data, _ in protected[first : first + (1 if alone else _ROUND)]]
                try:
                    self._run(asked, answers)
                    alone = False
                except PipelineFailure as err:
                    if alone:
                        raise error("E240", text=_shortened(texts[first]), reason=str(err)) from err
                    alone = True
        return [
            restore(answer.decode("utf8", "replace"), kept)
            for answer, (_, kept) in zip(answers, protected, strict=True)
        ]

    def _run(self, asked: list[bytes], answers: list[bytes]) -> None:
        def receive(answer: bytes) -> None:
            mark = end_mark(len(answers))
            if not answer.endswith(mark):
                raise PipelineFailure(f"the answers are out of step: {answer[-40:]!r} where {mark!r} is due")
            answers.append(answer.removesuffix(mark))

        try:
            if not self._tagger:
                self._started("before", self._before).exchange(asked, receive)
                return
            analyses: list[bytes] = asked if not self._before else []
            if self._before:
                self._started("before", self._before).exchange(asked, analyses.append)
            tagged: list[bytes] = []
            for analysis in analyses:
                tagger = self._started("tagger", self._tagger)
                tagger.exchange([analysis], tagged.append)
                if tagger.complained(_SPOILT):
                    self._pipelines.pop("tagger").close()
            self._started("after", self._after).exchange(tagged, receive)
        except BaseException:
            # Also for an interruption: answers that are still on their way would be taken for those of other texts
            self.close()
            raise

    def close(self) -> None:
        """End the programs; the next text starts them again."""
        while self._pipelines:
            self._pipelines.popitem()[1].close()

    def _started(self, part: str, commands: list[list[str]]) -> Pipeline:
        if part not in self._pipelines:
            self._pipelines[part] = Pipeline(commands, timeout=self._timeout)
        return self._pipelines[part]


class Runners:
    """The directions that were used in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of_mode: dict[tuple[Mode, str], Runner] = {}

    def get(self, mode: Mode, *, generation: str, timeout: float) -> Runner:
        """The runner of a mode; see `Mode.commands` for `generation`."""
        with self._lock:
            key = mode, generation
            if key not in self._of_mode:
                self._of_mode[key] = Runner(mode.commands(generation=generation), timeout=timeout)
            return self._of_mode[key]


def _shortened(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:80]}…"
