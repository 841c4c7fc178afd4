"""Descriptions of a scenario's settings as sentences."""

from __future__ import annotations

from doorbuster.scenario.abort_rules import AbortRule, AnyAbortRule
from doorbuster.scenario.browsers import Browsers, journey_of
from doorbuster.scenario.customers.behaviour import Patience
from doorbuster.scenario.customers.channels import Channel
from doorbuster.scenario.customers.devices import PageDepth, ordering_shares
from doorbuster.scenario.customers.failure_reactions import Offline, Reloads, Retries, WaitingRoom
from doorbuster.scenario.freshness import FRESHNESS_KINDS, Freshness
from doorbuster.scenario.target.content_checks import EVERY_STEP, ContentRule
from doorbuster.units import format_duration, format_ratio


def describe_channel(channel: Channel) -> tuple[str, ...]:
    """One sentence per behaviour key of the channel."""
    sentences = [] if channel.description is None else [channel.description]
    if channel.merchant is not None:
        sentences.append(f"customers visit the shop of {channel.merchant}")
    if channel.devices:
        sentences.append(_devices(channel))
    if channel.pages is not None:
        sentences.append(_pages(channel.pages))
    if channel.cache_busting_ratio:
        share = _percent(channel.cache_busting_ratio)
        sentences.append(f"{share} of the visits use unique URLs, which miss every cache")
    if channel.signed_in_ratio:
        sentences.append(f"{_percent(channel.signed_in_ratio)} have an account, the others are guests")
    if channel.retries is not None:
        sentences.append(_retries(channel.retries))
    if channel.reloads is not None:
        sentences.append(_reloads(channel.reloads))
    if "waiting_room" in channel.model_fields_set:
        sentences.append(_room(channel.waiting_room))
    if channel.offline is not None:
        sentences.append(_offline(channel.offline))
    return tuple(sentences)


def describe_freshness(freshness: Freshness) -> str:
    """The freshness measurement as a sentence."""
    every, until = format_duration(freshness.every_s), format_duration(freshness.timeout_s)
    supported = " (as far as the driver supports it)" if freshness.changes is None else ""
    kinds = ", ".join(freshness.changes or FRESHNESS_KINDS)
    return f"every {every}: change {kinds}{supported} and look for it in every channel, for at most {until}"


def describe_browsers(browsers: Browsers, storefront: str) -> str:
    """The browser probes as a sentence."""
    who = f"{browsers.probes} browsers walk" if browsers.probes > 1 else "a browser walks"
    pages = ", ".join(step.page for step in journey_of(browsers, storefront))
    calm, after = format_duration(browsers.calm_s), format_duration(browsers.after_s)
    return f"{who} {pages}: for {calm} before the first customer, during the run, and for {after} after it"


def describe_abort_rule(name: str, rule: AnyAbortRule) -> str:
    """An abort rule as a condition: "turned_away >= 90.0 % for 1m"."""
    if isinstance(rule, AbortRule):
        return f"{name} >= {format_ratio(rule.ratio)} for {format_duration(rule.for_s)}"
    bound = format_ratio(rule.bound) if rule.unit == "ratio" else f"{rule.bound:.4g}"
    if rule.unit == "ms":
        bound = format_duration(rule.bound / 1e3)
    return f"{name} {rule.operator} {bound} for {format_duration(rule.for_s)}"


def describe_rule(rule: ContentRule) -> str:
    """A content rule as a sentence."""
    step = "every step" if rule.step == EVERY_STEP else rule.step
    if rule.contains is not None:
        test = f"contain {rule.contains!r}"
    elif rule.lacks is not None:
        test = f"not contain {rule.lacks!r}"
    elif rule.above is not None:
        test = f"have a value above {rule.above:g} at {rule.path}"
    elif rule.equals is not None:
        test = f"have {rule.equals!r} at {rule.path}"
    else:
        test = f"have {'a' if rule.exists else 'no'} value at {rule.path}"
    return f"the response to {step} must {test}; a violation counts as {rule.cause}"


def _devices(channel: Channel) -> str:
    orders = ordering_shares(channel.devices, channel.orders_ratio)
    parts = (
        f"{_percent(device.share_ratio)} use {name} ({_percent(orders[name])} of those want to order)"
        for name, device in channel.devices.items()
    )
    return ", ".join(parts)


def _pages(pages: PageDepth) -> str:
    if not pages.sigma:
        return f"a visit views {pages.max_pages} product pages"
    return (
        f"a visit views {pages.mean:.3g} product pages on average (median {pages.median:.3g}, "
        f"maximum {pages.max_pages})"
    )


def _retries(retries: Retries) -> str:
    timeout = f", each of at most {format_duration(retries.timeout_s)}" if retries.timeout_s else ""
    wait = (
        f"a backoff of {format_duration(retries.backoff_s)} that doubles"
        if retries.backoff_s
        else "no backoff"
    )
    text = f"clients make up to {retries.attempts} attempts per request{timeout}, with {wait}"
    if retries.budget_ratio is not None:
        return f"{text}; retries add at most {_percent(retries.budget_ratio)} to the requests"
    return f"{text}; if all of them fail, the shop receives {retries.attempts} times the requests"


def _reloads(reloads: Reloads) -> str:
    who = "customers" if reloads.share_ratio == 1 else f"{_percent(reloads.share_ratio)} of the customers"
    text = f"{who} reload a busy or error page after {format_duration(reloads.after_s)}"
    text += f", at most {reloads.max_reloads} times"
    return text + ("; customers whose patience ends reload at once" if reloads.when_slow else "")


def _room(room: WaitingRoom) -> str:
    patience = room.patience
    if isinstance(patience, Patience):
        return f"in a waiting room, 63 % have left after {format_duration(patience.tau_s)}"
    return f"in a waiting room, customers leave after {format_duration(patience)}"


def _offline(offline: Offline) -> str:
    start, end = format_duration(offline.from_s), format_duration(offline.until_s)
    return f"no network from {start} to {end} of the run; orders are sent afterwards, all at once"


def _percent(ratio: float) -> str:
    return f"{ratio * 100:.3g} %"
