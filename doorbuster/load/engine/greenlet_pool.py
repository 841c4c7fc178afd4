"""The greenlets in which customers shop: each carries one customer, then the next.

To start and end a greenlet takes a sixth of what a new customer with one request costs; half of it is the
kernel's, which maps memory for the frames and takes it back. So a greenlet whose customer has left waits for
another one.

Rules:
- A carrier is in Locust's group of users while it has a customer, and only then: Locust counts, names, stops
  and kills customers as it always did. Killed, it ends for good, together with its customer.
- Context variables begin anew with each customer. What code keeps by greenlet (`gevent.local`) does not.
- No more than `MAX_IDLE` wait, so that the memory of a peak is given back.
"""

from __future__ import annotations

from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import gevent

if TYPE_CHECKING:
    from doorbuster.load.customers.visitor import CustomerUser

MAX_IDLE = 200


class GreenletPool:
    """Those of one worker; `group` is Locust's group of users."""

    def __init__(self, group: Any) -> None:
        self._group = group
        self._idle: list[_PooledGreenlet] = []
        self._hub = gevent.get_hub()

    def carry(self, visitor: CustomerUser) -> None:
        """Let the visitor begin as soon as the event loop is free; counted as a user from now on."""
        carrier = self._take()
        if carrier is None:
            carrier = _PooledGreenlet(self, visitor)
            self._group.start(carrier)
        else:
            carrier.visitor = visitor
            self._group.add(carrier)
            self._hub.loop.run_callback(carrier.switch)
        visitor.carried_by(carrier, self._group)

    def stop_worker(self) -> None:
        """End those who carry nobody."""
        while self._idle:
            self._idle.pop().kill(block=False)

    def park(self, carrier: _PooledGreenlet) -> bool:
        """Wait until there is another visitor; returns False at once if enough others do."""
        self._group.discard(carrier)
        if len(self._idle) >= MAX_IDLE:
            return False
        self._idle.append(carrier)
        while carrier.visitor is None:
            self._hub.switch()
        return True

    def _take(self) -> _PooledGreenlet | None:
        while self._idle:
            carrier = self._idle.pop()
            if not carrier.dead:  # somebody may have killed it while it waited
                return carrier
        return None


class _PooledGreenlet(gevent.Greenlet):  # type: ignore[misc]
    """One greenlet. visitor: who is carried; None while it waits."""

    def __init__(self, carriers: GreenletPool, visitor: CustomerUser) -> None:
        super().__init__()
        self._carriers = carriers
        self.visitor: CustomerUser | None = visitor
        self.rawlink(_PooledGreenlet._ended)

    @property
    def args(self) -> tuple[CustomerUser, ...]:
        """Where Locust looks for the user in a greenlet."""
        return () if self.visitor is None else (self.visitor,)

    def _run(self) -> None:
        untouched = copy_context()
        while self.visitor is not None:
            self.visitor.run_journey()
            self.visitor = None
            self.gr_context = untouched.copy()
            if not self._carriers.park(self):
                return

    def _ended(self) -> None:
        """Whoever was carried to here, killed or not even begun, has left."""
        if self.visitor is not None:
            self.visitor.gone()
            self.visitor = None
