"""The shop as a process: how it opens, closes and refuses to."""

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
from doorbuster.shop.settings import ShopSettings


def command(*options):
    return [sys.executable, "-W", "error", "-m", "doorbuster.shop", "--products", "24", *map(str, options)]


@contextmanager
def process(*options):
    """A running shop and what it announced."""
    pipe = subprocess.PIPE
    shop = subprocess.Popen(command("--json-announce", *options), stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        line = shop.stdout.readline()
        assert line, shop.stderr.read().decode()
        yield shop, json.loads(line)
    finally:
        shop.kill()
        shop.wait()
        for stream in (shop.stdin, shop.stdout, shop.stderr):
            stream.close()


def refusal(*options):
    """Exit code and standard error of a shop that cannot open."""
    done = subprocess.run(command(*options), capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stderr


def health(url):
    with urllib.request.urlopen(f"{url}/healthz", timeout=10) as answer:
        return json.load(answer)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_shop_says_where_it_is_and_closes_cleanly(number):
    with process() as (shop, announced):
        assert announced["pid"] == shop.pid
        assert announced["url"].startswith("http://127.0.0.1:")
        assert health(announced["url"])["status"] == "ok"
        shop.send_signal(number)
        _, errors = shop.communicate(timeout=20)
        assert (shop.returncode, errors) == (0, b"")


def test_a_shop_closes_promptly_with_a_crowd_in_it():
    with process("--profile", "in-house-2004", "--workers", "1", "--query-time", "1s") as (shop, announced):
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


def test_a_shop_ends_with_its_parent_when_asked_to():
    with process("--die-with-parent") as (shop, announced):
        assert health(announced["url"])["profile"] == "replatformed"
        shop.stdin.close()
        assert shop.wait(timeout=20) == 0


def test_a_taken_port_is_one_clear_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, errors = refusal("--port", port)
    assert code == 2
    assert errors == (
        f"doorbuster.shop: port {port} on 127.0.0.1 is taken; "
        "choose another with --port, or --port 0 for any free one\n"
    )


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "shop"
    code, errors = refusal("--folder", folder)
    assert code == 2
    assert errors == (
        f"doorbuster.shop: {folder}: cannot write here (Not a directory); "
        "choose another folder with --folder\n"
    )


def test_two_shops_cannot_share_a_folder(tmp_path):
    with process("--folder", tmp_path):
        code, errors = refusal("--folder", tmp_path)
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


def test_a_damaged_database_is_one_clear_line(visit, folder):
    folder.mkdir()
    (folder / "shop.sqlite").write_bytes(b"not a database at all" * 100)

    async def look(visitor):
        await visitor.page("/")

    with pytest.raises(UsageError, match="the shop cannot keep its database here"):
        visit(look, reuse=True)


def test_settings_that_cannot_work_are_refused_all_at_once():
    with pytest.raises(UsageError) as refused:
        ShopSettings(profile="replatform", workers=0, products=3)
    assert str(refused.value) == (
        "the shop cannot start: profile must be one of in-house-2004, replatformed (got replatform); "
        "workers must be 1..256 (got 0); products must be 24..50000 (got 3)"
    )


def test_a_shop_without_a_folder_leaves_nothing_behind(tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    shop = subprocess.Popen(
        command("--json-announce"), stdout=subprocess.PIPE, env=environment, stdin=subprocess.DEVNULL
    )
    assert json.loads(shop.stdout.readline())["pid"] == shop.pid
    assert list(tmp_path.iterdir())
    shop.terminate()
    shop.communicate(timeout=20)
    assert list(tmp_path.iterdir()) == []
