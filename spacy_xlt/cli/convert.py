"""`spacy xlt convert`: annotated text of any format → a `.spacy` corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ..languages import LANG, MULTI, in_script_of, parse
from ._app import FORMATS, app, check_outputs, friendly_errors, msg, names_in

if TYPE_CHECKING:
    from spacy.tokens import Doc

    from ..readers import ReadNotes

_NO_SENTENCES = "documents without sentences"
# Documents by which the script of a file is told
_SAMPLE = 100
# `read_corpus` with its settings
Read = Callable[..., "Iterator[Doc]"]


@app.command("convert")
@friendly_errors
def convert_cli(
    input_path: Path = typer.Argument(..., help="Annotated text: a file or a folder", metavar="INPUT"),
    output_path: Path = typer.Argument(..., help="Corpus to write (.spacy)", metavar="OUTPUT"),
    format: str = typer.Option("auto", "--format", "-f", help=FORMATS),
    token_col: int | None = typer.Option(None, help="Column of the token, counted from 1; negative from the end"),
    tag_col: int | None = typer.Option(None, help="Column of the entity tag, counted from 1; negative from the end"),
    lang: str = typer.Option(MULTI, "--lang", "-l", help="Language code of the text; with {lang}, of several: de,pt"),
    labels: str = typer.Option("", help="Labels to keep, with commas between; all if left out"),
    n_sents: int = typer.Option(1, "--n-sents", "-n", help="Sentences a document"),
    spans_key: str = typer.Option("", help="Also put the entities into this span group, to train and score spancat"),
    encoding: str = typer.Option("utf8", help="Encoding of the input"),
    dev: Path | None = typer.Option(None, help="Also a development set (.spacy), of documents kept back from OUTPUT"),
    dev_share: float = typer.Option(0.1, help="Share of the documents for --dev, between 0 and 1"),
) -> None:
    """Convert annotated text to a .spacy corpus.

    iob2: token in column 2, tag in column 3, comments kept apart and used (UniversalNER); conll: token first, tag
    last; tsv: token and tag. Sentences end at blank lines. jsonl: JSON lines of Prodigy, doccano and the page of
    `view --review`, of which those that were accepted are taken; prodigy: the same, without lines whose spans do not
    begin and end with tokens. brat: texts with .ann beside them. marked: `<e1>…</e1>` and `<e2>…</e2>` with their
    relation on the next line (SemEval, RELX); tacred and squad: the JSON of these data sets; texts: a text and its
    label, with a tab between; pubtator: title, abstract and mentions. Without --format, the name of the file tells
    it, but for these five. With --dev, copies of a text are on the same side, always the same one.

    Several languages: INPUT and OUTPUT have {lang} where the code of each stands, and INPUT may have *, as in
    'uner/*/{lang}_*-test.iob2' 'test/{lang}.spacy' --lang deu,por. In INPUT any code of a language will do, for deu
    also de; OUTPUT has the code of --lang. Files of one language are put together. A language without a file, or with
    one in another script (srp-Cyrl), is named and passed over; one that cannot be read does not stop the others, and
    the exit status is 1.
    """
    from ..errors import error
    from ..readers import read_corpus

    if not 0 < dev_share < 1:
        raise error("E510", setting="--dev-share", value=dev_share, expected="a share between 0 and 1, such as 0.1")
    read = partial(
        read_corpus,
        format=format,
        token_col=token_col,
        tag_col=tag_col,
        labels=frozenset(names_in(labels)) or None,
        n_sents=n_sents,
        spans_key=spans_key,
        encoding=encoding,
    )
    paths = {"INPUT": input_path, "OUTPUT": output_path, **({} if dev is None else {"--dev": dev})}
    if not any(LANG in str(path) for path in paths.values()):
        _convert(partial(read, lang=lang), [input_path], output_path, dev, dev_share)
        return
    for name, path in paths.items():
        if LANG not in str(path):
            raise error("E510", setting=name, value=str(path), expected=f"a path with {LANG} in it, as the others have")
    if lang == MULTI:
        raise error("E510", setting="--lang", value=lang, expected=f"languages that {LANG} stands for: de,pt")
    _convert_languages(read, str(input_path), output_path, dev, dev_share, langs=names_in(lang))


def _convert_languages(
    read: Read, pattern: str, output: Path, dev: Path | None, dev_share: float, *, langs: Sequence[str]
) -> None:
    from ..errors import XltError, error
    from ..readers.by_language import find_by_language

    failed = []
    found = find_by_language(pattern, langs)
    if not any(files.paths for files in found):
        raise error("E502", what=f"file of {', '.join(langs)}", path=pattern)
    for files in found:
        if not files.paths:
            msg.warn(f"No file for {files.lang}", pattern)
            continue
        try:
            if len(files.codes) > 1:
                known = ", ".join(files.codes)
                raise error("E552", path=pattern, lang=files.lang, known=known, setting="--lang")
            read_lang = partial(read, lang=files.lang)
            some = (doc.text for doc in islice(read_lang(files.paths[0]), _SAMPLE)) if parse(files.lang).script else ()
            if not in_script_of(" ".join(some), files.lang):
                msg.warn(f"No file for {files.lang}: this one is in another script", str(files.paths[0]))
                continue
            written, kept_back = Path(str(output).replace(LANG, files.lang)), str(dev or "").replace(LANG, files.lang)
            _convert(read_lang, files.paths, written, Path(kept_back) if kept_back else None, dev_share)
        except XltError as err:
            failed.append(files.lang)
            msg.fail(f"{files.lang}: XLT-{err.code}", err.message)
    if failed:
        msg.fail(f"{len(failed)} of {len(found)} languages failed: {', '.join(failed)}", exits=1)


def _convert(read: Read, inputs: Sequence[Path], output: Path, dev: Path | None, dev_share: float) -> None:
    from ..errors import warn
    from ..io import write_docs
    from ..readers import ReadNotes

    check_outputs(output, dev, inputs=inputs)
    notes, counts = ReadNotes(), Counter[str]()
    docs: Iterable[Doc] = chain.from_iterable(read(path, notes=notes) for path in inputs)
    docs = _counted(docs, counts, inputs[0])
    if dev is None:
        write_docs(output, docs, store_user_data=True)
    else:
        from ..build.shards import side_of

        sides: dict[str, list[Doc]] = {"train": [], "dev": []}
        for doc in docs:
            sides[side_of(doc, dev=dev_share, seed=0)].append(doc)
        write_docs(output, sides["train"], store_user_data=True)
        write_docs(dev, sides["dev"], store_user_data=True)
    _report(notes, counts, output)
    if dev is not None:
        msg.info(f"{len(sides['dev'])} of the documents are kept back for development", str(dev))
        for side, docs_of_side in sides.items():
            if not docs_of_side:
                warn("W550", side=side, n=counts["documents"], share=dev_share)


def _counted(docs: Iterable[Doc], counts: Counter[str], path: Path) -> Iterator[Doc]:
    from ..errors import error
    from ..span_links import get_links

    for doc in docs:
        counts["documents"] += 1
        if doc.has_annotation("SENT_START"):
            counts["sentences"] += sum(1 for _ in doc.sents)
        else:
            counts[_NO_SENTENCES] += 1
        counts["tokens"] += len(doc)
        counts["links"] += len(get_links(doc).links)
        counts["records"] += len(get_links(doc).records)
        counts["categories"] += len(doc.cats)
        yield doc
    if not counts["documents"]:
        raise error("E503", path=path)


def _report(notes: ReadNotes, counts: Counter[str], path: Path) -> None:
    unmarked = counts.pop(_NO_SENTENCES, 0)
    size = ", ".join(f"{n} {what}" for what, n in counts.items() if n)
    msg.good(f"{size}; {_numbers(notes.labels) or 'no entities'}", str(path))
    if unmarked:
        msg.info(f"{unmarked} documents have no sentences marked; where they are needed, punctuation ends them")
    if notes.dropped:
        msg.info(f"Labels left out: {_numbers(notes.dropped)}")
    if n := notes.counts["repaired"]:
        msg.info(f"{n} entities begin with an I- tag, as in IOB1")


def _numbers(counts: Counter[str]) -> str:
    return ", ".join(f"{label} {n}" for label, n in sorted(counts.items()))
