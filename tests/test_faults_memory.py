"""Out of memory in a component: halves, one bad document alone, and a size that is tried larger again."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import spacy
from helpers.engines import UpperTranslator
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc

import spacy_xlt
from spacy_xlt.device import is_out_of_memory
from spacy_xlt.errors import XltError, XltWarning, error, is_document_error, is_fatal
from spacy_xlt.protocols import Translation
from spacy_xlt.translation.component import TranslatorPipe


class SmallMemory(UpperTranslator):
    """Has memory for so many words at once; notes how many texts it got."""

    def __init__(self, words: int, make: Callable[[], Exception] = MemoryError):
        self.words = words
        self.make = make
        self.asked: list[int] = []

    def translate(self, texts: Sequence[str], *, source: str, target: str) -> list[Translation]:
        self.asked.append(len(texts))
        if sum(len(text.split()) for text in texts) > self.words:
            raise self.make()
        return super().translate(texts, source=source, target=target)


def pipe_of(engine: Any) -> TranslatorPipe:
    return TranslatorPipe(spacy.blank("en"), "translator", engine, target="pt")


def docs_of(texts: Sequence[str]) -> list[Doc]:
    nlp = spacy.blank("en")
    return [nlp.make_doc(text) for text in texts]


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


def cpu_allocator() -> Exception:
    import torch

    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    return caught.value


def numpy_array() -> Exception:
    with pytest.raises(MemoryError) as caught:
        np.empty(10**15)
    return caught.value


def torch_gpu() -> Exception:
    import torch

    return torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")


def python_list() -> Exception:
    with pytest.raises(MemoryError) as caught:
        [0] * 10**15
    return caught.value


@pytest.mark.parametrize("make", [cpu_allocator, numpy_array, torch_gpu, python_list])
def test_what_libraries_raise_without_memory_is_known(make: Callable[[], Exception]) -> None:
    assert is_out_of_memory(make())
    assert is_document_error(make())
    assert not is_fatal(make())


@pytest.mark.parametrize(
    "message",
    [
        "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes.",
        "CUDA failed with error out of memory",
        "CUDA error: out of memory",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "std::bad_alloc",
    ],
)
def test_messages_without_a_class_of_their_own_are_known(message: str) -> None:
    assert is_out_of_memory(RuntimeError(message))


@pytest.mark.parametrize(
    "err",
    [
        RuntimeError("shapes do not match"),
        ValueError("out of memory"),
        OSError(28, "No space left"),
        error("E221", engine="", model="", reason="out of memory"),
    ],
)
def test_other_errors_are_none_of_memory(err: Exception) -> None:
    assert not is_out_of_memory(err)


def test_an_error_raised_from_one_of_memory_is_one() -> None:
    err = RuntimeError("the engine failed")
    err.__cause__ = MemoryError()
    assert is_out_of_memory(err)


def test_knowing_it_imports_no_library() -> None:
    # The package itself imports spaCy, and thinc PyTorch
    script = "import sys; package = type(sys)('spacy_xlt'); sys.modules['spacy_xlt'] = package; "
    script += f"package.__path__ = {list(spacy_xlt.__path__)!r}; "
    script += "from spacy_xlt.device import free_caches, is_out_of_memory; is_out_of_memory(RuntimeError('x')); "
    script += "free_caches(); assert 'torch' not in sys.modules and 'cupy' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


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


@pytest.mark.parametrize(
    "err",
    [
        OSError(28, "No space left on device"),
        RuntimeError("CUDA error: device-side assert triggered"),
        ModuleNotFoundError("No module named 'jieba'"),
        error("E237", n=1, total=2, text="x"),
    ],
)
def test_what_is_no_documents_fault_is_known(err: Exception) -> None:
    assert not is_document_error(err)


@pytest.mark.parametrize(
    "err", [ValueError("x"), RuntimeError("x"), TimeoutError(), error("E305", n_source=1, n_target=2, reason="x")]
)
def test_what_may_be_a_documents_fault_is_known(err: Exception) -> None:
    assert is_document_error(err) and not is_fatal(err)


def test_the_size_goes_along_with_the_component() -> None:
    pipe = pipe_of(UpperTranslator())
    pipe._fitting = 4
    assert pickle.loads(pickle.dumps(pipe))._fitting == 4


def test_simalign_does_not_call_it_a_pair_that_cannot_be_read() -> None:
    from spacy_xlt.alignment.simalign import SimAlignAligner

    aligner = SimAlignAligner()

    class Full:
        def get_word_aligns(self, *words: list[str]) -> None:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    aligner._aligner = Full()
    aligner._check_length = lambda *words: None  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="can't allocate"):
        aligner.align([(["a"], ["b"])])


def test_an_engine_halves_its_own_batches_on_a_cpu_too() -> None:
    from spacy_xlt.device import OomRetry as OomRetry

    def run(batch: list[int]) -> list[int]:
        if len(batch) > 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return batch

    with pytest.warns(XltWarning, match="W220"):
        assert OomRetry("Engine").run(run, list(range(8)), [1] * 8) == list(range(8))
    with pytest.raises(RuntimeError, match="shapes"):
        OomRetry("Engine").run(lambda batch: (_ for _ in ()).throw(RuntimeError("shapes")), [0, 1], [1, 1])
