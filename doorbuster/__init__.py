"""doorbuster: will the shop hold when Christmas comes, and if not, how many orders are lost?"""

from __future__ import annotations

__version__ = "0.1.0"
