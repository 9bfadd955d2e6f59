"""Which shards are processed again when workers end, with workers that are objects and end by a plan."""

from __future__ import annotations

from concurrent.futures import Future
from math import ceil, log2

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab

from spacy_xlt.build.shard import Shard, ShardResult
from spacy_xlt.build.worker_spec import share_of_cores
from spacy_xlt.build.workers import WorkerPool, make_workers
from spacy_xlt.errors import XltError


class Ended(Exception):
    pass


class PlannedWorkers(WorkerPool):
    """End over documents with the text "kill"; also at the given submissions, as if killed from outside."""

    death = Ended

    def __init__(self, *, outside: tuple[int, ...] = (), whole: str = "", result=None):
        super().__init__()
        self.outside, self.whole, self.result = outside, whole, result
        self.submitted = self.deaths = 0

    def room(self) -> int:
        return 3

    def submit(self, shard: Shard) -> Future:
        self.submitted += 1
        texts = [d.text.strip() for n, d in enumerate(shard.docs(Vocab())) if n not in shard.set_aside]
        future: Future = Future()
        if "kill" in texts or self.submitted in self.outside or (self.whole == shard.name and len(texts) > 1):
            future.set_exception(Ended())
        else:
            counts = {"texts": texts, "aside": dict(shard.set_aside)}
            future.set_result(self.result or ShardResult(shard.name, {}, counts))
        return future

    def receive(self, future: Future):
        return future.result()

    def replace_worker(self, future: Future) -> bool:
        self.deaths += 1
        return True

    def close(self, *, now: bool = False) -> None:
        pass


def make_shards(texts: list[list[str]]) -> list[Shard]:
    vocab = Vocab()
    bins = [DocBin(docs=[Doc(vocab, words=[text]) for text in of_shard]) for of_shard in texts]
    return [Shard(f"{i:05d}", docs.to_bytes(), len(docs)) for i, docs in enumerate(bins)]


@settings(max_examples=40, deadline=None)
@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=6), data=st.data())
def test_every_shard_is_processed_once_and_only_what_kills_is_set_aside(lengths, data):
    texts = [[f"{i}-{j}" for j in range(n)] for i, n in enumerate(lengths)]
    places = [(i, j) for i, n in enumerate(lengths) for j in range(n)]
    killers = data.draw(st.lists(st.sampled_from(places), max_size=2, unique=True))
    # Killed from outside once, at any moment
    outside = tuple(data.draw(st.lists(st.integers(1, 12), max_size=1)))
    for i, j in killers:
        texts[i][j] = "kill"
    workers = PlannedWorkers(outside=outside)
    results = list(workers.run(make_shards(texts)))
    assert sorted(one.shard for one in results) == [f"{i:05d}" for i in range(len(texts))]
    for one in results:
        i = int(one.shard)
        assert list(one.counts["aside"]) == [j for j, text in enumerate(texts[i]) if text == "kill"]
        assert one.counts["texts"] == [text for text in texts[i] if text != "kill"]
    # For each: the shard twice, its halves, and the document once more; a death from outside may cost a search
    a_search = 3 + ceil(log2(max(lengths)))
    assert workers.deaths <= (len(killers) + len(outside)) * a_search


def test_deaths_before_a_document_was_set_aside_do_not_count_against_the_rest():
    # The last of these is from outside, when the only document is set aside already
    results = PlannedWorkers(outside=(5,)).run(make_shards([["kill"], ["a"]]))
    assert {one.shard: list(one.counts["aside"]) for one in results} == {"00000": [0], "00001": []}


def test_shard_that_ends_workers_only_as_a_whole_stops_the_build():
    workers = PlannedWorkers(whole="00001")
    with pytest.raises(XltError, match="E584.*3 times over the shard 00001"):
        list(workers.run(make_shards([["a", "b"], ["c", "d"], ["e", "f"]])))


def test_workers_that_end_whatever_they_get_stop_the_build_soon():
    workers = PlannedWorkers(outside=tuple(range(1, 1000)))
    with pytest.raises(XltError, match="E591.*20 workers"):
        list(workers.run(make_shards([[f"{i}-{j}" for j in range(50)] for i in range(20)])))
    assert workers.deaths == 20


def test_errors_of_settings_and_of_the_machine_stop_the_build():
    with pytest.raises(XltError, match="E510"):
        list(PlannedWorkers(result=XltError("E510", "x")).run(make_shards([["a"]])))
    with pytest.raises(XltError, match="E586.*ImportError: no"):
        list(PlannedWorkers(result="ImportError: no").run(make_shards([["a"]])))


def test_no_shards_are_no_work():
    assert list(PlannedWorkers().run([])) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"executor": "slurm"}, "E510.*--executor is 'slurm'"),
        ({"workers": -1}, "E510.*--workers is -1"),
        ({"workers": 2, "gpu_id": 1000}, "E589.*--gpu-id is 1000"),
    ],
)
def test_invalid_options_are_refused(nlp, options, message):
    with pytest.raises(XltError, match=message):
        make_workers(nlp, **options)


def test_workers_are_spread_over_the_gpus(nlp, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    assert make_workers(nlp, workers=2, gpu_id=2).gpu_ids == [2, 3]
    assert make_workers(nlp, workers=5, gpu_id=1).gpu_ids == [1, 2, 3, 1, 2]


@pytest.mark.parametrize(
    ("threads", "workers", "expected"), [(None, 3, 2), (None, 99, 1), ("4", 1, 4), ("4,2", 1, 4), ("x", 2, 4)]
)
def test_workers_share_the_cores(monkeypatch, threads, workers, expected):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if threads is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
    assert share_of_cores(workers, range(8)) == expected
