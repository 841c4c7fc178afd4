"""An HTTP/1.1 client for load: gevent sockets, llhttp, one record per hop, failures as values.

Needs gevent, but neither Locust nor monkey-patching; `doorbuster.load.locust_plugin.http_user` joins it to
Locust.
"""

from __future__ import annotations

from doorbuster.load.exchange import CAUSES, Exchange, RequestFailed
from doorbuster.load.http.caught_response import CaughtResponse
from doorbuster.load.http.client import HttpClient
from doorbuster.load.http.response import Response
from doorbuster.load.http.settings import HttpSettings, Timeouts

__all__ = [
    "CAUSES",
    "CaughtResponse",
    "Exchange",
    "HttpClient",
    "HttpSettings",
    "RequestFailed",
    "Response",
    "Timeouts",
]
