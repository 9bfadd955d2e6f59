"""`ApertiumTranslator`: rule-based translation with the language pairs that Debian packages."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from ... import __version__
from ...errors import XltError, error
from ...protocols import Translation
from .modes import Mode, choose_mode, data_digest, data_folder, find_modes, package_for
from .runner import Runner, Runners

DAMAGED = "format_lost"


def make_apertium_translator(
    *,
    data_dir: str | None = None,
    variant: str | None = None,
    mark_unknown: bool = False,
    timeout: float = 60.0,
) -> ApertiumTranslator:
    """Make the engine. The programs of a direction are started when it is first used.

    data_dir (str | None): Where Apertium's data is; where left out, what the variable `APERTIUM_DATADIR` says, else
        "/usr/share/apertium".
    variant (str | None): The variant of a direction, as the names of the modes have it, such as "valencia" in
        `eng-cat_valencia`. Where left out, the region of the target's code ("en-US") decides, else the usual one.
    mark_unknown (bool): Write `*` before words that the dictionaries lack.
    timeout (float): The most seconds without a sign of life from the programs.
    RAISES (XltError): E239 for a setting that cannot be.
    """
    return ApertiumTranslator(data_dir=data_dir, variant=variant, mark_unknown=mark_unknown, timeout=timeout)


class ApertiumTranslator:
    """Apertium (Forcada et al. 2011), one pipeline of programs a direction, which stays up from text to text.

    White space, control characters and marks of other formats come back as they were. There is no score: the
    programs compute none. Several threads may use one engine; processes forked from this one start their own programs.

    See `make_apertium_translator` for the settings.
    """

    def __init__(
        self,
        *,
        data_dir: str | None = None,
        variant: str | None = None,
        mark_unknown: bool = False,
        timeout: float = 60.0,
    ):
        if not timeout > 0:
            raise error("E239", setting="timeout", value=timeout, expected="more than 0 seconds")
        self.data_dir = data_dir
        self.variant = variant
        self.mark_unknown = mark_unknown
        self.timeout = float(timeout)
        self._runners: dict[int, Runners] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_runners": {}}

    @property
    def signature(self) -> str:
        """Apertium's version, a checksum of the installed pairs, and the settings that change the output."""
        modes = find_modes(data_folder(self.data_dir))
        return (
            f"apertium|version:{_version()}|data:{data_digest(modes) if modes else 'none'}"
            f"|variant:{self.variant or 'auto'}"
            f"|mark_unknown:{'yes' if self.mark_unknown else 'no'}|spacy_xlt:{__version__}"
        )

    @property
    def directions(self) -> list[tuple[str, str]]:
        """The directions that are installed, as spaCy's codes; none where Apertium is not there."""
        modes = find_modes(data_folder(self.data_dir))
        return sorted({(s, t) for mode in modes for s in mode.source for t in mode.target})

    def translate(self, texts: Sequence[str], *, source: str, target: str) -> list[Translation]:
        """Translate texts of any length.

        RETURNS (list[Translation]): In order, without scores. "format_lost" flags one in which white space or another
            character that is no part of a word did not come back.
        RAISES (XltError): E201 for a direction that is not installed and E238 where Apertium is not, with the Debian
            package to install; E240 for a text that ends the programs or takes too long.
        """
        runner = self._runner(source, target)
        bare = [text.strip() for text in texts]
        asked = [i for i, text in enumerate(bare) if text]
        # The white space around a text is none of Apertium's business
        results = [Translation(text) for text in texts]
        for i, (text, whole) in zip(asked, runner.translate([bare[i] for i in asked]), strict=True):
            before, _, after = texts[i].partition(bare[i])
            results[i] = Translation(f"{before}{text.strip()}{after}", flags=() if whole else (DAMAGED,))
        return results

    def _runner(self, source: str, target: str) -> Runner:
        folder = data_folder(self.data_dir)
        modes = find_modes(folder)
        package = package_for(source, target)
        if not modes:
            reason = f"{folder} has no modes"
            raise error("E238", what="Apertium", reason=reason, package=package or "apertium-LANGUAGE-LANGUAGE")
        mode = choose_mode(modes, source=source, target=target, variant=self.variant)
        if mode is None:
            raise self._unknown(modes, source, target)
        pid = os.getpid()
        for other in set(self._runners) - {pid}:
            # Those of the process that this one was forked from are none of ours
            self._runners.pop(other, None)
        runners = self._runners.setdefault(pid, Runners())
        return runners.get(mode, generation="-g" if self.mark_unknown else "-n", timeout=self.timeout)

    def _unknown(self, modes: list[Mode], source: str, target: str) -> XltError:
        known = ", ".join(mode.path.stem for mode in modes)
        package = package_for(source, target)
        if self.variant is not None:
            known += f" (with `variant` = {self.variant!r}, only those with it in their names)"
        elif package is not None and choose_mode(modes, source=target, target=source, variant=None) is None:
            known += f". Debian has this pair of languages in the package {package}: apt-get install {package}"
        elif package is None:
            known += ". Debian has no package for this pair of languages"
        return error("E201", engine="ApertiumTranslator", source=source, target=target, known=known)


@lru_cache(maxsize=1)
def _version() -> str:
    """Apertium's version; "none" where it is not installed."""
    try:
        done = subprocess.run(["apertium", "-V"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return "none"
    return next(iter(re.findall(r"\d+(?:\.\d+)+", done.stdout + done.stderr)), "unknown")
