"""The formats of access logs, one module for each family."""
