"""Which static assets of a page customers fetch, and the steps under which their requests are recorded."""

from __future__ import annotations

ASSETS = ("none", "critical", "all")
ASSET_STEPS = ("asset_style", "asset_script", "asset_image")
