"""Who gets which shard when workers die, with workers that are objects and die by a plan."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab

from spacy_xlt.build.executors.pool import Event, PoolExecutor
from spacy_xlt.build.executors.recipe import identity
from spacy_xlt.build.sharding import Built, Shard
from spacy_xlt.errors import XltError


class Workers:
    """Dies over documents with the text "kill"; also at the given shares of work, as if killed from outside."""

    name = "test"
    depth = 3

    def __init__(self, size: int, *, outside: tuple[int, ...] = (), whole: str = "", bad_start: tuple[int, ...] = ()):
        self.size = size
        self.outside = set(outside)
        self.whole = whole
        self.bad_start = bad_start
        self.has: dict[int, deque[Shard]] = {}
        self.events: deque[Event] = deque()
        self.starts = self.done = self.turn = 0
        self.identity = {worker: identity() for worker in range(size)}

    def start(self, worker: int) -> None:
        self.starts += 1
        if worker in self.bad_start:
            self.events.append(Event(worker, "died", "exit code 1"))
            return
        self.has[worker] = deque()
        self.events.append(Event(worker, "ready", self.identity[worker]))

    def submit(self, worker: int, shard: Shard) -> None:
        assert len(self.has[worker]) < self.depth
        self.has[worker].append(shard)

    def wait(self) -> list[Event]:
        if self.events:
            return [self.events.popleft()]
        busy = [worker for worker in sorted(self.has) if self.has[worker]]
        assert busy, "waits for nothing"
        self.turn += 1
        worker = busy[self.turn % len(busy)]
        shard = self.has[worker].popleft()
        self.done += 1
        texts = [doc.text.strip() for doc in shard.docs(Vocab())]
        if "kill" in texts or self.done in self.outside or (self.whole == shard.id and len(texts) > 1):
            del self.has[worker]
            return [Event(worker, "died", "signal 9")]
        return [Event(worker, "built", Built(shard.id, {}, {"texts": texts, "aside": dict(shard.set_aside)}))]

    def close(self, *, now: bool) -> None:
        self.has.clear()


def make_shards(texts: list[list[str]]) -> list[Shard]:
    vocab = Vocab()
    bins = [DocBin(docs=[Doc(vocab, words=[text]) for text in of_shard]) for of_shard in texts]
    return [Shard(f"{i:05d}", docs.to_bytes(), len(docs)) for i, docs in enumerate(bins)]


@settings(max_examples=40, deadline=None)
@given(
    size=st.integers(1, 3),
    lengths=st.lists(st.integers(1, 4), min_size=1, max_size=6),
    data=st.data(),
)
def test_every_shard_is_built_once_and_only_what_kills_is_set_aside(size, lengths, data):
    texts = [[f"{i}-{j}" for j in range(n)] for i, n in enumerate(lengths)]
    places = [(i, j) for i, n in enumerate(lengths) for j in range(n)]
    killers = data.draw(st.lists(st.sampled_from(places), max_size=2, unique=True))
    # Killed from outside once, at any moment
    outside = tuple(data.draw(st.lists(st.integers(1, 12), max_size=1)))
    for i, j in killers:
        texts[i][j] = "kill"
    workers = Workers(size, outside=outside)
    built = list(PoolExecutor(workers).run(make_shards(texts)))
    assert sorted(one.shard for one in built) == [f"{i:05d}" for i in range(len(texts))]
    for one in built:
        i = int(one.shard)
        assert list(one.record["aside"]) == [j for j, text in enumerate(texts[i]) if text == "kill"]
        assert one.record["texts"] == [text for text in texts[i] if text != "kill"]
    # For each document: two over it alone and at most two over the shard; and one for the death from outside
    assert workers.starts <= size + 4 * len(killers) + len(outside)


def test_a_shard_that_only_as_a_whole_ends_workers_stops_the_build():
    workers = Workers(2, whole="00001")
    with pytest.raises(XltError, match="E584.*5 times over the shard 00001.*signal 9"):
        list(PoolExecutor(workers).run(make_shards([["a", "b"], ["c", "d"], ["e", "f"]])))


def test_workers_that_die_whatever_they_get_stop_the_build_soon():
    workers = Workers(2, outside=tuple(range(1, 1000)))
    with pytest.raises(XltError, match="E591.*12 workers.*signal 9"):
        list(PoolExecutor(workers).run(make_shards([[f"{i}-{j}" for j in range(50)] for i in range(20)])))
    assert workers.starts < 20


def test_a_worker_that_cannot_start_is_left_out():
    workers = Workers(2, bad_start=(1,))
    executor = PoolExecutor(workers)
    assert len(list(executor.run(make_shards([["a"], ["b"], ["c"]])))) == 3
    assert executor.workers == 1 and workers.starts == 1 + 3


def test_when_no_worker_can_start_the_reason_is_given():
    with pytest.raises(XltError, match="E585.*exit code 1"):
        list(PoolExecutor(Workers(2, bad_start=(0, 1))).run(make_shards([["a"]])))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("versions", {**identity()["versions"], "spacy": "3.7.0"}, "E590.*other-host has spacy 3.7.0, and this"),
        ("engines", {"xlt_translator": "model-2"}, "E592.*other-host has xlt_translator model-2.*model-1"),
    ],
)
def test_a_worker_that_is_not_like_the_others_is_named(key, value, message):
    workers = Workers(2)
    for worker in range(2):
        workers.identity[worker] = {**identity(), "engines": {"xlt_translator": "model-1"}}
    workers.identity[1].update({key: value, "host": "other-host"})
    with pytest.raises(XltError, match=message):
        list(PoolExecutor(workers).run(make_shards([["a"]])))


def test_no_shards_are_no_work():
    assert list(PoolExecutor(Workers(2)).run([])) == []
