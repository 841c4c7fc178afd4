"""How many workers a peak needs, from the measured cost of a request and of a customer."""
