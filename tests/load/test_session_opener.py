"""What customers need for their protocol is there before the first of them arrives."""

from __future__ import annotations

import subprocess
import sys

from doorbuster.load.customers.session_opener import load_protocol
from doorbuster.load.http.settings import HttpSettings
from doorbuster.load.http.tls import context_for


def test_the_ca_bundle_is_loaded_before_the_first_connection():
    context_for.cache_clear()
    load_protocol("http://127.0.0.1:1", "http/1.1", HttpSettings().route)
    assert context_for.cache_info().currsize == 0
    load_protocol("https://shop.example", "http/1.1", HttpSettings().route)
    load_protocol("https://shop.example", "h2", HttpSettings().route)
    assert context_for.cache_info().currsize == 2


SCRIPT = """
import sys
from doorbuster.load.customers.session_opener import load_protocol
from doorbuster.load.http.settings import HttpSettings
route = HttpSettings().route
load_protocol("http://a", "http/1.1", route)
before = "h2" in sys.modules
load_protocol("https://a", "h2", route)
print(before, "h2" in sys.modules)
"""


def test_the_library_for_http2_is_imported_for_http2_only():
    said = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=60
    )
    assert said.stdout == "False True\n"
