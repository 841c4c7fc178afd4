"""`python -m doorbuster.load.plain_locust`: Locust itself, with a recorder for plain Locust files."""

from __future__ import annotations

import os
import runpy

import locust

from doorbuster.load.plain_locust.attach import attach
from doorbuster.load.plain_locust.outside_settings import ignore_outside_settings
from doorbuster.load.runtime.notes import note

ignored = ignore_outside_settings(os.environ)
if ignored:
    note(f"{', '.join(ignored)} ignored: options for Locust go after -- on the command line")
attach(locust.events)
runpy.run_module("locust", run_name="__main__")
