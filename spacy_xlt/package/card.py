"""The model card of a pipeline, in its meta.json: `spacy package` makes the README of the package from it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import error
from .facts import Facts, TrainingSource
from .licences import Material, hub_licence, licence_of_result

# What is between them is ours; what a person wrote around them stays.
_BEGIN, _END = "<!-- spacy_xlt -->", "<!-- /spacy_xlt -->"
KEY = "spacy_xlt"


@dataclass(frozen=True)
class Scores:
    """What `spacy evaluate --output` wrote.

    name (str): Of the evaluation set.
    values (dict): Its content.
    """

    name: str
    values: dict[str, Any]

    @property
    def prf(self) -> tuple[float, float, float] | None:
        """Precision, recall and F of entities, or else of the first span group; fractions."""
        for prefix in ("ents", *(key[:-2] for key in self.values if key.startswith("spans_") and key.endswith("_f"))):
            found = [self.values.get(f"{prefix}_{letter}") for letter in "prf"]
            if all(isinstance(value, (int, float)) for value in found):
                return found[0], found[1], found[2]  # type: ignore[return-value]
        return None


def read_scores(name: str, path: Path) -> Scores:
    """Read a file of scores.

    RAISES (XltError): E502 where there is none, E684 where no entities or spans are scored in it.
    """
    if not path.is_file():
        raise error("E502", what="scores", path=path)
    try:
        values = json.loads(path.read_text(encoding="utf8"))
    except ValueError as err:
        raise error("E684", path=path, reason=str(err)) from err
    scores = Scores(name, values) if isinstance(values, dict) else None
    if scores is None or scores.prf is None:
        raise error("E684", path=path, reason="it has no ents_p, ents_r and ents_f")
    return scores


def fill_meta(
    facts: Facts,
    *,
    materials: Mapping[str, Sequence[Material]],
    scores: Sequence[Scores] = (),
    strategy: str = "",
    licence: str = "",
) -> dict[str, Any]:
    """The pipeline's meta with description, license, sources, performance, requirements and notes filled in.

    Whatever a person wrote there stays: a description, an author, notes before and after ours.

    materials (Mapping[str, Sequence[Material]]): Name → what it is made from; see `find_materials`.
    scores (Sequence[Scores]): Of evaluation sets; those of the first one are what meta.json says of performance.
    strategy (str): Its name, where the config does not tell.
    licence (str): The pipeline's own; "" to take one that the materials allow.
    RAISES (XltError): E682 where they allow none that is known.
    """
    meta = dict(facts.meta)
    ours = meta.get(KEY) or {}
    every = _every(materials, facts)
    strategy = strategy or facts.strategy
    # Scores of the development corpus, under which spaCy has put the losses too
    development = ours.get("development") or {
        key: value for key, value in (meta.get("performance") or {}).items() if not key.endswith("_loss")
    }
    chosen = licence or licence_of_result(every)
    ours_description = _description(facts, strategy)
    meta.update(
        description=_kept(meta.get("description"), ours.get("description")) or ours_description,
        license=chosen,
        sources=[material.to_meta() for material in every],
        performance=dict(scores[0].values) if scores else development,
    )
    meta[KEY] = {
        "strategy": strategy,
        "languages": facts.langs,
        "selected_by": str(facts.selection) if facts.selection else None,
        "engines": facts.engines,
        "development": development,
        "description": ours_description,
        "scores": {item.name: dict(zip(("p", "r", "f"), item.prf or (), strict=False)) for item in scores},
    }
    meta["requirements"] = _requirements(facts)
    meta["notes"] = _with_ours(meta.get("notes") or "", _notes(facts, meta, materials, scores))
    return meta


def hub_readme(meta: Mapping[str, Any]) -> str:
    """The README of the package, with what the Hugging Face Hub wants to know before it, for those who upload by hand.

    spacy-huggingface-hub puts such a head before the README of a wheel by itself.
    """
    from spacy.cli.package import generate_readme

    ours = meta.get(KEY) or {}
    langs = [lang for lang in ours.get("languages", [meta["lang"]]) if lang != "xx"] or ["multilingual"]
    name = f"{meta['lang']}_{meta['name']}"
    results = [
        {
            "task": {"type": "token-classification", "name": "NER"},
            "dataset": {"type": "other", "name": dataset},
            "metrics": [
                {"type": kind, "name": f"NER {title}", "value": values[key]}
                for key, kind, title in (("p", "precision", "Precision"), ("r", "recall", "Recall"), ("f", "f1", "F1"))
            ],
        }
        for dataset, values in ours.get("scores", {}).items()
    ]
    head: dict[str, Any] = {
        "tags": ["spacy", "token-classification"],
        "language": langs,
        "license": hub_licence(meta["license"]),
        "library_name": "spacy",
    }
    if results:
        head["model-index"] = [{"name": name, "results": results}]
    # JSON is YAML too, and needs no quoting rules of its own
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in head.items()]
    return "---\n" + "\n".join(lines) + "\n---\n" + generate_readme(dict(meta))


def _every(materials: Mapping[str, Sequence[Material]], facts: Facts) -> list[Material]:
    found = {material.key: material for several in materials.values() for material in several}
    for meta in facts.inner:
        for source in meta.get("sources") or []:
            if isinstance(source, Mapping) and source.get("name"):
                texts = {key: str(source[key]) for key in ("url", "author") if source.get(key)}
                material = Material(source["name"], source["name"], source.get("license"), **texts)
                if not any(material.name == other.name for other in found.values()):
                    found[material.key] = material
    return list(found.values())


def _kept(found: str | None, made_before: str | None) -> str:
    return found if found and found != made_before else ""


def _description(facts: Facts, strategy: str) -> str:
    metas = [facts.meta, *facts.inner]
    labels = sorted(
        {label for meta in metas for found in (meta.get("labels") or {}).values() for label in found if label}
    )
    what = f"Named entities ({', '.join(labels)})" if labels else "Named entities"
    target, *learned = facts.langs
    text = f"{what} in {'several languages' if target == 'xx' else target}"
    if strategy:
        text += f", by {strategy}"
    return text + (f" from {', '.join(learned)}." if learned else ".")


def _requirements(facts: Facts) -> list[str]:
    from ..requirements import extras_of, merge_requirements, own_requirement

    known = list(facts.meta.get("requirements") or [])
    if not facts.needs_xlt:
        return known
    return merge_requirements([*known, own_requirement(extras_of(facts.config["components"]))])


def _notes(
    facts: Facts, meta: Mapping[str, Any], materials: Mapping[str, Sequence[Material]], scores: Sequence[Scores]
) -> str:
    ours = meta[KEY]
    selected = ours["selected_by"] or "nothing: the pipeline was put together, not trained"
    rows = [
        ("Strategy", ours["strategy"] or "not stated"),
        ("Languages", ", ".join(facts.langs)),
        ("Checkpoint selected by", selected),
    ]
    rows += [(name, f"`{signature}`") for name, signature in facts.engines.items()]
    if facts.encoder:
        rows.append(("Encoder", _named(materials.get("encoder", ()), facts.encoder)))
    for inner in facts.inner:
        said = inner.get(KEY) or {}
        how = f"{said.get('strategy') or 'not stated'}, selected by {said.get('selected_by') or 'not stated'}"
        rows.append((f"Inside: `{inner.get('lang')}_{inner.get('name')}`", how))
    rows.append(("Needs spacy_xlt", "yes" if facts.needs_xlt else "no"))
    parts = ["### How it was made", _table(("", ""), rows)]
    if facts.sources:
        parts += ["### Trained on", _table(("Corpus", "Language", "Annotation", "Data"), _corpora(facts, materials))]
    licences = [(item.name, item.licence or "unknown") for item in _every(materials, facts)]
    parts += ["### Licences of what it is made from", _table(("Name", "Licence"), licences)]
    if scores:
        rows_of_scores = [
            (item.name, *(f"{value * 100:.2f}" for value in item.prf or ()), _per_label(item)) for item in scores
        ]
        parts += ["### Scores on evaluation sets", _table(("Set", "P", "R", "F1", "F1 of each label"), rows_of_scores)]
    elif ours["development"]:
        parts.append(f"The accuracy above is that of the development corpus: {selected}.")
    return "\n\n".join(parts)


def _corpora(facts: Facts, materials: Mapping[str, Sequence[Material]]) -> list[tuple[str, ...]]:
    def row(source: TrainingSource) -> tuple[str, ...]:
        kind = {"gold": "by people", "projected": "projected"}.get(source.kind, "not stated")
        return source.name, source.lang or "not stated", kind, _named(materials.get(source.name, ()), "not stated")

    return [row(source) for source in facts.sources]


def _named(materials: Sequence[Material], otherwise: str) -> str:
    return ", ".join(material.name for material in materials) or otherwise


def _per_label(scores: Scores) -> str:
    per_type = scores.values.get("ents_per_type") or {}
    return ", ".join(f"{label} {values['f'] * 100:.2f}" for label, values in sorted(per_type.items()))


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells = [list(header), ["---"] * len(header), *(list(row) for row in rows)]
    return "\n".join(f"| {' | '.join(_escaped(cell) for cell in row)} |" for row in cells)


def _with_ours(notes: str, made: str) -> str:
    block = f"{_BEGIN}\n\n{made}\n\n{_END}"
    if _BEGIN in notes and _END in notes:
        before, rest = notes.split(_BEGIN, 1)
        return before + block + rest.split(_END, 1)[1]
    return f"{notes.rstrip()}\n\n{block}" if notes.strip() else block


def _escaped(cell: str) -> str:
    # Also inside code, where Markdown's tables look for it first
    return cell.replace("|", "\\|")
