"""All formats, and which of them a file has."""

from __future__ import annotations

from doorbuster.errors import UsageError
from doorbuster.importers.format import Format
from doorbuster.importers.formats import (
    artillery,
    gatling,
    generic,
    hdr,
    jmeter,
    json_reports,
    k6,
    locust,
    printed_reports,
    small_tools,
    taurus,
    vegeta,
)
from doorbuster.importers.input_file import InputFile

FORMATS: tuple[Format, ...] = (
    *vegeta.FORMATS,
    *gatling.FORMATS,
    *k6.FORMATS,
    *jmeter.FORMATS,
    *locust.FORMATS,
    *hdr.FORMATS,
    *small_tools.FORMATS,
    *json_reports.FORMATS,
    *artillery.FORMATS,
    *printed_reports.FORMATS,
    *taurus.FORMATS,
    *generic.FORMATS,
)


def find_format(name: str) -> Format:
    """The format of this name. Raises: UsageError for an unknown one."""
    for form in FORMATS:
        if form.name == name:
            return form
    raise UsageError(f"unknown format {name!r}; use one of {', '.join(form.name for form in FORMATS)}")


def detect_format(file: InputFile) -> Format:
    """The format of a file, by its content.

    Raises: UsageError that shows how the file begins and what can be read.
    """
    head = file.head.removeprefix(b"\xef\xbb\xbf")
    for form in FORMATS:
        if form.matches(head):
            return form
    lines = "\n".join(f"  {form.name:<18} {form.description}" for form in FORMATS)
    raise UsageError(
        f"{file.path}: the format is not recognised; the file begins with "
        f"{_shown(head)}.\nFormats that can be "
        f"read:\n{lines}\nForce one with --as FORMAT, or describe the columns of a table with "
        "--map FILE.yaml."
    )


def _shown(head: bytes) -> str:
    start = head[:60]
    printable = sum(32 <= byte < 127 or byte in b"\t\r\n" for byte in start)
    if printable < 0.8 * len(start):
        return f"the bytes {start[:16].hex(' ')}"
    return ascii(start.decode("ascii", "replace"))
