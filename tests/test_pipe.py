"""Batches in a component: halves where the memory is too small, one bad document alone; kinds of errors."""

from __future__ import annotations

import pickle
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
import spacy
from helpers.engines import UpperTranslator
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.language import Language
from spacy.tokens import Doc

from spacy_xlt.device import is_out_of_memory
from spacy_xlt.errors import DocumentError, InputMismatch, XltError, XltWarning, error, is_document_error, is_fatal
from spacy_xlt.protocols import Translation
from spacy_xlt.translation.component import TranslatorPipe


class SmallMemory(UpperTranslator):
    """Has memory for so many words at once; notes how many texts it got."""

    def __init__(self, words: int, make: Callable[[], Exception] = MemoryError):
        super().__init__()
        self.words = words
        self.make = make
        self.asked: list[int] = []

    def translate(self, texts: Sequence[str], *, source: str, target: str) -> list[Translation]:
        self.asked.append(len(texts))
        if sum(len(text.split()) for text in texts) > self.words:
            raise self.make()
        return super().translate(texts, source=source, target=target)


def pipe_of(engine: Any) -> TranslatorPipe:
    return TranslatorPipe("translator", engine, source="en", target="pt")


@cache
def english() -> Language:
    return spacy.blank("en")


def docs_of(texts: Sequence[str]) -> list[Doc]:
    return [english().make_doc(text) for text in texts]


def translated(docs: Sequence[Doc]) -> list[str]:
    return [doc._.xlt["pt"].target.text for doc in docs]


@pytest.fixture(autouse=True, scope="module")
def freed() -> Iterator[list[bool]]:
    """A stand-in for what collects garbage, which takes long in a process with much in it; notes its calls."""
    calls: list[bool] = []
    with pytest.MonkeyPatch.context() as patched:
        # While an error is handled, nothing is freed that its traceback holds
        patched.setattr("spacy_xlt.pipe.free_caches", lambda: calls.append(sys.exc_info()[0] is None))
        yield calls


@pytest.fixture
def failed() -> list[tuple[str, Exception]]:
    return []


def set_aside(pipe: TranslatorPipe, failed: list[tuple[str, Exception]]) -> None:
    pipe.set_error_handler(lambda name, proc, docs, err: failed.extend((doc.text, err) for doc in docs))


def raised(run: Callable[[], Any]) -> Exception:
    with pytest.raises((RuntimeError, MemoryError)) as caught:
        run()
    return caught.value


def torch_gpu() -> Exception:
    import torch

    return torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")


def test_what_libraries_raise_without_memory_is_recognised() -> None:
    import torch

    messages = [
        "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes.",
        "CUDA failed with error out of memory",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "std::bad_alloc",
    ]
    allocations = raised(lambda: torch.empty(10**15)), raised(lambda: np.empty(10**15)), raised(lambda: [0] * 10**15)
    assert all(map(is_out_of_memory, map(RuntimeError, messages)))
    for err in (*allocations, torch_gpu()):
        assert is_out_of_memory(err) and is_document_error(err) and not is_fatal(err)
    too_large = error("E226", engine="", n_pieces=9)
    too_large.__cause__ = MemoryError()
    assert is_out_of_memory(too_large)
    unloaded = error("E221", engine="", model="", reason="out of memory")
    unloaded.__cause__ = MemoryError()
    others = RuntimeError("shapes do not match"), ValueError("out of memory"), OSError(28, "No space left"), unloaded
    assert not any(map(is_out_of_memory, others))


@pytest.mark.parametrize("make", [MemoryError, torch_gpu])
def test_a_batch_without_memory_is_halved_and_the_size_is_kept(
    make: Callable[[], Exception], freed: list[bool]
) -> None:
    freed.clear()
    texts = [f"text number {i}" for i in range(64)]
    engine = SmallMemory(words=4 * 3, make=make)
    pipe = pipe_of(engine)
    with pytest.warns(XltWarning, match="W571.* 32 documents at once; going on with 4") as said:
        docs = list(pipe.pipe(docs_of(texts), batch_size=32))
    assert translated(docs) == [text.upper() for text in texts]
    # 32, 16 and 8 fail, once each
    assert engine.asked == [32, 16, 8, *[4] * 16]
    assert freed == [True] * 3
    assert len([one for one in said if issubclass(one.category, XltWarning)]) == 1


