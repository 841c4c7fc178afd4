"""What a customer does after a failed attempt of a step: retry, reload, queue, or leave.

Rules:
- A client program retries first (`retries`); the person in front of it (`reloads`) sees only the failure that
  is left when it gives up. Each reload allows all retries again and draws a new patience.
- Every attempt is a request of its own, due at the end of the wait before it.
- A wait never goes past the end of the run: the customer leaves with the outcome of the last attempt instead.
- An expected refusal, such as sold out, is not retried and never reaches this module.
"""

from __future__ import annotations

from math import isfinite
from random import Random
from typing import Protocol

from doorbuster.load.customers.model import CustomerProfile, VisitEnded
from doorbuster.load.exchange import Exchange
from doorbuster.records.outcome import Cause, Outcome
from doorbuster.storefronts import WaitingRoomError

MIN_POLL_S = 0.05  # a waiting room that asks for immediate polling must not cause a busy loop
# Temporary failures: of the network, and of a shop that says it is busy.
RETRYABLE = frozenset(
    {
        "dns", "connect_refused", "connect_timeout", "connect_failed", "proxy", "reset", "closed_early",
        "first_byte_timeout", "total_timeout", "status_5xx", "busy_page", "throttled",
    }
)  # fmt: skip
_RETRYABLE_STATUS = frozenset({408, 425, 429})


def is_retryable(cause: str, last: Exchange | None) -> bool:
    """Whether a client program would retry after this failure; `last` is the last request."""
    return cause in RETRYABLE or (
        last is not None and (last.status >= 500 or last.status in _RETRYABLE_STATUS)
    )


class RetryingCustomer(Protocol):
    """What the policy needs of a customer; `ends_at` is the end of the run. Implemented by `StepRunner`."""

    profile: CustomerProfile
    rng: Random
    ends_at: float
    at_step: str

    def now(self) -> float: ...
    def rest_until(self, at: float) -> None: ...
    def count(self, name: str, at: float) -> None: ...
    def draw_patience_s(self) -> float: ...
    def reloads_pages(self, share_ratio: float) -> bool: ...


class StepRetry:
    """The retries of one step; `wait` is called after each failed attempt.

    until: end of the customer's patience with the page, a reading of `perf_counter`.
    """

    def __init__(self, customer: RetryingCustomer, until: float, *, reload: bool) -> None:
        self.until = until
        self._customer = customer
        self._may_reload = reload
        self._tries = 1
        self._reloads = 0
        self._room_until: float | None = None

    def wait(self, failed_attempt: VisitEnded | WaitingRoomError) -> None:
        """Wait until the next attempt is due.

        Raises: VisitEnded if the customer leaves instead.
        """
        if isinstance(failed_attempt, WaitingRoomError):
            self._queue(failed_attempt)
            return
        if failed_attempt.outcome == Outcome.DROPPED:  # a limit of the generator, not an answer of the shop
            raise failed_attempt
        failure = self._retry(failed_attempt)
        if failure is not None:
            self._reload(failure)

    def _retry(self, failure: VisitEnded) -> VisitEnded | None:
        """Wait for the next retry; returns the failure that the person sees if there is none."""
        customer, profile = self._customer, self._customer.profile
        retries = profile.retries
        if retries is None or self._tries >= retries.attempts or not failure.is_retryable:
            return failure
        backoff_s = retries.backoff_s * 2.0 ** (self._tries - 1)
        wait_s = max(_spread_s(backoff_s, retries.jitter_ratio, customer.rng), failure.retry_after_s)
        at = customer.now() + wait_s
        if at > customer.ends_at or (profile.budget is not None and not profile.budget.spend()):
            return failure
        if at >= self.until:
            customer.rest_until(self.until)
            return VisitEnded(Outcome.ABANDONED, failure.step, Cause.PATIENCE)
        self._tries += 1
        customer.count("retries", at)
        customer.rest_until(at)
        return None

    def _reload(self, failure: VisitEnded) -> None:
        """Wait until the person reloads the page."""
        customer = self._customer
        reloads = customer.profile.reloads
        was_slow = failure.outcome == Outcome.ABANDONED
        if reloads is None or not self._may_reload or self._reloads >= reloads.max_reloads:
            raise failure
        if (was_slow and not reloads.when_slow) or not customer.reloads_pages(reloads.share_ratio):
            raise failure
        wait_s = 0.0 if was_slow else _spread_s(reloads.after_s, reloads.jitter_ratio, customer.rng)
        at = customer.now() + max(wait_s, failure.retry_after_s)
        if at > customer.ends_at:
            raise failure
        self._reloads += 1
        self._send_again("reloads", at)

    def _queue(self, room: WaitingRoomError) -> None:
        """Wait in the waiting room until its next poll."""
        customer = self._customer
        now = customer.now()
        if self._room_until is None:
            self._room_until = now + customer.profile.room_patience(customer.rng)
        poll_after_s = room.poll_after_s if isfinite(room.poll_after_s) else MIN_POLL_S
        at = now + max(poll_after_s, MIN_POLL_S)
        if self._room_until < min(at, customer.ends_at):
            customer.rest_until(self._room_until)
            raise VisitEnded(Outcome.QUEUED_OUT, customer.at_step, Cause.WAITING_ROOM)
        if at > customer.ends_at:
            raise VisitEnded(Outcome.QUEUED_OUT, customer.at_step, Cause.RUN_ENDED)
        self._send_again("queue_polls", at)

    def _send_again(self, counter: str, at: float) -> None:
        """Wait until `at`, with all retries allowed again and a new patience."""
        customer = self._customer
        self._tries = 1
        customer.count(counter, at)
        customer.rest_until(at)
        self.until = at + customer.draw_patience_s()


def _spread_s(wait_s: float, jitter_ratio: float, rng: Random) -> float:
    """The wait, spread uniformly by this ratio to both sides."""
    return wait_s * rng.uniform(1.0 - jitter_ratio, 1.0 + jitter_ratio) if jitter_ratio else wait_s
