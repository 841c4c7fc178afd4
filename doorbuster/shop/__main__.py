"""`python -m doorbuster.shop`: one shop as a process of its own; people start it with `doorbuster shop`.

It reads its settings as one line of JSON from standard input, prints its URLs as one line of JSON when it
accepts requests, and closes when standard input ends, as it does when the parent process exits.
"""

from __future__ import annotations

import json
import os
import sys

from doorbuster.errors import DoorbusterError
from doorbuster.shop.server import ShopAddresses, serve
from doorbuster.shop_settings import ShopSettings


def main() -> int:
    """Run until stopped; returns the exit code."""
    try:
        serve(ShopSettings.from_json(sys.stdin.readline()), announce=_announce, die_with_parent=True)
    except DoorbusterError as error:
        sys.stderr.write(f"doorbuster.shop: {error}\n")
        return int(error.exit_code)
    return 0


def _announce(addresses: ShopAddresses) -> None:
    """`url` is that of the first merchant; `merchants` has them all, by name."""
    document = {
        "url": next(iter(addresses.urls.values())),
        "pid": os.getpid(),
        "merchants": addresses.urls,
        "metrics": addresses.metrics_url,
    }
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
