"""What a customer does about a step that did not work at once: try again, reload, queue, or leave.

Rules:
- A machine tries again underneath (`retries`); the person in front of it (`reloads`) sees only what is left
  when it gives up. Each reload gives the machine all its attempts again, and the person new patience.
- Every attempt is a request of its own, due at the end of the wait before it.
- Nobody waits past the end of the run: who would, leaves with the outcome of the last attempt.
- A refusal that is the shop working correctly (sold out) is nothing to insist on, and never comes here.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from doorbuster.load.customers.model import VisitEnded
from doorbuster.load.http.exchange import Exchange
from doorbuster.records.outcome import Cause, Outcome
from doorbuster.storefronts import WaitingRoomError

if TYPE_CHECKING:
    from doorbuster.load.customers.step_runner import StepRunner

BUDGET_START, BUDGET_MAX = 10.0, 100.0  # retries
SHORTEST_POLL_S = 0.05  # a waiting room that asks to be asked at once must not become a busy loop
# Failures that may pass: of the way to the shop, and of a shop that says it is busy.
RETRYABLE = frozenset(
    {
        "dns", "connect_refused", "connect_timeout", "connect_failed", "proxy", "reset", "closed_early",
        "first_byte_timeout", "total_timeout", "status_5xx", "busy_page", "throttled",
    }
)  # fmt: skip
_RETRYABLE_STATUS = frozenset({408, 425, 429})


def is_retryable(cause: str, last: Exchange | None) -> bool:
    """Whether a machine would try again after this failure, whose last exchange this was."""
    return cause in RETRYABLE or (
        last is not None and (last.status >= 500 or last.status in _RETRYABLE_STATUS)
    )


class RetryBudget:
    """How many retries one worker's customers of a channel may make, in proportion to their requests.

    A bucket of tokens: it starts with BUDGET_START, each first attempt adds `ratio`, it holds BUDGET_MAX at
    most, and a retry takes one. Source: gRPC retry throttling (A6) and the retry budgets of Finagle, with the
    numbers of the published comparison of metastable failures that tests/truth reproduces.
    """

    def __init__(self, ratio: float) -> None:
        self._ratio = ratio
        self._tokens = BUDGET_START

    def earn(self) -> None:
        """A first attempt was made."""
        self._tokens = min(self._tokens + self._ratio, BUDGET_MAX)

    def spend(self) -> bool:
        """Take a retry out; False when there is none left."""
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class StepRetry:
    """One step that did not work at once; `wait` is called after each failed attempt.

    until: when the customer's patience with the page ends, a reading of `perf_counter`.
    """

    def __init__(self, customer: StepRunner, until: float, *, reload: bool) -> None:
        self.until = until
        self._customer = customer
        self._may_reload = reload
        self._tries = 1
        self._reloads = 0
        self._room_until: float | None = None

    def wait(self, failed_attempt: VisitEnded | WaitingRoomError) -> None:
        """Wait until the next attempt is due.

        Raises: VisitEnded when the customer goes instead.
        """
        if isinstance(failed_attempt, WaitingRoomError):
            self._queue(failed_attempt)
            return
        leave = self._retry(failed_attempt)
        if leave is not None:
            self._reload(leave)

    def _retry(self, leave: VisitEnded) -> VisitEnded | None:
        """Wait for the machine's next try; or what the person gets to see when it makes none."""
        customer, errand = self._customer, self._customer.errand
        retries = errand.retries
        if retries is None or self._tries >= retries.attempts or not leave.is_retryable:
            return leave
        wait_s = retries.backoff_s * 2.0 ** (self._tries - 1)
        at = customer.now() + max(_spread_s(wait_s, retries.jitter_ratio, customer.rng), leave.retry_after_s)
        if at > customer.generator.ends_at or (errand.budget is not None and not errand.budget.spend()):
            return leave
        if at >= self.until:
            customer.rest_until(self.until)
            return VisitEnded(Outcome.ABANDONED, leave.step, Cause.PATIENCE)
        self._tries += 1
        customer.count("retries", at)
        customer.rest_until(at)
        return None

    def _reload(self, leave: VisitEnded) -> None:
        """Wait until the person reloads the page."""
        customer = self._customer
        reloads = customer.errand.reloads
        slow = leave.outcome == Outcome.ABANDONED
        if reloads is None or not self._may_reload or self._reloads >= reloads.at_most:
            raise leave
        if (slow and not reloads.when_slow) or not customer.reloads_pages(reloads.share_ratio):
            raise leave
        wait_s = 0.0 if slow else _spread_s(reloads.after_s, reloads.jitter_ratio, customer.rng)
        at = customer.now() + max(wait_s, leave.retry_after_s)
        if at > customer.generator.ends_at:
            raise leave
        self._reloads += 1
        self._tries = 1
        customer.count("reloads", at)
        customer.rest_until(at)
        self.until = at + customer.draw_patience_s()

    def _queue(self, room: WaitingRoomError) -> None:
        """Stand in the waiting room until it wants to be asked again."""
        customer = self._customer
        now = customer.now()
        if self._room_until is None:
            self._room_until = now + customer.errand.room_patience(customer.rng)
        at = now + max(room.poll_after_s, SHORTEST_POLL_S)
        if self._room_until < min(at, customer.generator.ends_at):
            customer.rest_until(self._room_until)
            raise VisitEnded(Outcome.QUEUED_OUT, customer.at_step, Cause.WAITING_ROOM)
        if at > customer.generator.ends_at:
            raise VisitEnded(Outcome.QUEUED_OUT, customer.at_step, Cause.RUN_ENDED)
        self._tries = 1
        customer.count("queue_polls", at)
        customer.rest_until(at)
        self.until = at + customer.draw_patience_s()


def _spread_s(wait_s: float, jitter_ratio: float, rng: Random) -> float:
    """The wait, evenly spread by so much to either side."""
    return wait_s * rng.uniform(1.0 - jitter_ratio, 1.0 + jitter_ratio) if jitter_ratio else wait_s
