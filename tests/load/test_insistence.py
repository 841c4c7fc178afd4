"""What people and machines do about a shop in a bad mood: against real local servers, in real Locust."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest

from doorbuster.load.insistence import BUDGET_MOST, BUDGET_START, RetryBudget, may_pass
from doorbuster.records.histogram import Histogram

HERE = Path(__file__).parent
ONE = [["web", "order_status", 0.0]]
STEADFAST = "{share: 100%, journeys: {order_status: 1}, patience: none"
LATE_S = 0.15  # what a busy machine may add to a wait


@pytest.fixture(scope="module")
def moody():
    """The module with the server of moods."""
    spec = importlib.util.spec_from_file_location("moody_server", HERE / "moody.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def program():
    """Customers wait in a process of their own for what they are to do."""
    process = subprocess.Popen(
        [sys.executable, HERE / "behave.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield process
    process.stdin.close()
    assert process.wait(20) == 0
    process.stdout.close()


@pytest.fixture
def visit(program, moody, tmp_path):
    """A function from (moods of the server, channels, ...) to what was recorded and asked."""
    servers = []

    def run(mood, channels, arrivals=ONE, *, rules="[]", drain="10s", duration_s=1, **case):
        server = moody.MoodyServer(mood)
        servers.append(server)
        case |= {"url": server.url, "folder": str(tmp_path), "channels": channels, "arrivals": arrivals,
                 "rules": rules, "drain": drain, "duration_s": duration_s}  # fmt: skip
        program.stdin.write(json.dumps(case) + "\n")
        program.stdin.flush()
        seen = json.loads(program.stdout.readline())
        assert seen["events"] == []
        return Seen(seen, server)

    yield run
    for server in servers:
        server.close()


class Seen(SimpleNamespace):
    """What a run recorded."""

    def __init__(self, rows: dict, server) -> None:
        super().__init__(asked=server.asked, gaps_s=server.gaps_s(), orders=rows["orders"])
        self.left = Counter()
        for _, channel, _, outcome, step, cause, *_, n in rows["customers"]:
            self.left[channel, outcome, step, cause] += n
        self.browse_and_order = {(row[6], row[7]) for row in rows["customers"]}
        self.counted = Counter()
        for _, channel, name, n in rows["counters"]:
            self.counted[channel, name] += n
        self.requests = Counter()
        self.times = {}
        for _, channel, _, step, outcome, cause, n, blob in rows["requests"]:
            self.requests[channel, step, outcome, cause] += n
            self.times.setdefault((step, outcome), []).append(bytes.fromhex(blob))

    def slowest_s(self, step: str, outcome: str = "ok") -> float:
        return Histogram.from_blobs(self.times[step, outcome]).max_us / 1e6


@pytest.fixture
def first(moody):
    """A function from moods to the server's course: the first requests get them in turn, the others "ok"."""

    def course(*moods):
        return lambda asked: moods[asked.number - 1] if asked.number <= len(moods) else moody.Mood()

    return course


# ---- people who reload


def test_a_busy_page_is_reloaded_until_the_shop_answers_and_each_attempt_counts(visit, first, moody):
    busy = moody.Mood("busy")
    seen = visit(first(busy, busy), f"{{web: {STEADFAST}, reloads: {{after: 200ms}}}}}}")
    assert seen.left == {("web", "served", "", ""): 1}
    assert seen.requests == {("web", "order_status", "failed", "busy_page"): 2,
                             ("web", "order_status", "ok", ""): 1}  # fmt: skip
    assert seen.counted == {("web", "reloads"): 2}
    assert [0.2 <= gap < 0.2 + LATE_S for gap in seen.gaps_s] == [True, True]
    assert seen.slowest_s("order_status") < 0.2  # due at the end of the wait, not at the arrival


def test_who_has_reloaded_often_enough_leaves_as_after_the_last_attempt(visit, moody):
    seen = visit(
        lambda _: moody.Mood("busy"), f"{{web: {STEADFAST}, reloads: {{after: 20ms, at_most: 3}}}}}}"
    )
    assert seen.left == {("web", "turned_away", "order_status", "busy_page"): 1}
    assert len(seen.asked) == 4
    assert seen.counted == {("web", "reloads"): 3}


def test_so_many_people_reload_as_the_share_says(visit, moody):
    arrivals = [["web", "order_status", number / 400] for number in range(200)]
    seen = visit(
        lambda _: moody.Mood("busy"),
        f"{{web: {STEADFAST}, reloads: {{after: 10ms, share: 60%, at_most: 1}}}}}}",
        arrivals,
    )
    assert 120 - 28 <= seen.counted["web", "reloads"] <= 120 + 28  # four standard deviations
    assert len(seen.asked) == 200 + seen.counted["web", "reloads"]


