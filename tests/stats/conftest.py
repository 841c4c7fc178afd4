"""Settings of the statistics tests."""

from __future__ import annotations

from hypothesis import settings

# The same examples each time, so that failures can be reproduced; no deadline: a first call may import scipy.
settings.register_profile("house", derandomize=True, deadline=None)
settings.load_profile("house")
