"""Drafts a driver from the description of a shop's API (OpenAPI 3.0 to 3.2)."""
