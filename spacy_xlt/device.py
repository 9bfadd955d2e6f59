"""Running models: batches of similar length, threads, forked processes, attention kernels, running out of memory."""

from __future__ import annotations

import errno
import gc
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import DocumentError, XltError, error, missing_package, warn

if TYPE_CHECKING:
    import torch

Batch = TypeVar("Batch")
Result = TypeVar("Result")

# What the makers of errors without a class of their own write: PyTorch's allocator for CPUs (on Linux and on Windows),
# CUDA's own functions as PyTorch and CTranslate2 pass them on, C++, cuBLAS and cuDNN
_SIGNS = ("can't allocate memory", "not enough memory", "out of memory", "std::bad_alloc", "_status_alloc_failed")

_forked = False


def batches_by_length(lengths: Sequence[int], *, batch_tokens: int) -> list[list[int]]:
    """Indices in batches of similar length, the longest first.

    Args:
        lengths: In tokens.
        batch_tokens: The most tokens of a batch, padding counted. A longer item is a batch of its own.
    """
    batches: list[list[int]] = []
    longest = 0
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batches and (len(batches[-1]) + 1) * longest <= batch_tokens:
            batches[-1].append(index)
        else:
            batches.append([index])
            longest = max(1, lengths[index])
    return batches


def run_side_by_side(run: Callable[[Batch], Result], batches: Sequence[Batch], *, device: torch.device) -> list[Result]:
    """Run each of several batches: on a CPU several at a time, each on its own share of PyTorch's threads.

    PyTorch's own way is to cut every operation up and wait for the slowest part of each, which costs much where a
    batch is small or something else runs on the machine.

    Args:
        run: Computes one batch; on a CPU called from several threads at once.
        batches: The batches; the results are in their order.
        device: Where the model is.
    """
    import torch

    threads = torch.get_num_threads()
    workers = min(threads, len(batches))
    if device.type != "cpu" or workers < 2:
        return [run(batch) for batch in batches]
    try:
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(threads // workers,)) as pool:
            return list(pool.map(run, batches))
    finally:
        # The setting of this thread never changed, but it is what threads to come start with
        torch.set_num_threads(threads)


def use_device(gpu_id: int, *, silent: bool = True) -> None:
    """Have spaCy use a GPU, or the CPU where it is -1.

    Raises:
        XltError: E510 where there is no such GPU, or spaCy cannot use it.
    """
    from spacy.cli._util import setup_gpu

    try:
        setup_gpu(gpu_id, silent=silent)
    except (ValueError, RuntimeError) as err:
        expected = f"a GPU that spaCy can use, or -1 for the CPU ({err}; `spacy xlt doctor` says more)"
        raise error("E510", setting="--gpu-id", value=gpu_id, expected=expected) from err


def _note_fork() -> None:
    global _forked
    _forked = True


# Windows has no fork
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def one_thread_after_fork() -> None:
    """Let PyTorch compute in one thread, where this process was forked from another.

    The OpenMP threads of the parent do not exist in a forked process, and its next parallel operation waits for them
    for ever. To be called before a model runs; does nothing in a process that was not forked, or a second time.
    """
    global _forked
    if _forked:
        import torch

        torch.set_num_threads(1)
        _forked = False


@contextmanager
def without_cudnn_attention(device: torch.device) -> Iterator[None]:
    """Compute attention without cuDNN inside the block.

    cuDNN plans a kernel for each new shape, and batches of text hardly ever have the shape of one before: on an H100
    with PyTorch 2.11 a plan took 37 ms, most of the time of an aligner's batch. PyTorch's own kernels (FlashAttention
    and the memory-efficient one) take any shape as they are. The switch is one for the whole process, so it is put
    back when the block ends.

    Args:
        device: Where the model is; nothing is changed where that is no CUDA device.
    """
    import torch

    # PyTorch 2.4 has no such kernels
    switch = getattr(torch.backends.cuda, "enable_cudnn_sdp", None)
    if device.type != "cuda" or switch is None or not torch.backends.cuda.cudnn_sdp_enabled():
        yield
        return
    switch(False)
    try:
        yield
    finally:
        switch(True)


def disable_cudnn_attention() -> None:
    """Compute attention on a GPU without cuDNN from now on, in the whole process: for a training, which is the process.

    See `without_cudnn_attention` for the reason.
    """
    torch = sys.modules.get("torch")
    # PyTorch 2.4 has no such kernels
    if torch is not None and torch.cuda.is_available() and hasattr(torch.backends.cuda, "enable_cudnn_sdp"):
        torch.backends.cuda.enable_cudnn_sdp(False)


def first_line(err: Exception) -> str:
    """What went wrong, without the list of all known models that may follow."""
    line = (str(err).strip() or type(err).__name__).splitlines()[0]
    return line if len(line) <= 160 else f"{line[:160]}…"


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers from reporting the layers that are left out on purpose."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)


@contextmanager
def loading(code: str, what: str = "", **values: Any) -> Iterator[None]:
    """Turn what is raised inside the block into an error of this package.

    Each library names a broken folder in its own way: OSError, ValueError, SafetensorError, KeyError …

    Args:
        code: The error's code; its message has `reason` for what was raised, and **values. Where the package
            sentencepiece is missing it is E106.
        what: What was being read, to stand before the reason.
    """
    try:
        with quiet():
            yield
    except XltError:
        raise
    except Exception as err:
        # transformers says so of a tokenizer in many lines, and in some as if the model were at fault
        if "sentencepiece" in str(err).lower() and find_spec("sentencepiece") is None:
            raise missing_package("The model's tokenizer", "sentencepiece", "bundled") from err
        raise error(code, reason=f"{what}{first_line(err)}", **values) from err


def refuse_model_code(model: str) -> None:
    """Make sure that a model, its settings and its tokenizer load without code that comes with them.

    To be called before a library loads a model that cannot be told not to run such code: transformers would ask on the
    terminal, and take an answer from whatever is on standard input.

    Args:
        model: A folder or a Hugging Face name.

    Raises:
        Exception: Whatever transformers raises for what it cannot load without, which names the model.
    """
    from transformers import MODEL_MAPPING, AutoConfig, AutoTokenizer

    config = AutoConfig.from_pretrained(model, trust_remote_code=False)
    AutoTokenizer.from_pretrained(model, trust_remote_code=False)
    if getattr(config, "auto_map", None) and type(config) not in MODEL_MAPPING:
        raise ValueError(f"the code of {model} would have to be run")


def is_out_of_memory(err: BaseException) -> bool:
    """Whether an error says that there was not the memory for what was tried, on a CPU or a GPU.

    Known without PyTorch or CuPy being imported: an error of theirs can only be there where they are.
    """
    # A model that cannot be loaded for lack of memory is no question of the batch
    if isinstance(err, XltError) and not isinstance(err, DocumentError):
        return False
    # NumPy's and CuPy's are kinds of it
    if isinstance(err, MemoryError):
        return True
    if isinstance(err, OSError):
        return err.errno == errno.ENOMEM
    if any(kind.__name__ == "OutOfMemoryError" for kind in type(err).__mro__):
        return True
    if isinstance(err, RuntimeError) and any(sign in str(err).lower() for sign in _SIGNS):
        return True
    return err.__cause__ is not None and is_out_of_memory(err.__cause__)


def free_caches() -> None:
    """Give back what PyTorch and CuPy keep of a GPU's memory for later.

    To be called when the error is handled: while it is, its traceback holds on to what the failed call had computed.
    """
    gc.collect()
    torch, cupy = sys.modules.get("torch"), sys.modules.get("cupy")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch is not None and torch.backends.mps.is_available():
        torch.mps.empty_cache()
    if cupy is not None:
        cupy.get_default_memory_pool().free_all_blocks()
        cupy.get_default_pinned_memory_pool().free_all_blocks()


@dataclass
class OomRetry:
    """Runs batches, and those that there is not the memory for in halves.

    Attributes:
        engine: What to call the engine in messages.
        most: The most pieces of a batch, once one had too many.
    """

    engine: str
    most: int | None = None

    def run(
        self, run: Callable[[list[int]], Sequence[Result]], batch: list[int], lengths: Sequence[int]
    ) -> list[Result]:
        """Run a batch; the results are in its order.

        Raises:
            XltError: E226 where a single text is too much.
        """
        size = len(batch) * max(lengths[i] for i in batch)
        if len(batch) == 1 or self.most is None or size <= self.most:
            try:
                return list(run(batch))
            except Exception as err:
                if not is_out_of_memory(err):
                    raise
                if len(batch) == 1:
                    raise error("E226", engine=self.engine, n_pieces=size) from err
                if self.most is None:
                    warn("W220", engine=self.engine, size=size)
                self.most = size // 2
            # Outside of the handler, where nothing holds on to what the failed run has computed
            free_caches()
        half = len(batch) // 2
        return [*self.run(run, batch[:half], lengths), *self.run(run, batch[half:], lengths)]
