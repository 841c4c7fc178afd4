"""Takes a customer's steps: requests within the customer's patience, and think times between them.

Rules:
- A step's clock starts at its *intended* start: the arrival, or the end of the think time. Each retry is a
  request of its own, due at the end of the wait before it (see `retry_policy`).
- A visit that ends early raises `VisitEnded`, so that a journey reads as the visit that succeeds. If the
  journey catches it, every further step raises it again.
- Hot path: allocate nothing per step except the recorded row. The class compiles (`hatch_build.py`), which
  Locust's `User` cannot; `Customer` joins the two. Inner parts are functions, because a compiled class that
  others may extend calls its own methods no faster than Python does.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from random import Random
from time import perf_counter
from typing import Any, Final, TypeVar, cast

import gevent

from doorbuster.load.customers.context import CustomerContext
from doorbuster.load.customers.model import Arrival, CustomerProfile, Sampler, VisitEnded
from doorbuster.load.customers.retry_policy import StepRetry, is_retryable
from doorbuster.load.customers.session import ContentCheckingSession, PageSession
from doorbuster.load.exchange import CurrentStep, Exchange, RequestFailed
from doorbuster.load.http.mypyc_compat import mypyc_attr
from doorbuster.load.recording.recorder import Recorder, StepRow
from doorbuster.load.recording.secondary_metrics import SecondaryMetrics
from doorbuster.load.runtime.sleep_scheduler import SleepScheduler
from doorbuster.load.target.content_errors import content_error
from doorbuster.records.batch import SeriesKey
from doorbuster.records.outcome import GENERATOR_LIMITS, Cause, Outcome, RequestOutcome
from doorbuster.scenario.customers.failure_reactions import WAITING_ROOM
from doorbuster.storefronts import Client, Rejected, Storefront, Visit, WaitingRoomError

T = TypeVar("T")
StorefrontSession = tuple[Any, Storefront]  # the driver's client, and the driver

BROWSE_STEPS: Final = frozenset(("home", "category", "search", "product", "landing"))
# Causes after which the shop has certainly not booked an order; after any other it may have.
REFUSALS: Final = frozenset(
    ("sold_out", "busy_page", "status_4xx", "connect_refused", "dns", "connect_timeout")
)
# A customer with an account signs in before the checkout page or, where there is none, before the order.
_SIGN_IN_STEPS: Final = frozenset(("sign_in", "register"))
_CHECKOUT_STEPS: Final = frozenset(("sign_in", "register", "checkout_page"))
_ENDED_PAUSE_S: Final = 0.1
_TIMEOUTS: Final = frozenset(("first_byte_timeout", "total_timeout", "connect_timeout"))


@mypyc_attr(allow_interpreted_subclasses=True)
class StepRunner:
    """Takes the steps of one customer; `arrive` must be called first.

    at_step: the current step, or the last one. shared: what all customers of the worker share. is_stopped:
    the generator has ended the visit; a `GreenletExit` then comes from there and not from the journey.
    """

    arrival: Arrival
    profile: CustomerProfile
    shared: CustomerContext
    rng: Random
    visit: Visit
    session: Any
    shop: Storefront
    ends_at: float = inf
    at_step: str = ""
    is_stopped: bool = False
    _ended_by: VisitEnded | None = None
    _step: CurrentStep
    _recorder: Recorder
    _secondary_metrics: SecondaryMetrics
    _sleep_scheduler: SleepScheduler
    _patience: Sampler
    _next_at: float = 0.0
    _browse: int | None = None
    _order: int | None = None
    _orders: int = 0
    _in_doubt: bool = False
    _reloads_pages: bool | None = None
    _sent: bool = False
    _sent_campaign: bool = False
    _reached_sign_in: bool = False
    _sent_sign_in: bool = False

    def arrive(self, arrival: Arrival, profile: CustomerProfile, shared: CustomerContext) -> None:
        """Prepare the visit; nothing is sent before the greenlet runs."""
        self.arrival = arrival
        self.shared = shared
        self.ends_at = shared.ends_at
        self._recorder = shared.recorder
        self._secondary_metrics = shared.recorder.secondary_metrics
        self._sleep_scheduler = shared.sleep_scheduler
        self.rng = rng = Random(f"{shared.seed}/{arrival.name}")
        self.profile = profile
        self.visit = visit = profile.visit(arrival.name, rng)
        by_device = profile.patience_by_device
        self._patience = profile.patience if by_device is None else by_device[visit.device]
        self._step = CurrentStep()
        self.session, self.shop = self._open_session(profile)
        self._next_at = arrival.intended_at
        self._order = 0 if profile.wants_order else None

    def _open_session(self, profile: CustomerProfile) -> StorefrontSession:
        """A client and a driver for the profile's channel."""
        shared = self.shared
        endpoint = shared.endpoint(self.arrival.channel)
        session = profile.open_session(endpoint.url, shared.http_settings, self._step)
        shop = profile.driver(
            cast(Client, session),
            channel=profile.channel,
            catalogue=endpoint.catalogue,
            rng=self.rng,
            visit=self.visit,
        )
        return session, shop

    # ---- what journeys use

    def step(self, action: Callable[..., T], *args: Any) -> T:
        """Take one step and return its result; end the visit if the step fails or takes too long.

        Retries, reloads and waiting rooms follow the channel's settings (see `retry_policy`).

        Raises:
            Rejected: an expected refusal, such as sold out; a journey may choose something else.
            VisitEnded: the visit ends; journeys do not catch it.
        """
        until = _patience_ends_at(self)
        try:
            return _attempt(self, action, args, until)
        except (VisitEnded, WaitingRoomError) as failed_attempt:
            first = failed_attempt
        try:
            return _retry_step(self, action, args, first, StepRetry(self, until, reload=True))
        except VisitEnded as ended:
            self._ended_by = ended
            if ended.step in BROWSE_STEPS:
                self._browse = 0  # the customer could not browse, whatever worked before
            raise

    def try_step(self, action: Callable[..., T], *args: Any) -> T | None:
        """Take a step that may fail, such as recommendations; returns None then, and the visit continues.

        The failure is recorded like any other. The customer does not reload a page because of such a part.
        """
        until = _patience_ends_at(self)
        try:
            return _attempt(self, action, args, until)
        except (VisitEnded, WaitingRoomError) as failed_attempt:
            first = failed_attempt
        except Rejected:
            return None
        try:
            return _retry_step(self, action, args, first, StepRetry(self, until, reload=False))
        except (VisitEnded, Rejected) as ended:
            if isinstance(ended, VisitEnded) and ended.outcome == Outcome.DROPPED:
                raise
            now = self._next_at = perf_counter()
            self.count(f"degraded:{action.__name__}", now)
            return None

    def think(self) -> None:
        """Wait for a think time drawn from the channel's distribution.

        In a closed channel it ends with the schedule at the latest, so that the last customer finishes.
        """
        profile = self.profile
        think_s = profile.think(self.rng)
        self._secondary_metrics.think_time(profile.channel, think_s)
        until = self._next_at + think_s
        if profile.is_closed:
            until = min(until, max(self._next_at, self.shared.closes_at))
        self._next_at = until
        self._sleep_scheduler.sleep_until(until)

    @property
    def due_at(self) -> float:
        """When the request that the customer waits for was due; in the future during a think time."""
        return self._next_at

    # ---- what the retry policy uses

    def now(self) -> float:
        """The clock by which the customer waits."""
        return perf_counter()

    def rest_until(self, at: float) -> None:
        """Wait until `at`, a reading of `perf_counter`; the next request is due then."""
        self._next_at = at
        self._sleep_scheduler.sleep_until(at)

    def count(self, name: str, at: float) -> None:
        """Add 1 to a counter of the customer's channel, in the second of `at`."""
        self._secondary_metrics.count(int(at - self.shared.started_at), self.profile.channel, name)

    def draw_patience_s(self) -> float:
        """How long the customer waits for a page that is requested again."""
        return self._patience(self.rng)

    def reloads_pages(self, share_ratio: float) -> bool:
        """Whether this customer reloads pages; the same during the whole visit."""
        if self._reloads_pages is None:
            self._reloads_pages = self.rng.random() < share_ratio
        return self._reloads_pages


