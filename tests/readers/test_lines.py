"""Where files that should be parallel line by line stop being so."""

from __future__ import annotations

import numpy as np
import pytest

from spacy_xlt.errors import XltError
from spacy_xlt.readers.lines import first_misfit, read_parallel


def lengths(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Lines of two languages, of which one needs a little more room."""
    rng = np.random.default_rng(0)
    first = rng.integers(20, 200, n)
    return first, (first * rng.normal(1.15, 0.1, n)).astype(int)


@pytest.mark.parametrize("line", [60, 200, 350])
def test_line_that_one_side_lacks_is_found_by_lengths_alone(line):
    first, second = lengths(400)
    found = first_misfit(first[:-1], np.delete(second, line - 1))
    assert found is not None and abs(found - line) <= 5


def test_nothing_is_found_where_all_lines_fit_or_the_last_ones_are_missing():
    first, second = lengths(400)
    assert first_misfit(first, second) is None and first_misfit(first[:390], second[:390]) is None
    assert first_misfit(first[:1], second[:1]) is None and first_misfit(first, first) is None


def test_error_of_files_that_are_not_parallel_has_counts_and_place(tmp_path):
    first, second = lengths(300)
    (tmp_path / "a").write_text("\n".join("x" * n for n in first))
    (tmp_path / "b").write_text("\n".join("x" * n for n in np.delete(second, 99)))
    with pytest.raises(
        XltError, match=r"a has 300 and .*b has 299 lines; they stop fitting each other near line (9|10)\d\."
    ):
        list(read_parallel([tmp_path / "a", tmp_path / "b"]))
