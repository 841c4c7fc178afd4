"""What the shop states about its resources, its limits, and the spans of traced requests."""

from __future__ import annotations

import asyncio
import socket
import time

import aiohttp
import pytest

from doorbuster.observe.exposition import parse_exposition
from doorbuster.observe.sources.otlp import OtlpSource
from doorbuster.shop.infrastructure.busy_time import BusyTime, ServiceSlots
from doorbuster.shop.infrastructure.tracing import TraceParent, sampled_parent

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"  # the example of the recommendation


async def metrics(visitor):
    found = {}
    for sample in parse_exposition(await visitor.page("/metrics")):
        labels = dict(sample.labels)
        found[sample.name, labels.get("dependency") or labels.get("status", "")] = sample.value
    return found


async def order(visitor):
    (sku, *_) = await visitor.skus()
    basket = await visitor.filled_basket(sku)
    customer = {"name": "Ada", "email": "ada@example.com", "address": "1 High St", "postcode": "CB7 4AA"}
    headers = {"Idempotency-Key": f"key-{time.monotonic_ns()}"}
    return await visitor.post("/api/orders", headers=headers, json={"basket": basket, "customer": customer})


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_busy_time_is_exact_at_every_moment():
    clock = Clock()
    busy = BusyTime(clock)
    with busy.used():
        clock.now += 2
        with busy.used():
            clock.now += 1
            assert (busy.total_s, busy.users) == (4.0, 2)
    clock.now += 10
    assert (busy.total_s, busy.users) == (4.0, 0)


def test_calls_of_a_service_wait_for_its_slots_in_their_order():
    clock = Clock()
    service = ServiceSlots(2, clock)

    assert [service.call(3.0) for _ in range(5)] == [3.0, 3.0, 6.0, 6.0, 9.0]
    assert service.waiting == 3
    clock.now += 4
    assert (service.busy_s, service.waiting) == (8.0, 1)  # two for 3 s, two for the second since
    clock.now += 20
    assert (service.busy_s, service.waiting) == (15.0, 0)
    assert ServiceSlots(None, clock).call(3.0) == 3.0


def test_the_database_workers_state_their_use_without_waits_for_services(visit):
    async def scenario(visitor):
        assert (await order(visitor)).status == 201
        return await metrics(visitor)

    found = visit(scenario, profile="in-house-2004", query_time_s=0.005, payment_time_s=0.3)

    busy, held = found["shop_database_busy_seconds_total", ""], found["shop_database_held_seconds_total", ""]
    assert held - busy == pytest.approx(0.3, abs=0.15)
    assert found["shop_dependency_busy_seconds_total", "payment"] == pytest.approx(0.3, abs=0.01)
    assert found["shop_dependency_calls_total", "payment"] == 1
    assert busy >= found["shop_database_queries_total", ""] * 0.005 * 0.9
    assert found["shop_responses_total", "2xx"] >= 3


def test_orders_hold_the_stock_lock_one_after_the_other(visit):
    async def scenario(visitor):
        began_s = time.monotonic()
        answers = await asyncio.gather(*(order(visitor) for _ in range(3)))
        assert {answer.status for answer in answers} == {201}
        return time.monotonic() - began_s, await metrics(visitor)

    took_s, found = visit(scenario, stock_lock_time_s=0.2)

    assert took_s >= 0.6
    assert found["shop_stock_lock_busy_seconds_total", ""] == pytest.approx(0.6, rel=0.3)


def test_pages_cost_processor_time(visit):
    async def scenario(visitor):
        before = await metrics(visitor)
        for _ in range(5):
            await visitor.get("/sign-in")
        return before, await metrics(visitor)

    before, after = visit(scenario, page_cpu_s=0.04)

    name = ("process_cpu_seconds_total", "")
    assert after[name] - before[name] >= 0.19
    assert after["shop_event_loop_busy_seconds_total", ""] > before["shop_event_loop_busy_seconds_total", ""]


def test_connections_beyond_the_limit_wait_until_one_is_closed(visit):
    async def scenario(visitor):
        async with aiohttp.ClientSession() as first:
            async with first.get(visitor.url + "/healthz") as answer:
                await answer.read()  # its connection stays open
            waiting = asyncio.create_task(visitor.get("/healthz"))
            done, _ = await asyncio.wait([waiting], timeout=0.3)
            async with first.get(visitor.url + "/metrics") as answer:
                text = await answer.text()
        return done, (await waiting).status, text

    done, status, text = visit(scenario, max_connections=1)

    assert (done, status) == (set(), 200)
    found = {sample.name: sample.value for sample in parse_exposition(text)}
    assert (found["shop_connections"], found["shop_connections_limit"]) == (1, 1)
    assert found["shop_connections_waiting"] == 1


def test_only_sampled_and_well_formed_headers_are_traced():
    trace_id, span_id = PARENT.split("-")[1:3]

    assert sampled_parent(PARENT) == TraceParent(trace_id, span_id)
    for header in ("", PARENT[:-1] + "0", f"00-{'0' * 32}-{span_id}-01", f"00-{trace_id}-{'0' * 16}-01", "x"):
        assert sampled_parent(header) is None


def test_a_traced_request_sends_its_spans_and_others_do_not(visit):
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    receiver = OtlpSource(port=port)

    async def scenario(visitor):
        headers = {"traceparent": PARENT, "baggage": "synthetic_request=true"}
        await visitor.get("/product/NOPE", headers=headers)
        await visitor.get("/", headers={"traceparent": PARENT[:-1] + "0"})
        await visitor.get("/")

    visit(scenario, query_time_s=0.005, otlp_endpoint=f"http://127.0.0.1:{port}")
    samples = {(one.name, dict(one.labels).get("span")): one.value for one in receiver.read()}
    receiver.close()

    assert samples["span_count_total", "GET /product/{sku}"] == 1
    assert samples["span_count_total", "database"] == 1
    assert samples["span_seconds_sum", "database"] >= 0.004
    assert ("span_count_total", "GET /") not in samples
