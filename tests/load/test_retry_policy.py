"""What people and machines do about a shop in a bad mood: against real local servers, in real Locust."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from doorbuster.load.customers.retry_budget import BUDGET_MAX, BUDGET_START, RetryBudget
from doorbuster.load.customers.retry_policy import is_retryable

STEADFAST = "{share: 100%, journeys: {order_status: 1}, patience: none"
LATE_S = 0.15  # what a busy machine may add to a wait


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
    seen = visit(lambda _: moody.Mood("busy"), f"{{web: {STEADFAST}, reloads: {{after: 20ms, max: 3}}}}}}")
    assert seen.left == {("web", "turned_away", "order_status", "busy_page"): 1}
    assert len(seen.asked) == 4
    assert seen.counted == {("web", "reloads"): 3}


def test_so_many_people_reload_as_the_share_says(visit, moody):
    arrivals = [["web", "order_status", number / 400] for number in range(200)]
    seen = visit(
        lambda _: moody.Mood("busy"),
        f"{{web: {STEADFAST}, reloads: {{after: 10ms, share: 60%, max: 1}}}}}}",
        arrivals,
    )
    assert 120 - 28 <= seen.counted["web", "reloads"] <= 120 + 28  # four standard deviations
    assert len(seen.asked) == 200 + seen.counted["web", "reloads"]


def test_people_do_not_reload_when_the_shop_works_and_has_sold_out(visit, moody):
    seen = visit(lambda _: moody.Mood("sold"), f"{{web: {STEADFAST}, reloads: {{after: 10ms}}}}}}")
    assert seen.left == {("web", "turned_away", "order_status", "sold_out"): 1}
    assert len(seen.asked) == 1


def test_an_impatient_customer_reloads_while_the_shop_works_on_the_old_request(visit, first, moody):
    people = "{share: 100%, journeys: {order_status: 1}, patience: {tau: 300ms, shape: 10, min: 300ms}"
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
        return f"{{web: {STEADFAST}, reloads: {{after: 400ms, max: 2, jitter: {jitter}}}}}}}"

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
    assert sum(budget.spend() for _ in range(500)) == BUDGET_MAX


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
        "{web: {share: 100%, journeys: {order_status: 1}, patience: {tau: 300ms, shape: 10, min: 300ms},"
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


def test_a_failure_may_pass_if_the_shop_was_not_reached_or_says_it_is_busy():
    assert is_retryable("connect_refused", None)
    assert is_retryable("busy_page", None)
    assert not is_retryable("empty_listing", None)
    assert not is_retryable("status_4xx", None)
