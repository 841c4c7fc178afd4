"""Whatever ends a journey, only its normal end counts as served; every other way out has a named outcome."""

from __future__ import annotations

WEB = "{{web: {{share: 100%, journeys: {{{journey}: 1}}, patience: none}}}}"
RAISED = (
    "Timeout", "GreenletExit", "CancelledError", "SystemExit", "KeyboardInterrupt", "GeneratorExit",
    "NotImplementedError", "StopIteration", "StopAsyncIteration", "own",
)  # fmt: skip


def test_whatever_a_driver_raises_drops_its_customer_and_only_that_one(visit, flaky):
    seen = visit(
        lambda request: flaky.Reply(
            "ok" if request.number > len(RAISED) else f"raise {RAISED[request.number - 1]}"
        ),
        WEB.format(journey="order_status"),
        [["web", "order_status", at / 50] for at in range(len(RAISED) + 2)],
        raises=True,
    )
    assert seen.left == {
        ("web", "served", "", ""): 2,
        ("web", "dropped", "order_status", "script_exception"): len(RAISED),
    }
    assert {kind for kind, _ in seen.events} == {"script_exception"}
    for name in RAISED:
        assert any(name.title() in text or name in text for _, text in seen.events), name


def test_whatever_a_journey_raises_drops_its_customer(visit, flaky):
    seen = visit(
        lambda request: flaky.Reply(RAISED[request.number - 1]),
        WEB.format(journey="search"),
        [["web", "search", at / 50] for at in range(len(RAISED))],
        raises=True,
    )
    assert seen.left == {("web", "dropped", "word", "script_exception"): len(RAISED)}
    assert len(seen.events) == len(RAISED)


def test_a_journey_without_a_step_has_not_served_its_customer(visit, flaky):
    seen = visit(
        lambda _: flaky.Reply(),
        WEB.format(journey="return_order"),
        [["web", "return_order", 0.0]],
        raises=True,
    )
    assert seen.left == {("web", "dropped", "", "script_exception"): 1}
    assert seen.events == [("script_exception", "journey return_order ended without a step")]


def test_a_journey_that_catches_the_end_of_its_visit_has_not_been_served(visit, first, flaky):
    journey = "comparison_shopping"
    seen = visit(first(flaky.Reply("no", status=500)), WEB.format(journey=journey), [["web", journey, 0.0]])
    assert seen.left == {("web", "turned_away", "order_status", "status_5xx"): 1}
    assert len(seen.received) == 1  # the visit was over


def test_a_customer_who_catches_the_stop_of_the_run_is_dropped_and_sends_nothing_more(visit, flaky):
    seen = visit(
        lambda _: flaky.Reply(status=-1), WEB.format(journey="prefetch"), [["web", "prefetch", 0.0]],
        drain="1s",
    )  # fmt: skip
    assert seen.left == {("web", "dropped", "swallow", "drain_limit"): 1}
    assert len(seen.received) == 1
