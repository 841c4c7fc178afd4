"""The driver for django-oscar shops."""
