"""Interleaved comparisons: order of pairs, early end, unhealthy rehearsals, budget, noise floor, targets."""

from __future__ import annotations

import math
import sys
import urllib.request
from collections import Counter

import pytest
from compared_queues import interleaved_answer
from recorded_queues import Queue, record

from doorbuster.compare.build_comparison import SequentialLook
from doorbuster.compare.gating import GateChoice
from doorbuster.compare.interleaved.noise_floor import PAIR_COUNTS, noise_floor
from doorbuster.compare.interleaved.session import InterleavedSession, order_of_pair
from doorbuster.compare.interleaved.targets import check_target, open_target
from doorbuster.compare.metric_comparison import Tolerance
from doorbuster.errors import TargetError, UsageError
from doorbuster.shop_settings import ShopSettings

QUEUE = Queue(rho=0.5, requests=800)
PRINTS_A_URL = (
    "import http.server as h; s = h.HTTPServer(('127.0.0.1', 0), h.SimpleHTTPRequestHandler);"
    " print(f'serving at http://127.0.0.1:{s.server_port}/ now', flush=True); s.serve_forever()"
)


def session(folder, rehearse, **changes) -> InterleavedSession:
    settings = {
        "most": 4, "budget_s": math.inf, "seed": 1, "gates": GateChoice.parse([]), "tolerance": Tolerance(),
        "analyse": lambda _run, _names: (),
    }  # fmt: skip
    return InterleavedSession(folder, rehearse, **(settings | changes))


def queues(arm: str, number: int, into) -> None:
    record(QUEUE, into, seed=2 * number + (arm == "b"), started_s=number)


def test_each_second_pair_reverses_the_order_of_the_one_before():
    for seed in range(20):
        for number in (1, 3, 5):
            assert order_of_pair(seed, number + 1) == order_of_pair(seed, number)[::-1]
    first = Counter(order_of_pair(seed, 1)[0] for seed in range(200))
    assert 70 < first["a"] < 130


def test_a_session_ends_at_once_when_a_build_is_much_slower(tmp_path):
    answer = interleaved_answer(
        tmp_path / "s", lambda arm, _pair: Queue(rho=0.3, requests=800, slowdown=2.0 if arm == "b" else 1.0),
        pairs=8, seed=1,
    )  # fmt: skip
    assert answer == "regression"


def test_equal_queues_and_a_drift_of_both_raise_no_alarm(tmp_path):
    drifting = [
        interleaved_answer(
            tmp_path / "s",
            lambda _arm, pair: Queue(requests=600, slowdown=1 + 0.04 * pair),
            pairs=5,
            seed=seed,
        )
        for seed in range(0, 300, 100)
    ]
    assert "regression" not in drifting


def test_pairs_with_an_unhealthy_rehearsal_are_left_out(tmp_path):
    def rehearse(arm, number, into):
        late_ms = 900.0 if (arm, number) == ("b", 2) else 0.1
        record(QUEUE, into, seed=2 * number + (arm == "b"), late_ms=late_ms)

    running = session(tmp_path, rehearse)
    while running.may_continue():
        running.run_pair()
    found = running.compare()
    assert (len(running.pairs), len(found.baseline)) == (4, 3)
    assert any(
        "a pair was left out: b/02: the load generator was late" in issue.sentence for issue in found.issues
    )
    assert not found.is_blocked


def test_mostly_unhealthy_rehearsals_decide_nothing(tmp_path):
    def rehearse(arm, number, into):
        record(QUEUE, into, seed=2 * number + (arm == "b"), late_ms=900.0 if number > 2 else 0.1)

    running = session(tmp_path, rehearse, most=6)
    while running.may_continue():
        running.run_pair()
    assert running.compare().is_blocked


def test_no_pair_starts_that_would_end_after_the_budget(tmp_path):
    clock = [0.0]

    def rehearse(arm, number, into):
        clock[0] += 10.0
        queues(arm, number, into)

    running = session(tmp_path, rehearse, budget_s=50.0, most=9, clock=lambda: clock[0])
    while running.may_continue():
        running.run_pair()
    assert len(running.pairs) == 2  # 20 s each: a third would end after 60 s


def test_the_level_of_a_look_falls_with_the_number_of_metrics():
    look = SequentialLook(3, 6)
    assert look.level(5) < look.level() < SequentialLook(6, 6).level() < 0.05


def test_the_noise_floor_is_the_smallest_effect_of_the_scatter_between_pairs(tmp_path):
    running = session(tmp_path, queues, most=6)
    while running.may_continue():
        running.run_pair()
    noise = {one.comparison.metric.key: one for one in noise_floor(running.compare(sequential=False))}
    typical = noise["http_req_duration typical"]
    assert 0.01 < typical.between_pairs < 0.5
    assert list(typical.visible) == sorted(typical.visible, reverse=True)
    assert len(typical.visible) == len(PAIR_COUNTS)


def test_a_command_is_a_target_at_the_url_it_prints(tmp_path):
    text = f'{sys.executable} -c "{PRINTS_A_URL}"'
    check_target("--a", text)
    with open_target(text, None, tmp_path / "log") as url, urllib.request.urlopen(url) as answer:
        assert answer.status == 200
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url)


def test_a_profile_is_the_embedded_shop_with_the_settings_of_the_scenario(tmp_path):
    settings = ShopSettings(profile="in-house-2004")
    with (
        open_target("replatformed", settings, tmp_path / "log") as url,
        urllib.request.urlopen(url) as answer,
    ):
        assert answer.status == 200


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("print('no shop today'); raise SystemExit(3)", "ended with code 3: no shop today"),
        ("pass", "ended with code 0"),
    ],
)
def test_a_command_that_starts_no_shop_is_an_error(tmp_path, program, message):
    with (
        pytest.raises(TargetError, match=message),
        open_target(f'{sys.executable} -c "{program}"', None, tmp_path / "log"),
    ):
        pass


@pytest.mark.parametrize("text", ["", "no-such-program --port 0", "'unclosed", "ftp://127.0.0.1"])
def test_a_text_that_is_not_a_target_is_refused(text):
    with pytest.raises(UsageError, match="--a"):
        check_target("--a", text)
