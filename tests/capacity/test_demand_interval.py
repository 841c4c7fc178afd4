"""The recorded interval of an uncertain demand."""

from __future__ import annotations

import math

import pytest

from doorbuster.capacity.summary import demand_interval
from doorbuster.scenario import read_scenario

TEXT = """
title: A sale
target: {storefront: reference, url: "http://127.0.0.1:1"}
demand: {peak: %s, curve: {stages: [{for: 60s, at: 100%%}]}}
channels:
  web: {share: 100%%, journeys: {browse: 1}}
  %s
"""
PRINT = "print: {journeys: {deep_link: 1}, demand: {peak: %s, curve: {stages: [{for: 60s, at: 100%%}]}}}"


def interval(web: str, other: str = ""):
    return demand_interval(read_scenario(TEXT % (web, PRINT % other if other else "")))


def test_a_demand_without_a_range_has_no_interval():
    assert interval("12 customers/s") == (None, None)


def test_a_range_is_the_interval():
    assert interval("10..40 customers/s") == pytest.approx((10, 40))


def test_errors_of_two_channels_add_up_as_squares():
    low, high = interval("10..40 customers/s", "5..20 customers/s")  # middles 20 and 10
    assert low == pytest.approx(30 - math.hypot(10, 5))
    assert high == pytest.approx(30 + math.hypot(20, 10))


def test_a_channel_known_exactly_adds_no_error():
    assert interval("10..40 customers/s", "10 customers/s") == pytest.approx((20, 50))
