"""What journeys may use, and everything at once: against real local servers, in real Locust."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

STEADFAST = "{share: 100%, journeys: {order_status: 1}, patience: none"
LATE_S = 0.15  # what a busy machine may add to a wait


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
        lambda _: moody.Mood(), "{web: {share: 100%, journeys: {click_and_collect: 1}, signed_in: 100%}}",
        [["web", "click_and_collect", 0.0]],
    )  # fmt: skip
    assert seen.left == {("web", "served", "", ""): 1}
    assert set(seen.requests) == {("web", "checkout", "ok", ""), ("store", "order_status", "ok", ""),
                                  ("web", "home", "ok", "")}  # fmt: skip
    assert [asked.headers["channel"] for asked in seen.asked] == ["web", "store", "web"]
    assert len({asked.headers["customer"] for asked in seen.asked}) == 1
    at, store, back = (asked.port for asked in seen.asked)
    assert at == back != store


def test_everybody_waits_for_the_bell(visit, moody):
    arrivals = [["web", "deep_link", number / 50] for number in range(10)]
    seen = visit(lambda _: moody.Mood(), "{web: {share: 100%, journeys: {deep_link: 1}}}", arrivals)
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
    arrivals = [["store", "pos_sale", 0.01 + number / 20] for number in range(20)]
    seen = visit(
        lambda _: moody.Mood(),
        "{store: {share: 100%, journeys: {pos_sale: 1}, offline: {from: 200ms, for: 700ms}}}",
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
    assert seen.slowest_s("pos_sale") < LATE_S + 0.1


# ---- everything at once


@pytest.mark.parametrize("seed", range(2))
def test_outcomes_balance_with_arrivals_whatever_everybody_does(visit, moody, seed):
    """Every behaviour, against a server that resets, hangs, is busy, queues, refuses and answers."""
    dice = Random(seed)
    moods = [moody.Mood(), moody.Mood(), moody.Mood("busy"), moody.Mood("x", 503), moody.Mood("x", 404),
             moody.Mood("sold"), moody.Mood("queue 0.1"), moody.Mood(status=0), moody.Mood(status=-1),
             moody.Mood(after_s=0.3), moody.Mood("x", 429, {"Retry-After": "1"})]  # fmt: skip
    arrivals = [
        [*dice.choice([("web", "browse"), ("web", "buy"), ("web", "click_and_collect"), ("app", "buy"),
                       ("store", "pos_sale")]), dice.random() * 2]
        for _ in range(150)
    ]  # fmt: skip
    seen = visit(
        lambda _: dice.choice(moods),
        """{
        web: {share: 60%, journeys: {browse: 3, buy: 1, click_and_collect: 1}, think: {constant: 10ms},
              devices: {desktop: 35%, mobile: {share: 65%, conversion: 50%}}, signed_in: 40%,
              cache_busting: 30%,
              pages: {lognormal: {median: 2, sigma: 1, max: 5}},
              patience: {tau: 400ms, min: 100ms}, waiting_room: {patience: {tau: 300ms}},
              reloads: {after: 100ms, share: 70%, max: 3, jitter: 50%, when_slow: true}},
        app: {share: 20%, journeys: {buy: 1}, patience: {tau: 500ms, min: 100ms},
              retries: {attempts: 3, timeout: 200ms, backoff: 20ms, budget: 50%},
              reloads: {after: 100ms, max: 2}},
        store: {share: 20%, journeys: {pos_sale: 1}, offline: {from: 500ms, for: 500ms},
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
