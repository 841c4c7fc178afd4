"""Who sent a request: a keyed hash instead of address, user agent and cookie, and whether it is a program.

The key is random and exists in memory only, so that no output can be traced back to a visitor.
"""

from __future__ import annotations

import re
from functools import cache
from hashlib import blake2b

IS_PROGRAM = 1
DEVICES = ("desktop", "mobile", "tablet")
FLAG_BITS = 3
MAX_KNOWN = 300_000

_GENERIC = re.compile(
    r"bot\b|bot/|bot;|bots?\W|crawl|spider|slurp|scrap|fetcher|archiver|monitor|pingdom|uptime|statuscake|newrelic|"
    r"site24x7|zabbix|nagios|checker|health|probe|curl|wget|python-|python/|java/|go-http|okhttp|libwww|perl|ruby|"
    r"httpclient|http_client|axios|node-fetch|headless|phantomjs|lighthouse|pagespeed|facebookexternal|preview|"
    r"scan|feed|validator|postman|insomnia|apachebench|siege|http://|https://|@[a-z0-9-]+\.",
    re.IGNORECASE,
)
_PEOPLE = re.compile(r"cubot", re.IGNORECASE)  # a brand of phones
_TABLET = re.compile(r"ipad|tablet|kindle|silk/|playbook|sm-t\d", re.IGNORECASE)
_MOBILE = re.compile(r"mobi|android|iphone|ipod|windows phone|opera mini", re.IGNORECASE)
_SESSION_COOKIES = (
    "phpsessid", "jsessionid", "asp.net_sessionid", "sessionid", "session", "session_id", "sid",
    "connect.sid", "frontend", "visitor", "visitor_id", "uid", "_session_id", "_ga", "_shopify_y",
    "wp_woocommerce_session",
)  # fmt: skip


@cache
def _crawler_list() -> tuple[re.Pattern[str], ...]:
    """The patterns of crawler-user-agents, in groups; none if the package is not installed."""
    try:
        from crawleruseragents import CRAWLER_USER_AGENTS_DATA
    except ImportError:
        return ()
    texts = [row["pattern"] for row in CRAWLER_USER_AGENTS_DATA]
    return tuple(re.compile("|".join(texts[at : at + 50])) for at in range(0, len(texts), 50))


def has_crawler_list() -> bool:
    """Whether the list of crawlers is installed (extra `logs`)."""
    return bool(_crawler_list())


def is_program(agent: str) -> bool:
    """Whether a user agent names a crawler, a monitor or another program."""
    if not agent or agent == "-":
        return True
    if _GENERIC.search(agent) and not _PEOPLE.search(agent):
        return True
    return any(pattern.search(agent) for pattern in _crawler_list())


def device_of(agent: str) -> int:
    """Number of the device in DEVICES."""
    if _TABLET.search(agent) or ("Android" in agent and "Mobile" not in agent):
        return DEVICES.index("tablet")
    return DEVICES.index("mobile" if _MOBILE.search(agent) else "desktop")


class VisitorHash:
    """Hashes of visitors; the lowest bits say whether it is a program, and the device.

    Args: key: random bytes. has_agents: whether the log has user agents at all.
    """

    def __init__(self, key: bytes, *, has_agents: bool) -> None:
        self._key, self._has_agents = key, has_agents
        self._flags: dict[bytes, int] = {}

    def __call__(self, address: bytes, agent: bytes, cookie: bytes) -> int:
        session = session_cookie(cookie) if cookie else b""
        identity = b"c" + session if session else b"a" + address + b"\0" + agent
        digest = int.from_bytes(blake2b(identity, digest_size=8, key=self._key).digest(), "little")
        flags = self._flags.get(agent)
        if flags is None:
            if len(self._flags) > MAX_KNOWN:
                self._flags.clear()
            flags = self._flags[agent] = self._read(agent.decode("utf-8", "replace"))
        return digest >> FLAG_BITS << FLAG_BITS | flags

    def _read(self, agent: str) -> int:
        if not self._has_agents:
            return 0
        return int(is_program(agent)) * IS_PROGRAM | device_of(agent) << 1


def session_cookie(cookie: bytes) -> bytes:
    """The value that names the visit: a whole cookie of its own, or a known one of a Cookie header."""
    if b"=" not in cookie:
        return b"" if cookie == b"-" else cookie
    for part in cookie.split(b";"):
        name, _, value = part.strip().partition(b"=")
        if name.decode("ascii", "replace").lower() in _SESSION_COOKIES and value:
            return value
    return b""
