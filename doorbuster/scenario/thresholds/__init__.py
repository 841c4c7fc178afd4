"""The threshold language and the registry of metrics."""
