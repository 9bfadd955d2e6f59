"""`ApertiumTranslator`: rule-based translation with the language pairs that Debian packages.

Texts go to the command `apertium` in its stream format and come back so that everything that is no word is as it was.
The format is described in Forcada et al., "Documentation of the Open-Source Shallow-Transfer Machine Translation
Platform Apertium", 2010, section 2: words stand bare, some characters take a backslash, and what is in square brackets
(a "superblank") is handed through. What a tool might change or stumble over is replaced by a numbered superblank.
"""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..engine import Engine, setting
from ..errors import XltError, error
from ..languages import to_spacy
from ..protocols import Translation

DAMAGED = "format_lost"
# Texts that are given to the programs at once
_BATCH = 512
_MODE = re.compile(r"([a-z]{2,3})(?:_(\w+))?-([a-z]{2,3})(?:_(\w+))?")
# Apertium's codes for what spaCy knows as several languages, or under another code
_SEVERAL = {"hbs": ("bs", "hr", "sr"), "nor": ("nb", "nn"), "zlm": ("ms",)}

_ESCAPED = re.compile(r"[\[\]{}^$/\\@<>]")
# White space but a single space, control and format characters, half characters, and the post-generator's `~`
_HANDED_THROUGH = re.compile(
    r"(?: ?[~\x00-\x1f\x7f-\xa0\xad\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u2064\u2066-\u206f\u3000\ufe00-\ufe0f"
    r"\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff] ?| {2,})+"
)
_ESCAPED_OR_BLANK = re.compile(r"\\(?P<escaped>.)|\[(?P<blank>[^\]\\]*)\]", re.DOTALL)
# Put behind a text: a full stop that is none of it, so that the tagger sees an end
_STOP = "."


@dataclass(frozen=True)
class Mode:
    """A direction that Apertium can run.

    Attributes:
        path: The file that says how; its name is that of the mode.
        source: spaCy's codes; several for Serbo-Croatian, and so for the target.
        variant: What the name has besides, such as "valencia"; "" for the usual one.
    """

    path: Path
    source: tuple[str, ...]
    target: tuple[str, ...]
    variant: str


@dataclass(kw_only=True, eq=False)
class ApertiumTranslator(Engine):
    """Apertium (Forcada et al. 2011), run once for each batch of texts.

    White space, control characters and marks of other formats come back as they were. There is no score: the programs
    compute none. The tagger of Apertium up to 3.8.3 tags unknown words as it did the last word of a kind that it does
    not know, so that a translation can depend on the texts before it in a batch.

    Args:
        variant: The variant of a direction, as the names of the modes have it, such as "valencia" in
            `eng-cat_valencia`. Where left out, the region of the target's code ("en-US") decides, else the usual one.
        timeout: The most seconds for 512 texts.
    """

    variant: str | None = None
    timeout: float = setting(60.0, gt=0, decides=False)

    def details(self) -> dict[str, Any]:
        """Apertium's version, and a checksum of the installed pairs."""
        modes = find_modes(data_folder())
        return {"version": _version(), "data": _data_digest(modes) if modes else "none"}

    @property
    def directions(self) -> list[tuple[str, str]]:
        """The directions that are installed, as spaCy's codes; none where Apertium is not there."""
        return sorted({(s, t) for mode in find_modes(data_folder()) for s in mode.source for t in mode.target})

    def translate(self, texts: Sequence[str], *, source: str, target: str) -> list[Translation]:
        """Translate texts of any length.

        Returns:
            In order, without scores. "format_lost" flags one in which white space or another character that is no part
            of a word did not come back.

        Raises:
            XltError: E201 for a direction that is not installed and E238 where Apertium is not; E240 where the programs
                end or take too long.
        """
        mode = self._mode(source, target)
        # The white space around a text is none of Apertium's business
        bare = [text.strip() for text in texts]
        results = [Translation(text) for text in texts]
        asked = [i for i, text in enumerate(bare) if text]
        for start in range(0, len(asked), _BATCH):
            batch = asked[start : start + _BATCH]
            for i, (text, is_whole) in zip(batch, self._run(mode, [bare[i] for i in batch]), strict=True):
                before, _, after = texts[i].partition(bare[i])
                results[i] = Translation(f"{before}{text.strip()}{after}", flags=() if is_whole else (DAMAGED,))
        return results

    def _mode(self, source: str, target: str) -> Mode:
        modes = find_modes(data_folder())
        if not modes:
            raise error("E238", reason=f"{data_folder()} has no modes")
        mode = choose_mode(modes, source=source, target=target, variant=self.variant)
        if mode is None:
            known = ", ".join(mode.path.stem for mode in modes)
            if self.variant is not None:
                known += f" (with `variant` = {self.variant!r}, only those with it in their names)"
            raise error("E201", engine="ApertiumTranslator", source=source, target=target, known=known)
        return mode

    def _run(self, mode: Mode, texts: Sequence[str]) -> list[tuple[str, bool]]:
        """The translations of texts, and whether all that is no word came back."""
        protected = [protect(text, number) for number, text in enumerate(texts)]
        # -z: each text by itself, as it ends with a NUL; -u: without `*` before unknown words
        command = ["apertium", "-z", "-f", "none", "-u", "-d", str(data_folder()), mode.path.stem]
        output, reason = _output(command, b"".join(data + b"\0" for data, _ in protected), timeout=self.timeout)
        answers = output.split(b"\0")
        results = []
        for number, (text, (_, kept)) in enumerate(zip(texts, protected, strict=True)):
            answer = answers[number] if number < len(answers) else b""
            if not answer.endswith(end_mark(number)):
                shown = text if len(text) <= 80 else f"{text[:80]}…"
                raise error("E240", text=shown, reason=reason or "it is not in the output in its place")
            results.append(restore(answer.removesuffix(end_mark(number)).decode("utf8", "replace"), kept))
        return results


