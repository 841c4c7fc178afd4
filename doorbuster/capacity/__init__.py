"""The highest arrival rate that meets the thresholds: search, evidence, answer, scaling law."""
