"""What a locustfile imports: the base class of customers, and the two classes Locust must find in it."""

from __future__ import annotations

from doorbuster.load.customer import Customer
from doorbuster.load.dispatch import Gate, Peak
from doorbuster.load.plugin import install

__all__ = ["Customer", "Gate", "Peak", "install"]
