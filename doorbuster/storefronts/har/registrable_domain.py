"""The part of a host that one owner has: shop.co.uk of www.shop.co.uk, and lamps.myshopify.com of itself.

Rules instead of the Public Suffix List, which is larger than all of this package: below a country's ending,
usual second levels (co.uk, com.au) are public; so are the endings of platforms that host many shops.
"""

from __future__ import annotations

SECOND_LEVELS = {
    "ac", "asso", "co", "com", "edu", "firm", "gen", "go", "gob", "gouv", "gov", "govt", "id", "ind", "ltd",
    "me", "mil", "ne", "net", "nom", "or", "org", "plc", "pro", "sch", "web",
}  # fmt: skip
PLATFORMS = {
    "amazonaws.com", "appspot.com", "azurefd.net", "azurewebsites.net", "bigcartel.com", "blogspot.com",
    "cloudfront.net", "firebaseapp.com", "fly.dev", "github.io", "gitlab.io", "herokuapp.com",
    "mybigcommerce.com", "myshopify.com", "netlify.app", "onrender.com", "pages.dev", "run.app",
    "square.site", "vercel.app", "web.app", "wixsite.com", "workers.dev",
}  # fmt: skip


def registrable_domain(host: str) -> str:
    """The registrable domain of a host; an address of numbers, or a single name, is its own."""
    labels = host.lower().rstrip(".").split(".")
    if ":" in host or len(labels) < 3 or host.replace(".", "").isdigit():
        return host.lower()
    ending = ".".join(labels[-2:])
    is_public = ending in PLATFORMS or (len(labels[-1]) == 2 and labels[-2] in SECOND_LEVELS)
    return ".".join(labels[-3:]) if is_public else ending
