"""Runs a plain Locust file unchanged and records it through Locust's public events."""
