"""The values of the manager's screen; each figure is one value with one interval, for every format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from doorbuster.gate import VerdictStatus
from doorbuster.report.formatting import format_metric
from doorbuster.report.section import Chart, Metric

Tone = Literal["good", "bad", "unsure", "plain"]


@dataclass(frozen=True, slots=True)
class HeadlineFigure:
    """One of the large figures.

    key: its name in summary.json. text: shown in place of a metric, such as "not searched". detail: scope and
    sample, one line. command: to type, where the figure is missing.
    """

    key: str
    label: str
    metric: Metric | None = None
    text: str = ""
    detail: str = ""
    command: str = ""
    tone: Tone = "plain"

    @property
    def value_text(self) -> str:
        """The figure as people read it, without its interval."""
        return self.text if self.metric is None else format_metric(self.metric)


@dataclass(frozen=True, slots=True)
class ChannelChange:
    """The change of a channel's rate against the baseline: `text` with its interval."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """One channel: customers who wanted to order, or to browse where nobody orders, and what became of them.

    wants: what they wanted; could: the share who could; could_browse: None where it is the same.
    """

    channel: str
    wants: Literal["order", "browse"]
    wanted: int
    got: int
    could: Metric
    could_browse: Metric | None = None
    missed_orders: Metric | None = None
    lost_sales: Metric | None = None
    change: ChannelChange | None = None

    @property
    def lost(self) -> int:
        """Customers who wanted to and could not."""
        return self.wanted - self.got


@dataclass(frozen=True, slots=True)
class NextStep:
    """What to do next, and the command for it; `command` is "" where none helps."""

    text: str
    command: str = ""


@dataclass(frozen=True, slots=True)
class Overview:
    """The manager's screen.

    about: rate, what the run stands for, when, which shop. question: that of a section which summarises
    several runs and heads the page instead of the verdict on one of them; "" otherwise. baseline: its name.
    """

    title: str
    about: tuple[str, ...]
    status: VerdictStatus
    sentence: str
    figures: tuple[HeadlineFigure, ...] = ()
    question: str = ""
    chart: Chart | None = None
    channels: tuple[ChannelRow, ...] = ()
    baseline: str = ""
    why: tuple[str, ...] = ()
    fix_first: str = ""
    next_steps: tuple[NextStep, ...] = ()
    confidence: tuple[str, ...] = ()
