"""Compares builds by their recorded runs: which metrics became worse, which stayed the same, how surely.

series              every metric of one run, with its interval within that run
metric_comparison   one metric of some baseline and candidate runs: effect, interval, decision, runs needed
"""
