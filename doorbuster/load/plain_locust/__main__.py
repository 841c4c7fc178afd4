"""`python -m doorbuster.load.plain_locust`: Locust itself, with a recorder for plain Locust files."""

from __future__ import annotations

import runpy

import locust

from doorbuster.load.plain_locust.attach import attach

attach(locust.events)
runpy.run_module("locust", run_name="__main__")
