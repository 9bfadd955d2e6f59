"""What the development score of a training was made of: whoever reads a score should know what chose the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spacy.util import dot_to_object, load_config

from ..errors import error
from ..languages import LANG, MULTI, codes_in, same_language

SOURCE_GOLD, PROJECTED, TARGET_GOLD, UNSTATED = "source gold", "projected", "target gold", "not stated"
SELF_LABELLED = "self-labelled"
# The `kind` of a source whose annotation was made by machines
_MADE = {"projected": PROJECTED, "self_labelled": SELF_LABELLED}
# Between the name of a block and a language
OF_BLOCK = "/"
# Readers whose blocks of sources say what the text is
READERS = ("spacy_xlt.MixedCorpus.v1", "spacy_xlt.DevCorpus.v1")


@dataclass(frozen=True)
class DevSource:
    """One corpus that the development score is computed on.

    Attributes:
        kind: "source gold", "projected", "self-labelled", "target gold" or "not stated".
        lang: Its language; "" where the config does not say it.
        path: File or folder.
        limit: The most documents that are read; 0 for all.
    """

    kind: str
    lang: str
    path: str
    limit: int = 0

    def __str__(self) -> str:
        limit = f"{self.limit} documents" if self.limit and self.kind == TARGET_GOLD else ""
        details = ", ".join(text for text in (self.lang, limit) if text)
        return f"{self.kind} ({details or Path(self.path).name or 'no path'})"


@dataclass(frozen=True)
class Selection:
    """What a checkpoint was selected by. `str()` is made for reports: "source gold (en)".

    Attributes:
        sources: The corpora, in the config's order.
    """

    sources: tuple[DevSource, ...]

    @property
    def uses_target_gold(self) -> bool:
        """Whether annotation in the language that the pipeline is for had a say."""
        return any(source.kind == TARGET_GOLD for source in self.sources)

    def __str__(self) -> str:
        parts = list(dict.fromkeys(str(source) for source in self.sources))
        if not parts:
            return f"{UNSTATED} (no development corpus)"
        return parts[0] if len(parts) == 1 else f"mix of {', '.join(parts[:-1])} and {parts[-1]}"


def selection_of(config: Mapping[str, Any] | str | Path) -> Selection:
    """What the development score of a training is made of.

    A corpus with annotation by people is target gold in the languages that the pipeline is for (see `targets_of`), and
    source gold in others. Only the readers of this package say what a corpus is; of another the kind is "not stated".

    Args:
        config: A training config, as a config or a file; or the folder of a trained pipeline.

    Raises:
        XltError: E502 where there is no such file, E514 for one that is no training config.
    """
    config = _read(config)
    try:
        dev = dot_to_object(config, config["training"]["dev_corpus"])  # type: ignore[arg-type]
        if not isinstance(dev, Mapping):
            raise KeyError(config["training"]["dev_corpus"])
    except (KeyError, AttributeError, TypeError) as err:
        raise error("E514", path="", reason=f"[training] dev_corpus names no corpus ({err})") from err
    if dev.get("@readers") not in READERS:
        path = dev.get("path")
        return Selection((DevSource(UNSTATED, "", str(path), int(dev.get("limit") or 0)),) if path else ())
    blocks = used_sources(dev)
    gold = {name for name, block in blocks.items() if block.get("kind", "gold") == "gold"}
    targets = targets_of(config, dev)
    of_target = {name for name in gold if is_target(blocks[name].get("lang") or "", targets)}
    if dev.get("target_gold") and not of_target:
        # Whoever allows it says that some of it is
        of_target = gold
    sources = []
    for name, block in blocks.items():
        kind = (
            TARGET_GOLD if name in of_target else SOURCE_GOLD if name in gold else _MADE.get(block["kind"], PROJECTED)
        )
        limit = int(block.get("limit") or 0)
        sources.append(DevSource(kind, str(block.get("lang") or ""), str(block.get("path") or ""), limit))
    return Selection(tuple(sources))


def without_unused_sources(config: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a whole training config, without variables, in which the corpora have only the sources they read."""
    corpora = {
        name: {**corpus, "sources": used_sources(corpus)} if isinstance(corpus.get("sources"), Mapping) else corpus
        for name, corpus in config.get("corpora", {}).items()
    }
    return {**config, "corpora": corpora}


