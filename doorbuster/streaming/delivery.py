"""Delivers updates to one receiver in a thread of its own, through a bounded queue.

Rules of this module:
- `put` never waits. When the queue is full, the oldest update is lost; values are cumulative, so the next
  one still carries the totals, and only the resolution of the time before it suffers.
- An update is tried again with growing pauses while its receiver is unavailable; a refused one is lost.
- Every loss is counted, with the first reason.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import asdict, dataclass, replace
from time import monotonic

from doorbuster.output import masked, one_line
from doorbuster.streaming.metric import Update
from doorbuster.streaming.output import Output, ReceiverUnavailable, UpdateRefused
from doorbuster.units import format_count, format_counted

QUEUE_UPDATES = 60
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 8.0
LAST_SEND_S = 1.0  # for an update that is being sent when the time is over
TOO_SLOW = "the receiver was slower than the updates"
MAX_REASON = 200


@dataclass(frozen=True, slots=True)
class DeliveryTally:
    """How many updates of a run reached one receiver. `receiver` names it without secrets.

    `is_known` is False when the process that counted them was killed.
    """

    receiver: str
    delivered: int = 0
    lost: int = 0
    reason: str = ""
    is_known: bool = True

    @property
    def sentence(self) -> str:
        """The tally for readers."""
        if not self.is_known:
            return f"{self.receiver}: the number of lost updates is unknown: {self.reason}"
        updates = format_counted(self.delivered + self.lost, "update")
        if not self.lost:
            return f"{self.receiver}: {updates} sent, none lost"
        why = f"; first reason: {self.reason}" if self.reason else ""
        return f"{self.receiver}: {format_count(self.lost)} of {updates} lost{why}"

    def to_json(self) -> dict[str, object]:
        return asdict(self)


class Delivery:
    """The queue and the thread of one receiver."""

    def __init__(self, receiver: str, output: Output, *, queue_updates: int = QUEUE_UPDATES) -> None:
        self._output = output
        self._queue: deque[Update] = deque()
        self._limit = queue_updates
        self._tally = DeliveryTally(receiver)
        self._changed = threading.Condition()
        self._give_up_at = float("inf")
        self._ends = False
        self._thread = threading.Thread(target=self._work, name=receiver, daemon=True)

    def start(self) -> None:
        """Open the receiver and begin to deliver. Raises: UsageError when it cannot be opened."""
        self._output.open()
        self._thread.start()

    def put(self, update: Update) -> None:
        """Queue an update; never waits."""
        with self._changed:
            if len(self._queue) >= self._limit:
                self._queue.popleft()
                self._count_loss(TOO_SLOW)
            self._queue.append(update)
            self._changed.notify()

    def tally(self) -> DeliveryTally:
        """The tally now."""
        with self._changed:
            return self._tally

    def end(self, *, within_s: float) -> None:
        """Expect no further updates; try to deliver what is queued for this long at most."""
        with self._changed:
            self._ends = True
            self._give_up_at = monotonic() + within_s
            self._changed.notify()

    def finish(self) -> DeliveryTally:
        """Wait for the time that `end` allowed; what is still queued counts as lost."""
        self._thread.join(max(0.0, self._give_up_at - monotonic()) + LAST_SEND_S)
        with self._changed:
            for _ in range(len(self._queue)):
                self._count_loss("the run ended before they could be delivered")
            self._queue.clear()
            return self._tally

    # ---- inside

    def _work(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._ends)
                if not self._queue or monotonic() > self._give_up_at:
                    break
                update = self._queue[0]
            try:
                self._output.send(update)
            except ReceiverUnavailable as error:
                with self._changed:
                    self._note(str(error))
                    remaining_s = self._give_up_at - monotonic()
                    self._changed.wait_for(lambda: False, timeout=max(0.0, min(pause_s, remaining_s)))
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                continue
            except UpdateRefused as error:
                self._done(update, lost=str(error))
            except Exception as error:  # noqa: BLE001  a defect here must not stop the other receivers
                self._done(update, lost=f"internal error, please report it: {type(error).__name__}: {error}")
            else:
                self._done(update)
            pause_s = FIRST_PAUSE_S
        self._output.close()

    def _done(self, update: Update, *, lost: str | None = None) -> None:
        with self._changed:
            if self._queue and self._queue[0] is update:  # otherwise `put` has counted it as lost
                self._queue.popleft()
                if lost is None:
                    self._tally = replace(self._tally, delivered=self._tally.delivered + 1)
                else:
                    self._count_loss(lost)

    def _note(self, reason: str) -> None:
        if self._tally.reason in ("", TOO_SLOW):  # a reason from the receiver is more useful
            self._tally = replace(self._tally, reason=one_line(masked(reason), MAX_REASON))

    def _count_loss(self, reason: str) -> None:
        self._note(reason)
        self._tally = replace(self._tally, lost=self._tally.lost + 1)
