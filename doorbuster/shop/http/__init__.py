"""The HTTP interface of the shop: pages, JSON, staff and partners."""
