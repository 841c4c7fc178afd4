"""Objects that exist once per event loop, because greenlets may share them and threads may not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import gevent
import gevent.monkey

T = TypeVar("T")


def one_per_hub(make: Callable[[Any], T]) -> Callable[[], T]:
    """A function that returns the running hub's object; `make` gets the hub and is called once per hub."""
    here = gevent.monkey.get_original("threading", "local")()

    def own() -> T:
        hub = gevent.get_hub()
        found: tuple[Any, T] | None = getattr(here, "found", None)
        if found is None or found[0] is not hub:
            found = here.found = (hub, make(hub))
        return found[1]

    return own
