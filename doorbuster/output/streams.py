"""Standard output and error, cleaned by `printable.clean`.

- `protect_streams` replaces both streams, so that any writer of the process is safe.
- `say` prints a line of a command; one call is one line, whatever its text contains.
- A reader that leaves (`| head`) ends the output of the command, not the command: what follows is dropped,
  files are written and the exit code is the usual one.
- `open_console` is rich's console for styled output: it writes its own escape codes and cleans the texts.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator
from io import TextIOWrapper
from typing import IO, TYPE_CHECKING, Any, cast

from doorbuster.output.printable import clean, flat

if TYPE_CHECKING:
    from rich.console import Console


class CleanStream(TextIOWrapper):
    """A text stream that cleans what is written; `styled` is the same stream for texts that are clean.

    `lost`: why the rest of the output was not written, such as a full disk; a reader that left is no loss.
    """

    def __init__(self, stream: TextIOWrapper, transform: Callable[[str], str]) -> None:
        # Write through: `styled` shares the buffer, and the order must be kept.
        super().__init__(
            stream.buffer, encoding=stream.encoding, errors="replace",
            line_buffering=stream.line_buffering, write_through=True,
        )  # fmt: skip
        self._transform = transform
        self._replaced = stream  # once collected, it would close the buffer
        self.lost = ""

    def write(self, text: str) -> int:
        self.write_as_is(self._transform(text))
        return len(text)

    def write_as_is(self, text: str) -> int:
        """Write a text that is clean."""
        with self._drops_the_rest():
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with self._drops_the_rest():
            super().flush()

    @contextlib.contextmanager
    def _drops_the_rest(self) -> Iterator[None]:
        """Point the file descriptor to nowhere once it cannot be written, also for child processes."""
        try:
            yield
        except OSError as error:
            if not isinstance(error, BrokenPipeError):
                self.lost = error.strerror or "it cannot be written"
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)

    @property
    def styled(self) -> IO[str]:
        return cast("IO[str]", _Styled(self))


class _Styled:
    """A `CleanStream` whose `write` changes nothing."""

    def __init__(self, stream: CleanStream) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write_as_is(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def protect_streams(transform: Callable[[str], str] = clean) -> None:
    """Clean everything that this process writes to standard output and error from now on."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, TextIOWrapper) and not isinstance(stream, CleanStream):
            stream.flush()
            setattr(sys, name, CleanStream(stream, transform))


def lost_output() -> str:
    """Why the rest of standard output was not written; "" when it was, or nobody wanted it."""
    return sys.stdout.lost if isinstance(sys.stdout, CleanStream) else ""


def say(text: str = "", *, error: bool = False, style: str = "") -> None:
    """Print one line to standard output, or to standard error; `style` as in rich, such as "bold green"."""
    stream = sys.stderr if error else sys.stdout
    if style and stream.isatty():
        open_console(error=error, highlight=False, soft_wrap=True).print(
            flat(text), style=style, markup=False
        )
        return
    stream.write(f"{flat(text)}\n")
    stream.flush()


def say_wrapped(text: str, *, error: bool = False, style: str = "", indent: str = "    ") -> None:
    """Print a text for reading: in a terminal broken between words, elsewhere one line."""
    stream = sys.stderr if error else sys.stdout
    width = shutil.get_terminal_size().columns - 1 if stream.isatty() else 0
    if width <= len(indent) + 1:
        say(text, error=error, style=style)
        return
    for line in textwrap.wrap(flat(text), width, subsequent_indent=indent, break_on_hyphens=False):
        say(line, error=error, style=style)


def say_lines(text: str, *, error: bool = False) -> None:
    """Print a text of several lines, such as a list of problems."""
    for line in text.split("\n"):
        say(line, error=error)


def open_console(*, error: bool = False, **options: Any) -> Console:
    """rich's console on standard output or error; it cleans every text and keeps its own styles."""
    from rich.console import Console

    from doorbuster.output.clean_console import CleanTexts

    stream = sys.stderr if error else sys.stdout
    made = Console(file=stream.styled if isinstance(stream, CleanStream) else stream, **options)
    made.push_render_hook(CleanTexts())
    return made


def is_screen(console: Console) -> bool:
    """Whether a terminal can redraw lines; TERM=dumb and a pipe cannot."""
    return console.is_terminal and not console.is_dumb_terminal and os.environ.get("TERM", "") != ""
