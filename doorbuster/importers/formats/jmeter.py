"""JMeter's JTL, as CSV with any columns and as XML.

Rules of this module:
- Columns are found by their names. Without a header, JMeter's default columns are assumed.
- A transaction controller repeats the samples inside it: only one of the two is counted, samples by default.
- In XML, the samples inside a sampler are its redirects and resources: parts of it that are left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Sequence
from datetime import datetime
from typing import Any
from xml.parsers import expat

import numpy as np

from doorbuster.errors import UsageError
from doorbuster.importers.causes import failure_cause
from doorbuster.importers.format import Format
from doorbuster.importers.input_file import InputFile
from doorbuster.importers.options import ImportOptions
from doorbuster.importers.results import LabelTable, Provenance, RequestBlock
from doorbuster.importers.run_builder import RunBuilder
from doorbuster.importers.tables import (
    TableBlock,
    header_of,
    microseconds,
    numbered,
    numbers,
    required,
    sniff_delimiter,
    table_blocks,
    whole_numbers,
)
from doorbuster.importers.time_stamps import guess_format, parse_times, unix_s

DEFAULT_COLUMNS = (
    "timeStamp",
    "elapsed",
    "label",
    "responseCode",
    "responseMessage",
    "threadName",
    "dataType",
    "success",
    "failureMessage",
    "bytes",
    "sentBytes",
    "grpThreads",
    "allThreads",
    "URL",
    "Latency",
    "IdleTime",
    "Connect",
)
_TRANSACTION = "Number of samples in transaction"
_ROWS_AT_ONCE = 20_000
_KEY_COLUMNS = ("label", "threadName", "responseCode", "success", "responseMessage", "failureMessage")
_DEFAULT_ROW = re.compile(rb"^\d{13},\d+,")


# ---- CSV


def _is_csv(head: bytes) -> bool:
    names = header_of(head)
    return {"timeStamp", "elapsed"} <= set(names) or (
        _DEFAULT_ROW.match(head) is not None and len(header_of(head, ",")) == len(DEFAULT_COLUMNS)
    )


def _read_csv(file: InputFile, run: RunBuilder, options: ImportOptions) -> None:
    run.begin(
        file.path, Provenance(tool="JMeter", format="JMeter CSV", stamp=options.stamp, workload="closed")
    )
    delimiter = sniff_delimiter(file.head)
    named = "elapsed" in header_of(file.head, delimiter)
    if not named:
        run.note("The file has no header; JMeter's default columns were assumed.")
    reader = _CsvReader(run, options, str(file.path))
    for block in table_blocks(
        file, delimiter=delimiter, names=None if named else DEFAULT_COLUMNS, skip=run.skip
    ):
        reader.add(block)
    reader.finish()


class _CsvReader:
    """Turns rows into requests and chooses between transactions and their samples."""

    def __init__(self, run: RunBuilder, options: ImportOptions, path: str) -> None:
        self._run = run
        self._options = options
        self._path = path
        self._known: dict[Hashable, int] = {}
        self._time_format: str | None = None
        self._left_out = 0

    def add(self, block: TableBlock) -> None:
        """The requests of these rows."""
        start_s = self._starts(block)
        elapsed_us = microseconds(required(block, "elapsed"), 1e3)
        if self._options.stamp == "end":
            start_s = start_s - elapsed_us / 1e6
        keep, labels = self._labels(block)
        first_byte = block.numbers("Latency")
        columns = (
            start_s,
            elapsed_us,
            labels,
            whole_numbers(block.numbers("bytes")),
            whole_numbers(block.numbers("sentBytes")),
            None if first_byte is None else np.maximum(microseconds(first_byte, 1e3), 0),
        )
        self._run.add(RequestBlock(*(None if column is None else column[keep] for column in columns)))  # type: ignore[arg-type]
        sampled = block.numbers("SampleCount")
        if sampled is not None and bool((sampled > 1).any()):
            self._run.note(
                "Some rows sum up several samples (statistical sender): their percentiles are unknown."
            )

    def finish(self) -> None:
        """State what was not counted."""
        if self._left_out:
            what = (
                "samples inside transactions"
                if self._options.count_transactions
                else "transactions, which repeat their samples,"
            )
            self._run.note(f"{self._left_out:,} {what} were not counted.")

    def _starts(self, block: TableBlock) -> np.ndarray:
        texts = block.text("timeStamp")
        if self._time_format is None:
            first = texts[0].strip()
            self._time_format = "" if first.lstrip("-").isdigit() else guess_format(first) or "?"
            if self._time_format == "?":
                raise UsageError(
                    f"{self._path}:{block.line}: the time {first[:40]!r} cannot be read; state "
                    "its format with "
                    "time_format in a mapping file (--map)"
                )
            if self._time_format and self._options.zone is None:
                raise UsageError(
                    f"{self._path}:{block.line}: the time {first[:40]!r} has no time zone; add --zone, e.g. "
                    "--zone Europe/London"
                )
        if not self._time_format:
            return unix_s(numbers(texts))
        try:
            return parse_times(texts, self._time_format, self._options.zone)
        except ValueError:
            return np.array([self._time(text) for text in texts])

    def _time(self, text: str) -> float:
        assert self._time_format is not None
        assert self._options.zone is not None
        try:
            return (
                datetime.strptime(text.strip(), self._time_format)
                .replace(tzinfo=self._options.zone)
                .timestamp()
            )
        except ValueError:
            return float("nan")

    def _labels(self, block: TableBlock) -> tuple[np.ndarray, np.ndarray]:
        """Which rows count, and the label of each."""
        marked = numbered(block, _KEY_COLUMNS, self._known, self._marked)
        labels, is_transaction = marked >> 1, (marked & 1).astype(bool)
        if not is_transaction.any() and not self._options.count_transactions:
            return ~is_transaction, labels
        keep = is_transaction if self._options.count_transactions else ~is_transaction
        self._left_out += int((~keep).sum())
        return keep, labels

    def _marked(self, name: str, thread: str, code: str, success: str, message: str, failure: str) -> int:
        """Twice the number of the label, plus one for a transaction."""
        number = label_number(self._run.labels, name, thread, code, success or "true", message, failure)
        return 2 * number + message.startswith(_TRANSACTION)


def label_number(
    labels: LabelTable, name: str, thread: str, code: str, success: str, message: str, failure: str
) -> int:
    """The label of a sample."""
    group = re.sub(r"\s+\d+-\d+$", "", thread)
    if success.strip().lower() in ("true", "1"):
        return labels.number(group, "", name, "")
    status = int(code) if code.isdigit() else 0
    text = f"{code} {message}" if code.startswith("Non HTTP") else failure or message
    cause = failure_cause(status if status >= 400 else 200, text)
    detail = " ".join(filter(None, (code, failure or message)))
    return labels.number(group, "", name, cause, detail[:500])


# ---- XML


def _is_xml(head: bytes) -> bool:
    return b"<testResults" in head[:4096]


def _read_xml(file: InputFile, run: RunBuilder, options: ImportOptions) -> None:
    run.begin(
        file.path, Provenance(tool="JMeter", format="JMeter XML", stamp=options.stamp, workload="closed")
    )
    reader = _XmlReader(run, options)
    parser = expat.ParserCreate()
    parser.buffer_text = False
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _refuse_doctype(file)
    try:
        for chunk in file.chunks():
            parser.Parse(chunk)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        if not reader.samples:
            raise UsageError(
                f"{file.path}:{error.lineno}: is not JMeter XML ({expat.errors.messages[error.code]})"
            ) from error
        run.skip(1, f"Line {error.lineno}: the XML ends early or is damaged; everything before it was read.")
    reader.finish()


def _refuse_doctype(file: InputFile) -> Callable[..., None]:
    def refuse(*_: Any) -> None:
        raise UsageError(f"{file.path}: JMeter writes no DOCTYPE; a file that has one is not read")

    return refuse


class _XmlReader:
    """Follows the nesting of samples: which of them count."""

    def __init__(self, run: RunBuilder, options: ImportOptions) -> None:
        self._run = run
        self._options = options
        self._stack: list[dict[str, Any]] = []
        self._rows: list[tuple[float, float, int, float, float, float]] = []
        self._message: list[str] | None = None
        self._nested = self._repeated = 0
        self.samples = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """A sample, or a part of one."""
        if name in ("httpSample", "sample"):
            self._stack.append({"tag": name, "attributes": attributes, "children": [], "failure": ""})
        elif name == "failureMessage" and self._stack:
            self._message = []

    def text(self, data: str) -> None:
        """Text of a failure."""
        if self._message is not None and sum(map(len, self._message)) < 500:
            self._message.append(data)

    def end(self, name: str) -> None:
        """The end of a sample, or of the text of a failure."""
        if name == "failureMessage" and self._message is not None:
            text = "".join(self._message).strip()
            if self._stack and text and not self._stack[-1]["failure"]:
                self._stack[-1]["failure"] = text
            self._message = None
        elif name in ("httpSample", "sample") and self._stack:
            sample = self._stack.pop()
            counted = self._count(sample)
            if self._stack:
                self._stack[-1]["children"] += counted
            else:
                for one in counted:
                    self._add(one)

    def finish(self) -> None:
        """The rest, and what was not counted."""
        for sample in self._stack:  # a file that was cut off inside a transaction
            for one in sample["children"]:
                self._add(one)
        self._flush()
        if self._nested:
            self._run.note(f"{self._nested:,} redirects and resources inside of samples were not counted.")
        if self._repeated:
            what = (
                "samples inside transactions"
                if self._options.count_transactions
                else "transactions, which repeat their samples,"
            )
            self._run.note(f"{self._repeated:,} {what} were not counted.")

    def _count(self, sample: dict[str, Any]) -> list[dict[str, Any]]:
        """The samples that count: those of a transaction, or a sampler without its parts."""
        children = sample["children"]
        if not sample["attributes"].get("rm", "").startswith(_TRANSACTION):
            self._nested += len(children)
            return [sample]
        if not children:
            self._repeated += not self._options.count_transactions
            return [sample] if self._options.count_transactions else []
        self._repeated += len(children) if self._options.count_transactions else 1
        return [sample] if self._options.count_transactions else children

    def _add(self, sample: dict[str, Any]) -> None:
        self.samples += 1
        get: dict[str, str] = sample["attributes"]
        label = label_number(
            self._run.labels,
            get.get("lb", ""),
            get.get("tn", ""),
            get.get("rc", ""),
            get.get("s", "true"),
            get.get("rm", ""),
            sample["failure"],
        )
        self._rows.append(
            (
                _number(get.get("ts")),
                _number(get.get("t")),
                label,
                _number(get.get("by", "0")),
                _number(get.get("sby", "0")),
                _number(get.get("lt", "0")),
            )
        )
        if len(self._rows) >= _ROWS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        if not self._rows:
            return
        stamp, elapsed, label, received, sent, latency = map(np.array, zip(*self._rows, strict=True))
        self._rows = []
        elapsed_us = microseconds(elapsed, 1e3)
        start_s = unix_s(stamp) - (elapsed_us / 1e6 if self._options.stamp == "end" else 0.0)
        self._run.add(
            RequestBlock(
                start_s,
                elapsed_us,
                label.astype(np.int64),
                whole_numbers(received),
                whole_numbers(sent),
                np.maximum(microseconds(latency, 1e3), 0),
            )
        )


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")


FORMATS: Sequence[Format] = (
    Format(
        "jmeter-csv",
        "JMeter",
        "JMeter JTL as CSV",
        _is_csv,
        _read_csv,
        ("stamp", "count_transactions", "zone"),
    ),
    Format("jmeter-xml", "JMeter", "JMeter JTL as XML", _is_xml, _read_xml, ("stamp", "count_transactions")),
)
