"""Tests of the generator import Locust, which patches the interpreter: test workers cannot bear that.

So everything here but the HTTP client's folder counts as `alone`, and the Makefile keeps these files out of
the part of the tests that runs in several processes.
"""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.alone)
