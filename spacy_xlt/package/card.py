"""The model card of a pipeline, in its meta.json: `spacy package` makes the README of the package from it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version

from ..errors import error
from ..io import replacing_pipeline, write_json
from ..ner import xlt_ner
from ..printing import markdown, markdown_code
from ..requirements import extras_of, merge_requirements, own_requirement
from .provenance import DataSource, Provenance, all_data

# What is between them is ours; what a person wrote around them stays.
_BEGIN, _END = "<!-- spacy_xlt -->", "<!-- /spacy_xlt -->"
KEY = "spacy_xlt"
# In what the card notes of a pipeline: it is not where it was trained
_COPY = "copy"
_ANNOTATION = {"gold": "by people", "projected": "projected", "self_labelled": "by trained pipelines"}


@dataclass(frozen=True)
class Scores:
    """What `spacy evaluate --output` wrote.

    Attributes:
        prf: Precision, recall and F1 of entities, or else of the first span group, or of links; fractions.
    """

    name: str
    values: dict[str, Any]
    prf: tuple[float, float, float]


def read_scores(name: str, path: Path) -> Scores:
    """Read a file of scores.

    Raises:
        XltError: E502 where there is none, E684 where no entities or spans are scored in it.
    """
    if not path.is_file():
        raise error("E502", what="scores", path=path)
    try:
        values = dict(json.loads(path.read_text(encoding="utf8")))
    except (ValueError, TypeError) as err:
        raise error("E684", path=path, reason=str(err)) from err
    groups = [key[:-2] for key in values if key.startswith("spans_") and key.endswith("_f")]
    for prefix in ("ents", *groups, "links"):
        p, r, f = (values.get(f"{prefix}_{letter}") for letter in "prf")
        if p is not None and r is not None and f is not None:
            return Scores(name, values, (p, r, f))
    raise error("E684", path=path, reason="it has no ents_p, ents_r and ents_f, and none of span groups or links")


def fill_meta(
    provenance: Provenance,
    *,
    data: Mapping[str, Sequence[DataSource]],
    scores: Sequence[Scores] = (),
    strategy: str = "",
    licence: str = "",
) -> dict[str, Any]:
    """The pipeline's meta with description, license, sources, performance, requirements and notes filled in.

    Whatever a person wrote there stays: a description, an author, notes before and after ours.

    Args:
        data: What it is made from; see `find_data`.
        scores: Of evaluation sets; those of the first one are what meta.json says of performance.
        strategy: Its name, where the config does not tell.
        licence: The pipeline's own. "" keeps the one that an earlier card got.

    Raises:
        XltError: E682 where no licence is given: which one its data allow is for a person to decide.
    """
    meta = dict(provenance.meta)
    before = meta.get(KEY) or {}
    every = all_data(provenance, data)
    licence = licence or before.get("licence", "")
    if not licence:
        raise error("E682", licences="; ".join(f"{item.name}: {item.licence or 'unknown'}" for item in every))
    strategy = strategy or provenance.strategy
    # Scores of the development corpus, under which spaCy has put the losses too
    performance = meta.get("performance") or {}
    development = before.get("development") or {k: v for k, v in performance.items() if not k.endswith("_loss")}
    description = _description(provenance, strategy)
    if meta.get("description") in (None, "", before.get("description")):
        meta["description"] = description
    meta["license"] = licence
    meta["sources"] = [item.to_meta() for item in every]
    meta["performance"] = dict(scores[0].values) if scores else development
    meta["requirements"] = list(meta.get("requirements") or [])
    if provenance.needs_xlt:
        extras = extras_of(provenance.config["components"])
        meta["requirements"] = merge_requirements([*meta["requirements"], own_requirement(extras)])
    elif provenance.code:
        # A component from another pipeline (`source`) does not say what it needs
        meta["requirements"] = merge_requirements([*meta["requirements"], *xlt_ner.REQUIREMENTS])
    meta[KEY] = {
        "strategy": strategy,
        "languages": provenance.langs,
        "selected_by": str(provenance.selection) if provenance.selection else None,
        "engines": provenance.engines,
        "development": development,
        "description": description,
        "licence": licence,
        "scores": {item.name: dict(zip("prf", item.prf, strict=True)) for item in scores},
        **({_COPY: True} if before.get(_COPY) else {}),
    }
    meta["notes"] = _with_ours(meta.get("notes") or "", _notes(provenance, meta[KEY], data, every, scores))
    return meta


def copy_pipeline(source: Path, output: Path, meta: Mapping[str, Any]) -> None:
    """Copy a pipeline with its card, so that what a training wrote stays as it was. An earlier copy is replaced.

    Args:
        output: A folder that does not exist, is empty, or is an earlier copy.
        meta: What `fill_meta` gives.

    Raises:
        XltError: E687 for another folder, or where one is inside the other.
    """
    inside = output.resolve().is_relative_to(source.resolve()) or source.resolve().is_relative_to(output.resolve())
    if inside or not (_is_copy(output) or not output.exists() or (output.is_dir() and not any(output.iterdir()))):
        raise error("E687", output=output, source=source)
    with replacing_pipeline(output) as beside:
        shutil.copytree(source, beside, dirs_exist_ok=True)
        write_json(beside / "meta.json", {**meta, KEY: {**meta[KEY], _COPY: True}})


def _is_copy(folder: Path) -> bool:
    """Whether a folder is a pipeline that this has written: not one that was trained there, with a card or without."""
    try:
        card = json.loads((folder / "meta.json").read_text(encoding="utf8")).get(KEY) or {}
    except (OSError, ValueError, AttributeError):
        return False
    return isinstance(card, dict) and card.get(_COPY) is True and (folder / "config.cfg").is_file()


def check_package(*, name: str = "", version: str = "") -> None:
    """Make sure that `spacy package` takes a name and a version, and gives its files names with just these.

    Raises:
        XltError: E510 where it does not.
    """
    if name and not re.fullmatch(r"[A-Za-z](\w*[A-Za-z0-9])?", name, re.ASCII):
        expected = "letters from a to z, digits and '_', a letter first, as in my_ner: the name of a module of Python"
        raise error("E510", setting="--name", value=name, expected=expected)
    try:
        normal = str(Version(version)) if version else version
    except InvalidVersion:
        normal = "1.0.0"
    if normal != version:
        expected = f"a version as PEP 440 writes it, such as {normal}"
        raise error("E510", setting="--version", value=version, expected=expected)


def _description(provenance: Provenance, strategy: str) -> str:
    metas = [provenance.meta, *provenance.inner]
    groups = [group for meta in metas for group in (meta.get("labels") or {}).values()]
    labels = sorted({label for group in groups for label in group} - {""})
    # spaCy puts the description into the README as it is
    what = f"Named entities ({', '.join(map(markdown, labels))})" if labels else "Named entities"
    target, *learned = provenance.langs
    text = f"{what} in {'several languages' if target == 'xx' else target}"
    text += f", by {strategy}" if strategy else ""
    return text + (f" from {', '.join(learned)}." if learned else ".")


def _notes(
    provenance: Provenance,
    ours: Mapping[str, Any],
    data: Mapping[str, Sequence[DataSource]],
    every: Sequence[DataSource],
    scores: Sequence[Scores],
) -> str:
    from jinja2 import Environment, PackageLoader

    def names(of: str) -> str:
        return markdown(", ".join(item.name for item in data.get(of, ())))

    selected = ours["selected_by"] or "nothing: the pipeline was put together, not trained"
    facts = [
        ("Strategy", markdown(ours["strategy"] or "not stated")),
        ("Languages", markdown(", ".join(provenance.langs))),
        ("Checkpoint selected by", markdown(selected)),
        *((markdown(name), markdown_code(signature)) for name, signature in provenance.engines.items()),
        *([("Encoder", names("encoder") or markdown(provenance.encoder))] if provenance.encoder else []),
        *(_inner_fact(meta) for meta in provenance.inner),
        ("Needs spacy_xlt", "yes" if provenance.needs_xlt else "no"),
    ]
    corpora = [
        (
            markdown(s.name),
            markdown(s.lang) or "not stated",
            _ANNOTATION.get(s.kind, "not stated"),
            names(s.name) or "not stated",
        )
        for s in provenance.sources
    ]
    template = Environment(loader=PackageLoader("spacy_xlt.package")).get_template("card.md.j2")
    return template.render(
        facts=facts,
        corpora=corpora,
        licences=[(markdown(item.name), markdown(item.licence or "unknown")) for item in every],
        scores=[
            (markdown(item.name), *(f"{100 * value:.2f}" for value in item.prf), _per_label(item)) for item in scores
        ],
        development=ours["development"],
        selected=markdown(selected),
    ).strip()


def _inner_fact(meta: Mapping[str, Any]) -> tuple[str, str]:
    card = meta.get(KEY) or {}
    how = f"{card.get('strategy') or 'not stated'}, selected by {card.get('selected_by') or 'not stated'}"
    name = f"{meta.get('lang')}_{meta.get('name')}"
    return f"Inside: {markdown_code(name)}", markdown(how)


def _per_label(scores: Scores) -> str:
    per_type = scores.values.get("ents_per_type") or {}
    return ", ".join(f"{markdown(label)} {100 * values['f']:.2f}" for label, values in sorted(per_type.items()))


def _with_ours(notes: str, ours: str) -> str:
    block = f"{_BEGIN}\n\n{ours}\n\n{_END}"
    if _BEGIN in notes and _END in notes:
        before, rest = notes.split(_BEGIN, 1)
        return before + block + rest.split(_END, 1)[1]
    return f"{notes.rstrip()}\n\n{block}" if notes.strip() else block
