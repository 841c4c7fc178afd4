"""The embedded reference shop: one stock, one order ledger, and every channel that sells from them.

Import order, lowest first; a part imports only from those before it:
settings, http_errors < infrastructure < domain < designs < http < server < the command (`__main__`).
`infrastructure` knows nothing of products and orders, `domain` no design, `designs` no HTTP.
"""
