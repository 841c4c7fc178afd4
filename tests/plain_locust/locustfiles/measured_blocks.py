"""Blocks of own code measured with events.request.measure, some of which fail."""

import random
import time

from locust import User, constant, task


class Calculator(User):
    wait_time = constant(0.01)

    @task
    def price_list(self):
        try:
            with self.environment.events.request.measure("CALC", "price list"):
                time.sleep(0.003)
                if random.random() < 0.3:
                    raise RuntimeError("rounding")
        except RuntimeError:
            pass
