"""The border of everything that is written: terminals, logs, files."""

from doorbuster.output.printable import clean, flat, one_line
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
    "flat",
    "is_screen",
    "lost_output",
    "masked",
    "one_line",
    "open_console",
    "protect_streams",
    "say",
    "say_lines",
    "say_wrapped",
]
