"""The border of everything that is written: terminals, logs, files."""

from doorbuster.output.printable import clean, exception_text, flat, named_exception, one_line
from doorbuster.output.secret_masking import masked
from doorbuster.output.streams import (
    is_screen,
    lost_output,
    open_console,
    protect_streams,
    say,
    say_lines,
    say_wrapped,
)

__all__ = [
    "clean",
    "exception_text",
    "flat",
    "is_screen",
    "lost_output",
    "masked",
    "named_exception",
    "one_line",
    "open_console",
    "protect_streams",
    "say",
    "say_lines",
    "say_wrapped",
]
