"""Errors for targets that cannot be loaded."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from doorbuster.load.target.endpoint import TargetAccess, TargetError, read_catalogue
from doorbuster.storefronts import ReferenceShop


class Elsewhere(BaseHTTPRequestHandler):
    """Redirects to a host that is not allowed."""

    def do_GET(self):
        self.send_response(302)
        self.send_header("Location", "http://shop.example.com/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Quiet."""


def test_a_redirect_to_a_forbidden_host_is_reported_with_the_host_and_a_way_out():
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        try:
            with pytest.raises(TargetError) as told:
                read_catalogue(ReferenceShop, url, TargetAccess("test"))
        finally:
            server.shutdown()
    assert f"{url} cannot be loaded: host_not_allowed: shop.example.com" in str(told.value)
    assert "safety.allow" in str(told.value)
