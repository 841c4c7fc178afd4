"""Starts and stops a shop: its folder, port and signals.

A shop ends cleanly on SIGINT or SIGTERM: waiting work is dropped, running work is finished.
"""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import fcntl
import os
import resource
import signal
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from aiohttp import web

from doorbuster.errors import UsageError
from doorbuster.shop.domain.query_costs import PROFILES
from doorbuster.shop.http.access_log import AccessLogWriter, give_visitor_cookie, open_access_log
from doorbuster.shop.http.app import make_app
from doorbuster.shop.http.connection_limit import LimitedSite
from doorbuster.shop.http.metrics_listener import metrics_listener
from doorbuster.shop.http.metrics_page import render
from doorbuster.shop.http.open_shop import OPEN_SHOP, ListenerState, OpenShop
from doorbuster.shop.infrastructure.cache_warmup import warm_up
from doorbuster.shop.infrastructure.database_workers import DatabaseWorkers
from doorbuster.shop.infrastructure.process_meter import ProcessMeter, connections_waiting
from doorbuster.shop_settings import ShopSettings

LOCK_NAME = "shop.lock"
LISTEN_BACKLOG = 1_024
MAX_OPEN_FILES = 65_536
SHUTDOWN_TIMEOUT_S = 1.0


Urls = Mapping[str, str]  # by merchant; "" is the name of a single merchant


@dataclass(frozen=True, slots=True)
class ShopAddresses:
    """The URLs of an open shop by merchant, and where its metrics are also served."""

    urls: Urls
    metrics_url: str


def serve(
    settings: ShopSettings, *, announce: Callable[[ShopAddresses], None], die_with_parent: bool = False
) -> None:
    """Run a shop until SIGINT or SIGTERM; `announce` is called once with its addresses when it is open.

    `die_with_parent` also ends it when standard input ends, as it does when the parent process exits.
    Raises UsageError if the port is taken or the folder cannot be used.
    """
    _allow_many_connections()
    asyncio.run(_serve(settings, announce, die_with_parent=die_with_parent))


@asynccontextmanager
async def open_platform(settings: ShopSettings) -> AsyncIterator[ShopAddresses]:
    """One shop for each merchant, all in this process and on the same database workers.

    Each has its own products, stock, ledger and address: consecutive ports from `settings.port` on, or any
    free ones if that is 0.
    """
    workers = DatabaseWorkers(count=settings.workers, query_time_s=settings.query_time_s)
    urls: dict[str, str] = {}
    shops: dict[str, OpenShop] = {}
    process = ProcessMeter()
    with _folder(settings.folder) as folder:
        async with AsyncExitStack() as stack:
            for number, name in enumerate(settings.merchants or ("",)):
                own = dataclasses.replace(
                    settings,
                    folder=folder / name,
                    seed=settings.seed + number,
                    port=settings.port + number if settings.port else 0,
                )
                urls[name], shops[name] = await stack.enter_async_context(_merchant(own, workers))
                shops[name].process = process
            watch = asyncio.create_task(process.watch())
            try:
                yield ShopAddresses(urls, stack.enter_context(metrics_listener(lambda: render(shops))))
            finally:
                watch.cancel()
                with suppress(asyncio.CancelledError):
                    await watch


@asynccontextmanager
async def _merchant(settings: ShopSettings, workers: DatabaseWorkers) -> AsyncIterator[tuple[str, OpenShop]]:
    """One merchant's shop, open until the end of the block; yields its URL and the shop."""
    assert settings.folder is not None, "the platform gives every merchant a folder"
    settings.folder.mkdir(exist_ok=True)
    app = await asyncio.to_thread(make_app, settings, workers)
    access_log = None
    if settings.access_log is not None:
        access_log = open_access_log(settings.access_log)
        app.on_response_prepare.append(give_visitor_cookie)
    runner = web.AppRunner(
        app,
        access_log=access_log,
        access_log_class=AccessLogWriter,
        shutdown_timeout=SHUTDOWN_TIMEOUT_S,
        handler_cancellation=not PROFILES[settings.profile].continues_after_disconnect,
    )
    await runner.setup()
    try:
        host, port = await _listen(runner, settings)
        shop = app[OPEN_SHOP]
        shop.listener = partial(_listener_state, runner, port, settings.max_connections)
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        if settings.warm_cache:
            await warm_up(url)
        yield url, shop
    finally:
        await runner.cleanup()


async def _serve(
    settings: ShopSettings, announce: Callable[[ShopAddresses], None], *, die_with_parent: bool
) -> None:
    closing = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, closing.set)
    async with open_platform(settings) as addresses:
        if die_with_parent:
            threading.Thread(target=_watch_parent, args=(loop, closing), daemon=True).start()
        announce(addresses)
        await closing.wait()


def _listener_state(runner: web.AppRunner, port: int, limit: int | None) -> ListenerState:
    connections = 0 if runner.server is None else len(runner.server.connections)
    return ListenerState(connections, limit, connections_waiting(port))


async def _listen(runner: web.AppRunner, settings: ShopSettings) -> tuple[str, int]:
    """Open the port; returns host and port."""
    place = f"port {settings.port} on {settings.host}"
    try:
        if settings.max_connections is not None:
            limited = LimitedSite(
                runner, settings.host, settings.port, limit=settings.max_connections, backlog=LISTEN_BACKLOG
            )
            await limited.start()
            return limited.address
        await web.TCPSite(runner, settings.host, settings.port, backlog=LISTEN_BACKLOG).start()
        host, port = runner.addresses[0][:2]
        return str(host), int(port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            way_out = f"{place} is taken; choose another with --port, or --port 0 for any free one"
        elif error.errno == errno.EACCES:
            way_out = f"{place} requires more privileges; choose one above 1023 with --port"
        else:
            way_out = f"{place} cannot be opened ({error.strerror or error}); check --host and --port"
        raise UsageError(way_out) from error


@contextmanager
def _folder(wanted: Path | None) -> Iterator[Path]:
    """The folder of the shop, locked so that no other shop overwrites its database."""
    if wanted is None:
        with tempfile.TemporaryDirectory(prefix="doorbuster-shop-") as made:
            yield Path(made)
        return
    try:
        wanted.mkdir(parents=True, exist_ok=True)
        lock = (wanted / LOCK_NAME).open("wb")
    except OSError as error:
        raise UsageError(
            f"{wanted}: cannot write here ({error.strerror}); choose another folder with --folder"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(
                f"{wanted}: another shop is open in this folder; stop it, or choose another with --folder"
            ) from error
        yield wanted


def _watch_parent(loop: asyncio.AbstractEventLoop, closing: asyncio.Event) -> None:
    """Wait for the end of standard input; raw reads hold no lock at interpreter exit."""
    while os.read(0, 4_096):
        pass
    if not loop.is_closed():
        loop.call_soon_threadsafe(closing.set)


def _allow_many_connections() -> None:
    """Raise the limit of open files: every waiting customer of an overloaded shop holds a connection."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(MAX_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
