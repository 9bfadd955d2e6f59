"""Which packages a pipeline needs that `spacy package` does not find in its config by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from spacy.language import Language
from spacy.util import get_minor_version_range, registry, split_requirement

from . import __version__

PACKAGE = "spacy-xlt"


def extras_of(settings: Any) -> set[str]:
    """The extras of this package that a block of a config needs, with all blocks inside it.

    Args:
        settings: A block with the defaults filled in, as `nlp.config` has it.
    """
    if isinstance(settings, str):
        return {"bundled"} if settings.startswith("bundled:") else set()
    if isinstance(settings, (list, tuple)):
        return {extra for part in settings for extra in extras_of(part)}
    if not isinstance(settings, Mapping):
        return set()
    extras = {extra for part in settings.values() for extra in extras_of(part)}
    name = settings.get("@misc")
    if isinstance(name, str) and registry.has("misc", name):
        extra = getattr(registry.get("misc", name), "extra", None)
        return extras if extra is None else {*extras, extra}
    return extras


def add_requirements(nlp: Language, *, block: str, inner: Iterable[Language] = ()) -> None:
    """Note in a pipeline's meta what one of its components needs, for `spacy package`.

    spaCy finds the packages whose functions the config names, but not their extras, and nothing of the pipelines that
    are inside components.
    """
    needed = [own_requirement(extras_of(nlp.config["components"].get(block, {})))]
    for pipeline in inner:
        needed += _requirements_of(pipeline)
    nlp.meta["requirements"] = merge_requirements([*(nlp.meta.get("requirements") or []), *needed])


def merge_requirements(requirements: Iterable[str]) -> list[str]:
    """One requirement for each package, in order: the first one, with the extras of all."""
    from packaging.requirements import Requirement

    merged: dict[str, Requirement] = {}
    for line in requirements:
        requirement = Requirement(line)
        first = merged.setdefault(requirement.name.lower().replace("_", "-"), requirement)
        first.extras.update(requirement.extras)
    return [str(requirement) for requirement in merged.values()]


def own_requirement(extras: Iterable[str]) -> str:
    """This package with some of its extras, as a requirement for the versions that a pipeline made with it can use."""
    named = ",".join(sorted(extras))
    return f"{PACKAGE}{f'[{named}]' if named else ''}{get_minor_version_range(__version__)}"


def _requirements_of(nlp: Language) -> Iterator[str]:
    from spacy.cli.package import get_third_party_dependencies

    listed = list(nlp.meta.get("requirements") or [])
    yield from listed
    yield from get_third_party_dependencies(nlp.config, exclude=[split_requirement(line)[0] for line in listed])
