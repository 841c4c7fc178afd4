"""Generating the load of one worker process."""
