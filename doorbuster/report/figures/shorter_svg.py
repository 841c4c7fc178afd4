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
    return f' d="{short}"'


def _one_path(paths: re.Match[str]) -> str:
    """Adjacent paths with the same attributes as one."""
    return f'<path d="{"".join(_PATH.findall(paths[0]))}"{paths[1]}/>'
