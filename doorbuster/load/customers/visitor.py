"""A visitor: arrives once, does one journey, and leaves with exactly one outcome.

Rules:
- `arrive` is called before `run_journey`; the journey is the method named by the arrival.
- Whatever happens, `_leave` runs once: outcomes always balance with arrivals.

`StepRunner` says how steps are taken, `Customer` adds what else journeys use.
"""

from __future__ import annotations

import traceback
from typing import Any, ClassVar

import gevent
from gevent.event import Event as Flag
from locust import User

from doorbuster.load.customers.model import CustomerProfile, VisitEnded
from doorbuster.load.customers.step_runner import StepRunner, StorefrontSession
from doorbuster.records.outcome import Cause, Outcome
from doorbuster.storefronts import Rejected


class CustomerUser(StepRunner, User):
    """One visit of one channel, as Locust runs it.

    The order of the bases matters: an object gets the layout of the first.
    """

    abstract = True
    channel: ClassVar[str] = "web"
    _left = False
    _orders = 0
    _faces: dict[str, tuple[CustomerProfile, StorefrontSession]] | None = None
    _awaited: Flag | None = None

    def __init__(self, environment: Any) -> None:
        User.__init__(self, environment)

    def carried_by(self, greenlet: Any, group: Any) -> None:
        """Know the greenlet of the visit and Locust's group, as `User.start` would have it."""
        self._greenlet = greenlet
        self._group = group

    def join(self) -> None:
        """Give way until the visit has ended."""
        if not self._left:
            self._awaited = self._awaited or Flag()
            self._awaited.wait()

    def run_journey(self) -> None:
        """Do the journey, to whatever end."""
        outcome: str = Outcome.SERVED
        step = cause = ""
        try:
            getattr(self, self.arrival.journey)()
        except VisitEnded as leave:
            outcome, step, cause = leave.outcome, leave.step, leave.cause
        except Rejected as refusal:
            outcome, step, cause = Outcome.TURNED_AWAY, self.at_step, refusal.cause
            self._order = None  # the shop worked; there was nothing left to sell
        except gevent.GreenletExit:
            outcome, step, cause = Outcome.DROPPED, self.at_step, self.generator.stop_cause
            raise
        except Exception:  # noqa: BLE001  a bug in a journey must not lose the customer from the count
            outcome, step, cause = Outcome.DROPPED, self.at_step, Cause.SCRIPT_EXCEPTION
            self.generator.script_failed(traceback.format_exc())
        finally:
            self._leave(outcome, step, cause)

    tasks = [run_journey]  # noqa: RUF012  nobody runs it as a task, but Locust warns about users without tasks

    def gone(self) -> None:
        """End the visit as dropped, even if it never began; does nothing if it has ended."""
        self._leave(Outcome.DROPPED, self.at_step, self.generator.stop_cause)

    def _leave(self, outcome: str, step: str, cause: str) -> None:
        if self._left:
            return
        self._left = True
        self.session.close()
        for _, (session, _) in (self._faces or {}).values():
            session.close()
        if outcome == Outcome.DROPPED:
            self._browse = self._order = None
        self.generator.customer_left(self.arrival, (outcome, step, cause, self._browse, self._order))
        self._greenlet = None  # it may carry somebody else from now on
        if self._awaited is not None:
            self._awaited.set()
