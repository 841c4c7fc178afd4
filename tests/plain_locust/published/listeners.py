"""Listeners, an argument of its own, and a ratio of failures that decides the exit code."""

import logging

from locust import HttpUser, constant, events, task

slow = []


@events.init_command_line_parser.add_listener
def add_arguments(parser):
    parser.add_argument("--shop-section", type=str, default="garden", help="Section to walk through")


@events.request.add_listener
def remember(request_type, name, response_time, response_length, exception, context, **kwargs):
    if response_time > 10_000:
        slow.append((request_type, name, response_length, context, exception))


@events.test_stop.add_listener
def report(environment, **kwargs):
    logging.info("slow requests: %d", len(slow))


@events.quitting.add_listener
def judge(environment, **kwargs):
    environment.process_exit_code = 1 if environment.stats.total.fail_ratio > 0.5 else 0


class SectionUser(HttpUser):
    wait_time = constant(0)

    def context(self):
        return {"section": self.section}

    @property
    def section(self):
        options = self.environment.parsed_options
        return options.shop_section if options else "garden"

    @task
    def section_page(self):
        self.client.get("/section", params={"name": self.section}, name="/section")
        self.client.get("/section/top", context={"top": True})