def _output(command: Sequence[str], data: bytes, *, timeout: float) -> tuple[bytes, str]:
    """What a command writes, and what went wrong if anything.

    Raises:
        XltError: E238 where the command cannot be run.
    """
    # The programs read bytes as the locale says
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment, start_new_session=True
        )
    except OSError as err:
        raise error("E238", reason=f"{command[0]}: {err.strerror or err}") from err
    with process:
        try:
            output, complaints = process.communicate(data, timeout=timeout)
        except BaseException as err:
            # The command is a script, whose programs would go on without it
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(err, subprocess.TimeoutExpired):
                return b"", f"no answer within {timeout:g} seconds (`timeout`)"
            raise
    return output, " ".join(complaints[-500:].decode("utf8", "replace").split())


@lru_cache(maxsize=1)
def _version() -> str:
    """Apertium's version; "none" where it is not installed."""
    try:
        done = subprocess.run(["apertium", "-V"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return "none"
    return next(iter(re.findall(r"\d+(?:\.\d+)+", done.stdout + done.stderr)), "unknown")


def data_folder() -> Path:
    """Where Apertium's data is: what its variable says, else where Debian puts it."""
    return Path(os.environ.get("APERTIUM_DATADIR") or "/usr/share/apertium")


def find_modes(folder: Path) -> list[Mode]:
    """The modes that are installed; those of other purposes than translation are left out."""
    modes = []
    for path in sorted((folder / "modes").glob("*.mode")):
        match = _MODE.fullmatch(path.stem)
        source, target = (_languages(match.group(1)), _languages(match.group(3))) if match else ((), ())
        if match and source and target:
            modes.append(Mode(path, source, target, "_".join(part for part in match.group(2, 4) if part)))
    return modes


def choose_mode(modes: Sequence[Mode], *, source: str, target: str, variant: str | None) -> Mode | None:
    """The mode for a direction: of the variant that is set, else of the region in the target's code, else the usual."""
    pair = to_spacy(source), to_spacy(target)
    fitting = [mode for mode in modes if pair[0] in mode.source and pair[1] in mode.target]
    if variant is not None:
        return next((mode for mode in fitting if mode.variant == variant), None)
    region = target.replace("-", "_").partition("_")[2]
    ranked = sorted(fitting, key=lambda mode: (not region or mode.variant != region, len(mode.variant), mode.path.name))
    return ranked[0] if ranked else None


def _languages(code: str) -> tuple[str, ...]:
    if code in _SEVERAL:
        return _SEVERAL[code]
    try:
        return (to_spacy(code),)
    except XltError:
        return ()


def _data_digest(modes: Sequence[Mode]) -> str:
    """A checksum of the modes and of the sizes of the files they name."""
    digest = hashlib.sha256()
    for mode in modes:
        text = mode.path.read_text(encoding="utf8", errors="replace")
        files = [Path(name) for name in re.findall(r"'(/[^']+)'", text)]
        digest.update(repr([mode.path.stem, text, [f.stat().st_size if f.exists() else -1 for f in files]]).encode())
    return digest.hexdigest()[:16]


def protect(text: str, number: int) -> tuple[bytes, list[str]]:
    """Write a text for Apertium.

    Args:
        text: Without white space around it.
        number: To recognise the text by, where it comes out again.

    Returns:
        The text with its end mark, and what its superblanks stand for.
    """
    kept: list[str] = []
    parts: list[str] = []
    place = 0
    for match in _HANDED_THROUGH.finditer(text):
        parts.append(_ESCAPED.sub(r"\\\g<0>", text[place : match.start()]))
        # A paragraph ends a sentence
        if match.group().count("\n") > 1:
            parts.append(f"{_STOP}[]")
        parts.append(f"[{len(kept)}]")
        kept.append(match.group())
        place = match.end()
    parts.append(_ESCAPED.sub(r"\\\g<0>", text[place:]))
    return f"{''.join(parts)}{_STOP}[]".encode() + end_mark(number), kept


def end_mark(number: int) -> bytes:
    """What follows a text, on the way in and out."""
    return f"[end{number}]".encode("ascii")


def restore(output: str, kept: Sequence[str]) -> tuple[str, bool]:
    """Read what Apertium wrote for a text.

    Args:
        output: Without the end mark.
        kept: What the superblanks stand for.

    Returns:
        The text, and whether all superblanks came back, each once.
    """
    seen: list[int] = []

    def read(match: re.Match[str]) -> str:
        if match.lastgroup == "escaped":
            return match.group("escaped")
        name = match.group("blank")
        if not name.isdecimal() or int(name) >= len(kept):
            return ""
        seen.append(int(name))
        return kept[int(name)]

    # The text's own repeated spaces are in superblanks; these are where a word was left out
    output = re.sub(" {2,}", " ", output.replace(f"{_STOP}[]", ""))
    text = _ESCAPED_OR_BLANK.sub(read, output)
    return text, sorted(seen) == list(range(len(kept)))
