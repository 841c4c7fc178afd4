"""What journeys may use, with real local servers in real Locust."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

CHANNEL = "{share: 100%, journeys: {order_status: 1}, patience: none"
LATE_S = 0.15  # what a busy machine may add to a wait


# ---- parts that may fail, other channels, the bell, content rules, tills without network


def test_a_failed_optional_step_neither_ends_the_visit_nor_is_reloaded(visit, flaky):
    seen = visit(
        lambda request: flaky.Reply("busy" if request.path == "/recommendations" else "ok"),
        "{web: {share: 100%, journeys: {browse: 1}, patience: none, pages: 3,"
        " reloads: {after: 10ms, max: 3}}}",
        [["web", "browse", 0.0]],
    )
    assert seen.left == {("web", "served", "", ""): 1}
    assert seen.browse_and_order == {(1, None)}
    assert seen.counted == {("web", "degraded:recommendations"): 1}
    assert seen.requests["web", "recommendations", "failed", "busy_page"] == 1
    assert seen.requests["web", "product", "ok", ""] == 3


def test_answers_that_break_http_but_can_be_read_are_counted_by_what_was_odd(visit, flaky):
    seen = visit(lambda _: flaky.Reply(headers={"x@a": "1"}), f"{{web: {CHANNEL}}}}}")
    assert seen.left == {("web", "served", "", ""): 1}
    assert seen.counted == {("web", "lenient:odd header names"): 1}
    assert seen.protocols == {("", "protocol:HTTP/1.1"): 1}


def test_after_crossing_steps_count_in_their_channel_and_the_outcome_in_the_first(visit, flaky):
    seen = visit(
        lambda _: flaky.Reply(), "{web: {share: 100%, journeys: {click_and_collect: 1}, signed_in: 100%}}",
        [["web", "click_and_collect", 0.0]],
    )  # fmt: skip
    assert seen.left == {("web", "served", "", ""): 1}
    assert set(seen.requests) == {("web", "checkout", "ok", ""), ("store", "order_status", "ok", ""),
                                  ("web", "home", "ok", "")}  # fmt: skip
    assert [request.headers["channel"] for request in seen.received] == ["web", "store", "web"]
    assert len({request.headers["customer"] for request in seen.received}) == 1
    at, store, back = (request.port for request in seen.received)
    assert at == back != store


def test_all_customers_wait_for_the_start_of_the_sale(visit, flaky):
    arrivals = [["web", "deep_link", number / 50] for number in range(10)]
    seen = visit(lambda _: flaky.Reply(), "{web: {share: 100%, journeys: {deep_link: 1}}}", arrivals)
    times = [request.at_s for request in seen.received]
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
def test_a_response_that_violates_a_content_rule_fails_with_the_cause_of_the_rule(visit, flaky, rule, text):
    seen = visit(
        lambda _: flaky.Reply(text), f"{{web: {CHANNEL}}}}}",
        rules=f"[{{step: order_status, {rule}, cause: not_a_page}}]",
    )  # fmt: skip
    assert seen.left == {("web", "turned_away", "order_status", "not_a_page"): 1}
    assert seen.requests == {("web", "order_status", "failed", "not_a_page"): 1}


def test_a_rule_for_every_step_detects_a_busy_page_which_is_then_retried(visit, first, flaky):
    seen = visit(
        first(flaky.Reply("ok, but Please wait")), f"{{web: {CHANNEL}, retries: {{attempts: 2}}}}}}",
        rules='[{step: "*", lacks: "Please wait", cause: busy_page}]',
    )  # fmt: skip
    assert seen.left == {("web", "served", "", ""): 1}
    assert seen.counted == {("web", "retries"): 1}


def test_an_order_whose_response_violates_a_rule_is_in_doubt(visit, flaky):
    seen = visit(
        lambda _: flaky.Reply(), "{web: {share: 100%, journeys: {buy: 1}}}", [["web", "buy", 0.0]],
        rules='[{step: checkout, contains: "Thank you", cause: busy_page}]',
    )  # fmt: skip
    assert [order["answer"] for order in seen.orders] == ["unknown"]


def test_offline_sales_are_sent_in_one_burst_when_the_network_is_back(visit, flaky):
    arrivals = [["store", "pos_sale", 0.01 + number / 20] for number in range(20)]
    seen = visit(
        lambda _: flaky.Reply(),
        "{store: {share: 100%, journeys: {pos_sale: 1}, offline: {from: 200ms, for: 700ms}}}",
        arrivals,
    )
    assert seen.left == {("store", "served", "", ""): 20}
    late = [request for request in seen.received if "sold-at" in request.headers]
    assert len(late) == seen.counted["store", "offline_sales"] == 14
    # Times that customers intend, not those a busy machine makes of them.
    orders = {order["idempotency_key"]: order for order in seen.orders}
    waited = [orders[request.headers["idempotency-key"]] for request in late]
    assert all(0.9 <= order["intended_s"] < 1.9 for order in waited)
    assert len({request.headers["idempotency-key"] for request in seen.received}) == 20
    sold = sorted(float(request.headers["sold-at"]) for request in late)
    assert sold[-1] - sold[0] == pytest.approx(13 / 20, abs=0.01)
    slowest_s = max(order["answered_s"] - order["intended_s"] for order in orders.values())
    assert seen.slowest_s("pos_sale") < 1.02 * slowest_s + 0.001  # the wait for the network is not part of it


# ---- what is counted of the visits


def test_visits_are_counted_by_what_they_sent_and_not_by_what_was_drawn(visit, flaky):
    """Half of the customers fail on the first page, a quarter of the others at the sign-in."""
    seen_at: Counter[str] = Counter()

    def answer(request) -> object:
        step = request.path.partition("?")[0]
        seen_at[step] += 1
        fails = {"/home": seen_at[step] % 2, "/sign-in": not seen_at[step] % 4}.get(step, False)
        return flaky.Reply("x", 503) if fails else flaky.Reply()

    arrivals = [["web", "buy", number / 100] for number in range(100)]
    seen = visit(
        answer,
        """{web: {share: 100%, journeys: {buy: 1}, patience: none, signed_in: 40%, cache_busting: 30%,
            devices: {desktop: 40%, mobile: 60%}}}""",
        arrivals,
    )

    def customers(of) -> set[str]:
        return {request.headers["customer"] for request in seen.received if of(request)}

    signed_in = customers(lambda request: request.path == "/sign-in")
    reached = signed_in | customers(lambda request: request.path == "/checkout")
    drawn = customers(lambda request: request.headers["signed-in"] == "True")
    assert 0 < len(signed_in) < len(drawn)
    assert len(reached) == 50
    assert {name: n for (_, name), n in seen.counted.items()} == {
        "visits_sent": 100,
        "device:desktop": len(customers(lambda request: request.headers["device"] == "desktop")),
        "device:mobile": len(customers(lambda request: request.headers["device"] == "mobile")),
        "cache_busting": len(customers(lambda request: "?from=" in request.path)),
        "reached_sign_in": 50,
        "signed_in": len(signed_in),
    }


def test_a_driver_that_drops_the_campaign_sent_no_cache_busting_visit(visit, flaky):
    channel = "{web: {share: 100%, journeys: {order_status: 1}, patience: none, cache_busting: 100%}}"
    seen = visit(lambda _: flaky.Reply(), channel, [["web", "order_status", 0.0]])
    assert seen.counted == {("web", "visits_sent"): 1}


# ---- everything at once


@pytest.mark.parametrize("seed", range(2))
def test_outcomes_balance_with_arrivals_whatever_customers_and_shop_do(visit, flaky, seed):
    """Every behaviour, against a server that resets, hangs, is busy, queues, refuses and answers."""
    dice = Random(seed)
    ok, reply = flaky.Reply(), flaky.Reply
    replies = [ok, ok, reply("busy"), reply("x", 503), reply("x", 404), reply("sold"), reply("queue 0.1"),
               reply(status=0), reply(status=-1), reply(after_s=0.3),
               reply("x", 429, {"Retry-After": "1"})]  # fmt: skip
    arrivals = [
        [*dice.choice([("web", "browse"), ("web", "buy"), ("web", "click_and_collect"), ("app", "buy"),
                       ("store", "pos_sale")]), dice.random() * 2]
        for _ in range(150)
    ]  # fmt: skip
    seen = visit(
        lambda _: dice.choice(replies),
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