def _patience_ends_at(runner: StepRunner) -> float:
    """When the customer abandons a step that starts now; the start also earns a part of a retry.

    Raises: VisitEnded, GreenletExit if the journey goes on after the end of its visit.
    """
    if runner.is_stopped or runner._ended_by is not None:
        gevent.sleep(_ENDED_PAUSE_S)  # a journey that catches everything must not spin
        raise runner._ended_by or gevent.GreenletExit()
    budget = runner.profile.budget
    if budget is not None:
        budget.earn()
    return runner._next_at + runner._patience(runner.rng)


def _retry_step(
    runner: StepRunner,
    action: Callable[..., T],
    args: tuple[Any, ...],
    failed_attempt: VisitEnded | WaitingRoomError,
    retry: StepRetry,
) -> T:
    """Repeat the attempt for as long as the policy allows; raises VisitEnded after that."""
    while True:
        retry.wait(failed_attempt)
        try:
            return _attempt(runner, action, args, retry.until)
        except (VisitEnded, WaitingRoomError) as another:
            failed_attempt = another


def _attempt(runner: StepRunner, action: Callable[..., T], args: tuple[Any, ...], until: float) -> T:
    """One attempt of a step, recorded whatever its result.

    Raises: Rejected if expected; VisitEnded on failure or timeout; WaitingRoomError if put into a queue.
    """
    name = runner.at_step = action.__name__
    profile = runner.profile
    limit_at = runner._next_at + profile.limit_s
    deadline_at = until if until < limit_at else limit_at
    step = runner._step
    step.name = name
    step.deadline_at = deadline_at
    step.exchanges.clear()
    try:
        if profile.paces_steps:
            _wait_for_ceiling(runner, deadline_at)
        result = action(*args)
        if profile.rules is not None:
            _check_content(runner, name)
    except Rejected as refusal:
        if refusal.expected:
            _record_success(runner, name)
            raise
        raise _record_refusal(runner, name, refusal, patience_ended=deadline_at == until) from refusal
    except WaitingRoomError:
        _record_success(runner, WAITING_ROOM)
        raise
    except gevent.GreenletExit:
        if runner.is_stopped:
            _record_failure(runner, name, RequestOutcome.ABANDONED, Cause.INTERRUPTED, "")
        raise
    except Exception as error:
        page = content_error(error, step.exchanges[-1].cause if step.exchanges else None)
        if page is None:
            raise
        raise _record_refusal(runner, name, page, patience_ended=deadline_at == until) from error
    _record_success(runner, name)
    if profile.loads_assets:
        _load_assets(runner)
    return result


