"""What can be set about one shop: its design, the hardware it is modelled on, its warehouse and its data.

The two profiles differ in design only. The modelled hardware (`workers`, `query_time_s`) is the same for
both, so that a comparison of the two is a comparison of designs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from doorbuster.errors import UsageError

PROFILE_NAMES = ("in-house-2004", "replatformed")
LOOPBACK = "127.0.0.1"
DEFAULT_WORKERS = 4
DEFAULT_QUERY_TIME_S = 0.010
DEFAULT_WAREHOUSE_RATE_PER_S = 5.0
DEFAULT_SEED = 20041202
DEFAULT_PRODUCTS = 5_000
DEFAULT_QUEUE_LIMIT = 64
DEFAULT_NOTIFY = 5
MAX_MERCHANTS = 8
ROOM_STYLES = ("cloudflare", "queue-it")
ROOM_STATUSES = (200, 202, 429)
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSettings:
    """`admit_per_s` customers are let in, at most `active` are inside; `status` is of the answer to wait."""

    admit_per_s: float
    active: int = 200
    style: str = "cloudflare"
    status: int = 200
    poll_s: float = 20.0
    stay_s: float = 60.0

    def problems(self) -> list[str]:
        rules = (
            (not 0 < self.admit_per_s <= 10_000, f"admit must be > 0..10000/s (got {self.admit_per_s:g})"),
            (self.active < 1, f"active must be >= 1 (got {self.active})"),
            (
                self.style not in ROOM_STYLES,
                f"style must be one of {', '.join(ROOM_STYLES)} (got {self.style})",
            ),
            (self.status not in ROOM_STATUSES, f"status must be 200, 202 or 429 (got {self.status})"),
            (not 0.1 <= self.poll_s <= 600, f"poll must be 0.1..600 s (got {self.poll_s:g})"),
            (not 1 <= self.stay_s <= 7_200, f"stay must be 1..7200 s (got {self.stay_s:g})"),
        )
        return [f"waiting room: {text}" for bad, text in rules if bad]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopSettings:
    """One shop to start; `port` 0 takes any free port, `folder` None a temporary one.

    `opening_stock` gives every product the same number of units (None: in proportion to its popularity).
    `queue_limit` is how many pages may wait for a database worker before the replatformed shop turns the next
    one away; the in-house shop has no such limit, by design. `reuse` keeps the database found in the folder.
    `payment_time_s` is how long the payment service takes. `notify` earlier buyers are told of a question.
    `waiting_room` stands in front of all customers; `holding_page_s` is how often the page reloads itself
    that people see while more than `queue_limit` wait. `warm_cache` fills the cache before the shop opens.
    `sync_lag_s` lies between master data and the pages of the replatformed shop. `merchants` share this one
    process and its workers, each with products, stock and an address of its own; none: one nameless merchant.
    """

    profile: str = "replatformed"
    host: str = LOOPBACK
    port: int = 0
    folder: Path | None = None
    workers: int = DEFAULT_WORKERS
    query_time_s: float = DEFAULT_QUERY_TIME_S
    warehouse_rate_per_s: float = DEFAULT_WAREHOUSE_RATE_PER_S
    seed: int = DEFAULT_SEED
    products: int = DEFAULT_PRODUCTS
    opening_stock: int | None = None
    queue_limit: int = DEFAULT_QUEUE_LIMIT
    payment_time_s: float = 0.0
    waiting_room: RoomSettings | None = None
    holding_page_s: float | None = None
    warm_cache: bool = False
    notify: int = DEFAULT_NOTIFY
    sync_lag_s: float = 0.0
    reuse: bool = False
    merchants: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        problems = [text for bad, text in self._rules() if bad]
        problems += self.waiting_room.problems() if self.waiting_room else []
        if problems:
            raise UsageError("the shop cannot start: " + "; ".join(problems))

    def _rules(self) -> tuple[tuple[bool, str], ...]:
        return (
            (
                self.profile not in PROFILE_NAMES,
                f"profile must be one of {', '.join(PROFILE_NAMES)} (got {self.profile})",
            ),
            (not 0 <= self.port <= 65535, f"port must be 0..65535 (got {self.port})"),
            (not 1 <= self.workers <= 256, f"workers must be 1..256 (got {self.workers})"),
            (
                not 0 <= self.query_time_s <= 10,
                f"query_time_s must be 0..10 s (got {self.query_time_s:g})",
            ),
            (
                not 0 <= self.warehouse_rate_per_s <= 10_000,
                f"warehouse_rate_per_s must be 0..10000 (got {self.warehouse_rate_per_s:g})",
            ),
            (not 24 <= self.products <= 50_000, f"products must be 24..50000 (got {self.products})"),
            (
                self.opening_stock is not None and self.opening_stock < 0,
                f"opening_stock must be >= 0 (got {self.opening_stock})",
            ),
            (
                not 0 <= self.payment_time_s <= 60,
                f"payment_time_s must be 0..60 s (got {self.payment_time_s:g})",
            ),
            (
                self.holding_page_s is not None and not 0.1 <= self.holding_page_s <= 600,
                f"holding_page_s must be 0.1..600 s (got {self.holding_page_s})",
            ),
            (not 0 <= self.notify <= 100, f"notify must be 0..100 (got {self.notify})"),
            (not 0 <= self.sync_lag_s <= 3600, f"sync_lag_s must be 0..3600 s (got {self.sync_lag_s:g})"),
            (self.queue_limit < 1, f"queue_limit must be >= 1 (got {self.queue_limit})"),
            (
                len(set(self.merchants)) < len(self.merchants)
                or len(self.merchants) > MAX_MERCHANTS
                or not all(_NAME.fullmatch(name) for name in self.merchants),
                f"merchants must be 1..{MAX_MERCHANTS} different names (got {self.merchants})",
            ),
        )
