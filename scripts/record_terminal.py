"""Run a command in a terminal and write what it printed as a picture (SVG).

    python scripts/record_terminal.py docs/images/transfer.svg -- python -m spacy xlt transfer mine.jsonl ...

The picture has the command, then its output as it stands at the end, colours included: of a bar that moves, its last
state. Needs a terminal of POSIX systems.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import re
import shlex
import struct
import sys
import termios
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

# Rich's SVG names a font on the web, which a page must not load
FONT_FACES = re.compile(r"@font-face\s*\{.*?\}\s*", re.S)


def run(command: list[str], width: int) -> tuple[str, int]:
    """Run a command in a pseudo-terminal, and show its output here, too.

    RETURNS (Tuple[str, int]): What it printed, and its exit status.
    """
    process, terminal = pty.fork()
    if process == 0:
        os.environ.update(TERM="xterm-256color", COLUMNS=str(width))
        os.execvp(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    printed = b""
    while True:
        try:
            read = os.read(terminal, 65536)
        # Linux says so that the other side is closed
        except OSError:
            break
        if not read:
            break
        printed += read
        sys.stdout.buffer.write(read)
        sys.stdout.flush()
    _, status = os.waitpid(process, 0)
    return printed.decode("utf8", "replace"), os.waitstatus_to_exitcode(status)


def lines_of(printed: str) -> list[str]:
    """The lines as they stand at the end: what was written over is gone."""
    lines = printed.replace("\r\n", "\n").split("\n")
    return [next((part for part in reversed(line.split("\r")) if part.strip()), "") for line in lines]


def draw(command: list[str], lines: list[str], *, width: int, title: str) -> str:
    """An SVG of a terminal with a command and its output."""
    console = Console(record=True, width=width, file=StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.assemble(("$ ", "bold green"), (shlex.join(command), "bold")))
    # The picture cuts the last line at its feet
    for line in [*lines, ""]:
        console.print(Text.from_ansi(line))
    return FONT_FACES.sub("", console.export_svg(title=title))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="SVG to write")
    parser.add_argument("--width", type=int, default=110, help="columns of the terminal")
    parser.add_argument("command", nargs="+", help="after --")
    args = parser.parse_args()
    printed, status = run(args.command, args.width)
    if status:
        sys.exit(f"The command ended with {status}: nothing was written.")
    lines = lines_of(printed.rstrip())
    args.output.write_text(draw(args.command, lines, width=args.width, title="spacy_xlt"), encoding="utf8")


if __name__ == "__main__":
    main()
