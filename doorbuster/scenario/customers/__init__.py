"""Customers: their channels, journeys and behaviour."""
