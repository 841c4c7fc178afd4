"""What the library knows about the embedded shop: its settings, services and opening accounts.

`ShopSettings` is the one model of the settings: the scenario's keys, the options of `doorbuster shop` and all
checks derive from its fields, and the shop's process reads it as JSON. The two profiles differ in design
only: the modelled hardware (`workers`, `query_time_s`) is the same, so comparing them compares designs.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from doorbuster.errors import UsageError
from doorbuster.units import parse_duration_s, parse_rate_per_s

PROFILE_NAMES = ("in-house-2004", "replatformed")
DEPENDENCIES = ("payment", "stock", "search", "recommendations", "reviews", "mail")
MAX_MERCHANTS = 8
MERCHANT_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
LOOPBACK_URL = re.compile(r"http://(127\.0\.0\.1|localhost|\[::1\]):\d{1,5}/?")
MAX_SEED = 2**63 - 1
MAX_COUNT = 1_000_000
MAX_FAULT_S = 366 * 86_400.0  # start and duration of an injected fault
MAX_FAULT_DELAY_S = 3_600.0

# The accounts of a new shop: ACCOUNTS members and as many old members, whose password has expired.
ACCOUNTS = 5_000
MEMBER = "member-{:06d}@example.com"
OLD_MEMBER = "old-member-{:06d}@example.com"
OPENING_PASSWORD = "larkspur-and-finch"  # noqa: S105  of invented people

Kind = Literal[
    "whole", "duration", "rate", "choice", "flag", "merchants", "waiting room", "text", "path", "file", "url"
]


@dataclass(frozen=True, slots=True)
class Setting:
    """What one setting may be and what it means; bounds are in the unit of the field."""

    kind: Kind
    help: str
    example: Any = None
    low: float = 0
    high: float = 0
    choices: tuple[str | int, ...] = ()
    counts: str = ""  # what a rate counts
    default_text: str = ""  # the default in words, where the value does not say it
    in_scenario: bool = True

    def problem(self, value: Any) -> str | None:
        """The rule that a value breaks, such as "must be 1..256"; None if it breaks none."""
        if self.kind == "choice":
            return None if value in self.choices else f"must be one of {', '.join(map(str, self.choices))}"
        if self.kind == "merchants":
            different = len(set(value)) == len(value) != 1 and len(value) <= MAX_MERCHANTS
            named = all(isinstance(name, str) and MERCHANT_NAME.fullmatch(name) for name in value)
            return None if different and named else f"must be 2..{MAX_MERCHANTS} different names"
        if self.kind == "url":
            return None if LOOPBACK_URL.fullmatch(value) else "must be http:// and a port of this machine"
        if self.kind in ("whole", "duration", "rate"):
            unit = {"duration": " s", "rate": "/s"}.get(self.kind, "")
            inside = self.low <= value <= self.high
            return None if inside else f"must be {self.low:.15g}..{self.high:.15g}{unit}"
        return None

    def shown(self, value: Any) -> str:
        """A value as people write it: "10ms", "5 orders/s"."""
        if self.kind == "duration":
            return f"{value * 1e3:g}ms" if 0 < value < 1 else f"{value:g}s"
        return f"{value:g} {self.counts}/s" if self.kind == "rate" else str(value)

    def from_option(self, text: str) -> Any:
        """The value of a command-line option. Raises ValueError."""
        if self.kind == "duration":
            return 0.0 if text == "0" else parse_duration_s(text)
        if self.kind == "rate":
            return parse_rate_per_s(text, counts=self.counts)
        if self.kind == "merchants":
            return tuple(name.strip() for name in text.split(","))
        if self.kind == "whole" or (self.kind == "choice" and isinstance(self.choices[0], int)):
            return int(text)
        return Path(text) if self.kind in ("path", "file") else text


def _about(*about: Any, **more: Any) -> dict[str, Setting]:
    return {"setting": Setting(*about, **more)}


def scenario_key(name: str) -> str:
    """The YAML key of a field, without its unit: `query_time_s` is `query_time`, `share_ratio` is `share`."""
    return re.sub(r"_(per_s|s|ratio)$", "", name)


def list_settings(model: type) -> dict[str, Setting]:
    """The settings of ShopSettings or WaitingRoomSettings by field name."""
    return {one.name: one.metadata["setting"] for one in dataclasses.fields(model)}


def _problems(model: Any, prefix: str = "") -> Iterator[str]:
    for one in dataclasses.fields(model):
        value = getattr(model, one.name)
        rule = None if value is one.default else one.metadata["setting"].problem(value)
        if rule is not None:
            shown = f"{value:g}" if isinstance(value, float) else value
            shown = ", ".join(map(str, value)) if isinstance(value, tuple) else shown
            yield f"{prefix}{scenario_key(one.name)} {rule} (got {shown})"


# fmt: off
@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingRoomSettings:
    """The waiting room in front of the embedded shop."""

    admit_per_s: float = field(metadata=_about(
        "rate", "Rate at which customers are admitted.", "5 customers/s", 0.001, 10_000, counts="customers"))
    active: int = field(default=200, metadata=_about(
        "whole", "Customers inside at once.", 200, 1, MAX_COUNT))
    style: str = field(default="cloudflare", metadata=_about(
        "choice", "Vendor whose waiting room is imitated.", "queue-it", choices=("cloudflare", "queue-it")))
    status: int = field(default=200, metadata=_about(
        "choice", "Status code of the waiting page.", 429, choices=(200, 202, 429)))
    poll_s: float = field(default=20.0, metadata=_about(
        "duration", "Interval at which waiting visitors poll.", "5s", 0.1, 600))
    stay_s: float = field(default=60.0, metadata=_about(
        "duration", "A visitor who sends no request for this long is removed from the queue.",
        "60s", 1, 7_200))


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopSettings:
    """One shop to start. Raises UsageError for values that cannot work, all of them at once."""

    profile: str = field(default="replatformed", metadata=_about(
        "choice", "Design of the shop.", "in-house-2004", choices=PROFILE_NAMES))
    host: str = field(default="127.0.0.1", metadata=_about(
        "text", "Address to listen on.", in_scenario=False))
    port: int = field(default=0, metadata=_about(
        "whole", "Port to listen on; 0 takes any free one.", None, 0, 65_535, in_scenario=False))
    folder: Path | None = field(default=None, metadata=_about(
        "path", "Folder of the database.", default_text="a temporary folder", in_scenario=False))
    reuse: bool = field(default=False, metadata=_about(
        "flag", "Keep the database found in the folder.", default_text="make a new one", in_scenario=False))
    access_log: Path | None = field(default=None, metadata=_about(
        "file", "File to which an access log is appended, as JSON lines with nginx's names.",
        default_text="no log", in_scenario=False))
    workers: int = field(default=4, metadata=_about(
        "whole", "Database workers, i.e. pages processed concurrently.", 4, 1, 256))
    query_time_s: float = field(default=0.010, metadata=_about(
        "duration", "Time a database worker spends per query.", "10ms", 0, 10))
    warehouse_rate_per_s: float = field(default=5.0, metadata=_about(
        "rate", "Rate at which orders are picked.", "5 orders/s", 0, 10_000, counts="orders"))
    products: int = field(default=5_000, metadata=_about("whole", "Products on sale.", 5000, 24, 50_000))
    seed: int = field(default=20041202, metadata=_about(
        "whole", "Seed of products and stock.", 20041202, 0, MAX_SEED))
    opening_stock: int | None = field(default=None, metadata=_about(
        "whole", "Units of every product.", 5, 0, MAX_COUNT, default_text="in proportion to popularity"))
    queue_limit: int = field(default=64, metadata=_about(
        "whole", "Pages that may wait before the next is turned away (replatformed) or gets the holding "
        "page.", 64, 1, MAX_COUNT))
    payment_time_s: float = field(default=0.0, metadata=_about(
        "duration", "Time of one payment.", "300ms", 0, 60))
    payment_slots: int | None = field(default=None, metadata=_about(
        "whole", "Payments that the payment service handles at once; others wait.", 2, 1, MAX_COUNT,
        default_text="any number"))
    stock_lock_time_s: float = field(default=0.0, metadata=_about(
        "duration", "Time for which each order holds the only lock on the stock.", "50ms", 0, 10))
    page_cpu_s: float = field(default=0.0, metadata=_about(
        "duration", "Processor time that the shop's process spends on each answer.", "5ms", 0, 10))
    max_connections: int | None = field(default=None, metadata=_about(
        "whole", "Connections open at once; others wait until one is closed.", 100, 1, MAX_COUNT,
        default_text="no limit"))
    otlp_endpoint: str | None = field(default=None, metadata=_about(
        "url", "Receiver of OpenTelemetry spans, for requests with a sampled traceparent.",
        "http://127.0.0.1:4318", default_text="no spans are sent"))
    notify: int = field(default=5, metadata=_about(
        "whole", "Earlier buyers who are notified of a question.", 20, 0, 100))
    sync_lag_s: float = field(default=0.0, metadata=_about(
        "duration", "Time until changes of prices, texts and stock reach the pages (replatformed).",
        "2s", 0, 3_600))
    warm_cache: bool = field(default=False, metadata=_about(
        "flag", "Fill the cache before the shop opens (replatformed).", True, default_text="an empty cache"))
    holding_page_s: float | None = field(default=None, metadata=_about(
        "duration", "While more pages wait than the queue limit allows, answer 200 with a page that reloads "
        "itself this often.", "30s", 0.1, 600, default_text="no holding page"))
    waiting_room: WaitingRoomSettings | None = field(default=None, metadata=_about(
        "waiting room", "A waiting room in front of the shop.", {"admit": "5 customers/s", "active": 200}))
    merchants: tuple[str, ...] = field(default=(), metadata=_about(
        "merchants", "Merchants who share the shop's process and workers; each has its own products, stock "
        "and address.", ["north", "south"], default_text="one, without a name"))
    # fmt: on

    def __post_init__(self) -> None:
        problems = list(_problems(self))
        if self.waiting_room is not None:
            problems += _problems(self.waiting_room, "waiting room: ")
        if problems:
            raise UsageError("the shop cannot start: " + "; ".join(problems))

    def to_json(self) -> str:
        """One line, as the shop's process reads it."""
        return json.dumps(dataclasses.asdict(self), default=str) + "\n"

    @classmethod
    def from_json(cls, text: str) -> ShopSettings:
        """The settings in a JSON object; those it leaves out have their defaults. Raises UsageError."""
        try:
            given = json.loads(text)
            if given.get("waiting_room"):
                given["waiting_room"] = WaitingRoomSettings(**given["waiting_room"])
            for name in ("folder", "access_log"):
                if given.get(name):
                    given[name] = Path(given[name])
            return cls(**{**given, "merchants": tuple(given.get("merchants", ()))})
        except (AttributeError, TypeError, ValueError) as error:
            raise UsageError(f"the settings must be a JSON object of ShopSettings ({error})") from error
