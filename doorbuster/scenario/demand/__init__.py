"""Demand: the curve of a peak and its arrival rate over time."""
