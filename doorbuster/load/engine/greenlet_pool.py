"""Reuses greenlets: each runs the journey of one customer, then of the next.

Starting and ending a greenlet costs a sixth of a new customer with one request; half of that is the kernel's,
which maps memory for the frames and unmaps it. So a greenlet whose customer has left waits for another one.

Rules:
- A greenlet is in Locust's group of users only while it has a customer: Locust counts, names, stops and kills
  customers as usual. Killing the greenlet ends the customer, which knows then that the `GreenletExit` it gets
  is not its journey's own; the greenlet is not reused.
- Each customer starts with fresh context variables. What code stores per greenlet (`gevent.local`) stays.
- At most `MAX_IDLE` greenlets are idle, so that the memory of a peak is released.
"""

from __future__ import annotations

from contextvars import copy_context
from typing import Any

import gevent

from doorbuster.load.customers.customer import Customer

MAX_IDLE = 200


class GreenletPool:
    """The greenlets of one worker's customers; `group` is Locust's group of users."""

    def __init__(self, group: Any) -> None:
        self._group = group
        self._idle: list[_PooledGreenlet] = []
        self._hub = gevent.get_hub()

    def start(self, customer: Customer) -> None:
        """Run the customer's journey as soon as the event loop is free; counted as a user from now on."""
        greenlet = self._take()
        if greenlet is None:
            greenlet = _PooledGreenlet(self, customer)
            self._group.start(greenlet)
        else:
            greenlet.customer = customer
            self._group.add(greenlet)
            self._hub.loop.run_callback(greenlet.switch)
        customer.runs_in(greenlet, self._group)

    def end_idle(self) -> None:
        """End the greenlets without a customer."""
        while self._idle:
            self._idle.pop().kill(block=False)

    def wait_for_customer(self, greenlet: _PooledGreenlet) -> bool:
        """Wait for the greenlet's next customer; returns False at once if enough greenlets are idle."""
        self._group.discard(greenlet)
        if len(self._idle) >= MAX_IDLE:
            return False
        self._idle.append(greenlet)
        while greenlet.customer is None:
            self._hub.switch()
        return True

    def _take(self) -> _PooledGreenlet | None:
        while self._idle:
            greenlet = self._idle.pop()
            if not greenlet.dead:  # it may have been killed while it was idle
                return greenlet
        return None


class _PooledGreenlet(gevent.Greenlet):  # type: ignore[misc]
    """One greenlet; `customer` is None while it is idle."""

    def __init__(self, pool: GreenletPool, customer: Customer) -> None:
        super().__init__()
        self._pool = pool
        self.customer: Customer | None = customer
        self.rawlink(_PooledGreenlet._on_end)

    @property
    def args(self) -> tuple[Customer, ...]:
        """Where Locust looks for the user in a greenlet."""
        return () if self.customer is None else (self.customer,)

    def kill(self, *how: Any, **options: Any) -> Any:
        """As gevent's, for the customer to know."""
        if self.customer is not None:
            self.customer.is_stopped = True
        return super().kill(*how, **options)

    def _run(self) -> None:
        context = copy_context()
        while self.customer is not None:
            self.customer.run_journey()
            self.customer = None
            self.gr_context = context.copy()
            if not self._pool.wait_for_customer(self):
                return

    def _on_end(self) -> None:
        """Drop the customer if the greenlet was killed, even before the journey began."""
        if self.customer is not None:
            self.customer.drop()
            self.customer = None
