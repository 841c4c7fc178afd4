"""Taurus: the final statistics as CSV and XML. Its kpi.jtl is JMeter's format.

`throughput` is the number of requests, not a rate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from xml.parsers import expat

from doorbuster.errors import UsageError
from doorbuster.importers.format import Format
from doorbuster.importers.input_file import InputFile
from doorbuster.importers.options import ImportOptions
from doorbuster.importers.results import Label, Provenance, Summary
from doorbuster.importers.run_builder import RunBuilder
from doorbuster.importers.tables import header_of, table_blocks

_FORMAT = Provenance(tool="Taurus", format="Taurus final statistics", precision="summary", times=False)


def _is_csv(head: bytes) -> bool:
    return {"throughput", "succ", "fail", "avg_rt"} <= set(header_of(head, ","))


def _read_csv(file: InputFile, run: RunBuilder, _: ImportOptions) -> None:
    run.begin(file.path, _FORMAT)
    for block in table_blocks(file, delimiter=",", names=None, skip=run.skip):
        for values in zip(*(block.text(name) for name in block.names), strict=True):
            _add(run, dict(zip(block.names, values, strict=True)))


def _is_xml(head: bytes) -> bool:
    return b"<FinalStatus" in head[:4096]


def _read_xml(file: InputFile, run: RunBuilder, _: ImportOptions) -> None:
    run.begin(file.path, _FORMAT)
    reader = _GroupReader(run)
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        for chunk in file.chunks():
            parser.Parse(chunk)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise UsageError(
            f"{file.path}:{error.lineno}: the XML is cut off or damaged; export it again"
        ) from error


class _GroupReader:
    """Collects the values of each <Group>."""

    def __init__(self, run: RunBuilder) -> None:
        self._run = run
        self._row: dict[str, str] | None = None
        self._text = ""
        self._parameter = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """A group, or a value in it."""
        self._text = ""
        if name == "Group":
            self._row = {"label": attributes.get("label", "")}
        elif self._row is not None:
            self._parameter = attributes.get("param", "")
            if "value" in attributes:
                self._row[f"{name}_{self._parameter}" if self._parameter else name] = attributes["value"]

    def text(self, data: str) -> None:
        """Part of a value."""
        if len(self._text) < 1000:
            self._text += data

    def end(self, name: str) -> None:
        """The end of a value or of a group."""
        if self._row is None:
            return
        if name == "Group":
            _add(self._run, self._row)
            self._row = None
        elif self._text.strip():
            self._row.setdefault(f"{name}_{self._parameter}" if self._parameter else name, self._text.strip())


def _add(run: RunBuilder, row: Mapping[str, str]) -> None:
    succeeded, failed = _number(row.get("succ")), _number(row.get("fail"))
    if succeeded is None or failed is None:
        run.skip(1, f"The row of {row.get('label', '')[:60]!r} has no counts and was left out.")
        return
    percentiles = {}
    for key, value in row.items():
        place, seconds = _number(key.removeprefix("perc_").replace("_", ".")), _number(value)
        if key.startswith("perc_") and place is not None and seconds is not None:
            percentiles[place] = seconds * 1e3
    run.add_summary(
        Summary(
            label=Label("", "", row.get("label") or "all requests", ""),
            n=int(succeeded + failed),
            failed=int(failed),
            mean_ms=_ms(row.get("avg_rt")),
            min_ms=percentiles.pop(0.0, None),
            max_ms=percentiles.pop(100.0, None),
            percentiles_ms=percentiles,
        )
    )


def _ms(text: str | None) -> float | None:
    seconds = _number(text)
    return None if seconds is None else seconds * 1e3


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


FORMATS = (
    Format("taurus-csv", "Taurus", "Taurus final statistics, CSV", _is_csv, _read_csv),
    Format("taurus-xml", "Taurus", "Taurus final statistics, XML", _is_xml, _read_xml),
)