def test_people_do_not_reload_when_the_shop_works_and_has_sold_out(visit, moody):
    seen = visit(lambda _: moody.Mood("sold"), f"{{web: {STEADFAST}, reloads: {{after: 10ms}}}}}}")
    assert seen.left == {("web", "turned_away", "order_status", "sold_out"): 1}
    assert len(seen.asked) == 1


def test_an_impatient_customer_reloads_while_the_shop_works_on_the_old_request(visit, first, moody):
    people = "{share: 100%, journeys: {order_status: 1}, patience: {tau: 300ms, shape: 10, at_least: 300ms}"
    stuck = moody.Mood(status=-1)
    leaves = visit(first(stuck), f"{{web: {people}, reloads: {{after: 5s}}}}}}")
    assert leaves.left == {("web", "abandoned", "order_status", "patience"): 1}

    stays = visit(first(stuck), f"{{web: {people}, reloads: {{after: 5s, when_slow: true}}}}}}")
    assert stays.left == {("web", "served", "", ""): 1}
    assert stays.requests == {("web", "order_status", "abandoned", "patience"): 1,
                              ("web", "order_status", "ok", ""): 1}  # fmt: skip
    assert 0.2 < stays.gaps_s[0] < 0.5 + LATE_S  # at once when patience ends, not after 5 s
    assert stays.asked[0].port != stays.asked[1].port  # the old connection was dropped


def test_without_jitter_a_crowd_that_failed_together_comes_back_together(visit, moody):
    arrivals = [["web", "order_status", 0.0] for _ in range(30)]

    def people(jitter):
        return f"{{web: {STEADFAST}, reloads: {{after: 400ms, at_most: 2, jitter: {jitter}}}}}}}"

    saw = visit(lambda _: moody.Mood("busy"), people("0%"), arrivals)
    first_s = saw.asked[0].at_s
    waves = Counter(round((asked.at_s - first_s) / 0.4) for asked in saw.asked)
    assert waves == {0: 30, 1: 30, 2: 30}
    within_s = [min((a.at_s - first_s) % 0.4, 0.4 - (a.at_s - first_s) % 0.4) for a in saw.asked]
    assert max(within_s) < LATE_S

    spread = visit(lambda _: moody.Mood("busy"), people("100%"), arrivals)
    first_s = spread.asked[0].at_s
    between = [a for a in spread.asked if 0.15 < (a.at_s - first_s) < 0.25]
    assert between


# ---- machines that try again


def test_machines_back_off_exponentially_and_keep_the_idempotency_key(visit, moody):
    def mood(asked):
        down = asked.path == "/checkout" and asked.number < 4
        return moody.Mood("sorry", 503) if down else moody.Mood()

    seen = visit(
        mood,
        "{web: {share: 100%, journeys: {buy: 1}, patience: none,"
        " retries: {attempts: 4, backoff: 80ms, jitter: 0%}}}",
        [["web", "buy", 0.0]],
    )
    tries = [asked for asked in seen.asked if asked.path == "/checkout"]
    waits = [later.at_s - earlier.at_s for earlier, later in pairwise(tries)]
    assert [0.08 * 2**k <= wait < 0.08 * 2**k + LATE_S for k, wait in enumerate(waits)] == [True] * 3
    assert len({asked.headers["idempotency-key"] for asked in tries}) == 1
    assert [order["answer"] for order in seen.orders] == ["acknowledged"]
    assert seen.counted == {("web", "retries"): 3}
    assert seen.requests["web", "checkout", "failed", "status_5xx"] == 3


def test_an_attempt_has_a_time_limit_of_its_own(visit, first, moody):
    seen = visit(
        first(moody.Mood(status=-1)),
        f"{{web: {STEADFAST}, retries: {{attempts: 2, timeout: 200ms, backoff: 0s}}}}}}",
    )
    assert seen.left == {("web", "served", "", ""): 1}
    assert {key[2] for key in seen.requests} == {"failed", "ok"}  # nobody lost patience
    assert 0.1 < seen.gaps_s[0] < 0.2 + LATE_S


