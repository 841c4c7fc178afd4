"""Streams the figures of a run to other systems while it runs.

A process of its own follows the run file, so neither a slow receiver nor the work of encoding reaches the
load generator, and several workers appear as one run.

run file ── records/row_stream ──► RunTotals ── run_metrics, k6_metrics ──► Metric ── delivery ──► outputs/*
"""
