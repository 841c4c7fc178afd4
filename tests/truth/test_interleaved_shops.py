"""Interleaved comparisons of embedded shops, whose only difference is the time of a database query."""

from __future__ import annotations

import json
import sys

import pytest

pytestmark = [pytest.mark.truth, pytest.mark.alone]

SCENARIO = """
title: Pages of a shop
target: {storefront: reference, shop: {profile: in-house-2004}}
demand: {peak: 1.5 customers/s, curve: {stages: [{for: 10s, at: 100%}]}}
channels:
  web: {share: 100%, journeys: {browse: 50, search: 30, buy: 20}, patience: none, think: {constant: 50ms}}
seed: SEED
drain: 20s
"""
PAIRS, COMPARISONS = 8, 10


@pytest.fixture
def answers(tmp_path, doorbuster):
    """The answers of ten comparisons of shops with these query times."""

    def compare(old: str, new: str) -> list[str]:
        found = []
        shop = f"{sys.executable} -m doorbuster shop --profile in-house-2004 --port 0 --query-time"
        for number in range(COMPARISONS):
            folder = tmp_path / f"{old}-{new}-{number}"
            scenario = tmp_path / f"shop-{number}.yaml"
            scenario.write_text(SCENARIO.replace("SEED", str(100 * number)), encoding="utf-8")
            done = doorbuster(
                "compare", "--run", scenario, "--a", f"{shop} {old}", "--b", f"{shop} {new}",
                "--pairs", PAIRS, "--out", folder, "--gate", "http_req_duration typical",
                "--gate", "http_req_failed rate", timeout_s=1800,
            )  # fmt: skip
            result = json.loads((folder / "compare.json").read_text(encoding="utf-8"))
            assert done.returncode == result["exit_code"]
            found.append(result["answer"])
            print(
                f"{old} against {new}: {result['answer']} after {len(result['baseline'])} pairs", flush=True
            )
        return found

    return compare


def test_a_query_that_takes_15_percent_longer_is_found_in_ten_of_ten_comparisons(answers):
    assert answers("10ms", "11.5ms").count("regression") == COMPARISONS


def test_equal_shops_raise_at_most_one_false_alarm_in_ten_comparisons(answers):
    assert answers("10ms", "10ms").count("regression") <= 1
