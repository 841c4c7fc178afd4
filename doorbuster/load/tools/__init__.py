"""Programs that send a few requests: probe and cleanup."""
