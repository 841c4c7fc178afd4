"""Utilisation, saturation and errors of resources, computed from observed values as the plan says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from doorbuster.observe.plan import UTILISATION, ResourceRule, Selection
from doorbuster.observe.sample import Labels, TargetSample


class ResourceView:
    """The latest value of every series that a rule needs, of one source or of several."""

    def __init__(self, rules: Iterable[ResourceRule]) -> None:
        self._rules = tuple(rules)
        self._latest: dict[tuple[str, Labels], float] = {}

    def update(self, values: Iterable[TargetSample]) -> Iterator[TargetSample]:
        """Take the values of one reading; yields those of every resource whose metric is among them."""
        names = set()
        for sample in values:
            names.add(sample.name)
            self._latest[sample.name, sample.labels] = sample.value
        for rule in self._rules:
            if rule.metric.name in names and (value := self._value(rule)) is not None:
                yield TargetSample(rule.role, (("resource", rule.resource),), value)

    def _value(self, rule: ResourceRule) -> float | None:
        total = self._sum(rule.metric)
        if total is None or rule.role != UTILISATION or rule.limit is None:
            return total
        limit = self._sum(rule.limit) if isinstance(rule.limit, Selection) else rule.limit
        return total / limit if limit else None

    def _sum(self, chosen: Selection) -> float | None:
        found = [
            value
            for (name, labels), value in self._latest.items()
            if name == chosen.name and chosen.matches(name, dict(labels))
        ]
        return sum(found) if found else None
