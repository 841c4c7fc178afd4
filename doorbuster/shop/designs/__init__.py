"""The two designs of the shop: in-house 2004 and replatformed."""
