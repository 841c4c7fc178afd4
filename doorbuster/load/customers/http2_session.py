"""The sessions of customers over HTTP/2. Not compiled: see `protocols.http2_client`."""

from __future__ import annotations

from doorbuster.load.customers.session import ContentCheckingSession, PageSession
from doorbuster.load.exchange import CurrentStep
from doorbuster.load.http.settings import HttpSettings
from doorbuster.load.protocols.http2_client import ALPN, Http2Client, Http2Requests

__all__ = ["ALPN", "Http2ContentCheckingSession", "Http2PageSession", "http2_session"]


def http2_session(url: str, settings: HttpSettings, step: CurrentStep) -> Http2Client:
    """A client that records its requests in the step."""
    return Http2Client(url, settings=settings, on_exchange=step.exchanges.append, step=step)


class Http2ContentCheckingSession(Http2Requests, ContentCheckingSession):
    """For scenarios with content rules."""


class Http2PageSession(Http2Requests, PageSession):
    """For scenarios that fetch the static assets of pages."""