def used_sources(corpus: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The blocks of the sources that a MixedCorpus or DevCorpus reads, by the block of the corpus."""
    use = corpus.get("use")
    blocks = corpus.get("sources") or {}
    return one_a_language({name: block for name, block in blocks.items() if use is None or name in use})


def one_a_language(blocks: Mapping[str, Any]) -> dict[str, Any]:
    """Blocks of sources, with one of several languages ("{lang}" in its `path`) as a block each: "projected/sv"."""
    made: dict[str, Any] = {}
    for name, block in blocks.items():
        path, langs = str(block.get("path")), block.get("lang")
        langs = codes_in(langs) if isinstance(langs, str) else langs
        if LANG not in path or not isinstance(langs, (list, tuple)) or not langs:
            made[name] = block
            continue
        for lang in langs:
            made[f"{name}{OF_BLOCK}{lang}"] = {**block, "lang": lang, "path": path.replace(LANG, str(lang))}
    return made


def check_corpora(config: Mapping[str, Any], *settings: str, whose: str = "", made_in: tuple[str, ...] = ()) -> None:
    """Make sure that what a training reads is there.

    Args:
        config: A training config without variables.
        settings: "train_corpus", "dev_corpus" or both.
        whose: Whose training it is, for the message.
        made_in: Folders that will be there by then.

    Raises:
        XltError: E502 for a corpus that is not there.
    """
    for setting in settings:
        try:
            corpus: Any = dot_to_object(config, config["training"][setting])  # type: ignore[arg-type]
            blocks = [corpus, *used_sources(corpus).values()]
        except (KeyError, AttributeError, TypeError):
            continue
        paths = [*(block.get("path") for block in blocks), *(corpus.get("exclude") or ())]
        for path in (path for path in paths if isinstance(path, str) and path):
            if not Path(path).exists() and not any(Path(path).is_relative_to(folder) for folder in made_in):
                raise error("E502", what=f"corpus ({setting}{whose})", path=path)


@dataclass(frozen=True)
class Targets:
    """Languages that a pipeline is for. Of a multi-language pipeline that says no more: all but the source's.

    Attributes:
        langs: The languages.
        all_but: Instead of them, those of the gold that it is trained on.
    """

    langs: tuple[str, ...] = ()
    all_but: tuple[str, ...] | None = None

    def __str__(self) -> str:
        return ", ".join(self.langs) if self.all_but is None else f"all but {', '.join(self.all_but) or 'none'}"


def targets_of(config: Mapping[str, Any], dev: Mapping[str, Any]) -> Targets:
    """The languages that a pipeline is for.

    They are those that `targets` of the development corpus names, else the pipeline's own; of a multi-language one
    those of the projected and self-labelled training data, else all but those of its gold (few-shot gold, with a
    `limit`, is no source).
    """
    if dev.get("targets"):
        return Targets(tuple(dev["targets"]))
    lang = str(config.get("nlp", {}).get("lang") or MULTI)
    if lang != MULTI:
        return Targets((lang,))
    try:
        train: Any = dot_to_object(config, config["training"]["train_corpus"])  # type: ignore[arg-type]
        blocks = list(used_sources(train).values())
    except (KeyError, AttributeError, TypeError):
        blocks = []
    made = tuple(str(block["lang"]) for block in blocks if block.get("kind", "gold") != "gold" and block.get("lang"))
    if made:
        return Targets(made)
    gold = [block for block in blocks if block.get("kind", "gold") == "gold" and not block.get("limit")]
    return Targets(all_but=tuple(str(block["lang"]) for block in gold if block.get("lang")))


def is_target(lang: str, targets: Targets) -> bool:
    """Whether a pipeline is for a language. A text in no certain language may be in any."""
    if lang in ("", MULTI):
        return True
    if targets.all_but is not None:
        return not any(same_language(lang, other) for other in targets.all_but)
    return any(same_language(lang, other) for other in targets.langs)


def _read(config: Mapping[str, Any] | str | Path) -> Mapping[str, Any]:
    if isinstance(config, (str, Path)):
        path = Path(config)
        path = path / "config.cfg" if path.is_dir() else path
        if not path.is_file():
            raise error("E502", what="config", path=path)
        try:
            config = load_config(path)
        except Exception as err:  # the parser's errors have no common kind
            raise error("E514", path=path, reason=" ".join(str(err).split())) from err
    interpolate = getattr(config, "interpolate", None)
    return interpolate() if interpolate else config
