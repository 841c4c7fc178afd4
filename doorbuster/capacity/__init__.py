"""The highest arrival rate that meets the thresholds: search, bracket, result, scaling law."""
