"""docs/reference/report.md is true: its example runs, and every metric of every section is in it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from doorbuster.report import RunContext, load_analysis

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "reference" / "report.md").read_text(encoding="utf-8")


TABLED = ("customers", "orders", "fulfilment", "latency", "errors", "generator_health")


@pytest.mark.parametrize("name", TABLED)
def test_every_metric_of_a_section_is_documented_and_no_other(open_peak, name):
    part = TEXT.split(f"**{name}**", 1)[1].split("\n**", 1)[0].split("\n## ", 1)[0]
    rows = [line.split("|")[1] for line in part.splitlines() if line.startswith("| `")]
    documented = {metric for row in rows for metric in re.findall(r"`(\w+)`", row)}
    found = load_analysis(ROOT / "analysis" / f"{name}.py")(RunContext(open_peak()))
    assert documented == {name for name in found.metrics if not name.startswith("left_at_")}


def test_the_example_of_a_section_runs(build_peak, tmp_path):
    example = TEXT.split("```python\n", 1)[1].split("```", 1)[0]
    script = tmp_path / "tills.py"
    script.write_text(example, encoding="utf-8")
    done = subprocess.run([sys.executable, script, build_peak()], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Which channel waits longest?" in done.stdout
    assert "The median answer is slowest for " in done.stdout


def test_the_minimum_counts_and_limits_in_the_text_are_those_of_the_code():
    from doorbuster.gate import validity
    from doorbuster.stats.quantile import minimum_n

    for p, name in ((0.9, "p90"), (0.95, "p95"), (0.99, "p99"), (0.999, "p99.9")):
        assert f"{name} {minimum_n(p):,}" in TEXT
    assert f"above {validity.MAX_LATE_P99_S * 1e3:.0f} ms" in TEXT
    assert f"more than {validity.MAX_DROPPED_RATIO:.1%}".replace("%", " %") in TEXT
    assert f"above {validity.BUSY_CPU_RATIO:.0%}".replace("%", " %") in TEXT
