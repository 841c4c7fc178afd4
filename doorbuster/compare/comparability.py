"""Whether runs may be compared: same scenario, generator and machine, healthy, delivered, seeds not mixed up.

A blocking issue explains a difference that is not the build's, so nothing can be decided without overruling
it. A caution is shown, and the decision stands.

Rules of this module:
- What the comparison is about may differ: URL, profile and settings of the shop, and the thresholds.
- Runs of one seed share their arrivals. When every run of one build has one seed and every run of the other
  build another, the arrivals differ exactly as the builds do, and scatter between runs does not show it. One
  run against one is different: its interval covers other arrivals.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from doorbuster.gate.validity import validity_issues
from doorbuster.records.metadata import RunMeta
from doorbuster.records.reader import Run
from doorbuster.scenario.parsing.document import read_document
from doorbuster.units import format_duration

_MAY_DIFFER = ("title", "story", "thresholds", "seed", "safety")
_MAY_DIFFER_OF_TARGET = ("url", "shop")
_SHOWN_DIFFERENCES = 3
_SAME_LENGTH = 1.1  # times the shortest run
_NOT_BLOCKING = ("stalled",)  # a stall of the target is a finding


@dataclass(frozen=True, slots=True)
class ComparabilityIssue:
    """One reason why a difference between the runs need not be one between the builds."""

    kind: str
    sentence: str
    blocking: bool


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What decides whether a run may be compared with others; `name` is that of its folder."""

    name: str
    meta: RunMeta
    validity: tuple[ComparabilityIssue, ...]

    @classmethod
    def of(cls, run: Run, name: str) -> RunFacts:
        """The facts of a recorded run."""
        meta = run.meta
        if meta.status != "finished":
            why = f": {meta.status_reason}" if meta.status_reason else ""
            ended = ComparabilityIssue("not_finished", f"{name} is {meta.status}{why}", blocking=True)
            return cls(name, meta, (ended,))
        found = (
            ComparabilityIssue(issue.kind, f"{name}: {issue.sentence}", issue.kind not in _NOT_BLOCKING)
            for issue in validity_issues(run)
        )
        return cls(name, meta, tuple(found))


def comparability_issues(
    baseline: Sequence[RunFacts], candidate: Sequence[RunFacts], *, interleaved: bool = False
) -> tuple[ComparabilityIssue, ...]:
    """Every issue of comparing these runs, blocking ones first.

    Args: interleaved: whether runs of both builds alternated, so that a drift is no explanation.
    """
    everyone = (*baseline, *candidate)
    found = [issue for run in everyone for issue in run.validity]
    found += _scenarios(everyone)
    found += _durations(everyone)
    found += _generators(everyone)
    found += _seeds(baseline, candidate)
    found += _cautions(baseline, candidate, interleaved=interleaved)
    return tuple(sorted(found, key=lambda issue: not issue.blocking))


def _scenarios(runs: Sequence[RunFacts]) -> list[ComparabilityIssue]:
    """Differences of the customers, the demand or the kind of workload."""
    first = runs[0]
    expected = _flat(compared_scenario(first.meta))
    for run in runs[1:]:
        found = _flat(compared_scenario(run.meta))
        paths = sorted(path for path in {*expected, *found} if expected.get(path) != found.get(path))
        if paths:
            shown = "; ".join(
                f"{path} is {_shown(expected.get(path))} and {_shown(found.get(path))}"
                for path in paths[:_SHOWN_DIFFERENCES]
            )
            more = len(paths) - _SHOWN_DIFFERENCES
            rest = f"; {more} more differences" if more > 0 else ""
            sentence = f"{first.name} and {run.name} ran different scenarios: {shown}{rest}"
            return [ComparabilityIssue("scenario", sentence, blocking=True)]
    return []


def compared_scenario(meta: RunMeta) -> dict[str, Any]:
    """The part of a recorded scenario that runs must share to be compared."""
    data: Any = read_document(meta.scenario_text, "scenario").data
    values: dict[str, Any] = dict(data) if isinstance(data, dict) else {"text": meta.scenario_text}
    kept = {key: value for key, value in values.items() if key not in _MAY_DIFFER}
    if isinstance(kept.get("target"), dict):
        kept["target"] = {
            key: value for key, value in kept["target"].items() if key not in _MAY_DIFFER_OF_TARGET
        }
    return kept | {"workload": meta.workload}


