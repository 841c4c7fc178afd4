"""Changes that a command line makes to a scenario: its seed, its target, its retries.

The result is a scenario with its own text. That text is what runs, what workers receive and what the run
file keeps, so that reading a run never requires the options it was started with.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import yaml

from doorbuster.errors import FileProblem, ScenarioError
from doorbuster.scenario.model import Scenario
from doorbuster.scenario.parsing.document import read_document
from doorbuster.scenario.reader import read_scenario

Values = dict[str, Any]  # a scenario as plain YAML values


def override(
    scenario: Scenario,
    *,
    seed: int | None = None,
    url: str | None = None,
    profile: str | None = None,
    no_retries: bool = False,
) -> Scenario:
    """The scenario with these changes; the scenario itself when there are none.

    Args:
        seed: seed of arrivals and customers.
        url: address of the shop to visit instead of the scenario's target.
        profile: design of the embedded shop; all its other settings stay.
        no_retries: no customer reloads and no client retries.

    Raises: ScenarioError, with the option as its place, when the result is not valid.
    """
    if url is not None and profile is not None:
        raise ScenarioError(
            [
                FileProblem(
                    "--url", 0, 0, "", "cannot be combined with --profile", way_out="use only one of them"
                )
            ]
        )
    changed = scenario
    if seed is not None:
        changed = _changed(changed, f"--seed {seed}", lambda values: values.update(seed=seed))
    if url is not None:
        changed = _changed(changed, f"--url {url}", lambda values: _visit(values, url))
    if profile is not None:
        changed = _changed(changed, f"--profile {profile}", lambda values: _use_profile(values, profile))
    if no_retries:
        changed = _changed(changed, "--no-retries", _remove_retries)
    return changed


def scenario_values(scenario: Scenario) -> Values:
    """The scenario's text as plain YAML values, free to change; aliases and merge keys are followed."""
    values: Any = deepcopy(read_document(scenario.source_text, scenario.name).data)
    return dict(values)


def scenario_text(values: Values) -> str:
    """The YAML text of a scenario's values."""
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=110)


def _changed(scenario: Scenario, option: str, change: Callable[[Values], object]) -> Scenario:
    values = scenario_values(scenario)
    change(values)
    comments = [line for line in scenario.source_text.splitlines() if line.startswith(_COMMENT)]
    text = "\n".join([*comments, _COMMENT + option, scenario_text(values)])
    try:
        changed = read_scenario(text, file=scenario.name)
    except ScenarioError as error:
        name = option.partition(" ")[0]
        raise ScenarioError(
            FileProblem(name, 0, 0, problem.key, problem.rule, problem.got, problem.way_out)
            for problem in error.problems
        ) from None
    return changed.with_source(scenario.source_path, text)


_COMMENT = "# changed by "


def _visit(values: Values, url: str) -> None:
    values["target"] = {key: value for key, value in values["target"].items() if key != "shop"} | {"url": url}


def _use_profile(values: Values, profile: str) -> None:
    target = values["target"]
    shop = target.get("shop")
    settings = shop if isinstance(shop, dict) else {}
    kept = {key: value for key, value in target.items() if key not in ("url", "currency")}
    values["target"] = kept | {"shop": {**settings, "profile": profile}}


def _remove_retries(values: Values) -> None:
    for channel in values["channels"].values():
        channel.pop("reloads", None)
        channel.pop("retries", None)
