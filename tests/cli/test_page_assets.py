"""`target.assets`: requests for static assets are recorded, and counted apart from those of steps."""

from __future__ import annotations

import pytest

from doorbuster.errors import ExitCode
from doorbuster.records.reader import Run

SCENARIO = """
title: assets
target: {shop: {profile: replatformed, products: 60}, assets: all}
demand: {peak: 20 customers/s, curve: {stages: [{for: 4s, at: 100%}]}}
channels: {web: {share: 100%, journeys: {browse: 1}, patience: none, think: {uniform: [10ms, 20ms]}}}
thresholds:
  http_req_duration{step:asset_style}: ["p(50)<5s"]
  http_reqs{step:asset_style}: ["count>=20"]
"""


@pytest.mark.truth
def test_each_visit_fetches_the_style_sheet_once_and_no_other_figure_counts_it(doorbuster, tmp_path):
    path, out = tmp_path / "assets.yaml", tmp_path / "out"
    path.write_text(SCENARIO, encoding="utf-8")
    done = doorbuster("run", path, "--quiet", "--out", out)
    assert done.returncode == ExitCode.PASS, done.stdout + done.stderr
    with Run.open(out) as run:
        visits = sum(row.n for row in run.customers())
        assets = run.histograms_by(lambda series: (series.step, series.succeeded), assets=True)
        assert {key: times.n for key, times in assets.items()} == {
            ("asset_style", True): visits, ("asset_image", True): visits,
        }  # fmt: skip
        assert not any(series.is_asset for series in run.series)
    assert "Static assets of pages" in (out / "index.html").read_text(encoding="utf-8")


def test_a_threshold_on_assets_needs_them(doorbuster, tmp_path):
    path = tmp_path / "assets.yaml"
    path.write_text(SCENARIO.replace(", assets: all", ""), encoding="utf-8")
    done = doorbuster("check", path)
    assert done.returncode == ExitCode.INVALID_CONFIGURATION
    assert "names a step that this scenario does not have" in done.stderr
