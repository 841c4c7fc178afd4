"""Statistics of load tests: pure functions on values and histograms; no files, no output."""
