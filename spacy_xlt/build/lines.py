"""Line-parallel text: see `readers.lines`."""

from ..readers.lines import SEPARATOR, read_line_pairs, split_tokens

__all__ = ["SEPARATOR", "read_line_pairs", "split_tokens"]
