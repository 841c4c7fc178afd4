"""The embedded shop as a scenario starts it: design, settings, and failures injected during the run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from doorbuster.scenario.parsing.diagnostics import Issue, invalid, preview
from doorbuster.scenario.parsing.strict import StrictModel
from doorbuster.scenario.parsing.values import (
    CustomersPerS,
    DurationS,
    Flag,
    OrdersPerS,
    PositiveDurationS,
    Share,
    choice,
    number_schema,
    whole,
)

PROFILES = ("in-house-2004", "replatformed")
PARTS = ("payment", "stock", "search", "recommendations", "reviews", "mail")
ROOM_STYLES = ("cloudflare", "queue-it")
ROOM_STATUSES = (200, 202, 429)
MAX_SEED = 2**63 - 1
MAX_COUNT = 1_000_000
MAX_MERCHANTS = 8
_MERCHANT = re.compile(r"[a-z][a-z0-9-]{0,30}")

Profile = Annotated[
    str, BeforeValidator(choice("profile", PROFILES)), WithJsonSchema({"enum": list(PROFILES)})
]
Part = Annotated[str, BeforeValidator(choice("part", PARTS)), WithJsonSchema({"enum": list(PARTS)})]
Style = Annotated[
    str, BeforeValidator(choice("style", ROOM_STYLES)), WithJsonSchema({"enum": list(ROOM_STYLES)})
]
Workers = Annotated[int, BeforeValidator(whole(1, 256)), number_schema(1, 256, "integer")]
Products = Annotated[int, BeforeValidator(whole(24, 50_000)), number_schema(24, 50_000, "integer")]
Seed = Annotated[int, BeforeValidator(whole(0, MAX_SEED)), number_schema(0, MAX_SEED, "integer")]
Units = Annotated[int, BeforeValidator(whole(0, MAX_COUNT)), number_schema(0, MAX_COUNT, "integer")]
People = Annotated[int, BeforeValidator(whole(1, MAX_COUNT)), number_schema(1, MAX_COUNT, "integer")]
NotifiedBuyers = Annotated[int, BeforeValidator(whole(0, 100)), number_schema(0, 100, "integer")]


def parse_status(raw: object) -> int:
    """A status with which real waiting rooms answer."""
    if isinstance(raw, bool) or raw not in ROOM_STATUSES:
        raise invalid("must be 200, 202 or 429", got=preview(raw))
    return int(str(raw))


Status = Annotated[int, BeforeValidator(parse_status), WithJsonSchema({"enum": list(ROOM_STATUSES)})]


def parse_merchants(raw: object) -> tuple[str, ...]:
    """Two names or more, each once."""
    if (
        not isinstance(raw, list | tuple)
        or not 2 <= len(raw) <= MAX_MERCHANTS
        or len(set(map(str, raw))) < len(raw)
        or not all(isinstance(name, str) and _MERCHANT.fullmatch(name) for name in raw)
    ):
        raise invalid(
            f"must be a list of 2 to {MAX_MERCHANTS} different names of small letters, digits and -, "
            "such as [north, south]",
            got=preview(raw),
        )
    return tuple(raw)


Merchants = Annotated[
    tuple[str, ...],
    BeforeValidator(parse_merchants),
    WithJsonSchema(
        {
            "type": "array",
            "items": {"type": "string", "pattern": f"^{_MERCHANT.pattern}$"},
            "minItems": 2,
            "maxItems": MAX_MERCHANTS,
        }
    ),
]


class PartFault(StrictModel):
    """A service behind the embedded shop that is slow or fails for a while; times are of the run."""

    part: Part = Field(description="The service.", examples=["payment"])
    at_s: DurationS = Field(default=0.0, alias="at", description="When it begins.", examples=["30s"])
    for_s: PositiveDurationS = Field(alias="for", description="How long it lasts.", examples=["20s"])
    slow_s: DurationS = Field(
        default=0.0, alias="slow", description="How much longer each call takes.", examples=["2s"]
    )
    fail_ratio: Share = Field(
        default=0.0, alias="fail", description="Share of the calls that fail.", examples=["30%"]
    )

    @classmethod
    def rules(cls, raw: Mapping[str, Any]) -> Iterator[Issue]:
        if "slow" not in raw and "fail" not in raw:
            yield Issue((), 'needs "slow", "fail" or both')

    @property
    def wire(self) -> dict[str, Any]:
        """As the shop's control route takes it."""
        return {
            "part": self.part,
            "at_s": self.at_s,
            "for_s": self.for_s,
            "slow_s": self.slow_s,
            "fail_ratio": self.fail_ratio,
        }

    @property
    def sentence(self) -> str:
        """What happens, for the log of a run."""
        slow = [f"{self.slow_s:g} s slower"] if self.slow_s else []
        fails = [f"failing for {self.fail_ratio:.0%} of calls"] if self.fail_ratio else []
        return f"{self.part} {' and '.join(slow + fails)} for {self.for_s:g} s"