def _load_assets(runner: StepRunner) -> None:
    """Fetch the static assets of the step's pages, within the customer's patience.

    The customer reads the page when they are there. A missing asset does not end the visit.
    """
    session, profile, recorder = cast(PageSession, runner.session), runner.profile, runner._recorder
    assets = session.missing_assets()
    if not assets:
        return
    runner._step.exchanges.clear()
    exchanges = session.fetch_assets(assets, due_at=runner._next_at)
    runner.shared.count_connections(exchanges)
    for asset, exchange in zip(assets, exchanges, strict=True):
        if exchange.cause in GENERATOR_LIMITS:  # not sent: the customer did not see the page
            raise VisitEnded(Outcome.DROPPED, runner.at_step, exchange.cause)
        outcome, cause = (RequestOutcome.FAILED if exchange.cause else RequestOutcome.OK), exchange.cause
        if cause in _TIMEOUTS:  # the customer does not wait for it
            outcome, cause = RequestOutcome.ABANDONED, Cause.PATIENCE
        key = SeriesKey(profile.channel, profile.journey, asset.kind, outcome, cause)
        row: StepRow = (
            recorder.series_number(key), exchange.intended_at, exchange.started_at,
            exchange.first_byte_at or exchange.ended_at, exchange.ended_at, exchange.bytes_sent,
            exchange.bytes_received, exchange.request_id,
        )  # fmt: skip
        recorder.steps.append(row)
        if outcome == RequestOutcome.FAILED:
            recorder.failure(row, exchange.detail, exchange.url, exchange.status)
    runner._step.exchanges.clear()
    runner._next_at = perf_counter()


def _wait_for_ceiling(runner: StepRunner, deadline_at: float) -> None:
    """Wait until a step of another protocol than HTTP may send. Raises: Rejected if that takes too long."""
    try:
        runner.shared.ceiling.sends.wait(deadline_at)
    except RequestFailed as refused:
        raise Rejected(refused.cause, refused.detail) from None


def _check_content(runner: StepRunner, name: str) -> None:
    """Apply the scenario's content rules to the last answer. Raises: Rejected if it violates one."""
    rules = runner.profile.rules(name) if runner.profile.rules is not None else ()
    violation = cast(ContentCheckingSession, runner.session).violation(rules)
    if violation is not None:
        runner._in_doubt = True  # the shop may have booked the order all the same
        raise violation


def _record_success(runner: StepRunner, name: str) -> None:
    profile = runner.profile
    number = profile.series_of_step.get(name)
    if number is None:
        key = SeriesKey(profile.channel, profile.journey, name, RequestOutcome.OK, "")
        number = profile.series_of_step[name] = runner._recorder.series_number(key)
    _record(runner, number, inf)
    if runner._browse is None and name in BROWSE_STEPS:
        runner._browse = 1
    runner._next_at = perf_counter()


