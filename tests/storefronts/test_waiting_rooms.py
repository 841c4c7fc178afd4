"""Waiting rooms are recognised by the content of the response."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from urllib.request import urlopen

import pytest

from doorbuster.shop_settings import WaitingRoomSettings
from doorbuster.storefronts import BasketLine, Rejected, WaitingRoomError
from doorbuster.storefronts.waiting_rooms import reload_interval_s, waiting_room_poll_s


def answer(body="", *, status=200, url="/", **headers):
    """An answer as a client hands it to a driver."""
    text = body if isinstance(body, str) else json.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if not isinstance(body, str):
        named.setdefault("content-type", "application/json; charset=utf-8")
    return SimpleNamespace(
        status_code=status, text=text, url=url, headers=named, cause="", json=lambda: json.loads(text)
    )


@pytest.mark.parametrize("status", [200, 202, 429])
@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"body": {"cfWaitingRoom": {"inWaitingRoom": True, "refreshIntervalSeconds": 12}}}, 12.0),
        ({"body": {"cfWaitingRoom": {"inWaitingRoom": True}}}, 20.0),
        ({"body": {"inWaitingRoom": True, "waitTime": 5, "position": 31}}, 20.0),
        (
            {"body": "<p>In line</p>", "refresh": "20", "set_cookie": "__cfwaitingroom=x; Path=/"},
            20.0,
        ),
        ({"body": '<meta http-equiv="refresh" content="30"><h1>Waiting room</h1>'}, 30.0),
        ({"body": '<main data-waiting-room="x" data-position="7">', "refresh": "5;url=/"}, 5.0),
        ({"body": {}, "x_queueit_redirect": "%2Fqueue%2F%3Fc%3Da%26e%3Db"}, 20.0),
        ({"body": "<p>", "url": "https://shop.queue-it.net/?c=shop&e=sale&cid=en"}, 20.0),
        ({"body": "<p>", "url": "/queue/?c=shop&e=sale&t=%2F", "refresh": "7"}, 7.0),
    ],
)
def test_a_waiting_room_is_recognised_with_any_status(said, expected, status):
    assert waiting_room_poll_s(answer(status=status, **said)) == expected


@pytest.mark.parametrize(
    "said",
    [
        {"body": "<h1>Oak table</h1>"},
        {"body": "<h1>Waiting room chairs</h1>"},  # on sale, on a page that stays
        {"body": "<p>Live prices</p>", "refresh": "60"},  # reloads itself, but is no room
        {"body": "<h1>Oak table</h1>", "set_cookie": "__cfwaitingroom=x"},  # admitted
        {"body": {"cfWaitingRoom": {"inWaitingRoom": False}}},
        {"body": {"products": [{"name": "inWaitingRoom"}]}},
        {"body": '["inWaitingRoom"', "content_type": "application/json"},
        {"body": "<p>", "url": "/search?q=a&e=b"},
        {"body": "<p>", "url": "/page?c=1&e=2"},
    ],
)
def test_an_ordinary_response_is_not_a_waiting_room(said):
    assert waiting_room_poll_s(answer(**said)) is None


def test_the_reload_interval_of_a_page_is_read():
    assert reload_interval_s(answer("<p>", refresh="30")) == 30.0
    assert reload_interval_s(answer('<META HTTP-EQUIV=Refresh CONTENT="2.5; url=/">')) == 2.5
    assert reload_interval_s(answer("<p>no</p>")) is None


@pytest.mark.parametrize("style", [pytest.param("cloudflare", marks=pytest.mark.truth), "queue-it"])
def test_customers_of_the_reference_shop_queue_and_are_admitted(start_shop_process, style):
    room = WaitingRoomSettings(admit_per_s=0.2, poll_s=7.0, style=style)
    with start_shop_process(waiting_room=room) as shop:
        first, pages, program = shop.customer(), shop.customer(), shop.customer("app")
        assert first.home().skus
        with pytest.raises(WaitingRoomError) as page:
            pages.home()
        assert page.value.poll_after_s == 7.0
        with pytest.raises(WaitingRoomError) as document:
            program.search()
        assert document.value.poll_after_s == 7.0
        assert first.category().skus
        assert shop.customer("store").pos_sale("sale", (BasketLine(shop.catalogue.skus[0], 1, 0),)).ref
        while True:  # one more comes in every five seconds
            try:
                found = pages.category()
            except WaitingRoomError:
                continue
            break
        assert found.skus


@pytest.mark.truth
def test_a_holding_page_is_a_rejection_with_a_retry_delay(start_shop_process):
    settings = {"profile": "in-house-2004", "workers": 1, "query_time_s": 0.2, "queue_limit": 2}
    with start_shop_process(**settings, holding_page_s=30.0) as shop, ThreadPoolExecutor(4) as crowd:
        waits = [crowd.submit(lambda: urlopen(shop.url + "/").read()) for _ in range(4)]
        while shop.client.get("/healthz").json()["waiting"] < 2:
            pass
        with pytest.raises(Rejected) as held:
            shop.customer().home()
        assert (held.value.cause, held.value.expected, held.value.retry_after_s) == (
            "holding_page",
            False,
            30.0,
        )
        for wait in waits:
            wait.result()
