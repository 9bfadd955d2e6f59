"""`spacy xlt card`: write a model card into a pipeline, for `spacy package`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from ._app import app, check_outputs, friendly_errors, msg


@app.command("card")
@friendly_errors
def card_cli(
    model: Annotated[Path, typer.Argument(help="Folder of the pipeline")],
    data: Annotated[
        list[str] | None,
        typer.Option("--data", help="What it is made from: KEY, or SOURCE=KEY for one training source or encoder"),
    ] = None,
    licences: Annotated[
        list[Path] | None, typer.Option("--licences", "--licenses", help="JSON: key to name, licence, url, author")
    ] = None,
    scores: Annotated[
        list[str] | None, typer.Option("--scores", help="NAME=FILE, as spacy evaluate --output writes it")
    ] = None,
    strategy: Annotated[str, typer.Option(help="Name of the strategy, where the config does not tell")] = "",
    licence: Annotated[
        str, typer.Option("--licence", "--license", help="The pipeline's own; the first card needs it")
    ] = "",
    name: Annotated[str, typer.Option("--name", "-n", help="Name of the package, without the language")] = "",
    version: Annotated[str, typer.Option("--version", "-v", help="Version of the package")] = "",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write a copy of the pipeline here, and leave MODEL as it is")
    ] = None,
    allow_unknown: Annotated[
        bool, typer.Option("--allow-unknown", help="Take data whose licence nobody knows")
    ] = False,
) -> None:
    """
    Write a model card into meta.json: strategy, languages, data and their licences, engines, scores, selection.

    Where the package needs the code of a component (xlt_ner, xlt_relations, xlt_seq2seq_ner), its files are put beside,
    for `spacy package --code`.
    `spacy package` then makes the README of the package from it, and spacy-huggingface-hub puts it on the Hub.
    """
    from ..io import write_json
    from ..package.card import check_package, copy_pipeline, fill_meta, read_scores
    from ..package.provenance import find_data, read_licences, read_provenance

    check_package(name=name, version=version)
    named_scores = [_split(text) for text in scores or []]
    check_outputs(output or model / "meta.json", inputs=[*(licences or []), *(path for _, path in named_scores)])
    provenance = read_provenance(model)
    named: dict[str, list[str]] = {}
    for text in data or []:
        source, _, key = text.rpartition("=")
        named.setdefault(source, []).extend(part for part in key.split(",") if part)
    meta = fill_meta(
        provenance,
        data=find_data(provenance, named, read_licences(licences or []), allow_unknown=allow_unknown),
        scores=[read_scores(name, path) for name, path in named_scores],
        strategy=strategy,
        licence=licence,
    )
    meta.update({key: value for key, value in {"name": name, "version": version}.items() if value})
    if output is not None:
        copy_pipeline(model, output, meta)
        model = output
    else:
        write_json(model / "meta.json", meta)
    package = f"python -m spacy package {model} ..."
    if provenance.code:
        copied = [shutil.copyfile(file, model / file.name) for file in provenance.code]
        package += f" --code {','.join(map(str, copied))}"
    msg.good(f"Model card in {model / 'meta.json'}", f"Licence {meta['license']}; {package}")


def _split(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    return (name, Path(path)) if equals else (Path(text).stem, Path(text))
