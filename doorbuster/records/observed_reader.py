"""Reads what the sources of `observe` recorded: one sparse series for each source, name and labels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from doorbuster.records.secondary_metrics import SecondaryMetricsReader
from doorbuster.records.storable import storable_text


def read_labels(text: str) -> dict[str, str]:
    """The labels of a series from their JSON text, as texts that can be written."""
    labels = json.loads(text)
    return {storable_text(str(key)): storable_text(str(value)) for key, value in labels.items()}


@dataclass(frozen=True, slots=True, eq=False)
class ObservedSeries:
    """One observed metric: `values[i]` was read in second `seconds[i]` of the run; seconds ascend."""

    source: str
    name: str
    labels: Mapping[str, str]
    seconds: NDArray[np.int64]
    values: NDArray[np.float64]

    def matches(self, name: str, labels: Mapping[str, str]) -> bool:
        """Whether it has this name and all these labels; `source` may be chosen like a label."""
        own = {"source": self.source, **self.labels}
        return self.name == name and all(own.get(key) == value for key, value in labels.items())

    @property
    def title(self) -> str:
        """Its name as a threshold writes it: db_connections{role:primary}."""
        inside = ",".join(f"{key}:{value}" for key, value in self.labels.items())
        return f"{self.name}{{{inside}}}" if inside else self.name


class ObservedReader(SecondaryMetricsReader):
    """The observed values of one run file."""

    def observed(self) -> tuple[ObservedSeries, ...]:
        """Every observed series, by source, name and labels."""
        return self._once("observed", self._read_observed)

    def _read_observed(self) -> tuple[ObservedSeries, ...]:
        described = {
            row[0]: row[1:] for row in self._select("SELECT id, source, name, labels FROM observed_series")
        }
        found = []
        rows = self._select("SELECT series, second, value FROM observed ORDER BY series, second")
        for number, values in groupby(rows, key=itemgetter(0)):
            source, name, labels = described[number]
            texts = read_labels(labels)
            columns = np.array([row[1:] for row in values], np.float64)
            found.append(ObservedSeries(source, name, texts, columns[:, 0].astype(np.int64), columns[:, 1]))
        return tuple(sorted(found, key=lambda one: (one.source, one.name, sorted(one.labels.items()))))