@pytest.mark.parametrize("status", [503, 429])
def test_a_longer_retry_after_is_respected(visit, first, moody, status):
    told = moody.Mood("later", status, {"Retry-After": "1"})
    seen = visit(first(told), f"{{web: {STEADFAST}, retries: {{attempts: 2, backoff: 10ms}}}}}}")
    assert seen.left == {("web", "served", "", ""): 1}
    assert 1.0 <= seen.gaps_s[0] < 1.0 + LATE_S


def test_what_cannot_pass_is_not_tried_again(visit, moody):
    for mood in (moody.Mood("gone", 404), moody.Mood("sold")):
        seen = visit(lambda _, mood=mood: mood, f"{{web: {STEADFAST}, retries: {{attempts: 5}}}}}}")
        assert len(seen.asked) == 1


def test_a_budget_bounds_the_retries_of_all_customers_together(visit, moody):
    arrivals = [["web", "order_status", number / 200] for number in range(100)]
    seen = visit(
        lambda _: moody.Mood("down", 503),
        f"{{web: {STEADFAST}, retries: {{attempts: 4, backoff: 0s, budget: 10%}}}}}}",
        arrivals,
    )
    assert seen.left == {("web", "turned_away", "order_status", "status_5xx"): 100}
    assert 10 + 10 - 1 <= seen.counted["web", "retries"] <= 10 + 10
    assert len(seen.asked) == 100 + seen.counted["web", "retries"]


def test_a_budget_starts_with_ten_and_never_holds_more_than_a_hundred():
    budget = RetryBudget(0.5)
    assert sum(budget.spend() for _ in range(50)) == BUDGET_START
    for _ in range(10_000):
        budget.earn()
    assert sum(budget.spend() for _ in range(500)) == BUDGET_MOST


def test_a_person_reloads_when_the_machine_has_given_up(visit, moody):
    seen = visit(
        lambda asked: moody.Mood("down", 503) if asked.number <= 4 else moody.Mood(),
        f"{{web: {STEADFAST}, retries: {{attempts: 2, backoff: 10ms}}, reloads: {{after: 100ms}}}}}}",
    )
    assert seen.left == {("web", "served", "", ""): 1}
    assert seen.counted == {("web", "retries"): 2, ("web", "reloads"): 2}


def test_a_person_leaves_while_the_machine_waits_to_try_again(visit, moody):
    seen = visit(
        lambda _: moody.Mood("down", 503),
        "{web: {share: 100%, journeys: {order_status: 1}, patience: {tau: 300ms, shape: 10, at_least: 300ms},"
        " retries: {attempts: 9, backoff: 2s}}}",
    )
    assert seen.left == {("web", "abandoned", "order_status", "patience"): 1}
    assert seen.requests == {("web", "order_status", "failed", "status_5xx"): 1}  # and none that was not made


def test_with_retries_off_everybody_asks_once(visit, moody):
    seen = visit(
        lambda _: moody.Mood("busy"),
        f"{{web: {STEADFAST}, retries: {{attempts: 9}}, reloads: {{after: 10ms}}}}}}",
        without_retries=True,
    )
    assert len(seen.asked) == 1
    assert seen.counted == {}


def test_an_order_is_in_doubt_if_any_attempt_may_have_booked_it(visit, moody):
    def course(first_status):
        return lambda asked: (
            moody.Mood() if asked.path == "/home"
            else moody.Mood("x", first_status if asked.number == 1 else 429)
        )  # fmt: skip

    people = "{web: {share: 100%, journeys: {buy: 1}, retries: {attempts: 2, backoff: 10ms}}}"
    doubtful, certain = (visit(course(status), people, [["web", "buy", 0.0]]) for status in (500, 429))
    assert [order["answer"] for order in doubtful.orders] == ["unknown"]
    assert [order["answer"] for order in certain.orders] == ["refused"]


def test_nobody_waits_for_something_that_comes_after_the_end_of_the_run(visit, moody):
    seen = visit(lambda _: moody.Mood("busy"), f"{{web: {STEADFAST}, reloads: {{after: 30s}}}}}}", drain="1s")
    assert seen.left == {("web", "turned_away", "order_status", "busy_page"): 1}
    queued = visit(lambda _: moody.Mood("queue 30"), f"{{web: {STEADFAST}}}}}", drain="1s")
    assert queued.left == {("web", "queued_out", "order_status", "run_ended"): 1}


# ---- waiting rooms


