"""The threshold language and the metrics it knows."""
