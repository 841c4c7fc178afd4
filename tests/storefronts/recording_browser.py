"""A browser without a screen that keeps what it does as entries of a recording: every hop, every answer."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from http.client import HTTPMessage
from http.cookiejar import CookieJar
from typing import Any
from urllib.parse import urlencode, urljoin

from doorbuster.storefronts.forms import form_on
from tests.storefronts.har_entries import FORM, entry


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Leaves redirects to the browser, which records them."""

    def redirect_request(self, *_: Any) -> None:
        return None


class OpenedPage:
    """What the browser shows: enough of a response for `form_on`."""

    def __init__(self, url: str, text: str, headers: dict[str, str]) -> None:
        self.url = url
        self.text = text
        self.headers = headers


class RecordingBrowser:
    """Sends requests with its cookies. `entries`: what it sent and got, three seconds apart."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.entries: list[dict[str, Any]] = []
        self.page = OpenedPage(url, "", {})
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(CookieJar()), NoRedirect()
        )

    def open(self, path: str) -> OpenedPage:
        return self._navigate("GET", path, None)

    def submit(self, fields: dict[str, str], *, to: str = "") -> OpenedPage:
        """Send a form of the page that is open."""
        form = form_on(self.page, to=to)  # type: ignore[arg-type]
        return self._navigate("POST", form.action, {**form.fields, **fields})

    def ask(self, url: str, body: Any, headers: dict[str, str] | None = None) -> tuple[Any, dict[str, str]]:
        """Send JSON, as a script of the page does; returns the JSON value and the headers."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        _, text, got = self._send("POST", urljoin(self.url, url), json.dumps(body).encode(), sent)
        value = json.loads(text)
        self._keep("POST", urljoin(self.url, url), 200, value, got, body, sent)
        return value, got

    def _navigate(self, method: str, path: str, fields: dict[str, str] | None) -> OpenedPage:
        url, data = urljoin(self.page.url, path), urlencode(fields).encode() if fields is not None else None
        for _ in range(10):
            sent = {"Referer": self.page.url, **({"Content-Type": FORM} if data is not None else {})}
            status, text, got = self._send(method, url, data, sent)
            self._keep(method, url, status, text, got, data.decode() if data is not None else None, sent)
            if status not in (301, 302, 303):
                break
            method, url, data = "GET", urljoin(url, got["location"]), None
        self.page = OpenedPage(url, text, got)
        return self.page

    def _send(
        self, method: str, url: str, data: bytes | None, headers: dict[str, str]
    ) -> tuple[int, str, dict[str, str]]:
        request = urllib.request.Request(url, data, headers, method=method)
        try:
            with self._opener.open(request, timeout=60) as answer:
                return answer.status, answer.read().decode(), _lower(answer.headers)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(), _lower(error.headers)

    def _keep(
        self,
        method: str,
        url: str,
        status: int,
        text: Any,
        got: dict[str, str],
        body: Any,
        sent: dict[str, str],
    ) -> None:
        at = 3 * len(self.entries)
        self.entries.append(
            entry(method, url, at=at, body=body, status=status, text=text, headers=sent, answer_headers=got,
                  mime=got.get("content-type", ""))
        )  # fmt: skip


def _lower(headers: HTTPMessage) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
