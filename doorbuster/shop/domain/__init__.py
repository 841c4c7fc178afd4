"""What the shop sells and the rules it sells by."""