def _durations(runs: Sequence[RunFacts]) -> list[ComparabilityIssue]:
    """Runs of clearly different lengths; those of other tools and of Locust's users vary a little."""
    shortest, longest = (of(runs, key=lambda run: run.meta.duration_s) for of in (min, max))
    if longest.meta.duration_s <= _SAME_LENGTH * shortest.meta.duration_s:
        return []
    lengths = (format_duration(run.meta.duration_s) for run in (shortest, longest))
    sentence = f"{shortest.name} and {longest.name} have different lengths: {' and '.join(lengths)}"
    return [ComparabilityIssue("duration", sentence, blocking=True)]


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """The leaves of nested mappings and lists by their path."""
    if isinstance(value, dict):
        parts = ((f"{path}.{key}" if path else str(key), part) for key, part in value.items())
    elif isinstance(value, list):
        parts = ((f"{path}[{index}]", part) for index, part in enumerate(value))
    else:
        return {path: value}
    return {leaf: found for name, part in parts for leaf, found in _flat(part, name).items()}


def _shown(value: Any) -> str:
    return "absent" if value is None else repr(str(value))[:60]


def _generators(runs: Sequence[RunFacts]) -> list[ComparabilityIssue]:
    """Differences of machine, build of the generator and number of workers."""
    found = []
    for kind, words, facts in (
        ("machine", "on different machines", [_pairs(run.meta.machine) for run in runs]),
        ("generator", "by different generators", [_generator(run.meta) for run in runs]),
        ("workers", "with a different number of workers", [str(run.meta.workers) for run in runs]),
    ):
        other = next((at for at, fact in enumerate(facts) if fact != facts[0]), None)
        if other is not None:
            names = f"{runs[0].name} and {runs[other].name}"
            sentence = f"{names} were recorded {words}: {facts[0]} and {facts[other]}"
            found.append(ComparabilityIssue(kind, sentence, blocking=True))
    return found


def _generator(meta: RunMeta) -> str:
    wanted = ("doorbuster", "doorbuster_build", "python", "locust", "gevent")
    return _pairs({name: meta.versions.get(name, "") for name in wanted})


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(values.items()) if value != "") or "unknown"


def _seeds(baseline: Sequence[RunFacts], candidate: Sequence[RunFacts]) -> list[ComparabilityIssue]:
    if len(baseline) == len(candidate) == 1 or baseline[0].meta.workload == "closed":
        return []
    seeds = [{run.meta.seed for run in runs} for runs in (baseline, candidate)]
    if len(seeds[0]) == len(seeds[1]) == 1 and seeds[0] != seeds[1]:
        sentence = (
            f"every baseline run has seed {min(seeds[0])} and every candidate run seed {min(seeds[1])}: "
            "their arrivals differ too; use the same seeds for both, or a different one for each run"
        )
        return [ComparabilityIssue("seeds", sentence, blocking=True)]
    return []


def _cautions(
    baseline: Sequence[RunFacts], candidate: Sequence[RunFacts], *, interleaved: bool
) -> list[ComparabilityIssue]:
    found = []
    hosts = [sorted({_host(run.meta) for run in runs}) for runs in (baseline, candidate)]
    if hosts[0] != hosts[1]:
        sentence = (
            f"the targets have different hosts ({', '.join(hosts[0])} and {', '.join(hosts[1])}): a "
            "difference may come from their hardware"
        )
        found.append(ComparabilityIssue("target", sentence, blocking=False))
    if not interleaved and _one_after_the_other(baseline, candidate):
        sentence = (
            "all runs of one build were made before all runs of the other: a drift of the machine or the "
            "shop would look like a difference; `doorbuster compare --run` alternates them"
        )
        found.append(ComparabilityIssue("order", sentence, blocking=False))
    if len(baseline) == len(candidate) == 1:
        sentence = (
            "one run of each build does not show how much runs of one build differ; three or more of each do"
        )
        found.append(ComparabilityIssue("single_runs", sentence, blocking=False))
    return found


def _host(meta: RunMeta) -> str:
    return urlsplit(meta.target_url).hostname or meta.target_url


def _one_after_the_other(baseline: Iterable[RunFacts], candidate: Iterable[RunFacts]) -> bool:
    times = [[run.meta.started_at_unix_ns for run in runs] for runs in (baseline, candidate)]
    return max(times[0]) < min(times[1]) or max(times[1]) < min(times[0])
