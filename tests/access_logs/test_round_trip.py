"""A run of a scenario from a log, against the embedded shop, writes a log that says the same."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

TRUTH = """
title: Visits that are known
target: {storefront: reference, shop: {profile: replatformed}}
demand: {customers: 900, curve: {stages: [{for: 45s, at: 100%}]}}
journeys:
  shoppers:
    description: shoppers
    chain:
      enter: {home: 60, product: 40}
      home: {category: 50, search: 30, leave: 20}
      category: {product: 80, leave: 20}
      search: {product: 70, search: 10, leave: 20}
      product: {add_to_basket: 50, category: 30, leave: 20}
      add_to_basket: {basket: 70, leave: 30}
      basket: {checkout_page: 70, leave: 30}
      checkout_page: {checkout: 80, leave: 20}
      checkout: {leave: 100}
  lookers:
    description: lookers
    chain:
      enter: {home: 20, category: 80}
      home: {leave: 100}
      category: {category: 60, product: 20, leave: 20}
      product: {leave: 50, category: 50}
channels:
  web:
    share: 100%
    patience: none
    journeys: {shoppers: 65, lookers: 35}
    think: {lognormal: {median: 1s, sigma: 0.6, max: 10s}}
thresholds: {can_browse: ["rate>=95%"]}
safety: {allow: [127.0.0.1]}
drain: 40s
"""


@pytest.fixture
def logged_run(tmp_path, doorbuster):
    """Runs a scenario against a shop of its own and returns the shop's access log."""

    def run(scenario, name):
        log = tmp_path / f"{name}.jsonl"
        shop = subprocess.Popen(
            [sys.executable, "-m", "doorbuster", "shop", "--port", "0", "--access-log", str(log)],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            url = re.search(r"http://\S+", shop.stdout.readline())[0]
            done = doorbuster(
                "run", scenario, "--url", url, "--out", tmp_path / name, "--quiet", cwd=tmp_path
            )
            assert done.returncode == 0, done.stdout + done.stderr
        finally:
            shop.terminate()
            shop.wait()
            shop.stdout.close()
        return log

    return run


@pytest.mark.truth
def test_the_log_of_a_run_agrees_with_its_scenario_twice(logged_run, tmp_path, doorbuster):
    (tmp_path / "truth.yaml").write_text(TRUTH)
    first = logged_run("truth.yaml", "first")
    done = doorbuster("demand", "diff", first, "truth.yaml", cwd=tmp_path)
    assert "No figure differs" in done.stdout, done.stdout + done.stderr
    made = doorbuster("demand", "from-log", first, "--name", "again", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    second = logged_run("scenarios/again.yaml", "second")
    done = doorbuster("demand", "diff", second, "scenarios/again.yaml", cwd=tmp_path)
    assert "No figure differs" in done.stdout, done.stdout + done.stderr
    assert done.stdout.count(" agrees ") >= 20, done.stdout
