"""The access log of the embedded shop: one JSON object per request, with the field names of nginx.

Each visitor gets a cookie with the first page, and the log has its value from the first request on, as with
nginx's userid module: visits can be separated although all test customers share one address.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import time
from pathlib import Path

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from doorbuster.errors import UsageError

VISITOR_COOKIE = "visitor"
VISITOR: web.RequestKey[str] = web.RequestKey("visitor", str)
_VISITOR = re.compile(r"[0-9a-f]{16}")
_NOT_THE_SHOP = ("/ledger/", "/control/", "/healthz")  # read by the harness, not by customers


class AccessLogWriter(AbstractAccessLogger):
    """Writes one line per request when its response has been sent; `msec` is the time of the line."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time_s: float) -> None:
        if request.path.startswith(_NOT_THE_SHOP):
            return
        version = f"HTTP/{request.version.major}.{request.version.minor}"
        line = {
            "msec": f"{time.time():.3f}",
            "remote_addr": request.remote,
            "request": f"{request.method} {request.path_qs} {version}",
            "status": response.status,
            "body_bytes_sent": response.body_length,
            "request_time": round(time_s, 4),
            "http_referer": request.headers.get("Referer", ""),
            "http_user_agent": request.headers.get("User-Agent", ""),
            "uid": request.get(VISITOR, ""),
        }
        self.logger.info(json.dumps(line))


def open_access_log(path: Path) -> logging.Logger:
    """The logger that appends to this file. Raises: UsageError if it cannot be written."""
    try:
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: the access log cannot be written: {error.strerror}") from error
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.Logger("doorbuster.shop.access", logging.INFO)
    logger.addHandler(handler)
    return logger


async def give_visitor_cookie(request: web.Request, response: web.StreamResponse) -> None:
    """Remember who sent the request, and send a new visitor their cookie."""
    visitor = request.cookies.get(VISITOR_COOKIE, "")
    if not _VISITOR.fullmatch(visitor):
        visitor = secrets.token_hex(8)
        # as a header: aiohttp has turned the response's cookies into headers already
        response.headers.add("Set-Cookie", f"{VISITOR_COOKIE}={visitor}; Path=/; HttpOnly; SameSite=Lax")
    request[VISITOR] = visitor