def test_a_queue_is_polled_as_it_asks_and_does_not_count_as_the_page_being_slow(visit, first, moody):
    room = moody.Mood("queue 0.3")
    seen = visit(first(room, room), f"{{web: {STEADFAST}}}}}")
    assert seen.left == {("web", "served", "", ""): 1}
    assert seen.requests == {("web", "waiting_room", "ok", ""): 2, ("web", "order_status", "ok", ""): 1}
    assert seen.counted == {("web", "queue_polls"): 2}
    assert [0.3 <= gap < 0.3 + LATE_S for gap in seen.gaps_s] == [True, True]
    assert seen.slowest_s("order_status") < 0.3


def test_who_has_waited_long_enough_in_the_queue_leaves_it(visit, moody):
    arrivals = [["web", "browse", 0.0]]
    seen = visit(
        lambda _: moody.Mood("queue 0.2"),
        "{web: {share: 100%, journeys: {browse: 1}, patience: none, waiting_room: {patience: 500ms}}}",
        arrivals,
    )
    assert seen.left == {("web", "queued_out", "home", "waiting_room"): 1}
    assert seen.browse_and_order == {(0, None)}
    assert len(seen.asked) == 3


# ---- parts that may fail, other channels, the bell, content rules, tills without network


def test_a_part_that_fails_does_not_end_the_visit_and_is_not_reloaded(visit, moody):
    seen = visit(
        lambda asked: moody.Mood("busy" if asked.path == "/recommendations" else "ok"),
        "{web: {share: 100%, journeys: {browse: 1}, patience: none, pages: 3, reloads: {after: 10ms}}}",
        [["web", "browse", 0.0]],
    )
    assert seen.left == {("web", "served", "", ""): 1}
    assert seen.browse_and_order == {(1, None)}
    assert seen.counted == {("web", "degraded:recommendations"): 1}
    assert seen.requests["web", "recommendations", "failed", "busy_page"] == 1
    assert seen.requests["web", "product", "ok", ""] == 3


def test_a_customer_who_crosses_counts_where_each_thing_was_done_and_where_they_arrived(visit, moody):
    seen = visit(
        lambda _: moody.Mood(), "{web: {share: 100%, journeys: {collect: 1}, signed_in: 100%}}",
        [["web", "collect", 0.0]],
    )  # fmt: skip
    assert seen.left == {("web", "served", "", ""): 1}
    assert set(seen.requests) == {("web", "checkout", "ok", ""), ("store", "order_status", "ok", ""),
                                  ("web", "home", "ok", "")}  # fmt: skip
    assert [asked.headers["channel"] for asked in seen.asked] == ["web", "store", "web"]
    assert len({asked.headers["customer"] for asked in seen.asked}) == 1
    at, store, back = (asked.port for asked in seen.asked)
    assert at == back != store


def test_everybody_waits_for_the_bell(visit, moody):
    arrivals = [["web", "scan", number / 50] for number in range(10)]
    seen = visit(lambda _: moody.Mood(), "{web: {share: 100%, journeys: {scan: 1}}}", arrivals)
    times = [asked.at_s for asked in seen.asked]
    assert max(times) - min(times) < LATE_S
    assert seen.slowest_s("order_status") < LATE_S + 0.1


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ('contains: "Add to basket"', "ok"),
        ('lacks: "Please wait"', "Please wait"),
        ('json: "data.items[0].price", above: 0', '{"data": {"items": [{"price": 0}]}}'),
        ('json: "state", equals: OPEN', '{"state": "CLOSED"}'),
        ('json: "price", exists: true', '{"price": null}'),
        ('json: "price", exists: true', "no json"),
    ],
)
def test_an_answer_that_breaks_a_content_rule_is_a_failure_of_its_own_cause(visit, moody, rule, text):
    seen = visit(
        lambda _: moody.Mood(text), f"{{web: {STEADFAST}}}}}",
        rules=f"[{{step: order_status, {rule}, cause: not_a_page}}]",
    )  # fmt: skip
    assert seen.left == {("web", "turned_away", "order_status", "not_a_page"): 1}
    assert seen.requests == {("web", "order_status", "failed", "not_a_page"): 1}


def test_a_rule_for_every_step_finds_the_busy_page_that_machines_then_try_again(visit, first, moody):
    seen = visit(
        first(moody.Mood("ok, but Please wait")), f"{{web: {STEADFAST}, retries: {{attempts: 2}}}}}}",
        rules='[{step: "*", lacks: "Please wait", cause: busy_page}]',
    )  # fmt: skip
    assert seen.left == {("web", "served", "", ""): 1}
    assert seen.counted == {("web", "retries"): 1}


