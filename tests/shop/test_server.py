"""The shop as a process: starting, stopping and startup errors."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from contextlib import contextmanager

import pytest

from doorbuster.errors import UsageError
from doorbuster.shop_settings import ShopSettings, WaitingRoomSettings

COMMAND = [sys.executable, "-W", "error", "-m", "doorbuster.shop"]


def as_json(**settings):
    return ShopSettings(**{"products": 24, **settings}).to_json()


@contextmanager
def process(*, env=None, **settings):
    """A running shop and what it announced."""
    pipe = subprocess.PIPE
    shop = subprocess.Popen(COMMAND, stdin=pipe, stdout=pipe, stderr=pipe, env=env)
    try:
        shop.stdin.write(as_json(**settings).encode())
        shop.stdin.flush()
        line = shop.stdout.readline()
        assert line, shop.stderr.read().decode()
        yield shop, json.loads(line)
    finally:
        shop.kill()
        shop.wait()
        for stream in (shop.stdin, shop.stdout, shop.stderr):
            stream.close()


def refusal(text):
    """Exit code and standard error of a shop that cannot open with these settings."""
    done = subprocess.run(COMMAND, input=text, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stderr


def health(url):
    with urllib.request.urlopen(f"{url}/healthz", timeout=10) as answer:
        return json.load(answer)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_shop_announces_its_url_and_closes_cleanly(number):
    with process() as (shop, announced):
        assert announced["pid"] == shop.pid
        assert announced["url"].startswith("http://127.0.0.1:")
        assert health(announced["url"])["status"] == "ok"
        shop.send_signal(number)
        _, errors = shop.communicate(timeout=20)
        assert (shop.returncode, errors) == (0, b"")


def test_a_shop_closes_promptly_with_requests_waiting():
    with process(profile="in-house-2004", workers=1, query_time_s=1.0) as (shop, announced):
        host, port = announced["url"].removeprefix("http://").split(":")
        crowd = [socket.create_connection((host, int(port))) for _ in range(30)]
        for customer in crowd:
            customer.sendall(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
        while health(announced["url"])["waiting"] < 29:
            pass
        shop.send_signal(signal.SIGTERM)
        _, errors = shop.communicate(timeout=10)
        assert (shop.returncode, errors) == (0, b"")
        for customer in crowd:
            customer.close()


def test_a_shop_ends_with_its_parent():
    with process() as (shop, announced):
        assert health(announced["url"])["profile"] == "replatformed"
        shop.stdin.close()
        assert shop.wait(timeout=20) == 0


def test_a_taken_port_is_reported_in_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, errors = refusal(as_json(port=port))
    assert code == 2
    assert errors == (
        f"doorbuster.shop: port {port} on 127.0.0.1 is taken; "
        "choose another with --port, or --port 0 for any free one\n"
    )


def test_an_unwritable_folder_is_reported_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "shop"
    code, errors = refusal(as_json(folder=folder))
    assert code == 2
    assert errors == (
        f"doorbuster.shop: {folder}: cannot write here (Not a directory); "
        "choose another folder with --folder\n"
    )


def test_two_shops_cannot_share_a_folder(tmp_path):
    with process(folder=tmp_path):
        code, errors = refusal(as_json(folder=tmp_path))
    assert code == 2
    assert errors == (
        f"doorbuster.shop: {tmp_path}: another shop is open in this folder; "
        "stop it, or choose another with --folder\n"
    )


def test_a_reused_folder_keeps_its_orders_and_a_fresh_one_does_not(visit, tmp_path):
    async def sell(visitor):
        sku = (await visitor.skus())[0]
        await visitor.pos_sale("sale", (sku, 1))

    async def count(visitor):
        return len((await visitor.document("/ledger/orders"))["orders"])

    visit(sell)
    assert visit(count, reuse=True) == 1
    assert visit(count) == 0


def test_a_database_of_another_design_is_not_reused(visit, folder):
    async def look(visitor):
        await visitor.page("/")

    visit(look, profile="replatformed")
    with pytest.raises(UsageError) as refused:
        visit(look, profile="in-house-2004", products=24, reuse=True)
    assert str(refused.value) == (
        f"{folder / 'shop.sqlite'}: this database was made with profile replatformed, not in-house-2004; "
        "products 48, not 24; leave out --reuse to make a new one"
    )


def test_a_damaged_database_is_reported(visit, folder):
    folder.mkdir()
    (folder / "shop.sqlite").write_bytes(b"not a database at all" * 100)

    async def look(visitor):
        await visitor.page("/")

    with pytest.raises(UsageError, match="the shop cannot keep its database here"):
        visit(look, reuse=True)


def test_invalid_settings_are_reported_all_at_once():
    with pytest.raises(UsageError) as refused:
        ShopSettings(profile="replatform", workers=0, products=3)
    assert str(refused.value) == (
        "the shop cannot start: profile must be one of in-house-2004, replatformed (got replatform); "
        "workers must be 1..256 (got 0); products must be 24..50000 (got 3)"
    )


def test_a_shop_without_a_folder_leaves_nothing_behind(tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with process(env=environment) as (shop, _announced):
        assert list(tmp_path.iterdir())
        shop.terminate()
        shop.communicate(timeout=20)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "[1]\n", '{"worker": 1}\n', '{"workers": "1"}\n'])
def test_unreadable_settings_are_reported_in_one_line(text):
    code, errors = refusal(text)
    assert code == 2
    assert errors.startswith("doorbuster.shop: the settings must be a JSON object of ShopSettings (")


def test_settings_pass_through_json_unchanged(tmp_path):
    room = WaitingRoomSettings(admit_per_s=5.0, style="queue-it")
    settings = ShopSettings(folder=tmp_path, waiting_room=room, merchants=("north", "south"), workers=2)
    assert ShopSettings.from_json(settings.to_json()) == settings
