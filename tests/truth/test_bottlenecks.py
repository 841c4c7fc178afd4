"""The named resource is the one that was made scarce: five limits of the embedded shop in turn, and none.

Each run sends the same customers, at a tenth of the peak for a while, then up to the peak; only the limit
differs, so that it is reached on the way up. The healthy shop serves the same peak.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.truth

SCENARIO = """\
title: "a shop whose limit is: {limit}"
target: {{shop: {{profile: {profile}, products: 200, {settings}}}}}
demand:
  peak: {peak} customers/s
  curve: {{stages: [{{for: 12s, at: 10%}}, {{for: 14s, to: 100%}}, {{for: 12s, at: 100%}}]}}
channels:
  web: {{share: 100%, journeys: {{browse: 1, buy: 1}}, patience: none, think: {{constant: 200ms}}}}
thresholds: {{can_order: ["rate>=99%"]}}
safety: {{max_in_flight: 2000, abort: {{turned_away: 100% for 10m}}}}
drain: 30s
"""
LIMITS = {  # the resource to be named: profile, settings, customers per second at the peak
    "database workers": ("in-house-2004", "query_time: 10ms", 10),
    "payment service": ("replatformed", "query_time: 1ms, payment_time: 300ms, payment_slots: 1", 8),
    "stock lock": ("replatformed", "query_time: 1ms, stock_lock_time: 300ms", 8),
    "processor of the shop": ("replatformed", "query_time: 1ms, page_cpu: 20ms", 10),
    "connections": ("replatformed", "query_time: 1ms, max_connections: 8", 12),
    "": ("replatformed", "query_time: 1ms", 6),
}


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit or "healthy")
def test_the_scarce_resource_is_named_and_no_other(limit, tmp_path):
    profile, settings, peak = LIMITS[limit]
    text = SCENARIO.format(limit=limit or "none", profile=profile, settings=settings, peak=peak)
    (tmp_path / "limit.yaml").write_text(text)
    command = [sys.executable, "-m", "doorbuster", "run", str(tmp_path / "limit.yaml"), "--quiet"]
    subprocess.run([*command, "--out", str(tmp_path / "out")], capture_output=True, text=True, check=False)

    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    (section,) = [one for one in summary["sections"] if one["name"] == "bottleneck"]

    assert [cause["resource"] for cause in section["causes"]] == ([limit] if limit else [])
    metrics = summary["metrics"]
    assert metrics["bottleneck.bottlenecks"]["value"] == bool(limit)
    if limit:
        assert metrics["bottleneck.highest_utilisation"]["value"] >= 0.9
        assert -10 <= metrics["bottleneck.warning_time"]["value"] <= 30
