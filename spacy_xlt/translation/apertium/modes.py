"""Which directions are installed, how each is run, and which Debian package has one that is not."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from ...errors import XltError, error
from ...languages import to_spacy

_NAME = re.compile(r"([a-z]{2,3})(?:_(\w+))?-([a-z]{2,3})(?:_(\w+))?")
# Apertium's codes for what spaCy knows as several languages, or under another code
_SEVERAL = {"hbs": ("bs", "hr", "sr"), "nor": ("nb", "nn"), "zlm": ("ms",)}
# Debian's packages with language pairs (bookworm): apertium-PAIR
_PACKAGES = (
    "afr-nld arg-cat bel-rus br-fr cat-ita cat-srd dan-nor en-gl eng-cat eng-spa eo-ca eo-en eo-es eo-fr es-gl es-pt "
    "es-ro eu-en eu-es fr-es fra-cat fra-frp hbs-eng hbs-mkd hbs-slv ind-zlm isl-eng isl-swe mkd-bul mkd-eng nno-nob "
    "oc-ca oc-es oci-fra pol-szl por-cat pt-gl rus-ukr spa-arg spa-ast spa-cat spa-ita srd-ita swe-dan swe-nor urd-hin"
).split()


@dataclass(frozen=True)
class Mode:
    """A direction that Apertium can run.

    path (Path): The file that says how: a pipeline of commands.
    source, target (tuple[str, ...]): spaCy's codes of the languages; several for Serbo-Croatian.
    variant (str): What the name has besides, such as "valencia"; "" for the usual one.
    """

    path: Path
    source: tuple[str, ...]
    target: tuple[str, ...]
    variant: str

    def commands(self, *, generation: str) -> list[list[str]]:
        """The programs with their arguments, each told to write out what it has at every NUL.

        generation (str): The flag for the last generator: "-g" marks unknown words, "-n" does not.
        RAISES (XltError): E243 where the file is no plain pipeline.
        """
        try:
            lexer = shlex.shlex(self.path.read_text(encoding="utf8"), posix=True, punctuation_chars="|;&<>()")
            lexer.whitespace_split = True
            words = list(lexer)
        except (OSError, ValueError) as err:
            raise error("E243", path=self.path, reason=str(err)) from err
        commands: list[list[str]] = [[]]
        for word in words:
            if word == "|":
                commands.append([])
            elif set(word) <= set("|;&<>()"):
                raise error("E243", path=self.path, reason=f"it has {word!r}, and only | is expected")
            elif word not in ("$1", "$2"):
                commands[-1].append(word)
            elif word == "$1":
                commands[-1].append(generation)
        if not all(commands):
            raise error("E243", path=self.path, reason="a part of the pipeline is empty")
        return [[command[0], "-z", *command[1:]] for command in commands]


def split_at_tagger(commands: list[list[str]]) -> tuple[list[list[str]], list[list[str]], list[list[str]]]:
    """The programs before a hidden Markov tagger, the tagger, and those after; all before where there is none."""
    for place, command in enumerate(commands):
        options = "".join(word for word in command[1:] if word.startswith("-"))
        # -x is the perceptron, -u the unigram tagger
        if Path(command[0]).name == "apertium-tagger" and not set("xu") & set(options):
            return commands[:place], [[command[0], "-d", *command[1:]]], commands[place + 1 :]
    return commands, [], []


def data_folder(setting: str | None) -> Path:
    """Where Apertium's data is: as set, else as its own variable says, else where Debian puts it."""
    return Path(setting or os.environ.get("APERTIUM_DATADIR") or "/usr/share/apertium")


def find_modes(folder: Path) -> list[Mode]:
    """The modes that are installed; those of other purposes than translation are left out."""
    modes = []
    for path in sorted((folder / "modes").glob("*.mode")):
        match = _NAME.fullmatch(path.stem)
        if match is None:
            continue
        source, target = _languages(match.group(1)), _languages(match.group(3))
        if source and target:
            modes.append(Mode(path, source, target, "_".join(part for part in match.group(2, 4) if part)))
    return modes


def choose_mode(modes: list[Mode], *, source: str, target: str, variant: str | None) -> Mode | None:
    """The mode for a direction: of the variant that is set, else of the region in the target's code, else the usual."""
    pair = to_spacy(source), to_spacy(target)
    fitting = [mode for mode in modes if pair[0] in mode.source and pair[1] in mode.target]
    if variant is not None:
        return next((mode for mode in fitting if mode.variant == variant), None)
    region = target.replace("-", "_").partition("_")[2]
    ranked = sorted(fitting, key=lambda mode: (not region or mode.variant != region, len(mode.variant), mode.path.name))
    return ranked[0] if ranked else None


def package_for(source: str, target: str) -> str | None:
    """The Debian package with the pair of languages, in whichever direction it has it."""
    pair = {to_spacy(source), to_spacy(target)}
    for name in _PACKAGES:
        first, second = name.split("-")
        if any({a, b} == pair for a in _languages(first) for b in _languages(second)):
            return f"apertium-{name}"
    return None


def data_digest(modes: list[Mode]) -> str:
    """A checksum of the modes and of the sizes of the files they name."""
    digest = hashlib.sha256()
    for mode in modes:
        commands = mode.commands(generation="-n")
        digest.update(repr(commands).encode("utf8"))
        for word in (word for command in commands for word in command if word.startswith("/")):
            digest.update(str(os.path.getsize(word) if os.path.exists(word) else -1).encode("ascii"))
    return digest.hexdigest()[:16]


def _languages(code: str) -> tuple[str, ...]:
    if code in _SEVERAL:
        return _SEVERAL[code]
    try:
        return (to_spacy(code),)
    except XltError:
        return ()
