"""Records what Locust's users do, from its `request` and `user_error` events.

Rules of this module:
- One event is one request, with the response time that its client measured. It belongs to the second in which
  it was sent: the workload is closed, so there is no earlier intended start.
- Series: channel = user class, journey = type of request (GET, WSS, ...), step = its name.
- A target that stalls receives no further requests from a closed workload. The counters `answered` and
  `waiting` (requests that waited through a whole second) show such seconds.
- A request whose user was stopped before the answer fires no event; it is counted as `unanswered`.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
import traceback
from collections.abc import Callable
from math import isfinite
from time import perf_counter
from typing import Any
from weakref import WeakKeyDictionary, ref

import gevent
from gevent.lock import BoundedSemaphore
from locust import User
from locust.exception import CatchResponseError

from doorbuster.load.customers.model import Arrival
from doorbuster.load.exchange import RequestFailed
from doorbuster.load.plain_locust.client_guard import ClientGuard, HostNotAllowed
from doorbuster.load.recording.ceiling_delays import count_delays
from doorbuster.load.recording.health import HealthProbe
from doorbuster.load.recording.recorder import Recorder
from doorbuster.load.run_plan import REPORT_INTERVAL_S
from doorbuster.output import masked
from doorbuster.records.batch import Batch, Event, SeriesKey
from doorbuster.records.outcome import Cause, Outcome, RequestOutcome

MAX_EVENTS = 20  # texts of exceptions kept by one process
MAX_NAMES = 5_000  # distinct names of requests; identifiers in names must not fill the run file
MORE_NAMES = "(more names)"
_CAUSES: tuple[tuple[type[BaseException], str], ...] = (
    (HostNotAllowed, "host_not_allowed"),
    (CatchResponseError, "content"),
    (ConnectionRefusedError, "connect_refused"),
    (ConnectionResetError, "reset"),
    (socket.gaierror, "dns"),
    (ssl.SSLError, "tls"),
    (TimeoutError, "total_timeout"),
)
_CAUSES_BY_NAME = {  # classes of requests, urllib3 and geventhttpclient
    "RemoteDisconnected": "closed_early",
    "HTTPConnectionClosed": "closed_early",
    "EmptyResponse": "closed_early",
    "IncompleteRead": "closed_early",
    "ReadTimeout": "total_timeout",
    "ReadTimeoutError": "total_timeout",
    "ConnectTimeout": "connect_timeout",
    "ConnectTimeoutError": "connect_timeout",
    "TooManyRedirects": "too_many_redirects",
}


class RequestRecorder:
    """Records the events of one process until `finish`, and ships a batch each second.

    Args: started_at: the run's zero on `perf_counter`. ship: takes the batches.
    """

    def __init__(
        self,
        environment: Any,
        guard: ClientGuard,
        worker: str,
        started_at: float,
        ship: Callable[[Batch], None],
    ) -> None:
        self._environment = environment
        self.started_at = self._started_at = started_at
        self._ship = ship
        self._recorder = Recorder(worker, started_at=started_at, pause=lambda: gevent.sleep(0))
        self._count = self._recorder.secondary_metrics.count
        self._health = HealthProbe()
        self._series: dict[tuple[str, str, str, str], int] = {}
        self._names: set[str] = set()
        self._texts: set[str] = set()
        self._guard = guard
        guard.on_cut = self._request_cut
        environment.events.request.add_listener(self._on_request)
        environment.events.user_error.add_listener(self._on_user_error)
        self._reporting = BoundedSemaphore(1)
        self._reporter = gevent.spawn(self._report_each_second)

    def finish(self) -> None:
        """Stop recording and ship the last batch."""
        self._environment.events.request.remove_listener(self._on_request)
        self._environment.events.user_error.remove_listener(self._on_user_error)
        self._guard.on_cut = _ignore
        with self._reporting:  # let a report in progress finish
            self._reporter.kill()
        self._report(final=True)
        self._health.stop()

    # ---- visits of open arrivals

    def visit_started(self, arrival: Arrival) -> None:
        """Record the start of a visit, and how late it is."""
        self._recorder.started(self._second(arrival.intended_at), arrival.channel)
        self._recorder.lateness(max(round((perf_counter() - arrival.intended_at) * 1e6), 0))

    def visit_ended(self, arrival: Arrival, outcome: str, step: str, cause: str, *, ended_at: float) -> None:
        """Record how a visit ended."""
        second = self._second(arrival.intended_at)
        self._recorder.customer((second, arrival.channel, arrival.journey, outcome, step, cause, None, None))
        duration_us = round((ended_at - arrival.intended_at) * 1e6)
        self._recorder.secondary_metrics.visit_duration(second, arrival.channel, duration_us)

    def visit_dropped(self, arrival: Arrival, cause: str) -> None:
        """Record a visit that did not start."""
        second = self._second(arrival.intended_at)
        self._recorder.dropped(second, arrival.channel)
        self._recorder.customer(
            (second, arrival.channel, arrival.journey, Outcome.DROPPED, "", cause, None, None)
        )

    # ---- Locust's events

    def _on_request(
        self,
        request_type: Any = "",
        name: Any = "",
        response_time: Any = None,
        response_length: Any = 0,
        exception: Any = None,
        response: Any = None,
        start_time: Any = None,
        url: Any = None,
        **_: Any,
    ) -> None:
        now = perf_counter()
        took_s = _seconds(response_time)
        began = now - took_s
        if isinstance(start_time, int | float):
            stated = now - (time.time() - start_time)
            began = stated if self._started_at <= stated <= now else began
        began = max(began, self._started_at)
        ended = began + took_s
        cause = cause_of(exception, response) if exception else ""
        visit = getattr(_current_user(), "_doorbuster_visit", None)
        intended = began
        if visit is not None:
            if visit.due_at is not None:
                intended, visit.due_at = min(visit.due_at, began), None
            if cause:
                visit.failed(str(name), cause)
        channel = _current_class()
        number = self._number(channel, str(request_type), str(name), cause)
        received = response_length if isinstance(response_length, int) else 0
        row = (number, intended, began, ended, ended, 0, max(received, 0), "")
        self._recorder.steps.append(row)
        if cause:
            status = getattr(response, "status_code", None)
            self._recorder.failure(
                row, _error_text(exception), str(url or ""), status if isinstance(status, int) else 0
            )
        if response_time is None:
            self._count(self._second(began), channel, "untimed")
        self._count(max(self._second(now), 0), channel, "answered")
        self._count_waiting(channel, began, ended)

    def _on_user_error(self, user_instance: Any, exception: Any, tb: Any, **_: Any) -> None:
        user = getattr(user_instance, "user", user_instance)
        visit = getattr(user, "_doorbuster_visit", None)
        if visit is not None:
            visit.raised = True
        self.task_raised(type(user).__name__, exception.with_traceback(tb))

    def task_raised(self, channel: str, exception: BaseException) -> None:
        """Record an exception of a task, or of the constructor of a user."""
        self._count(max(self._second(perf_counter()), 0), channel, "task_exceptions")
        text = "".join(traceback.format_exception(exception)).strip()
        self._event_once(Cause.SCRIPT_EXCEPTION, text, key=f"{channel} {type(exception)} {text[-200:]}")

    def _request_cut(self, started_at: float) -> None:
        """A user was stopped while it waited for an answer."""
        now, channel = perf_counter(), _current_class()
        began = max(started_at, self._started_at)
        self._count(self._second(began), channel, "unanswered")
        self._count_waiting(channel, began, now)
        self._count(self._second(began), channel, "unanswered_ms", max(round((now - began) * 1e3), 0))

    # ---- inside

    def _count_waiting(self, channel: str, began: float, ended: float) -> None:
        """Count the whole seconds through which a request waited."""
        first = self._second(began) + 1
        for second in range(first, self._second(ended)):
            self._count(second, channel, "waiting")

    def _event_once(self, kind: str, text: str, *, key: str) -> None:
        if key in self._texts or len(self._texts) >= MAX_EVENTS:
            return
        self._texts.add(key)
        self._recorder.event(Event(perf_counter() - self._started_at, kind, text))

    def _number(self, channel: str, kind: str, name: str, cause: str) -> int:
        found = self._series.get((channel, kind, name, cause))
        if found is None:
            recorded = name
            name = masked(name)  # by default the URL, query included
            if name not in self._names:
                if len(self._names) >= MAX_NAMES:
                    name = MORE_NAMES
                self._names.add(name)
            outcome = RequestOutcome.FAILED if cause else RequestOutcome.OK
            found = self._recorder.series_number(SeriesKey(channel, kind, name, outcome, cause))
            if name != MORE_NAMES:
                self._series[channel, kind, recorded, cause] = found
        return found

    def _second(self, at: float) -> int:
        return int(at - self._started_at)

    def _report_each_second(self) -> None:
        while True:
            reports = max(int((perf_counter() - self._started_at) / REPORT_INTERVAL_S), 0)
            gevent.sleep(max(self._started_at + (reports + 1) * REPORT_INTERVAL_S - perf_counter(), 0.0))
            self._report(final=False)

    def _report(self, *, final: bool) -> None:
        with self._reporting:
            steps = self._recorder.take_steps()
            second = max(int(perf_counter() - self._started_at) - (0 if final else 1), 0)
            if self._guard.ceiling is not None:
                count_delays(self._guard.ceiling, self._count, second)
            health = self._health.reading(second, _users_here(self._environment.runner))
            self._ship(self._recorder.take(steps, health, final=final))


def cause_of(exception: Any, response: Any) -> str:
    """One word for why a request failed."""
    if isinstance(exception, RequestFailed):  # of doorbuster's own client
        return exception.cause
    for kind, cause in _CAUSES:
        if isinstance(exception, kind):
            return cause
    if not isinstance(exception, BaseException):
        return "content"
    by_name = _CAUSES_BY_NAME.get(type(exception).__name__)
    if by_name is not None:
        return by_name
    status = getattr(response, "status_code", 0)
    if isinstance(status, int) and status >= 400:
        return "status_4xx" if status < 500 else "status_5xx"
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(exception).__name__).lower()


def _error_text(exception: Any) -> str:
    if isinstance(exception, HostNotAllowed):
        return exception.host
    if isinstance(exception, RequestFailed):
        return exception.detail
    return str(exception) or repr(exception)


def _seconds(response_time: Any) -> float:
    """The response time in s; 0 for a request without one."""
    try:
        took_s = float(response_time) / 1e3
    except (TypeError, ValueError):
        return 0.0
    return took_s if isfinite(took_s) and took_s > 0 else 0.0


_user_of: WeakKeyDictionary[Any, ref[User]] = WeakKeyDictionary()
"""The Locust user by greenlet: gevent clears a greenlet's arguments when it is killed."""


def _current_user() -> Any:
    """The Locust user whose greenlet, or one that it spawned, is running; None outside of users."""
    current = gevent.getcurrent()
    known = _user_of.get(current)
    if known is not None:
        return known()
    found = _find_user(current)
    if found is not None:
        _user_of[current] = ref(found)
    return found


def _current_class() -> str:
    """The class of the current user; "" outside of users."""
    user = _current_user()
    return "" if user is None else type(user).__name__


def _find_user(greenlet: Any) -> User | None:
    while greenlet is not None:
        args = getattr(greenlet, "args", None)
        if args and isinstance(args[0], User):
            return args[0]
        parent = getattr(greenlet, "spawning_greenlet", None)
        greenlet = parent() if callable(parent) else None
    return None


def _ignore(_: object) -> None:
    """What happens between two runs is not recorded."""


def _users_here(runner: Any) -> int:
    """Users of this process; a master has none of its own."""
    return len(runner.user_greenlets)
