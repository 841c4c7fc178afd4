"""What a scenario needs of the locustfile and of the driver, checked before anything is sent.

A setting of the scenario that the customers or the driver never look at would have no effect. Whether they do
is read from their code: a method that uses `self.visit.campaign` has "campaign" among its names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from types import CodeType, FunctionType

from doorbuster.errors import FileProblem
from doorbuster.load.customers.customer import Customer
from doorbuster.load.freshness.product_edits import missing_capabilities
from doorbuster.load.target.step_signatures import STEP_INPUTS, never_runs
from doorbuster.scenario import CHANNELS, Channel, Journey, Scenario
from doorbuster.storefronts import Storefront


def unmet_requirements(
    scenario: Scenario,
    customers: Mapping[str, type[Customer]],
    driver: type[Storefront] | None,
    locustfile: str,
) -> list[FileProblem]:
    """A problem for each thing that the scenario needs and the locustfile or the driver lacks.

    Args:
        customers: customer class of each channel.
        driver: None when the locustfile installs no driver of the scenario's name.
    """
    storefront = f"storefront {scenario.target.storefront!r}"
    problems = []
    own_steps: dict[str, None] = {}

    def lacks(file: str, what: str, way_out: str) -> None:
        problems.append(
            FileProblem(file, 0, 0, "", f"has no {what}, which {scenario.name} needs", "", way_out)
        )

    if driver is None:
        lacks(locustfile, f"driver {scenario.target.storefront!r}",
              "add the driver's class to install(events, drivers=[...])")  # fmt: skip
    elif scenario.freshness is not None:
        for what, way_out in missing_capabilities(scenario, driver):
            lacks(storefront, what, way_out)
    if driver is not None and driver.open_session is not None and scenario.target.content_rules:
        lacks(storefront, "HTTP responses (target.rules)", "check the answers in the driver")
    if driver is not None and driver.open_session is not None and scenario.target.assets != "none":
        lacks(storefront, "HTTP pages (target.assets)", "remove assets from the target")
    if driver is not None and driver.open_session is not None and scenario.target.protocol != "http/1.1":
        lacks(storefront, "HTTP client (target.protocol)", "remove protocol from the target")
    if scenario.target.protocol == "h2" and find_spec("h2") is None:
        lacks(storefront, "library for HTTP/2 on this machine", "pip install 'doorbuster[http2]'")
    for name, channel in scenario.channels.items():
        if name not in customers:
            lacks(locustfile, f"customers of channel {name!r}", f"add a class with channel = {name!r}")
            continue
        if driver is not None:
            problems += _unused_settings(name, channel, scenario.journeys, customers[name], driver)
        problems += _never_running(locustfile, customers[name], ("follow_chain", *channel.journeys))
        for journey in channel.journeys:
            if scenario.journeys[journey].visit_chain is not None:
                if not callable(getattr(customers[name], "follow_chain", None)):
                    lacks(locustfile, f"method follow_chain in {customers[name].__name__}",
                          f"add follow_chain(self, chain) for {journey}")  # fmt: skip
            elif not callable(getattr(customers[name], journey, None)):
                lacks(locustfile, f"journey {journey!r} in {customers[name].__name__}",
                      f"add a method {journey}(self)")  # fmt: skip
            elif hasattr(Customer, journey):
                rule = "is the name of a method that every customer has"
                way_out = "choose another name for the journey"
                problems.append(
                    FileProblem(scenario.name, 0, 0, f"journeys.{journey}", rule, way_out=way_out)
                )
            steps = [visit.step for visit in scenario.journeys[journey].steps]
            own_steps.update(dict.fromkeys(steps))
            for step in _missing_steps(driver, steps, scenario.channels) if driver else ():
                lacks(storefront, f"step {step!r} (journey {journey})",
                      f"add a method {step} to the driver")  # fmt: skip
    for kind in dict.fromkeys(driver.for_channel(name) for name in scenario.channels) if driver else ():
        problems += _never_running(storefront, kind, {**dict.fromkeys(STEP_INPUTS), **own_steps})
    return problems


def _never_running(file: str, kind: type, names: Iterable[str]) -> Iterator[FileProblem]:
    """Methods of a class that would count as served without a request."""
    for name in names:
        if why := never_runs(getattr(kind, name, None)):
            yield FileProblem(file, 0, 0, f"{kind.__name__}.{name}", why, way_out="write a plain method")


def _missing_steps(
    driver: type[Storefront], steps: Sequence[str], channels: Iterable[str]
) -> tuple[str, ...]:
    """The steps that the driver lacks in every channel: a journey may end in another channel."""
    missing = driver.missing_steps(steps)
    for channel in {*CHANNELS, *channels}:
        missing = driver.for_channel(channel).missing_steps(missing) if missing else ()
    return missing


def _unused_settings(
    name: str,
    channel: Channel,
    known: Mapping[str, Journey],
    customer: type[Customer],
    driver: type[Storefront],
) -> Iterator[FileProblem]:
    """Settings of a channel that would change nothing, because nothing looks at them."""
    used = names_used(customer, Customer)
    shop = driver.for_channel(name)

    def unused(key: str, who: str, way_out: str) -> FileProblem:
        return FileProblem(f"channels.{name}", 0, 0, key, f"has no effect: {who}", way_out=way_out)

    if channel.pages is not None and all(known[name].visit_chain for name in channel.journeys):
        yield unused("pages", "the chains of its journeys decide on the number of pages", "remove the key")
    elif channel.pages is not None and "pages" not in used:
        yield unused("pages", f"{customer.__name__} never asks for self.pages()",
                     "use it in a journey, or remove the key")  # fmt: skip
    if channel.signed_in_ratio and "signed_in" not in used:
        yield unused("signed_in", f"{customer.__name__} never looks at self.visit.signed_in",
                     "sign in there before the checkout, or remove the key")  # fmt: skip
    if channel.signed_in_ratio and shop.missing_steps(["sign_in"]):
        yield unused("signed_in", f"the driver {driver.name!r} has no step sign_in",
                     "add the method sign_in, or remove the key")  # fmt: skip
    if channel.cache_busting_ratio and "campaign" not in names_used(shop, Storefront):
        yield unused("cache_busting", f"the driver {driver.name!r} never looks at self.visit.campaign",
                     "add it to the addresses of pages, or remove the key")  # fmt: skip


def names_used(kind: type, base: type) -> frozenset[str]:
    """Names of attributes and variables in the methods of a class, without those it has from `base`."""
    found: set[str] = set()
    inherited = set(base.__mro__)
    for cls in kind.__mro__:
        if cls not in inherited:
            for value in vars(cls).values():
                found |= _names_in(value)
    return frozenset(found)


def _names_in(value: object) -> set[str]:
    match value:
        case FunctionType():
            return _names_in(value.__code__)
        case classmethod() | staticmethod():
            return _names_in(value.__func__)
        case property():
            return _names_in(value.fget)
        case CodeType():
            nested = (_names_in(constant) for constant in value.co_consts)
            return set(value.co_names).union(*nested)
        case _:
            return set()
