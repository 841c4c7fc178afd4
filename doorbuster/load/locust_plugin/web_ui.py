"""Prepares Locust's web UI for a run: who may use it, its tab "Peak", and what it shows of the customers."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import flask
import locust.html
import locust.web
from locust.runners import MasterRunner
from locust.stats import StatsCSVFileWriter

from doorbuster.live.request_guard import WebUIGuard, host_of
from doorbuster.load.locust_plugin.peak_tab import PeakTab
from doorbuster.scenario import Scenario
from doorbuster.units import format_count, format_duration

EMBEDDED_SHOP = "embedded shop"  # in the form's field for the host; what else is typed there is a URL


def open_peak_tab(environment: Any, title: str, hint: str = "") -> PeakTab | None:
    """Guard the web UI and add the tab; None without a web UI.

    Args: hint: what Locust's form does not say.
    """
    web_ui, options = environment.web_ui, environment.parsed_options
    if web_ui is None:
        return None
    named = (options.web_host, getattr(options, "web_host_display_name", None))
    hosts = [host_of(name) for name in named if name]
    web_ui.app.wsgi_app = WebUIGuard(web_ui.app.wsgi_app, (*hosts, socket.gethostname(), socket.getfqdn()))
    base_path = getattr(options, "web_base_path", None) or ""
    return PeakTab(web_ui, base_path=base_path, title=title, hint=hint)


def start_hint(scenario: Scenario) -> str:
    """What a start does: the form of Locust asks for users, while the scenario decides who arrives."""
    expected = sum(demand.rate_curve.expected for demand in scenario.demands.values())
    length = format_duration(scenario.demand.duration_s)
    return (
        f"{scenario.title}: about {format_count(round(expected))} customers arrive in {length}, as the "
        "scenario says. Start needs no users and no ramp up."
    )


def show_customers_as_users(environment: Any, scenario: Scenario, customers: Callable[[], int]) -> None:
    """Locust's tables of user classes show the channels and journeys instead of the classes that start them.

    Its web UI, its HTML report and its downloads call one function of two modules for them.

    Args: customers: how many are in the shop, for the number of users of a distributed run.
    """
    shown = _channel_ratios(scenario, of_all=False), _channel_ratios(scenario, of_all=True)

    def ratios(_classes: object, _spawned: object, total: bool) -> dict[str, Any]:
        return shown[total]

    for module in (locust.web, locust.html):
        setattr(module, "get_ratio", ratios)  # noqa: B010  a name that the module imports
    if environment.web_ui is None:
        return
    environment.host = environment.host or EMBEDDED_SHOP

    def count(answer: flask.Response) -> flask.Response:
        if flask.request.path.endswith("/stats/requests") and answer.is_json:
            answer.set_data(json.dumps(answer.get_json() | {"user_count": customers()}))
        return answer

    if isinstance(environment.runner, MasterRunner):
        environment.web_ui.app.after_request(count)


def count_customers_in_csv(customers: Callable[[], int]) -> None:
    """Locust's `--csv` history has the customers in the shop as its "User Count".

    Its own count is one user for each worker, whose generator starts the customers.
    """
    write = StatsCSVFileWriter._stats_history_data_rows
    write = getattr(write, "__wrapped__", write)  # of an earlier run in this process

    @wraps(write)
    def write_customers(self: StatsCSVFileWriter, csv_writer: Any, now: float) -> None:
        write(self, _HistoryRows(csv_writer, customers()), now)

    setattr(StatsCSVFileWriter, write.__name__, write_customers)


class _HistoryRows:
    """A CSV writer that puts a number of customers into the second column, "User Count"."""

    def __init__(self, csv_writer: Any, customers: int) -> None:
        self._csv_writer = csv_writer
        self._customers = customers

    def writerow(self, row: Iterable[Any]) -> None:
        timestamp, _, *rest = row
        self._csv_writer.writerow((timestamp, self._customers, *rest))


def _channel_ratios(scenario: Scenario, *, of_all: bool) -> dict[str, Any]:
    """Channels by their share of the arrivals, with their journeys; seats, which have no share, by name."""
    expected = {name: demand.rate_curve.expected for name, demand in scenario.demands.items()}
    everybody = sum(expected.values()) or 1.0
    found = {}
    for name, channel in scenario.channels.items():
        arrivals = expected.get("", 0.0) * (channel.share_ratio or 0.0) + (
            expected[name] if channel.demand else 0.0
        )
        share = arrivals / everybody
        weights = sum(channel.journeys.values()) or 1.0
        of = share if of_all and channel.seats is None else 1.0
        label = name if channel.seats is None else f"{name} ({channel.seats} seats)"
        journeys = {key: {"ratio": of * weight / weights} for key, weight in channel.journeys.items()}
        found[label] = {"ratio": share, "tasks": journeys}
    return found
