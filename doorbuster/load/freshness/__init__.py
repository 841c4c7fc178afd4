"""Measuring how long a change takes to become visible on each channel."""
