"""The shop's command-line options: one table for both commands that start a shop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from doorbuster.shop import settings as defaults
from doorbuster.shop.settings import ROOM_STATUSES, ROOM_STYLES, RoomSettings
from doorbuster.units import parse_duration_s, parse_rate_per_s


def seconds(text: str) -> float:
    """Raises ValueError for anything but a duration with its unit, or 0."""
    return 0.0 if text == "0" else parse_duration_s(text)


def names(text: str) -> tuple[str, ...]:
    """The names in a comma-separated list."""
    return tuple(name.strip() for name in text.split(","))


class ShopOption(NamedTuple):
    """One option: its name, the setting it fills, its parser and its help text.

    `setting` with a dot is one of the waiting room. `read` None is a flag.
    """

    option: str
    setting: str
    read: Callable[[str], Any] | None
    metavar: str
    help: str

    @property
    def name(self) -> str:
        """The parameter name that argparse and click derive."""
        return self.option.removeprefix("--").replace("-", "_")


OPTIONS = (
    ShopOption("--opening-stock", "opening_stock", int, "N",
         "Units of every product, such as 5. Default: by popularity."),
    ShopOption("--queue-limit", "queue_limit", int, "N",
         f"Pages that may wait before the next is turned away (replatformed, holding page), such as 64. "
         f"Default: {defaults.DEFAULT_QUEUE_LIMIT}."),
    ShopOption("--payment-time", "payment_time_s", seconds, "TIME",
         'How long the payment service takes, such as "300ms". Default: 0.'),
    ShopOption("--notify", "notify", int, "N",
         f"Earlier buyers notified of a question, such as 20. Default: {defaults.DEFAULT_NOTIFY}."),
    ShopOption("--merchants", "merchants", names, "NAMES",
         "Merchants who share the shop's process and workers, such as north,south; each has products, stock "
         "and an address of its own. Default: one, without a name."),
    ShopOption("--sync-lag", "sync_lag_s", seconds, "TIME",
         'Time between master data and the pages (replatformed), such as "2s". Default: 0.'),
    ShopOption("--warm-cache", "warm_cache", None, "",
         "Fill the cache before the shop opens (replatformed). Default: the cache is empty at first."),
    ShopOption("--holding-page", "holding_page_s", seconds, "TIME",
         'While more than the queue limit wait, answer 200 with a page that reloads itself every TIME, such '
         'as "30s". Default: no holding page.'),
    ShopOption("--waiting-room", "waiting_room.admit_per_s", parse_rate_per_s, "RATE",
         'Let customers in from a waiting room at this rate, such as "5 customers/s". '
         'Default: no waiting room.'),
    ShopOption("--waiting-room-active", "waiting_room.active", int, "N",
         "Customers inside at once, such as 200. Default: 200."),
    ShopOption("--waiting-room-style", "waiting_room.style", str, "|".join(ROOM_STYLES),
         "Vendor whose waiting room is imitated. Default: cloudflare."),
    ShopOption("--waiting-room-status", "waiting_room.status", int, "|".join(map(str, ROOM_STATUSES)),
         "HTTP status of the waiting room's response. Default: 200."),
    ShopOption("--waiting-room-poll", "waiting_room.poll_s", seconds, "TIME",
         'Interval between a waiting customer\'s polls, such as "5s". Default: 20s.'),
    ShopOption("--waiting-room-stay", "waiting_room.stay_s", seconds, "TIME",
         'Idle time after which a customer has left the shop, such as "5m". Default: 60s.'),
)  # fmt: skip


def settings_from(given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of ShopSettings from option values by name; None means not given.

    Raises ValueError, naming the option, for an invalid value.
    """
    plain: dict[str, Any] = {}
    room: dict[str, Any] = {}
    for option in OPTIONS:
        value = given.get(option.name)
        if value is None or value is False:
            continue
        try:
            read = value if option.read is None else option.read(value)
        except ValueError as error:
            raise ValueError(f"{option.option} {value}: {error}") from error
        of_room, _, name = option.setting.rpartition(".")
        (room if of_room else plain)[name] = read
    if room and "admit_per_s" not in room:
        raise ValueError(
            "a waiting room needs the rate at which customers are let in: add --waiting-room RATE"
        )
    return {**plain, **({"waiting_room": RoomSettings(**room)} if room else {})}
