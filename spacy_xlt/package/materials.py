"""Which data, and which encoder, a pipeline is made from: what a person says, and what checksums tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import error
from .facts import Facts
from .licences import Material, pick

ENCODER = "encoder"
# For what belongs to no training source in particular.
ALL = ""


def find_materials(
    facts: Facts, named: Mapping[str, Sequence[str]], known: Mapping[str, Material], *, allow_unknown: bool = False
) -> dict[str, list[Material]]:
    """What each thing that a pipeline is made from consists of.

    A corpus that was projected from another one, or is a copy of it, is made from the same; this is known by checksums.

    named (Mapping[str, Sequence[str]]): Name of a training source, "encoder", or "" for all sources of which nothing
        else is said → keys.
    known (Mapping[str, Material]): By key.
    allow_unknown (bool): Go on with what has no licence, or nothing said of it.
    RETURNS (dict[str, list[Material]]): By the same names.
    RAISES (XltError): E685 for a name that the pipeline does not have, E681 for what has no licence.
    """
    names = [source.name for source in facts.sources] + ([ENCODER] if facts.encoder else [])
    for name in named:
        if name != ALL and name not in names:
            raise error("E685", name=name, known=", ".join(names) or "none")
    keys = {name: [*named.get(name, ())] for name in names}
    for source in facts.sources:
        alike = [other for other in facts.sources if source.digests & other.digests]
        found = keys[source.name] or [key for other in alike for key in named.get(other.name, ())]
        keys[source.name] = found or [*named.get(ALL, ())]
    # Pipelines inside bring what their own cards say
    inner_known = bool(facts.inner) and all(meta.get("sources") for meta in facts.inner)
    if named.get(ALL) or not (names or inner_known):
        keys[ALL] = [*named.get(ALL, ())]
    unsaid = [name or "the data" for name, found in keys.items() if not found]
    if unsaid and not allow_unknown:
        raise error("E681", names=", ".join(unsaid), known=", ".join(sorted(known)) or "none")
    return {
        name: pick(found, known, allow_unknown=allow_unknown) or [Material(name or "data", name or "data")]
        for name, found in keys.items()
    }
