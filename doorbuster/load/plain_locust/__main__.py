"""`python -m doorbuster.load.plain_locust`: Locust itself, with a recorder for plain Locust files."""

from __future__ import annotations

import os
import runpy
import sys

import locust

from doorbuster.errors import ExitCode
from doorbuster.load.plain_locust.attach import attach
from doorbuster.load.plain_locust.outside_settings import ignore_outside_settings
from doorbuster.load.runtime.notes import note
from doorbuster.load.target.driver_lookup import place_of_exit
from doorbuster.output import say

ignored = ignore_outside_settings(os.environ)
if ignored:
    note(f"{', '.join(ignored)} ignored: options for Locust go after -- on the command line")
attachment = attach(locust.events)
try:
    runpy.run_module("locust", run_name="__main__")
except SystemExit as error:
    place = "" if attachment.has_started else place_of_exit(error)
    if place:
        say(f"doorbuster: {place}: SystemExit: {error.code}; a locustfile must not exit", error=True)
        sys.exit(int(ExitCode.SCRIPT_EXCEPTION))
    raise
