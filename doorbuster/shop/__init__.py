"""The embedded reference shop: one stock, one order ledger, and every channel that sells from them."""
