"""`python -m doorbuster.shop`: one shop as a process of its own."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from doorbuster.errors import DoorbusterError, UsageError
from doorbuster.shop import settings as defaults
from doorbuster.shop.options import OPTIONS, settings_from
from doorbuster.shop.server import Urls, serve
from doorbuster.shop.settings import ShopSettings
from doorbuster.units import parse_duration_s, parse_rate_per_s


def main(arguments: list[str] | None = None) -> int:
    """Run until stopped; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        serve(
            _settings(options),
            announce=_announce_json if options.json_announce else _announce,
            die_with_parent=options.die_with_parent,
        )
    except DoorbusterError as error:
        sys.stderr.write(f"doorbuster.shop: {error}\n")
        return int(error.exit_code)
    return 0


def _announce(urls: Urls) -> None:
    for name, url in urls.items():
        sys.stdout.write(f"The shop{name and f' of {name}'} is open at {url} (Ctrl-C closes it)\n")
    sys.stdout.flush()


def _announce_json(urls: Urls) -> None:
    """`url` is that of the first merchant; `merchants` has them all, by name."""
    document = {"url": next(iter(urls.values())), "pid": os.getpid(), "merchants": urls}
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


def _settings(options: argparse.Namespace) -> ShopSettings:
    try:
        more = settings_from(vars(options))
    except ValueError as error:
        raise UsageError(str(error)) from error
    return ShopSettings(
        profile=options.profile,
        host=options.host,
        port=options.port,
        folder=options.folder,
        workers=options.workers,
        query_time_s=options.query_time,
        warehouse_rate_per_s=options.warehouse_rate,
        seed=options.seed,
        products=options.products,
        reuse=options.reuse,
        **more,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m doorbuster.shop",
        description="Open the embedded reference shop, a target of known limits.",
        epilog="Example: python -m doorbuster.shop --profile in-house-2004 --port 8004",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--profile", choices=defaults.PROFILE_NAMES, default="replatformed", help="design of the shop")
    add("--host", default=defaults.LOOPBACK, help="address to listen on")
    add("--port", type=int, default=0, help="port to listen on; 0 takes any free one")
    add("--folder", type=Path, default=None, help="where the database is kept; none: a temporary folder")
    add("--reuse", action="store_true", help="keep the database found in --folder")
    add("--workers", type=int, default=defaults.DEFAULT_WORKERS, help="database workers (threads)")
    add(
        "--query-time",
        type=_duration_s,
        default=defaults.DEFAULT_QUERY_TIME_S,
        help='how long a worker is held per query, such as "10ms" (default in seconds)',
    )
    add(
        "--warehouse-rate",
        type=_rate_per_s,
        default=defaults.DEFAULT_WAREHOUSE_RATE_PER_S,
        help='how fast orders are picked, such as "5 orders/s" (default per second)',
    )
    add("--seed", type=int, default=defaults.DEFAULT_SEED, help="seed of the catalogue")
    add("--products", type=int, default=defaults.DEFAULT_PRODUCTS, help="number of products")
    for option in OPTIONS:
        if option.read is None:
            add(option.option, action="store_true", help=option.help)
        else:
            add(option.option, default=argparse.SUPPRESS, metavar=option.metavar, help=option.help)
    add("--json-announce", action="store_true", help='print {"url": ..., "pid": ...} when open')
    add("--die-with-parent", action="store_true", help="close when standard input ends")
    return parser


def _duration_s(text: str) -> float:
    try:
        return float(text) if text == "0" else parse_duration_s(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _rate_per_s(text: str) -> float:
    try:
        return parse_rate_per_s(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
