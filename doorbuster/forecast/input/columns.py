"""Which columns of a table hold the time, the count and the identity of an order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from doorbuster.errors import UsageError
from doorbuster.forecast.demand_series import Measure
from doorbuster.output import one_line

_TIME_NAMES = (
    "minute", "hour", "timestamp", "datetime", "date_time", "time", "date", "day", "d", "h", "ts", "moment",
    "date_hour_and_minute", "date_hour", "date_+_hour_(yyyymmddhh)", "created_at", "created", "order_date",
    "ordered_at", "order_time", "placed_at", "invoicedate", "invoice_date", "start", "started_at", "nth_day",
)  # fmt: skip
_COUNT_NAMES: dict[Measure, tuple[str, ...]] = {
    "orders": (
        "orders", "order_count", "number_of_orders", "transactions", "purchases", "ecommerce_purchases",
    ),
    "visits": (
        "visits", "sessions", "visitors", "users", "total_users", "active_users", "engaged_sessions",
        "customers", "visit_count", "session_count",
    ),
}  # fmt: skip
_SATURATED = ("saturated", "censored")
_HINTS: dict[Measure, tuple[str, ...]] = {
    "orders": ("order", "invoice", "purchase", "transaction", "basket"),
    "visits": ("session", "visit", "user", "customer"),
}
NTH_DAY = "nth_day"


@dataclass(frozen=True, slots=True)
class HistoryOptions:
    """What the user stated about the files; None: recognised from the file."""

    measure: Measure | None = None
    time_column: str | None = None
    count_column: str | None = None
    id_column: str | None = None
    table: str | None = None
    date_format: str | None = None
    time_zone: str | None = None

    @property
    def named_columns(self) -> tuple[str, ...]:
        """The columns that the user named; all columns are needed if one of them must be found."""
        if self.time_column is None or (self.count_column is None and self.id_column is None):
            return ()
        named = (self.time_column, self.count_column, self.id_column)
        return tuple(name for name in named if name is not None)


@dataclass(frozen=True, slots=True)
class ColumnChoice:
    """Places of the columns. Without `counts`, a row is one event, or one identity if `identity` is given."""

    time: int
    counts: tuple[tuple[Measure, int], ...]
    identity: int | None
    saturated: int | None
    event: Measure
    is_nth_day: bool = False


def choose_columns(file: str, columns: Sequence[str], options: HistoryOptions) -> ColumnChoice:
    """The columns to read.

    Raises: UsageError if one is missing or cannot be recognised.
    """
    names = [_plain(name) for name in columns]
    time = _place(file, columns, options.time_column, "--time-column")
    if time is None:
        time = _first(names, _TIME_NAMES)
    if time is None:
        raise UsageError(
            f"{file}: no column is recognised as the time; name it with --time-column. It has: "
            f"{one_line(', '.join(columns), 160)}"
        )
    identity = _place(file, columns, options.id_column, "--id-column")
    counts = _counts(file, columns, names, options) if identity is None else ()
    event: Measure = "orders"
    if not counts:
        event = options.measure or _hinted(file, names, identity)
    return ColumnChoice(time, counts, identity, _first(names, _SATURATED), event, names[time] == NTH_DAY)


def _counts(
    file: str, columns: Sequence[str], names: Sequence[str], options: HistoryOptions
) -> tuple[tuple[Measure, int], ...]:
    named = _place(file, columns, options.count_column, "--count-column")
    if named is not None:
        known = (kind for kind, words in _COUNT_NAMES.items() if names[named] in words)
        return ((options.measure or next(known, None) or _hinted(file, [names[named]], 0), named),)
    found: list[tuple[Measure, int]] = []
    for measure, words in _COUNT_NAMES.items():
        place = _first(names, words)
        if place is not None and options.measure in (None, measure):
            found.append((measure, place))
    return tuple(found)


def _hinted(file: str, names: Sequence[str], identity: int | None) -> Measure:
    """Orders or visits, by the names of the columns."""
    looked_at = names if identity is None else [names[identity]]
    kinds: list[Measure] = [
        kind for kind, words in _HINTS.items() if any(word in name for word in words for name in looked_at)
    ]
    if len(kinds) != 1:
        raise UsageError(
            f"{file}: it is unclear whether it counts orders or visits; add --measure orders or "
            "--measure visits"
        )
    return kinds[0]


def _place(file: str, columns: Sequence[str], wanted: str | None, option: str) -> int | None:
    if wanted is None:
        return None
    lower = [name.lower() for name in columns]
    if wanted.lower() not in lower:
        raise UsageError(f"{option}: {file} has no column {wanted}; it has {', '.join(columns)}")
    return lower.index(wanted.lower())


def _first(names: Sequence[str], wanted: Iterable[str]) -> int | None:
    return next((names.index(name) for name in wanted if name in names), None)


def _plain(name: str) -> str:
    """ "Total users" as total_users."""
    return re.sub(r"\s+", "_", name.strip().strip("\"'").lower())