def test_only_the_document_that_fits_nowhere_is_set_aside(failed: list[tuple[str, Exception]]) -> None:
    texts = [f"text {i}" for i in range(40)]
    texts[17] = "long " * 500
    engine = SmallMemory(words=100)
    pipe = pipe_of(engine)
    set_aside(pipe, failed)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        docs = list(pipe.pipe(docs_of(texts), batch_size=32))
    assert translated(docs) == [text.upper() for text in texts if not text.startswith("long")]
    assert [text for text, _ in failed] == [texts[17]]
    assert is_document_error(failed[0][1])
    # One document says nothing about the batches that follow
    assert engine.asked[-1] == 8


def test_without_memory_for_any_document_it_stops(failed: list[tuple[str, Exception]]) -> None:
    pipe = pipe_of(SmallMemory(words=0))
    set_aside(pipe, failed)
    assert list(pipe.pipe(docs_of(["word"] * 9), batch_size=4)) == []
    codes = [err.code for _, err in failed if isinstance(err, XltError)]
    assert codes == ["E572", "E572"] and "MemoryError" in str(failed[-1][1])
    assert not is_document_error(failed[-1][1])


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 9), max_size=60),
    words=st.integers(5, 30),
    batch_size=st.integers(1, 20),
    crash=st.sets(st.integers(0, 59), max_size=3),
)
def test_whatever_fits_alone_comes_out_in_order(
    lengths: list[int], words: int, batch_size: int, crash: set[int]
) -> None:
    texts = [" ".join([f"w{i}"] * n + ["crash"] * (i in crash)) for i, n in enumerate(lengths)]
    failed: list[tuple[str, Exception]] = []
    pipe = pipe_of(SmallMemory(words=words))
    set_aside(pipe, failed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        docs = list(pipe.pipe(docs_of(texts), batch_size=batch_size))
    fine = [text for text in texts if len(text.split()) <= words and "crash" not in text]
    assert [doc.text for doc in docs] == fine
    assert translated(docs) == [text.upper() for text in fine]
    assert [text for text, _ in failed] == [text for text in texts if text not in fine]


def test_one_by_one_for_other_errors_and_at_once_for_a_setting(failed: list[tuple[str, Exception]]) -> None:
    class Unset(UpperTranslator):
        calls = 0

        def translate(self, texts: Sequence[str], *, source: str, target: str) -> list[Translation]:
            self.calls += 1
            raise error("E221", engine="Unset", model="none", reason="it is not there")

    engine = Unset()
    pipe = pipe_of(engine)
    set_aside(pipe, failed)
    assert list(pipe.pipe(docs_of(["a", "b", "c"]))) == []
    assert engine.calls == 1 and [text for text, _ in failed] == ["a", "b", "c"]


def test_errors_have_kinds() -> None:
    ours = error("E305", n_source=1, n_target=2, reason="x")
    assert type(ours) is DocumentError and type(pickle.loads(pickle.dumps(ours))) is DocumentError
    for err in (ours, ValueError("x"), RuntimeError("x"), TimeoutError()):
        assert is_document_error(err) and not is_fatal(err)
    # Other documents may be fine, but a build stops: a setting has to be changed
    for err in (error("E005", lang="pt", known=""), error("E201", engine="x", source="a", target="b", known="")):
        assert isinstance(err, InputMismatch) and not is_document_error(err) and not is_fatal(err)
    for err in (
        OSError(28, "No space left on device"),
        RuntimeError("CUDA error: device-side assert triggered"),
        ModuleNotFoundError("No module named 'jieba'"),
        error("E221", engine="", model="", reason=""),
    ):
        assert not is_document_error(err) and is_fatal(err)


def test_an_engine_halves_its_own_batches_on_a_cpu_too() -> None:
    from spacy_xlt.device import OomRetry

    def run(batch: list[int]) -> list[int]:
        if len(batch) > 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return batch

    with pytest.warns(XltWarning, match="W220"):
        assert OomRetry("Engine").run(run, list(range(8)), [1] * 8) == list(range(8))
    with pytest.raises(RuntimeError, match="shapes"):
        OomRetry("Engine").run(lambda batch: (_ for _ in ()).throw(RuntimeError("shapes")), [0, 1], [1, 1])
