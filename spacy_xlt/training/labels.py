"""Whether the sources of a corpus mean the same by their labels, and what to write into the config where not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from spacy.language import Language

from ..bitext import ENTS
from ..errors import error, warn

if TYPE_CHECKING:
    from .scanning import SourceReader

# How a table of labels calls the pipeline itself
PIPELINE = "(the pipeline)"


def check_labels(
    nlp: Language, readers: Sequence[SourceReader], *, section: str, may_differ: bool | Sequence[str]
) -> None:
    """Make sure that every source has every label, of what the pipeline learns.

    section (str): Where the corpus stands in the config, for the message.
    may_differ (bool | Sequence[str]): True where it is meant to be; or labels that not every source must have.
    RAISES (XltError): E613 with each source's labels and the lines of a mapping.
    """
    for reader in readers:
        _check_mapping(reader)
    if may_differ is True:
        return
    accepted = set(may_differ or ())
    for key in learned(nlp):
        by_name = {reader.source.name: dict(reader.counts.labels.get(key, {})) for reader in readers}
        every = {label for labels in by_name.values() for label in labels}
        lacking = {name: sorted(every - set(labels) - accepted) for name, labels in by_name.items()}
        if any(lacking.values()):
            raise _difference(key, by_name, lacking, section)


def check_labels_known(
    nlp: Language, readers: Sequence[SourceReader], *, section: str, accepted: Sequence[str]
) -> None:
    """Make sure that a trained pipeline knows the labels that it is scored on. One without labels yet knows all.

    accepted (Sequence[str]): Labels that it need not know.
    RAISES (XltError): E613 with the labels of the pipeline and of each source.
    """
    for key, known in _known_labels(nlp).items():
        by_name = {reader.source.name: dict(reader.counts.labels.get(key, {})) for reader in readers}
        lacking = {label for labels in by_name.values() for label in labels} - known - set(accepted)
        if known and lacking:
            # Only what the pipeline lacks is wrong: a small development set need not have every label
            pipeline = dict.fromkeys(sorted(known), 0)
            raise _difference(key, {PIPELINE: pipeline, **by_name}, {PIPELINE: sorted(lacking)}, section)


def _known_labels(nlp: Language) -> dict[str, set[str]]:
    known: dict[str, set[str]] = {}
    for name, pipe in nlp.pipeline:
        assigns = nlp.get_pipe_meta(name).assigns
        key = ENTS if "doc.ents" in assigns else getattr(pipe, "key", "") if "doc.spans" in assigns else ""
        if key:
            known.setdefault(key, set()).update(getattr(pipe, "labels", ()))
    return known


def learned(nlp: Language) -> list[str]:
    """What the components of a pipeline learn of a document: "ents", keys of span groups; "ents" if it is unclear."""
    keys = []
    for name, pipe in nlp.pipeline:
        assigns = nlp.get_pipe_meta(name).assigns
        if "doc.ents" in assigns:
            keys.append(ENTS)
        if "doc.spans" in assigns and isinstance(getattr(pipe, "key", None), str):
            keys.append(pipe.key)  # type: ignore[attr-defined]
    return list(dict.fromkeys(keys)) or [ENTS]


def _check_mapping(reader: SourceReader) -> None:
    """Say which labels a mapping names for nothing: most often a slip of the pen."""
    source, counts = reader.source, reader.counts
    ours = {label for labels in counts.labels.values() for label in labels}
    # A label that was renamed is no longer there under its own name, so ask for the new one
    unused = [
        label
        for label, other in source.labels.items()
        if label not in counts.labels_out and (not other or other not in ours)
    ]
    if unused:
        known = ", ".join(sorted(ours)) or "none"
        warn("W612", section=reader.section, labels=", ".join(sorted(unused)), path=source.path, known=known)


def _difference(
    key: str, by_name: Mapping[str, Mapping[str, int]], lacking: Mapping[str, Sequence[str]], section: str
) -> Exception:
    table = [
        f"  {name}: {', '.join(f'{label} {n}' if n else label for label, n in sorted(labels.items())) or 'none'}"
        + (f" (lacks {', '.join(lacking[name])})" if lacking.get(name) else "")
        for name, labels in by_name.items()
    ]
    lines = [line for name, labels in _suggested(by_name).items() for line in _mapping_lines(section, name, labels)]
    named = sorted({label for labels in lacking.values() for label in labels})
    return error(
        "E613",
        key="entity" if key == ENTS else f"{key!r} span",
        table="\n".join(table),
        lines="\n".join(lines),
        section=section,
        labels="[" + ", ".join(f'"{label}"' for label in named) + "]",
    )


def _suggested(by_name: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, str]]:
    """For each source a mapping after which all have the same labels: the first source's where they look alike."""
    first, *others = by_name
    suggested: dict[str, dict[str, str]] = {name: {} for name in by_name}
    for name in others:
        free = [label for label in by_name[first] if label not in by_name[name]]
        suggested[name] = {label: _guess(label, free) for label in sorted(by_name[name]) if label not in by_name[first]}
    if first == PIPELINE:
        return suggested
    for label in sorted(by_name[first]):
        becomes_it = {n: [own for own in by_name[n] if suggested[n].get(own, own) == label] for n in by_name}
        if not all(becomes_it.values()):
            # Not every source has it, under whatever name: it is left out of those that do
            for name, own_labels in becomes_it.items():
                suggested[name].update(dict.fromkeys(own_labels, ""))
    return suggested


def _mapping_lines(section: str, name: str, labels: Mapping[str, str]) -> list[str]:
    if not labels:
        return []
    return [f"  [{section}.sources.{name}.labels]", *(f'  {label} = "{other}"' for label, other in labels.items())]


def _guess(label: str, candidates: Sequence[str]) -> str:
    """The label that another source probably has for this one; "" where none looks like it."""
    plain = label.casefold()
    alike = [other for other in candidates if other.casefold()[:3] == plain[:3]]
    return alike[0] if alike else ""
