"""The interleaved form of `doorbuster compare`: rehearsals that alternate between two builds."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from doorbuster.cli.live_page import LivePage, open_live_page, publish_answer
from doorbuster.cli.options import DEFAULT_LOCUSTFILE
from doorbuster.cli.run_plan import PlanOptions, locust_arguments, plan_run
from doorbuster.cli.run_workflow import find_locustfiles, find_run_scenario, new_run_folder
from doorbuster.cli.series_watch import Look, SeriesWatch, about, wait_for_end
from doorbuster.errors import ExitCode, UsageError
from doorbuster.locust_process import LocustProcess
from doorbuster.output import say
from doorbuster.units import format_duration, parse_duration_s

if TYPE_CHECKING:
    from doorbuster.compare.build_comparison import BuildComparison
    from doorbuster.compare.gating import GateChoice
    from doorbuster.compare.interleaved.session import InterleavedSession
    from doorbuster.compare.load import Analyse
    from doorbuster.compare.metric_comparison import Tolerance
    from doorbuster.live.state import SeriesView, StageView
    from doorbuster.scenario import LocustScenario, Scenario
    from doorbuster.shop_settings import ShopSettings

DEFAULT_PAIRS = 12
_SHOWN_METRICS = 3


@dataclass(frozen=True, slots=True)
class InterleavedOptions:
    """The options of the interleaved form, as given on the command line."""

    scenario: str
    a: str | None
    b: str | None
    a_a: bool
    pairs: int
    budget: str | None
    rehearsal: str | None
    seed: int | None
    locustfile: str | None
    workers: int
    confirm_hosts: tuple[str, ...]
    live: int | None = None

    @property
    def targets(self) -> dict[str, str]:
        """What stands behind each arm; both the same for a comparison of a target with itself.

        Raises: UsageError for options that do not fit together.
        """
        if self.a is None:
            raise UsageError("--run needs --a: a URL, a profile of the embedded shop, or a command")
        if self.a_a:
            if self.b is not None:
                raise UsageError("--a-a compares --a with itself; leave out --b")
            return {"a": self.a, "b": self.a}
        if self.b is None:
            raise UsageError("--run needs --b, or --a-a to compare --a with itself")
        return {"a": self.a, "b": self.b}

    @property
    def budget_s(self) -> float:
        """The budget in s; infinite without one."""
        from doorbuster.capacity.search_settings import positive_option

        return positive_option("--budget", self.budget, parse_duration_s) or float("inf")


@dataclass(frozen=True, slots=True)
class ComparisonSettings:
    """How two builds are compared; every: whether all metrics are printed."""

    gates: GateChoice
    tolerance: Tolerance
    analyse: Analyse
    every: bool


def run_interleaved(given: InterleavedOptions, out: Path | None, settings: ComparisonSettings) -> int:
    """Run the rehearsals, write the comparison and return the exit code."""
    rehearsals = _Rehearsals(given)
    with open_live_page(given.live, rehearsals.base.title) as page:
        return _run(given, rehearsals, page, out, settings)


def _run(
    given: InterleavedOptions,
    rehearsals: _Rehearsals,
    page: LivePage,
    out: Path | None,
    settings: ComparisonSettings,
) -> int:
    from doorbuster.compare.interleaved.session import InterleavedSession
    from doorbuster.compare.interleaved.targets import check_target, open_target

    targets = given.targets
    for arm, text in targets.items():
        check_target(f"--{arm}", text)
    budget_s = given.budget_s
    folder = new_run_folder(out, f"compare-{rehearsals.base.name}")
    most = f"{'' if given.a_a else 'at most '}{given.pairs} pairs of rehearsals{rehearsals.length}"
    say(f"{rehearsals.base.title}: {most}, in {folder}", error=True)
    with ExitStack() as shops:
        urls = {
            text: shops.enter_context(
                open_target(text, rehearsals.shop_settings, folder / f"shop-{number}.log")
            )
            for number, text in enumerate(dict.fromkeys(targets.values()), start=1)
        }

        view = _PairsView(page, given.pairs)

        def rehearse(arm: str, number: int, into: Path) -> None:
            rehearsals.run(urls[targets[arm]], number, into, view.watch(arm, number, into))

        session = InterleavedSession(
            folder,
            rehearse,
            given.pairs,
            budget_s,
            rehearsals.seed,
            settings.gates,
            settings.tolerance,
            settings.analyse,
        )
        interrupted = _run_pairs(session, view, until_decided=not given.a_a)
    comparison = session.compare(sequential=not given.a_a)
    if comparison is None:
        for sentence in session.unhealthy_sentences():
            say(f"left out: {sentence}", error=True)
        say(f"UNDECIDED: only {len(session.healthy_pairs())} healthy pairs, a comparison needs two or more.")
        return int(ExitCode.INTERRUPTED if interrupted else ExitCode.INCONCLUSIVE)
    code = _present(comparison, session, folder, given, settings)
    publish_answer(page, _state(comparison), folder)
    return int(ExitCode.INTERRUPTED) if interrupted else code


def _run_pairs(session: InterleavedSession, view: _PairsView, *, until_decided: bool) -> bool:
    """Run pairs until the question is decided or the budget is spent; whether Ctrl-C ended it."""
    try:
        while session.may_continue():
            session.run_pair()
            found = session.compare(sequential=until_decided)
            say(f"pair {len(session.pairs)} of {session.most}: {_state(found)}", error=True)
            view.add_pair(_state(found))
            if until_decided and found is not None and found.answer != "undecided":
                return False
    except KeyboardInterrupt:
        say("interrupted: comparing the pairs so far", error=True)
        return True
    return False


def _state(found: BuildComparison | None) -> str:
    """The gating metrics in a few words."""
    from doorbuster.compare.wording import change_text, metric_name, short_decision

    if found is None:
        return "a comparison needs two healthy pairs"
    shown = found.gating_metrics[:_SHOWN_METRICS]
    return "; ".join(f"{metric_name(one.metric)} {change_text(one)}, {short_decision(one)}" for one in shown)


def _present(
    comparison: BuildComparison,
    session: InterleavedSession,
    folder: Path,
    given: InterleavedOptions,
    settings: ComparisonSettings,
) -> int:
    from doorbuster.compare.interleaved.noise_floor import noise_floor
    from doorbuster.compare.metric_comparison import Decision
    from doorbuster.compare.render.noise import noise_section, write_noise
    from doorbuster.compare.render.terminal import print_comparison
    from doorbuster.compare.render.write import write_comparison
    from doorbuster.report import print_section

    usable = session.healthy_pairs()
    runs = [pair.a for pair in usable], [pair.b for pair in usable]
    paths = list(write_comparison(comparison, runs, folder, tolerance=settings.tolerance))
    code = int(comparison.exit_code)
    if given.a_a:
        noise = noise_floor(comparison)
        print_section(noise_section(noise, comparison, session.pair_length_s))
        paths.append(write_noise(noise, comparison, session.pair_length_s, folder))
        decided = {Decision.WORSE, Decision.BETTER}
        differs = any(one.decision in decided for one in comparison.gating_metrics)
        code = int(ExitCode.INCONCLUSIVE if differs or comparison.is_blocked else ExitCode.PASS)
    else:
        print_comparison(comparison, every=settings.every)
    for path in paths:
        say(f"{path.suffix[1:]:<5} {path}")
    return code


class _PairsView:
    """Shows the pairs of a comparison while they are made; the estimate is the mean of the pairs so far."""

    def __init__(self, page: LivePage, most: int) -> None:
        self._most = most
        self._pairs: list[str] = []
        self._began_s = time.monotonic()
        self._watch = SeriesWatch(page, self._view, quiet=False)

    def watch(self, arm: str, number: int, folder: Path) -> AbstractContextManager[Look]:
        """Show the rehearsal that is recorded into a folder."""
        from doorbuster.live.state import StageView

        head = f"pair {number} of {self._most}, build {arm}{self._left()}:"
        return self._watch.run(folder, head, lambda: StageView(f"pair {number}", "running", f"build {arm}"))

    def add_pair(self, found: str) -> None:
        """Show what is known after a pair."""
        self._pairs.append(found)
        self._watch.publish()

    def _left(self) -> str:
        done = len(self._pairs)
        each_s = (time.monotonic() - self._began_s) / done if done else 0.0
        return f", at most {about(each_s * (self._most - done))} left" if done else ""

    def _view(self, running: StageView | None) -> SeriesView:
        from doorbuster.live.state import SeriesView, StageView

        done = [StageView(f"pair {at}", "pass", found) for at, found in enumerate(self._pairs, start=1)]
        newest = self._pairs[-1] if self._pairs else "a comparison needs two healthy pairs"
        sentence = f"{len(done)} of at most {self._most} pairs{self._left()}. So far: {newest}"
        return SeriesView("Comparison of two builds", sentence, (*done, running) if running else tuple(done))


class _Rehearsals:
    """Rehearsals of the scenario on the command line; `base` is that scenario."""

    def __init__(self, given: InterleavedOptions) -> None:
        from doorbuster.capacity.search_settings import positive_option

        self._given = given
        self._locustfiles = find_locustfiles(given.locustfile or DEFAULT_LOCUSTFILE)
        self._constant_for_s = positive_option("--rehearsal", given.rehearsal, parse_duration_s)
        self.base = self._plan(None, None)

    @property
    def seed(self) -> int:
        """That of the first pair; each further one has the next."""
        return self.base.seed if self._given.seed is None else self._given.seed

    @property
    def shop_settings(self) -> ShopSettings | None:
        """The settings of the scenario's embedded shop, if it has one."""
        shop = getattr(self.base.target, "shop", None)
        return None if shop is None else shop.settings

    @property
    def length_s(self) -> float | None:
        """The length of a rehearsal without its drain; None where the Locust file decides it."""
        demand = self.base.demand
        return self._constant_for_s or (None if demand is None else demand.duration_s)

    @property
    def length(self) -> str:
        """The length of each rehearsal, as text."""
        return "" if self.length_s is None else f" of {format_duration(self.length_s)} each"

    def _progress(self, passed_s: float) -> str:
        load = "" if self.length_s is None else f", with {format_duration(self.length_s)} of load"
        return f"{passed_s:.0f} s{load}"

    def run(self, url: str, number: int, folder: Path, watch: AbstractContextManager[Look]) -> None:
        """Run rehearsal `number` of a target into a folder; both rehearsals of a pair have the same seed.

        Raises: RunError when nothing was recorded.
        """
        arguments = locust_arguments(
            self._plan(url, self.seed + number - 1),
            folder,
            name="scenario",
            confirm_hosts=self._given.confirm_hosts,
            workers=self._given.workers,
        )
        process = LocustProcess(self._locustfiles, arguments, folder)
        try:
            with watch as look:
                wait_for_end(process, look, self._progress)
        except KeyboardInterrupt:
            process.ask_to_stop()
            process.exit_code()
            raise
        if not (folder / "run.sqlite").exists():
            raise process.failure(f"rehearsal {number} against {url}")

    def _plan(self, url: str | None, seed: int | None) -> Scenario | LocustScenario:
        """The scenario of one rehearsal: its own demand, or a constant rate for the time of --rehearsal.

        Raises: UsageError for an option that has no effect on it.
        """
        from doorbuster.capacity.load_step_scenario import RateLevel, load_step_text
        from doorbuster.scenario import Scenario, read_scenario

        given = self._given
        customers = isinstance(find_run_scenario(given.scenario), Scenario)
        plan = plan_run(
            PlanOptions(
                scenario=given.scenario,
                locustfile=given.locustfile,
                url=url,
                confirm_hosts=given.confirm_hosts,
                seed=seed if customers else given.seed,
                failures_pass=True,
            )
        )
        if self._constant_for_s is None:
            return plan
        if not isinstance(plan, Scenario):
            raise UsageError(
                f"--rehearsal has no effect on {given.scenario}, a plain Locust file: "
                "state its run_time or its demand"
            )
        if url is None:
            return plan
        level = RateLevel(plan.peak_per_s, self._constant_for_s)
        text = load_step_text(plan, [level], url=url, seed=plan.seed)
        return read_scenario(text, file=plan.name).with_source(plan.source_path, text)
