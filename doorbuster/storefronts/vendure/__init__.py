"""The driver for Vendure shops."""
