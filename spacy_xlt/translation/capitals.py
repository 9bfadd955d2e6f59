"""Text in capitals, which models hardly know: sent as a sentence, and put back in capitals."""

from __future__ import annotations

from collections.abc import Sequence

from .plain_forms import LETTERS

# Fewer letters may be an abbreviation
_LONG_WORD = 4
# A run of so many words in capitals is no name
_RUN = 4
# The dotless i, as Unicode's SpecialCasing has it
_DOTLESS = ("tr", "az")


def sentence_case(text: str, names: Sequence[tuple[int, int]], *, lang: str) -> tuple[str, bool]:
    """Write words in capitals as a sentence would: names with a capital, the others small.

    Args:
        names: Where names stand in the text, in characters.
        lang: spaCy's code.

    Returns:
        The text, of the same length, and whether all of it was in capitals. It is as it was where it is no such text,
        and has no run of words in capitals.
    """
    if not any(len(word) >= _LONG_WORD and word.isupper() for word in LETTERS.findall(text)):
        return text, False
    words = [match.span() for match in LETTERS.finditer(text)]
    is_capital = [text[start:end].isupper() for start, end in words]
    n_letters = sum(end - start for start, end in words)
    n_capital = sum(map(str.isupper, text))
    # One small letter in ten may be that of "McDONALD"
    is_whole = 2 * n_capital > n_letters and 10 * sum(map(str.islower, text)) <= n_capital
    chosen = _runs(text, words, is_capital) if not is_whole else list(range(len(words)))
    if not any(_is_long(words[i]) for i in chosen):
        return text, False
    result = list(text)
    for n, i in enumerate(chosen):
        start, end = words[i]
        name = next((name for name in names if name[0] <= start < name[1]), None)
        keeps = 1 if name is not None or start == words[0][0] or (n and _ends_sentence(text, start)) else 0
        if name is not None and _is_short(text, start, end, name):
            continue
        lowered = _lower(text[start:end], lang)
        if len(lowered) == end - start:
            result[start + keeps : end] = lowered[keeps:]
    return "".join(result), is_whole


def upper(text: str, *, lang: str) -> str:
    """The text in capitals."""
    if lang in _DOTLESS:
        text = text.replace("i", "İ")
    return text.upper()


def _lower(word: str, lang: str) -> str:
    if lang in _DOTLESS:
        word = word.replace("I", "ı").replace("İ", "i")
    return word.lower()


def _is_long(word: tuple[int, int]) -> bool:
    return word[1] - word[0] >= _LONG_WORD


def _is_short(text: str, start: int, end: int, name: tuple[int, int]) -> bool:
    """Whether a word of a name is likely to be an abbreviation: of one or two letters, or three that are all of it."""
    return end - start < 3 or (end - start == 3 and text[slice(*name)].strip() == text[start:end])


def _ends_sentence(text: str, start: int) -> bool:
    return text[max(0, start - 8) : start].rstrip().endswith((".", "!", "?", "…"))


def _runs(text: str, words: Sequence[tuple[int, int]], is_capital: Sequence[bool]) -> list[int]:
    """The words of long runs of words in capitals, by number."""
    runs: list[list[int]] = [[]]
    for i, (start, _) in enumerate(words):
        if not is_capital[i] or (i and text[words[i - 1][1] : start].strip("'’-").strip()):
            runs.append([])
        if is_capital[i]:
            runs[-1].append(i)
    # A list of abbreviations has commas
    long = (run for run in runs if len(run) >= _RUN and sum(_is_long(words[i]) for i in run) >= _RUN - 1)
    return [i for run in long for i in run]
