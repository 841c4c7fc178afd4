"""doorbuster: will the shop hold when Christmas comes, and if not, how many orders are lost?"""

from __future__ import annotations

from importlib.util import find_spec

__version__ = "0.1.0"


def build() -> str:
    """The build in use, "compiled" or "plain" (see docs/explanation/performance.md)."""
    found = find_spec("doorbuster.load.customers.step_runner")
    return "plain" if found is None or str(found.origin).endswith(".py") else "compiled"
