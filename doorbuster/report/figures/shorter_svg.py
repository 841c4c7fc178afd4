"""Drawings in fewer bytes, without a visible difference: matplotlib's SVG shrinks to about a half.

Numbers are cut to a tenth of a point; adjacent shapes of one look become one path.
"""

from __future__ import annotations

import re

_DECIMAL = re.compile(r"-?\d+\.\d+")
_PLACE = re.compile(r' (x|y)="(-?\d+\.\d+)"')
_PATH = re.compile(r' d="([^"]*)"')
_LETTER = re.compile(r" ?([A-Za-z]) ?")
_RECTANGLE = re.compile(r"M([^L ]+) ([^L ]+)L([^L ]+) \2L\3 ([^L ]+)L\1 \4z")
_LINES = re.compile(r"(?:M[^A-Za-z]+|L[^A-Za-z]+|[HV][^A-Za-z]+|z)+")
_COMMAND = re.compile(r"([MLHVz])([^A-Za-z]*)")
_EQUAL_PATHS = re.compile(r'<path d="[^"]*"([^>]*)/>(?:<path d="[^"]*"\1/>)+')
_ID = re.compile(r' id="([^"]+)"')
_REFERENCE = re.compile(r'( id="|"#|url\(#)([^")]+)([")])')
_BACKGROUND = re.compile(r'<path d="[^"]*" style="fill: none"/>')


def shorter_svg(svg: str, element_id: str) -> str:
    """The same drawing; its ids become `element_id` and a number."""
    if "<g " not in svg:  # groups without attributes do nothing
        svg = svg.replace("<g>", "").replace("</g>", "")
    svg = _PLACE.sub(lambda place: f' {place[1]}="{_tenth(place[2])}"', _BACKGROUND.sub("", svg))
    svg = _EQUAL_PATHS.sub(_one_path, _PATH.sub(_short_path, svg))
    numbers = {name: f"{element_id}-{number}" for number, name in enumerate(_ID.findall(svg))}
    return _REFERENCE.sub(lambda found: f"{found[1]}{numbers.get(found[2], found[2])}{found[3]}", svg)


def _tenth(number: str) -> str:
    return f"{float(number):.1f}".removesuffix(".0")


def _short_path(path: re.Match[str]) -> str:
    short = _DECIMAL.sub(lambda number: _tenth(number[0]), path[1])
    short = _LETTER.sub(lambda letter: letter[1], short).strip()
    short = _RECTANGLE.sub(r"M\1 \2H\3V\4H\1z", short)
    return f' d="{_relative(_straight(short))}"'


def _straight(path: str) -> str:
    """Lines along an axis with one coordinate; those that continue each other are one."""
    if not _LINES.fullmatch(path):
        return path
    found: list[str] = []
    at, before = ["", ""], ["", ""]  # where the pen is, and where its last line began
    for letter, text in _COMMAND.findall(path):
        to = text.split()
        if letter != "L":
            found.append(f"{letter}{text}")
            at = before = {"M": to, "H": [*to, at[1]], "V": [at[0], *to]}.get(letter, ["", ""])
        elif to != at:
            axis = next((axis for axis in (0, 1) if to[1 - axis] == at[1 - axis]), None)
            short = f"L{text}" if axis is None else f"{'HV'[axis]}{to[axis]}"
            if axis is not None and found[-1][0] == "HV"[axis] and _continues(before, at, to, axis):
                found[-1] = short
            else:
                found.append(short)
                before = at
            at = to
    return "".join(found)


def _continues(before: list[str], at: list[str], to: list[str], axis: int) -> bool:
    """Whether the line from `at` runs in the direction of the one before it."""
    if not before[axis]:
        return False
    first, middle, last = (float(place[axis]) for place in (before, at, to))
    return (middle > first) == (last > middle) and middle != first


def _relative(path: str) -> str:
    """Each line by its distance from the last point where that is shorter; tenths add up exactly."""
    if not _LINES.fullmatch(path):
        return path
    found: list[str] = []
    at = start = (0, 0)
    for letter, text in _COMMAND.findall(path):
        if letter == "z":
            found.append("z")
            at = start
            continue
        places = [round(10 * float(number)) for number in text.split()]
        to = {"H": (places[0], at[1]), "V": (at[0], places[0])}.get(letter, tuple(places))
        if len(to) != 2:
            return path
        steps = [end - begin for begin, end in zip(at, to, strict=True)]
        steps = steps[:1] if letter == "H" else steps[1:] if letter == "V" else steps
        short = letter.lower() + " ".join(_tenth(str(step / 10)) for step in steps).replace(" -", "-")
        absolute = f"{letter}{text}"
        found.append(short if found and len(short) < len(absolute) else absolute)
        at = to
        if letter == "M":
            start = at
    return "".join(found)


def _one_path(paths: re.Match[str]) -> str:
    """Adjacent paths with the same attributes as one."""
    return f'<path d="{"".join(_PATH.findall(paths[0]))}"{paths[1]}/>'