def test_an_order_whose_answer_breaks_a_rule_may_have_been_booked_all_the_same(visit, moody):
    seen = visit(
        lambda _: moody.Mood(), "{web: {share: 100%, journeys: {buy: 1}}}", [["web", "buy", 0.0]],
        rules='[{step: checkout, contains: "Thank you", cause: busy_page}]',
    )  # fmt: skip
    assert [order["answer"] for order in seen.orders] == ["unknown"]


def test_sales_of_a_till_without_network_come_in_one_burst_afterwards(visit, moody):
    arrivals = [["store", "till_sale", 0.01 + number / 20] for number in range(20)]
    seen = visit(
        lambda _: moody.Mood(),
        "{store: {share: 100%, journeys: {till_sale: 1}, offline: {from: 200ms, for: 700ms}}}",
        arrivals,
    )
    assert seen.left == {("store", "served", "", ""): 20}
    late = [asked for asked in seen.asked if "sold-at" in asked.headers]
    assert len(late) == seen.counted["store", "offline_sales"] == 14
    first_s = seen.asked[0].at_s
    assert all(0.9 - 0.05 < asked.at_s - first_s < 1.9 + LATE_S for asked in late)
    assert len({asked.headers["idempotency-key"] for asked in seen.asked}) == 20
    sold = sorted(float(asked.headers["sold-at"]) for asked in late)
    assert sold[-1] - sold[0] == pytest.approx(13 / 20, abs=0.01)
    assert seen.slowest_s("till_sale") < LATE_S + 0.1


# ---- everything at once


@pytest.mark.parametrize("seed", range(4))
def test_outcomes_balance_with_arrivals_whatever_everybody_does(visit, moody, seed):
    """Every behaviour, against a server that resets, hangs, is busy, queues, refuses and answers."""
    dice = Random(seed)
    moods = [moody.Mood(), moody.Mood(), moody.Mood("busy"), moody.Mood("x", 503), moody.Mood("x", 404),
             moody.Mood("sold"), moody.Mood("queue 0.1"), moody.Mood(status=0), moody.Mood(status=-1),
             moody.Mood(after_s=0.3), moody.Mood("x", 429, {"Retry-After": "1"})]  # fmt: skip
    arrivals = [
        [*dice.choice([("web", "browse"), ("web", "buy"), ("web", "collect"), ("app", "buy"),
                       ("store", "till_sale")]), dice.random() * 2]
        for _ in range(150)
    ]  # fmt: skip
    seen = visit(
        lambda _: dice.choice(moods),
        """{
        web: {share: 60%, journeys: {browse: 3, buy: 1, collect: 1}, think: {constant: 10ms},
              devices: {desktop: 35%, mobile: {share: 65%, buys: 50%}}, signed_in: 40%, uncached: 30%,
              pages: {lognormal: {median: 2, sigma: 1, max: 5}},
              patience: {tau: 400ms, at_least: 100ms}, waiting_room: {patience: {tau: 300ms}},
              reloads: {after: 100ms, share: 70%, at_most: 3, jitter: 50%, when_slow: true}},
        app: {share: 20%, journeys: {buy: 1}, patience: {tau: 500ms, at_least: 100ms},
              retries: {attempts: 3, timeout: 200ms, backoff: 20ms, budget: 50%},
              reloads: {after: 100ms, at_most: 2}},
        store: {share: 20%, journeys: {till_sale: 1}, offline: {from: 500ms, for: 500ms},
                retries: {attempts: 4, timeout: 300ms}}}""",
        arrivals,
        duration_s=2,
        drain="3s",
    )
    outcomes = Counter()
    for (_, outcome, *_), n in seen.left.items():
        outcomes[outcome] += n
    came = Counter(channel for channel, *_ in arrivals)
    assert sum(outcomes.values()) == 150
    for channel, n in came.items():
        assert sum(k for (where, *_), k in seen.left.items() if where == channel) == n
    assert set(outcomes) <= {"served", "abandoned", "turned_away", "queued_out", "dropped"}
    assert outcomes["dropped"] == sum(n for (*_, cause), n in seen.left.items() if cause == "drain_limit")
    assert len({order["idempotency_key"] for order in seen.orders}) == len(seen.orders)
    attempts = sum(seen.requests.values()) - seen.counted["web", "queue_polls"]
    assert attempts >= sum(outcomes.values()) - outcomes["dropped"]


def test_a_failure_may_pass_if_the_shop_was_not_reached_or_says_it_is_busy():
    assert may_pass("connect_refused", None)
    assert may_pass("busy_page", None)
    assert not may_pass("empty_listing", None)
    assert not may_pass("status_4xx", None)
