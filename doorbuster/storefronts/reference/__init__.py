"""The driver for the embedded reference shop."""
