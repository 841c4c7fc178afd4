"""Reloads, retries and waiting rooms, with real local servers in real Locust."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from doorbuster.load.customers.retry_budget import BUDGET_MAX, BUDGET_START, RetryBudget
from doorbuster.load.customers.retry_policy import is_retryable

CHANNEL = "{share: 100%, journeys: {order_status: 1}, patience: none"
LATE_S = 0.15  # what a busy machine may add to a wait


# ---- people who reload


def test_a_busy_page_is_reloaded_until_the_shop_answers_and_each_attempt_counts(visit, first, flaky):
    busy = flaky.Reply("busy")
    seen = visit(first(busy, busy), f"{{web: {CHANNEL}, reloads: {{after: 200ms}}}}}}")
    assert seen.left == {("web", "served", "", ""): 1}
    assert seen.requests == {("web", "order_status", "failed", "busy_page"): 2,
                             ("web", "order_status", "ok", ""): 1}  # fmt: skip
    assert seen.counted == {("web", "reloads"): 2}
    assert [0.2 <= gap < 0.2 + LATE_S for gap in seen.gaps_s] == [True, True]
    assert seen.slowest_s("order_status") < 0.2  # due at the end of the wait, not at the arrival


def test_after_the_last_reload_the_outcome_is_that_of_the_last_attempt(visit, flaky):
    seen = visit(lambda _: flaky.Reply("busy"), f"{{web: {CHANNEL}, reloads: {{after: 20ms, max: 3}}}}}}")
    assert seen.left == {("web", "turned_away", "order_status", "busy_page"): 1}
    assert len(seen.received) == 4
    assert seen.counted == {("web", "reloads"): 3}


def test_the_share_of_reloading_customers_is_that_of_the_scenario(visit, flaky):
    arrivals = [["web", "order_status", number / 400] for number in range(200)]
    seen = visit(
        lambda _: flaky.Reply("busy"),
        f"{{web: {CHANNEL}, reloads: {{after: 10ms, share: 60%, max: 1}}}}}}",
        arrivals,
    )
    assert 120 - 28 <= seen.counted["web", "reloads"] <= 120 + 28  # four standard deviations
    assert len(seen.received) == 200 + seen.counted["web", "reloads"]


def test_sold_out_pages_are_not_reloaded(visit, flaky):
    seen = visit(lambda _: flaky.Reply("sold"), f"{{web: {CHANNEL}, reloads: {{after: 10ms, max: 3}}}}}}")
    assert seen.left == {("web", "turned_away", "order_status", "sold_out"): 1}
    assert len(seen.received) == 1


def test_a_reload_of_a_slow_page_leaves_the_old_request_to_the_shop(visit, first, flaky):
    people = "{share: 100%, journeys: {order_status: 1}, patience: {tau: 300ms, shape: 10, min: 300ms}"
    stuck = flaky.Reply(status=-1)
    leaves = visit(first(stuck), f"{{web: {people}, reloads: {{after: 5s}}}}}}")
    assert leaves.left == {("web", "abandoned", "order_status", "patience"): 1}

    stays = visit(first(stuck), f"{{web: {people}, reloads: {{after: 5s, when_slow: true}}}}}}")
    assert stays.left == {("web", "served", "", ""): 1}
    assert stays.requests == {("web", "order_status", "abandoned", "patience"): 1,
                              ("web", "order_status", "ok", ""): 1}  # fmt: skip
    assert 0.2 < stays.gaps_s[0] < 0.5 + LATE_S  # at once when patience ends, not after 5 s
    assert stays.received[0].port != stays.received[1].port  # the old connection was dropped


def test_without_jitter_simultaneous_failures_cause_simultaneous_reloads(visit, flaky):
    arrivals = [["web", "order_status", 0.0] for _ in range(30)]

    def people(jitter):
        return f"{{web: {CHANNEL}, reloads: {{after: 400ms, max: 2, jitter: {jitter}}}}}}}"

    saw = visit(lambda _: flaky.Reply("busy"), people("0%"), arrivals)
    first_s = saw.received[0].at_s
    waves = Counter(round((request.at_s - first_s) / 0.4) for request in saw.received)
    assert waves == {0: 30, 1: 30, 2: 30}
    within_s = [min((a.at_s - first_s) % 0.4, 0.4 - (a.at_s - first_s) % 0.4) for a in saw.received]
    assert max(within_s) < LATE_S

    spread = visit(lambda _: flaky.Reply("busy"), people("100%"), arrivals)
    first_s = spread.received[0].at_s
    between = [a for a in spread.received if 0.15 < (a.at_s - first_s) < 0.25]
    assert between


# ---- machines that try again


def test_retries_back_off_exponentially_and_keep_the_idempotency_key(visit, flaky):
    def reply(request):
        down = request.path == "/checkout" and request.number < 4
        return flaky.Reply("sorry", 503) if down else flaky.Reply()

    seen = visit(
        reply,
        "{web: {share: 100%, journeys: {buy: 1}, patience: none,"
        " retries: {attempts: 4, backoff: 80ms, jitter: 0%}}}",
        [["web", "buy", 0.0]],
    )
    tries = [request for request in seen.received if request.path == "/checkout"]
    waits = [later.at_s - earlier.at_s for earlier, later in pairwise(tries)]
    assert [0.08 * 2**k <= wait < 0.08 * 2**k + LATE_S for k, wait in enumerate(waits)] == [True] * 3
    assert len({request.headers["idempotency-key"] for request in tries}) == 1
    assert [order["answer"] for order in seen.orders] == ["acknowledged"]
    assert seen.counted == {("web", "retries"): 3}
    assert seen.requests["web", "checkout", "failed", "status_5xx"] == 3


def test_an_attempt_has_a_time_limit_of_its_own(visit, first, flaky):
    seen = visit(
        first(flaky.Reply(status=-1)),
        f"{{web: {CHANNEL}, retries: {{attempts: 2, timeout: 200ms, backoff: 0s}}}}}}",
    )
    assert seen.left == {("web", "served", "", ""): 1}
    assert {key[2] for key in seen.requests} == {"failed", "ok"}  # no customer lost patience
    assert 0.1 < seen.gaps_s[0] < 0.2 + LATE_S


@pytest.mark.parametrize("status", [503, 429])
def test_a_longer_retry_after_is_respected(visit, first, flaky, status):
    told = flaky.Reply("later", status, {"Retry-After": "1"})
    seen = visit(first(told), f"{{web: {CHANNEL}, retries: {{attempts: 2, backoff: 10ms}}}}}}")
    assert seen.left == {("web", "served", "", ""): 1}
    assert 1.0 <= seen.gaps_s[0] < 1.0 + LATE_S


def test_permanent_failures_are_not_retried(visit, flaky):
    for reply in (flaky.Reply("gone", 404), flaky.Reply("sold")):
        seen = visit(lambda _, reply=reply: reply, f"{{web: {CHANNEL}, retries: {{attempts: 5}}}}}}")
        assert len(seen.received) == 1


def test_a_budget_bounds_the_retries_of_all_customers_together(visit, flaky):
    arrivals = [["web", "order_status", number / 200] for number in range(100)]
    seen = visit(
        lambda _: flaky.Reply("down", 503),
        f"{{web: {CHANNEL}, retries: {{attempts: 4, backoff: 0s, budget: 10%}}}}}}",
        arrivals,
    )
    assert seen.left == {("web", "turned_away", "order_status", "status_5xx"): 100}
    assert 10 + 10 - 1 <= seen.counted["web", "retries"] <= 10 + 10
    assert len(seen.received) == 100 + seen.counted["web", "retries"]


def test_a_budget_starts_with_ten_tokens_and_holds_at_most_a_hundred():
    budget = RetryBudget(0.5)
    assert sum(budget.spend() for _ in range(50)) == BUDGET_START
    for _ in range(10_000):
        budget.earn()
    assert sum(budget.spend() for _ in range(500)) == BUDGET_MAX


def test_a_person_reloads_after_the_last_retry(visit, flaky):
    seen = visit(
        lambda request: flaky.Reply("down", 503) if request.number <= 4 else flaky.Reply(),
        f"{{web: {CHANNEL}, retries: {{attempts: 2, backoff: 10ms}}, reloads: {{after: 100ms}}}}}}",
    )
    assert seen.left == {("web", "served", "", ""): 1}
    assert seen.counted == {("web", "retries"): 2, ("web", "reloads"): 2}


def test_a_person_may_leave_during_a_backoff(visit, flaky):
    seen = visit(
        lambda _: flaky.Reply("down", 503),
        "{web: {share: 100%, journeys: {order_status: 1}, patience: {tau: 300ms, shape: 10, min: 300ms},"
        " retries: {attempts: 9, backoff: 2s}}}",
    )
    assert seen.left == {("web", "abandoned", "order_status", "patience"): 1}
    assert seen.requests == {("web", "order_status", "failed", "status_5xx"): 1}  # and no other


def test_with_retries_off_each_step_is_requested_once(visit, flaky):
    seen = visit(
        lambda _: flaky.Reply("busy"),
        f"{{web: {CHANNEL}, retries: {{attempts: 9}}, reloads: {{after: 10ms, max: 3}}}}}}",
        without_retries=True,
    )
    assert len(seen.received) == 1
    assert seen.counted == {}


def test_an_order_is_in_doubt_if_any_attempt_may_have_booked_it(visit, flaky):
    def course(first_status):
        return lambda request: (
            flaky.Reply() if request.path == "/home"
            else flaky.Reply("x", first_status if request.number == 1 else 429)
        )  # fmt: skip

    people = "{web: {share: 100%, journeys: {buy: 1}, retries: {attempts: 2, backoff: 10ms}}}"
    doubtful, certain = (visit(course(status), people, [["web", "buy", 0.0]]) for status in (500, 429))
    assert [order["answer"] for order in doubtful.orders] == ["unknown"]
    assert [order["answer"] for order in certain.orders] == ["refused"]


def test_no_wait_goes_past_the_end_of_the_run(visit, flaky):
    seen = visit(lambda _: flaky.Reply("busy"), f"{{web: {CHANNEL}, reloads: {{after: 30s}}}}}}", drain="1s")
    assert seen.left == {("web", "turned_away", "order_status", "busy_page"): 1}
    queued = visit(lambda _: flaky.Reply("queue 30"), f"{{web: {CHANNEL}}}}}", drain="1s")
    assert queued.left == {("web", "queued_out", "order_status", "run_ended"): 1}


# ---- waiting rooms


def test_a_waiting_room_is_polled_at_its_interval_and_not_counted_in_the_response_time(visit, first, flaky):
    room = flaky.Reply("queue 0.3")
    seen = visit(first(room, room), f"{{web: {CHANNEL}}}}}")
    assert seen.left == {("web", "served", "", ""): 1}
    assert seen.requests == {("web", "waiting_room", "ok", ""): 2, ("web", "order_status", "ok", ""): 1}
    assert seen.counted == {("web", "queue_polls"): 2}
    assert [0.3 <= gap < 0.3 + LATE_S for gap in seen.gaps_s] == [True, True]
    assert seen.slowest_s("order_status") < 0.3


def test_a_customer_leaves_the_waiting_room_when_patience_ends(visit, flaky):
    arrivals = [["web", "browse", 0.0]]
    seen = visit(
        lambda _: flaky.Reply("queue 0.2"),
        "{web: {share: 100%, journeys: {browse: 1}, patience: none, waiting_room: {patience: 500ms}}}",
        arrivals,
    )
    assert seen.left == {("web", "queued_out", "home", "waiting_room"): 1}
    assert seen.browse_and_order == {(0, None)}
    assert len(seen.received) == 3


def test_a_failure_is_retryable_if_the_shop_was_not_reached_or_is_busy():
    assert is_retryable("connect_refused", None)
    assert is_retryable("busy_page", None)
    assert not is_retryable("empty_listing", None)
    assert not is_retryable("status_4xx", None)
