"""What is in a build, and taking documents out of it: listing, sampling, splitting."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from hashlib import blake2b
from heapq import nsmallest
from itertools import groupby
from pathlib import Path
from typing import Any

from spacy.tokens import Doc, DocBin

from ..bitext import USER_DATA_KEY
from ..docs import select_docs, tokens_digest
from ..errors import error, warn
from ..io import inside, replacing_folder, write_bytes, write_json
from ..languages import blank
from .built import BuiltShard, BuiltShards
from .outputs import check_output, check_what, with_bar
from .shard import BITEXT, TARGET

SPLIT = "split.json"
SIDES = ("train", "dev")
_COUNTED = ("spans_in", "spans_projected", "lost_reasons")
_OF_LINKS = ("links_in", "links_projected", "lost_link_reasons")


def list_shards(shards: BuiltShards) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What each shard has, as plain data, and what all have together.

    Returns:
        Of each shard its name, its counts, those of links only where the build has any, and the size of each of its
        `files` in bytes (None: missing); and the sums, with whether the build is `finished`.
    """
    has_links = any(shard.counts.get(name) for shard in shards for name in _OF_LINKS)
    counted = (*_COUNTED, *(_OF_LINKS if has_links else ()))
    lines: list[dict[str, Any]] = []
    for shard in shards:
        counts = {"docs": shard.counts["docs"], "docs_failed": len(shard.counts["failed"])}
        by_name = {name: shard.counts.get(name, {}) for name in counted}
        files = {name: shard.size(name) for name in sorted(shard.files)}
        lines.append({"shard": shard.name, **counts, "sentences": shard.counts["sentences"], **by_name, "files": files})
    sizes = [size for line in lines for size in line["files"].values()]
    missing = sum(size is None for size in sizes)
    sums = {name: sum(line[name] for line in lines) for name in ("docs", "sentences", "docs_failed")}
    by_name = {name: dict(sorted(sum((Counter(line[name]) for line in lines), Counter()).items())) for name in counted}
    n_docs = sum(file.get("docs", 0) for file in shards.header["input"].values())
    expected = -(-n_docs // shards.header["docs_per_shard"])
    total = {"shards": len(lines), **sums, "bytes": sum(filter(None, sizes)), "shards_expected": expected, **by_name}
    return lines, {**total, "files_missing": missing, "finished": len(lines) == expected and not missing}


def sample(
    shards: BuiltShards,
    path: Path,
    *,
    n: int = 100,
    seed: int = 0,
    what: str = TARGET,
    lang: str = "",
    overwrite: bool = False,
    silent: bool = True,
) -> tuple[int, int]:
    """Draw documents, each with the same chance, and write them as one `.spacy` file in the order of the build.

    A document's draw depends on the seed, its shard and its place in it alone. Target documents without a token, all of
    whose sentences were left out, are not drawn.

    Args:
        what: "target" for target documents, "bitext" for the source documents with their bitexts.
        lang: Only this target language; of source documents, only the bitexts in it. It has to be given for "target"
            if the build has several.

    Returns:
        How many documents were drawn, and from how many.

    Raises:
        XltError: E510 for an invalid setting; E550 for a shard that cannot be read; E551 for targets in several
            languages; E552, E580 if the language or any shard is missing; E553, E554 for what must not be written over;
            E556 if nothing is there.
    """
    if n < 1:
        raise error("E510", setting="--limit", value=n, expected="a number from 1")
    check_what(what)
    shards.check(lang)
    if what == TARGET and not lang and len(shards.langs) > 1:
        raise error("E551", known=", ".join(shards.langs))
    check_output(path, shards.folder, overwrite=overwrite)
    lang_of_targets = lang or "".join(shards.langs)
    n_found = 0

    def draws() -> Iterator[tuple[float, int, int]]:
        nonlocal n_found
        for place, shard in enumerate(with_bar(shards, "sample", silent)):
            if what == TARGET:
                numbers = _with_tokens(shard, lang_of_targets)
            elif lang:
                numbers = [one.number for one in shard.translated(lang)]
            else:
                numbers = list(range(len(shard.read(shard.bitext))))
            n_found += len(numbers)
            yield from ((draw(seed, f"{shard.name}:{number}"), place, number) for number in numbers)

    drawn = sorted(found[1:] for found in nsmallest(n, draws()))
    if not drawn:
        raise error("E556", path=shards.folder, what="a sample")
    docs = DocBin(store_user_data=what == BITEXT)
    for place, numbered in groupby(drawn, key=lambda one: one[0]):
        shard = shards[place]
        file = shard.bitext if what == BITEXT else shard.target(lang_of_targets)
        for doc in select_docs(shard.read(file), [number for _, number in numbered]).get_docs(blank("xx").vocab):
            if what == BITEXT and lang:
                stored = doc.user_data[USER_DATA_KEY]
                doc.user_data[USER_DATA_KEY] = {k: v for k, v in stored.items() if v["target_lang"] == lang}
            docs.add(doc)
    write_bytes(path, docs.to_bytes())
    return len(drawn), n_found


def side_of(doc: Doc, *, dev: float, seed: int) -> str:
    """The side of a source document: "dev" or "train". It follows from the seed and its tokens alone."""
    return "dev" if draw(seed, tokens_digest(doc)) < dev else "train"


def split(
    shards: BuiltShards,
    output: Path,
    *,
    dev: float = 0.1,
    seed: int = 0,
    lang: str = "",
    overwrite: bool = False,
    silent: bool = True,
) -> dict[str, Any]:
    """Split the target documents into `train/LANG-SHARD.spacy` and `dev/LANG-SHARD.spacy`, counted in `split.json`.

    Whatever else is in the build and however it is cut into shards, all translations of a text, and of its copies, are
    on the same side. Target documents all of whose sentences were left out are left out.

    Args:
        dev: The share of different texts for development, between 0 and 1; what it comes to is near it.
        lang: Only this target language; all if left out.

    Returns:
        What `split.json` says.

    Raises:
        XltError: E510 for an invalid share; E550 for a shard that cannot be read; E552, E580 if the language or any
            shard is missing; E553, E554 for a folder that must not be written over; E556 if nothing is there.
    """
    if not 0.0 < dev < 1.0:
        raise error("E510", setting="--dev", value=dev, expected="a share between 0 and 1, such as 0.1")
    shards.check(lang)
    check_output(output, shards.folder, overwrite=overwrite, is_ours=_is_split)
    sources = dict.fromkeys(SIDES, 0)
    docs: dict[str, Counter[str]] = {name: Counter() for name in sources}
    n_empty = 0
    with replacing_folder(output) as beside:
        for name in sources:
            (beside / name).mkdir()
        for shard in with_bar(shards, "split", silent):
            translated = shard.translated(lang)
            targets = shard.targets(translated)
            side_by_number = {one.number: side_of(one.source, dev=dev, seed=seed) for one in translated}
            whole = [one for one in translated if len(targets[one.lang].tokens[one.place])]
            n_empty += len(translated) - len(whole)
            places: dict[tuple[str, str], list[int]] = defaultdict(list)
            for one in whole:
                places[side_by_number[one.number], one.lang].append(one.place)
            for number in {one.number for one in whole}:
                sources[side_by_number[number]] += 1
            for (name, target_lang), chosen in places.items():
                part = select_docs(targets[target_lang], chosen)
                docs[name][target_lang] += len(part)
                inside(beside / name, f"{target_lang}-{shard.name}.spacy").write_bytes(part.to_bytes())
        n_docs = sum(counts.total() for counts in docs.values())
        if not n_docs:
            raise error("E556", path=shards.folder, what="a split")
        sides = {name: {"sources": sources[name], "docs": dict(sorted(docs[name].items()))} for name in sources}
        said = {"dev_share": dev, "seed": seed, "lang": lang, **sides, "left_out_empty": n_empty}
        write_json(beside / SPLIT, said)
    for name in sides:
        if not docs[name]:
            warn("W550", side=name, n=n_docs, share=dev)
    return said


def draw(seed: int, name: str) -> float:
    """A number from 0 up to 1 that looks drawn by chance, the same one each time for the same seed and name."""
    digest = blake2b(f"{seed}:{name}".encode(), digest_size=8).digest()
    # 53 bits, as many as a float has
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)


def _with_tokens(shard: BuiltShard, lang: str) -> list[int]:
    if lang not in shard.langs:
        return []
    return [number for number, tokens in enumerate(shard.read(shard.target(lang)).tokens) if len(tokens)]


def _is_split(folder: Path) -> bool:
    """Whether all that a folder has is what `split` writes."""
    try:
        said = json.loads((folder / SPLIT).read_text(encoding="utf8"))
    except (OSError, ValueError):
        return False
    parts = [file.relative_to(folder).parts for file in folder.rglob("*") if not file.is_dir()]
    others = [part for part in parts if part != (SPLIT,) and not (part[0] in SIDES and part[-1].endswith(".spacy"))]
    return isinstance(said, dict) and {"dev_share", *SIDES} <= said.keys() and not others