def _record_refusal(runner: StepRunner, name: str, refusal: Rejected, *, patience_ended: bool) -> VisitEnded:
    """Record the failed attempt; returns how the visit ends unless the customer retries."""
    cause = refusal.cause
    exchanges = runner._step.exchanges
    if cause in GENERATOR_LIMITS:  # not sent: neither a request nor a failure of the shop
        runner._in_doubt = runner._in_doubt or len(exchanges) > 1
        return VisitEnded(Outcome.DROPPED, name, cause)
    last = exchanges[-1] if exchanges else None
    header_s = last.retry_after_s if last is not None else None
    runner._in_doubt = runner._in_doubt or cause not in REFUSALS
    if patience_ended and cause in _TIMEOUTS:
        _record_failure(runner, name, RequestOutcome.ABANDONED, Cause.PATIENCE, refusal.detail)
        return VisitEnded(Outcome.ABANDONED, name, Cause.PATIENCE)
    _record_failure(runner, name, RequestOutcome.FAILED, cause, refusal.detail)
    return VisitEnded(
        Outcome.TURNED_AWAY, name, cause,
        is_retryable=is_retryable(cause, last),
        retry_after_s=max(header_s or 0.0, refusal.retry_after_s or 0.0),
    )  # fmt: skip


def _record_failure(runner: StepRunner, name: str, outcome: str, cause: str, detail: str) -> None:
    """Record a failed or abandoned step; an abandoned one ends when the customer leaves."""
    recorder, profile = runner._recorder, runner.profile
    number = recorder.series_number(SeriesKey(profile.channel, profile.journey, name, outcome, cause))
    row = _record(runner, number, perf_counter() if outcome == RequestOutcome.ABANDONED else inf)
    if outcome == RequestOutcome.FAILED:
        exchanges = runner._step.exchanges
        url, status = (exchanges[-1].url, exchanges[-1].status) if exchanges else ("", 0)
        recorder.failure(row, detail, url, status)


def _record(runner: StepRunner, number: int, left_at: float) -> StepRow:
    """Record the step over all its requests; `left_at` is infinite unless the customer left."""
    recorder, exchanges, intended_at = runner._recorder, runner._step.exchanges, runner._next_at
    if runner.profile.counts_visits and exchanges:
        _note_what_was_sent(runner, exchanges)
    row: StepRow
    if not exchanges:  # no request was sent, or it was interrupted
        ended_at = left_at if left_at < inf else perf_counter()
        row = (number, intended_at, intended_at, ended_at, ended_at, 0, 0, "")
    else:
        first = last = exchanges[0]
        sent, received = first.bytes_sent, first.bytes_received
        if len(exchanges) > 1:
            last = exchanges[-1]
            sent = sum([exchange.bytes_sent for exchange in exchanges])
            received = sum([exchange.bytes_received for exchange in exchanges])
        if first.lenient or last is not first:
            for exchange in exchanges:
                if exchange.lenient:
                    runner.count(f"lenient:{exchange.lenient}", exchange.ended_at)
        if not first.reused or last is not first:
            runner.shared.count_connections(exchanges)
            if first.connect_s:
                runner._secondary_metrics.connects.append((number, intended_at, first.connect_s))
            if last is not first:
                runner._secondary_metrics.subsequent.append((number, intended_at, exchanges[:]))
        if first.server_timing and not len(recorder.steps) % runner._secondary_metrics.stride:
            header = first.server_timing
            if last is not first:
                header = ", ".join([one.server_timing for one in exchanges if one.server_timing])
            runner._secondary_metrics.server_timings.append((number, intended_at, header))
        ended_at = last.ended_at if left_at == inf else left_at
        first_byte_at = first.first_byte_at or ended_at
        row = (
            number, intended_at, first.started_at, first_byte_at, ended_at, sent, received,
            last.request_id,
        )  # fmt: skip
    recorder.steps.append(row)
    return row


def _note_what_was_sent(runner: StepRunner, exchanges: list[Exchange]) -> None:
    """Note whether the visit's requests show the campaign, and whether they reached and took the sign-in."""
    if runner.profile.channel != runner.arrival.channel:
        return
    runner._sent = True
    campaign, name = runner.visit.campaign, runner.at_step
    if campaign and not runner._sent_campaign:
        letters = _letters(campaign)
        for exchange in exchanges:
            if letters in _letters(exchange.url):
                runner._sent_campaign = True
    if runner._order is not None and (name in _CHECKOUT_STEPS or runner._orders):
        runner._reached_sign_in = True
        runner._sent_sign_in = runner._sent_sign_in or name in _SIGN_IN_STEPS


def _letters(text: str) -> str:
    """Letters and digits alone: drivers replace or encode other characters in an address."""
    return "".join([letter for letter in text if letter.isalnum()])


def count_visit(runner: StepRunner) -> None:
    """Count how the visit appeared to the shop, by the requests that it sent."""
    if not runner._sent:
        return
    second, channel = int(runner.arrival.intended_at - runner.shared.started_at), runner.arrival.channel
    for name, holds in (
        ("visits_sent", True),
        (f"device:{runner.visit.device}", bool(runner.visit.device)),
        ("cache_busting", runner._sent_campaign),
        ("reached_sign_in", runner._reached_sign_in),
        ("signed_in", runner._sent_sign_in),
    ):
        if holds:
            runner._secondary_metrics.count(second, channel, name)
