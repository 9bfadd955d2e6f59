"""Words in other letters: how each is written, and which words of a document are."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path

from spacy.tokens import Doc, Token

from .docs import with_words
from .engine import invalid_setting
from .errors import error
from .romanisation import check_uroman, language_code, romanised_word
from .textfiles import text_lines

# What a word becomes
Writer = Callable[[str], str]
# Whether a token is written in other letters
Choice = Callable[[Token], bool]
# In a table, before letters that begin a word and behind those that end it
_BEGINNING, _END = "^", "$"


def transliterated(doc: Doc, write: Writer, chosen: Choice | None = None, *, asked: Doc | None = None) -> Doc:
    """The same document in other letters; itself where there is nothing to change.

    Tokens stay tokens, with every annotation, also of spans and of the document, and what is stored with it.

    Args:
        doc: The document.
        write: What a word becomes; see `writer`.
        chosen: Which tokens; see `choice`. All where left out.
        asked: The same tokens for `chosen` to look at, where something else has annotated them.
    """
    old = [token.text for token in doc]
    tokens = doc if asked is None else asked
    words = [write(token.text) if chosen is None or chosen(token) else token.text for token in tokens]
    if words == old:
        return doc
    new = with_words(doc, words)
    # Extensions of tokens and spans are stored by their places in the text, which is another one now
    kept = {key: value for key, value in doc.user_data.items() if isinstance(key, str) or key[2:] == (None, None)}
    new.user_data.update(kept)
    return new


def writer(*, table: str | Path | None = None, lang: str | None = None, strip_marks: bool = False) -> Writer:
    """How words are written: in Latin letters with the package uroman, or as a table says.

    A word of which nothing would be left stays as it is.

    Args:
        table: File of a table; see `read_table`.
        lang: For Latin letters: the language, where its own way to read letters matters (Ukrainian "г" is "h").
        strip_marks: For Latin letters: also take the marks off, "São" → "Sao".

    Raises:
        XltError: E010 for an unknown language, E106 where uroman is missing, E150 for `strip_marks` with a table;
            E502, E577 and others as `read_table`.
    """
    if table is not None:
        if strip_marks:
            raise invalid_setting("transliterate", "strip_marks", True, "false, as the table says what is written")
        return _writer_of(read_table(table))
    check_uroman("Text in Latin letters", otherwise=", or set `table`")
    return partial(romanised_word, lang=language_code(lang), strip_marks=strip_marks)


def choice(
    *, words: str | Path | None = None, tags: Sequence[str] | None = None, others: bool = False
) -> Choice | None:
    """Which tokens are written in other letters; None for all.

    Args:
        words: File with the words, white space between them, in upper or lower case.
        tags: Parts of speech, tags and entity labels, of which a token has one.
        others: All tokens but those that are in the file or have such a tag.

    Raises:
        XltError: E150 for `others` by itself, E502 and E568 for a file that is not there or has no words; E513, E106
            and E535 as `text_lines`.
    """
    if words is None and not tags:
        if others:
            raise invalid_setting("transliterate", "others", True, "false where neither `words` nor `tags` is set")
        return None
    listed = frozenset() if words is None else _read_words(words)
    wanted = frozenset(tags or ())

    def is_chosen(token: Token) -> bool:
        is_named = _normal(token.text) in listed or not wanted.isdisjoint(tags_of(token))
        return is_named != others

    return is_chosen


def tags_of(token: Token) -> set[str]:
    """What a token is, as far as that is known: its part of speech, its tag, the label of its entity."""
    return {token.pos_, token.tag_, token.ent_type_} - {""}


def read_table(path: str | Path) -> dict[str, str]:
    """Read which letters become which: on each line a letter or several, a tab, and what is written for them.

    What is written may be nothing. `^` before letters stands for the beginning of a word and `$` behind them for its
    end. Where all letters are in lower case, those of the text are read so, and upper case is carried over; else the
    table is taken by its word. Lines that begin with # and have no tab are comments.

    Returns:
        Letters → what is written, in the form NFC of Unicode.

    Raises:
        XltError: E502 where there is no file, E577 for a line of another form, E568 for a file without letters; E513,
            E106 and E535 as `text_lines`.
    """
    path = _existing(path, "table")
    rules: dict[str, str] = {}
    for number, line in text_lines(path):
        if not line.strip() or (line.startswith("#") and "\t" not in line):
            continue
        letters, *written = (unicodedata.normalize("NFC", cell.strip()) for cell in line.split("\t"))
        reason = ""
        if len(written) != 1:
            reason = f"it has {len(written) + 1} columns"
        elif not _bare(letters):
            reason = "there are no letters before the tab"
        elif any(map(str.isspace, letters + written[0])):
            reason = "there is a space inside, and a word stays one word"
        elif rules.get(letters, written[0]) != written[0]:
            reason = f"{letters!r} is there before, as {rules[letters]!r}"
        if reason:
            raise error("E577", path=path, line=number, reason=reason)
        rules[letters] = written[0]
    if not rules:
        raise error("E568", path=path, what="letters")
    return rules


def _writer_of(rules: Mapping[str, str]) -> Writer:
    """Writes words by the rules of a table, of which the one with the most letters goes first."""
    ordered = sorted(rules, key=lambda letters: (len(_bare(letters)), len(letters)), reverse=True)
    pattern = re.compile("|".join(f"({_pattern(letters)})" for letters in ordered))
    results = [rules[letters] for letters in ordered]
    says_case = any(letters != letters.lower() for letters in ordered)

    @lru_cache(maxsize=1 << 15)
    def write(word: str) -> str:
        text = unicodedata.normalize("NFC", word)
        # Letter by letter, so that places stay: there are letters that are two in lower case
        lowered = text if says_case else "".join(low if len(low := c.lower()) == 1 else c for c in text)
        # "Љ" begins "Љиг", and may be all of a name's initial: "Lj"
        is_upper = text.isupper() and sum(map(str.isupper, text)) > 1
        parts, at = [], 0
        for match in pattern.finditer(lowered):
            new = results[int(match.lastindex or 0) - 1]
            if text[match.start()] != lowered[match.start()]:
                new = new.upper() if is_upper else new[:1].upper() + new[1:]
            parts += [text[at : match.start()], new]
            at = match.end()
        made = "".join([*parts, text[at:]])
        return made if parts and made.strip() else word

    return write


def _pattern(letters: str) -> str:
    before = r"\A" if letters.startswith(_BEGINNING) else ""
    behind = r"\Z" if letters.endswith(_END) else ""
    return before + re.escape(_bare(letters)) + behind


def _bare(letters: str) -> str:
    return letters.removeprefix(_BEGINNING).removesuffix(_END)


def _read_words(path: str | Path) -> frozenset[str]:
    path = _existing(path, "list of words")
    words = frozenset(word for _, line in text_lines(path) for word in _normal(line).split())
    if not words:
        raise error("E568", path=path, what="words")
    return words


def _existing(path: str | Path, what: str) -> Path:
    if not Path(path).exists():
        raise error("E502", what=what, path=path)
    return Path(path)


def _normal(text: str) -> str:
    return unicodedata.normalize("NFC", text).lower()