class WaitingRoomSettings(StrictModel):
    """The waiting room in front of the embedded shop."""

    admit_per_s: CustomersPerS = Field(
        alias="admit", description="Customers let in.", examples=["5 customers/s"]
    )
    active: People | None = Field(default=None, description="Customers inside at once.", examples=[200])
    style: Style | None = Field(
        default=None, description="Vendor whose waiting room is imitated.", examples=["queue-it"]
    )
    status: Status | None = Field(
        default=None, description="HTTP status of the waiting page.", examples=[429]
    )
    poll_s: PositiveDurationS | None = Field(
        default=None, alias="poll", description="Interval at which waiting visitors poll.", examples=["5s"]
    )
    stay_s: PositiveDurationS | None = Field(
        default=None,
        alias="stay",
        description="A visitor who sends no request for this long is removed from the queue.",
        examples=["60s"],
    )


class Shop(StrictModel):
    """The embedded reference shop; settings that are None keep the profile's own value."""

    profile: Profile = Field(description="The design of the shop.", examples=["in-house-2004"])
    workers: Workers | None = Field(
        default=None, description="Pages the shop works on at once.", examples=[4]
    )
    query_time_s: DurationS | None = Field(
        default=None, alias="query_time", description="Time of one database query.", examples=["10ms"]
    )
    warehouse_rate_per_s: OrdersPerS | None = Field(
        default=None,
        alias="warehouse_rate",
        description="Orders the warehouse picks.",
        examples=["5 orders/s"],
    )
    products: Products | None = Field(default=None, description="Products on sale.", examples=[5000])
    seed: Seed | None = Field(
        default=None, description="Seed of the shop's products and stock.", examples=[20041202]
    )
    opening_stock: Units | None = Field(default=None, description="Units of every product.", examples=[5])
    queue_limit: People | None = Field(
        default=None, description="Pages that may wait before the next is turned away.", examples=[64]
    )
    payment_time_s: DurationS | None = Field(
        default=None, alias="payment_time", description="Time of one payment.", examples=["300ms"]
    )
    notify: NotifiedBuyers | None = Field(
        default=None, description="Earlier buyers who are told of a question.", examples=[20]
    )
    sync_lag_s: DurationS | None = Field(
        default=None,
        alias="sync_lag",
        description="Time between master data and the pages.",
        examples=["2s"],
    )
    cold_cache: Flag = Field(
        default=True, description="Whether the shop opens with an empty cache.", examples=[False]
    )
    holding_page_s: PositiveDurationS | None = Field(
        default=None,
        alias="holding_page",
        description="How often the page reloads itself that people see while too many wait.",
        examples=["30s"],
    )
    waiting_room: WaitingRoomSettings | None = Field(
        default=None,
        description="A waiting room in front of the shop.",
        examples=[{"admit": "5 customers/s", "active": 200}],
    )
    merchants: Merchants | None = Field(
        default=None,
        description="Merchants who share the shop's process and workers; each channel names its own.",
        examples=[["north", "south"]],
    )
    faults: tuple[PartFault, ...] = Field(
        default=(),
        description="What breaks behind the shop during the run.",
        examples=[[{"part": "payment", "at": "30s", "for": "20s", "slow": "2s"}]],
    )

    @property
    def settings(self) -> dict[str, Any]:
        """Everything but the profile, as YAML spells it; unset ones are absent."""
        given = {
            "workers": self.workers,
            "query_time": _seconds(self.query_time_s),
            "warehouse_rate": _per_s(self.warehouse_rate_per_s, "orders"),
            "products": self.products,
            "seed": self.seed,
            "opening_stock": self.opening_stock,
            "queue_limit": self.queue_limit,
            "payment_time": _seconds(self.payment_time_s),
            "notify": self.notify,
            "sync_lag": _seconds(self.sync_lag_s),
            "cold_cache": self.cold_cache,
            "holding_page": _seconds(self.holding_page_s),
            "waiting_room": self.waiting_room,
            "merchants": self.merchants,
            "faults": self.faults,
        }
        return {key: value for key, value in given.items() if value is not None}

    @property
    def options(self) -> list[str]:
        """The settings as options of `python -m doorbuster.shop`; those that are None are left out."""
        room = self.waiting_room
        options = {
            "--profile": self.profile,
            "--workers": self.workers,
            "--query-time": _seconds(self.query_time_s),
            "--warehouse-rate": _per_s(self.warehouse_rate_per_s, "orders"),
            "--products": self.products,
            "--seed": self.seed,
            "--opening-stock": self.opening_stock,
            "--queue-limit": self.queue_limit,
            "--payment-time": _seconds(self.payment_time_s),
            "--notify": self.notify,
            "--sync-lag": _seconds(self.sync_lag_s),
            "--merchants": ",".join(self.merchants) if self.merchants else None,
            "--holding-page": _seconds(self.holding_page_s),
            "--waiting-room": _per_s(room.admit_per_s, "customers") if room else None,
            "--waiting-room-active": room.active if room else None,
            "--waiting-room-style": room.style if room else None,
            "--waiting-room-status": room.status if room else None,
            "--waiting-room-poll": _seconds(room.poll_s) if room else None,
            "--waiting-room-stay": _seconds(room.stay_s) if room else None,
        }
        words = [word for name, value in options.items() if value is not None for word in (name, str(value))]
        return words if self.cold_cache else [*words, "--warm-cache"]


def _seconds(value_s: float | None) -> str | None:
    return None if value_s is None else f"{value_s * 1e3:.6f}ms"


def _per_s(rate_per_s: float | None, noun: str) -> str | None:
    return None if rate_per_s is None else f"{rate_per_s:.6f} {noun}/s"
