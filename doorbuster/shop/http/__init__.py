"""The HTTP interface of the shop: pages, JSON API, staff and partner routes."""
