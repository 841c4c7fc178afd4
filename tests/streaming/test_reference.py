"""The reference of streamed metrics lists what is streamed."""

from __future__ import annotations

import re
from pathlib import Path

from doorbuster.streaming.destination import EXAMPLES, parse_destinations
from doorbuster.streaming.metric import BUCKET_EDGES_S
from doorbuster.streaming.run_metrics import OWN_METRICS

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "reference" / "streaming.md").read_text(encoding="utf-8")


def test_every_metric_is_listed_with_type_labels_and_meaning():
    listed = re.findall(r"^\| `(doorbuster_\w+)` \| (\w+) \| (.*?) ?\| (.+) \|$", TEXT, re.MULTILINE)
    kinds = {"distribution": "histogram"}
    assert listed == [
        (
            f"doorbuster_{metric.name}",
            kinds.get(metric.kind, metric.kind),
            ", ".join(f"`{name}`" for name in metric.label_names.split(", ") if name),
            metric.meaning,
        )
        for metric in OWN_METRICS
    ]


def test_every_bucket_is_listed():
    (text,) = re.findall(r"buckets up to (.*?) \(Prometheus", TEXT, re.DOTALL)
    ms, seconds = text.split(" ms, and ")
    numbers = [float(number) / 1e3 for number in re.findall(r"[\d.]+", ms)]
    assert tuple(numbers + [float(number) for number in re.findall(r"[\d.]+", seconds)]) == BUCKET_EDGES_S


def test_every_kind_is_in_the_how_to_and_its_example_works():
    text = (DOCS / "how-to" / "stream-results.md").read_text(encoding="utf-8")
    for kind, example in EXAMPLES.items():
        assert f"`{kind}=" in text
        parse_destinations([f"{kind}={example}"])
