"""Compares builds by their recorded runs: which metrics became worse or stayed the same, how surely.

run_metric          one metric of one run, and its key
series              every metric of one run: request_metrics, customer_metrics, threshold_metric
metric_comparison   one metric of two builds: effect, interval, decision, runs needed
build_comparison    all metrics, decided together, and the answer; gating: which of them decide
comparability       whether runs may be compared
load                from run files to the comparison
wording, overlay    the comparison in words, and both builds in one chart
render              terminal, HTML, Markdown, JSON
interleaved         rehearsals that alternate between two builds
baseline_store, baseline_values, relative_threshold   accepted runs, and thresholds relative to them
"""
