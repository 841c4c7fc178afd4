"""Comparison of workload and scenario, on simulated runs of a known mix."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from doorbuster.records.batch import CounterSecond
from doorbuster.records.reader import Run
from doorbuster.report import RunContext, Section, load_analysis
from doorbuster.scenario import Constant, Exponential, Lognormal, Uniform, read_scenario

ROOT = Path(__file__).parents[2]
SCRIPT = load_analysis(ROOT / "analysis" / "workload_fidelity.py")
FIDELITY = __import__("sys").modules[SCRIPT.__module__]


def analyse(run: Run) -> Section:
    return SCRIPT(RunContext(run))


@pytest.fixture
def run_with(peaks, open_peak):
    """A run of the simulated peak with these changes to its scenario."""

    def run(*changes: tuple[str, str], **peak) -> Run:
        duration_s = peak.setdefault("duration_s", 90)
        peak.setdefault("broken", None)
        text = peaks.SCENARIO.replace("for: 90s", f"for: {duration_s}s")
        text = text.replace(
            "patience: desktop", "patience: desktop, think: {lognormal: {median: 4s, sigma: 1.17, max: 70s}}"
        )
        for before, after in changes:
            assert before in text
            text = text.replace(before, after)
        return open_peak(meta={"scenario_text": text, "duration_s": float(duration_s)}, **peak)

    return run


def verdicts(found: Section) -> dict[tuple[str, str], str]:
    return {(row[0], row[1].partition(" (p =")[0]): row[-1] for table in found.tables for row in table.rows}


def test_a_workload_that_follows_its_scenario_matches(run_with):
    found = analyse(run_with(seed=3))
    told = verdicts(found)
    wrong = {row for row, verdict in told.items() if verdict == "mismatch"}
    # The simulated visits look at one product each and put nothing into baskets.
    assert wrong == {
        ("funnel", "product views per customer"),
        ("funnel", "basket additions per product view"),
    }
    assert found.metrics["workload_mismatches"].value == 2
    for row in (
        ("channels", "web"), ("channels", "all together: chi-square"), ("journeys of web", "browse"),
        ("think times", "web: mean (lognormal)"), ("think times", "web: median (lognormal)"),
        ("arrivals", "number over the run"), ("arrivals", "shape of the curve: chi-square"),
        ("arrivals", "started of those planned"),
    ):  # fmt: skip
        assert told[row] == "match", row


@pytest.mark.parametrize(
    ("change", "rows"),
    [
        (("share: 70%", "share: 50%"), [("channels", "web")]),
        (("share: 70%", "share: 50%"), [("channels", "all together: chi-square")]),
        (("{browse: 50, buy: 50}", "{browse: 80, buy: 20}"), [("journeys of web", "browse")]),
        (("median: 4s", "median: 6s"), [("think times", "web: mean (lognormal)")]),
        (("median: 4s", "median: 6s"), [("think times", "web: median (lognormal)")]),
        (("peak: 10 c", "peak: 14 c"), [("arrivals", "number over the run")]),
        (("{for: 90s, at: 100%}", "{for: 45s, at: 50%}, {for: 45s, at: 100%}"),
         [("arrivals", "shape of the curve: chi-square")]),
        (("peak: 10 customers/s", "peak: 10 customers/s\n  burstiness: 4"),
         [("arrivals", "burstiness (index of dispersion)")]),
    ],
)  # fmt: skip
def test_a_workload_that_differs_is_a_mismatch(run_with, change, rows):
    changes = [change]
    if change[0] == "share: 70%":
        changes.append(("share: 30%", "share: 50%"))
    found = analyse(run_with(*changes, seed=3))
    assert {verdicts(found)[row] for row in rows} == {"mismatch"}
    assert found.metrics["workload_mismatches"].value >= 1
    assert any(text.startswith(f"{rows[0][0]}, {rows[0][1]}") for text in found.findings)


def test_a_mix_is_drawn_only_on_a_mismatch(run_with):
    assert analyse(run_with(seed=3)).figures == ()
    (chart,) = analyse(run_with(("{browse: 50, buy: 50}", "{browse: 80, buy: 20}"), seed=3)).figures
    assert chart.x == ("channels: web", "channels: store", "web: browse", "web: buy")


def test_a_funnel_that_the_shop_narrowed_is_inconclusive(run_with):
    told = verdicts(analyse(run_with(seed=3, broken=(0, 90))))
    verdict = told["funnel", "product views per customer"]
    assert verdict.startswith("inconclusive (")
    assert verdict.endswith(" % of the customers left early)")


def test_the_expected_funnel_follows_from_mix_and_journeys():
    text = (
        "title: T\ntarget: {storefront: reference, shop: {profile: replatformed}}\n"
        "demand: {peak: 10 customers/s, curve: {stages: [{for: 60s, at: 100%}]}}\n"
        "channels:\n"
        "  web: {share: 75%, journeys: {browse: 60, buy: 40}, pages: 4}\n"
        "  store: {share: 25%, journeys: {pos_sale: 1}}\n"
        "  phone: {seats: 3, journeys: {phone_order: 1}}\n"
    )
    mean = FIDELITY.visits(read_scenario(text))
    assert mean["product"] == pytest.approx(0.75 * (0.6 * 4 + 0.4 * 1))
    assert mean["checkout"] == pytest.approx(0.75 * 0.4)
    assert mean["pos_sale"] == pytest.approx(0.25)
    assert "phone_order" not in mean


def test_a_channel_with_its_own_demand_is_compared_with_it(run_with):
    own = "demand: {peak: 3 customers/s, curve: {stages: [{for: 90s, at: 100%}]}}"
    found = analyse(
        run_with(("share: 30%", own), ("share: 70%", "share: 100%"), ("peak: 10 c", "peak: 7 c"), seed=3)
    )
    told = verdicts(found)
    assert told["arrivals", "number over the run"] == "match"
    assert told["arrivals of store", "number over the run"] == "match"


def test_a_run_of_another_demand_is_not_compared_with_the_curve(run_with):
    found = analyse(run_with(("for: 90s", "for: 300s"), seed=3))
    assert [what for group, what in verdicts(found) if group == "arrivals"] == ["started of those planned"]


def test_dropped_arrivals_are_a_mismatch(run_with):
    found = analyse(run_with(dropped=20))
    assert verdicts(found)["arrivals", "started of those planned"] == "mismatch"


@pytest.mark.parametrize(
    ("think", "draw"),
    [
        (Constant(constant_s=3.0), lambda rng: np.full(9, 3.0)),
        (Uniform(low_s=1.0, high_s=4.0), lambda rng: rng.uniform(1, 4, 200_001)),
        (Exponential(mean_s=7.0, max_s=70.0), lambda rng: rng.exponential(7, 200_001)),
        (Exponential(mean_s=7.0, max_s=2.0), lambda rng: rng.exponential(7, 200_001).clip(max=2)),
        (
            Lognormal(median_s=4.0, sigma=1.17, max_s=70.0),
            lambda rng: rng.lognormal(math.log(4), 1.17, 200_001),
        ),
    ],
)
def test_the_median_of_a_distribution_is_that_of_its_samples(think, draw):
    drawn_s = np.median(draw(np.random.default_rng(9)))
    assert FIDELITY.median_think_s(think) == pytest.approx(drawn_s, rel=0.01)


def test_windows_expect_ten_and_keep_every_arrival_up_to_the_last_full_one():
    n, m = FIDELITY._windows(np.arange(8.0), np.full(8, 4.0))
    assert m.tolist() == [12.0, 12.0]
    assert n.tolist() == [0 + 1 + 2, 3 + 4 + 5]


def test_an_imported_run_has_nothing_to_compare(open_peak):
    found = analyse(open_peak(meta={"scenario_text": "export default function () {}"}))
    assert found.not_applicable


def counted(**shares: int) -> tuple[CounterSecond, ...]:
    return tuple(CounterSecond(0, "web", name.replace("device_", "device:"), n) for name, n in shares.items())


SIGN_IN = "sent a sign-in, of those that reached checkout"
DEVICES = ("patience: desktop", "patience: desktop, devices: {desktop: 25%, mobile: 75%}, signed_in: 50%")


def test_devices_and_accounts_are_compared_with_their_shares(run_with):
    with_half = counted(
        visits_sent=600, device_desktop=150, device_mobile=450, reached_sign_in=240, signed_in=122
    )
    run = run_with(DEVICES, counters=with_half)
    found = analyse(run)
    told = verdicts(found)
    assert told["devices of web", "mobile"] == "match"
    assert told["visits of web", SIGN_IN] == "match"
    (signed_in,) = [row for row in found.tables[0].rows if row[1] == SIGN_IN]
    assert (signed_in[3].value, signed_in[3].n) == (122 / 240, 240)


def test_sign_ins_that_were_not_sent_are_a_mismatch(run_with):
    found = analyse(run_with(DEVICES, counters=counted(visits_sent=600, reached_sign_in=240, signed_in=60)))
    assert f"visits of web, {SIGN_IN}: expected 50.0 %, observed 25.0 %." in found.findings


def test_nothing_is_said_about_sign_ins_that_no_visit_reached(run_with):
    told = verdicts(analyse(run_with(DEVICES, counters=counted(visits_sent=600))))
    assert told["visits of web", SIGN_IN] == "inconclusive"


def test_campaigns_are_compared_among_the_visits_that_sent_a_request(run_with):
    busting = ("patience: desktop", "patience: desktop, cache_busting: 20%")
    found = analyse(run_with(busting, counters=counted(visits_sent=500, cache_busting=0)))
    (row,) = [row for row in found.tables[0].rows if "cache busting" in row[1]]
    assert (row[3].value, row[3].n, row[4]) == (0.0, 500, "mismatch")


def test_a_wrong_device_mix_is_found(run_with):
    found = analyse(
        run_with(DEVICES, counters=counted(visits_sent=600, device_desktop=300, device_mobile=300))
    )
    assert verdicts(found)["devices of web", "desktop"] == "mismatch"
    assert "devices of web, desktop: expected 25.0 %, observed 50.0 %." in found.findings


def test_visits_that_were_not_counted_are_not_compared(run_with):
    assert not [
        key
        for key in verdicts(analyse(run_with(DEVICES)))
        if key[0].endswith("of web") and "device" in key[0]
    ]
