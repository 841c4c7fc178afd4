"""What a locustfile imports: the base class of customers, and the two classes Locust must find in it."""

from __future__ import annotations

from doorbuster.load.customers.customer import Customer
from doorbuster.load.locust_plugin.dispatch import GeneratorUser, RunShape
from doorbuster.load.locust_plugin.plugin import install

__all__ = ["Customer", "GeneratorUser", "RunShape", "install"]
