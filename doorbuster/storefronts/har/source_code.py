"""Recorded values as Python source: whatever a recording holds becomes a literal, never code.

Characters that cannot be seen are escaped, so that the source reads as it runs.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Sequence
from typing import Any

MAX_LINE = 100
_NOT_IN_A_NAME = re.compile(r"[^a-z0-9]+")


class Code(str):
    """An expression of the drafted driver, without backslashes and double quotes: f-strings hold it."""

    __slots__ = ()


def text_literal(text: str) -> str:
    """A string as a literal in double quotes."""
    return f'"{_escaped(text)}"'


def pattern_literal(pattern: str) -> str:
    """A regular expression as a raw literal where it can be one."""
    for quote in ('"', "'"):
        if quote not in pattern and pattern.isprintable() and not pattern.endswith("\\"):
            return f"r{quote}{pattern}{quote}"
    return text_literal(pattern)


def text_of(parts: Sequence[str]) -> str:
    """Texts and `Code` joined: a literal, an f-string, or the code itself if there is nothing else."""
    wanted = [part for part in parts if part]
    if len(wanted) == 1 and isinstance(wanted[0], Code):
        return str(wanted[0])
    if not any(isinstance(part, Code) for part in wanted):
        return text_literal("".join(wanted))
    inner = (
        f"{{{part}}}" if isinstance(part, Code) else _escaped(part).replace("{", "{{").replace("}", "}}")
        for part in wanted
    )
    return f'f"{"".join(inner)}"'


def literal(value: Any) -> str:
    """A JSON scalar as a literal. Raises: TypeError for anything else."""
    if isinstance(value, str):
        return text_literal(value)
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    raise TypeError(f"not a JSON scalar: {type(value).__name__}")


def render(value: Any, leaf: Callable[[str, Any], str], *, indent: int = 8, name: str = "") -> str:
    """A JSON value as source, over several lines if it is long. leaf: the source of a named scalar."""
    if not isinstance(value, dict | list):
        return leaf(name, value)
    left, right = ("{", "}") if isinstance(value, dict) else ("[", "]")
    rows = (
        [f"{text_literal(str(key))}: {render(one, leaf, indent=indent + 4, name=str(key))}"
         for key, one in value.items()]
        if isinstance(value, dict)
        else [render(one, leaf, indent=indent + 4, name=name) for one in value]
    )  # fmt: skip
    line = f"{left}{', '.join(rows)}{right}"
    if len(line) + indent <= MAX_LINE and "\n" not in line:
        return line
    pad = " " * (indent + 4)
    return left + "".join(f"\n{pad}{row}," for row in rows) + f"\n{' ' * indent}{right}"


def long_text(text: str, indent: int = 4) -> str:
    """A text of several lines, one literal for each."""
    lines = [
        part
        for line in text.splitlines(keepends=True) or [""]
        for part in re.findall(r".{1,80}(?:\s+|$)|.+", line, re.DOTALL)
    ] or [""]
    if len(lines) == 1:
        return text_literal(text)
    pad = " " * indent
    return "(\n" + "".join(f"{pad}{text_literal(line)}\n" for line in lines) + ")"


def comment(text: str, limit: int = 150) -> str:
    """A text fit for one line of a comment or of a terminal."""
    seen = "".join(letter if letter.isprintable() else "?" for letter in text)
    return seen if len(seen) <= limit else f"{seen[:limit]}..."


def identifier(text: str, taken: set[str]) -> str:
    """A new name for a variable, from any text; it is added to `taken`."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text[:60])
    name = _NOT_IN_A_NAME.sub("_", spaced.lower()).strip("_")[:40] or "value"
    name = f"value_{name}" if name[0].isdigit() or keyword.iskeyword(name) else name
    wanted, number = (name if name not in taken or name.endswith("_id") else f"{name}_id"), 2
    while wanted in taken:
        wanted, number = f"{name}_{number}", number + 1
    taken.add(wanted)
    return wanted


def _escaped(text: str) -> str:
    return "".join(
        f"\\{letter}" if letter in '"\\' else letter if letter.isprintable() else _escape(letter)
        for letter in text
    )


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
