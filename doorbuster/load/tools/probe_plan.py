"""What a probe tries: channels, steps and content rules, of a scenario or those that are built in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from doorbuster.load.target.driver_lookup import CORE
from doorbuster.load.target.step_signatures import CHANNEL_OF, STEP_INPUTS
from doorbuster.scenario import CHANNELS, STEPS, ContentRule, Scenario

WEB = "web"


@dataclass(frozen=True, slots=True)
class ProbePlan:
    """What to try.

    channels: the first one's customer takes all steps, but for those of `channel_of`. steps: in order of a
    visit. required: steps by channel without which the shop cannot be loaded.
    """

    channels: tuple[str, ...]
    steps: tuple[str, ...]
    channel_of: Mapping[str, str]
    required: Mapping[str, frozenset[str]]
    is_of_scenario: bool = False
    rules: tuple[ContentRule, ...] = ()

    @classmethod
    def of(cls, scenario: Scenario | None) -> ProbePlan:
        """The plan of a scenario, or the built-in one."""
        steps = tuple(dict.fromkeys((*STEP_INPUTS, *STEPS)))
        if scenario is None:
            channels = tuple(dict.fromkeys((WEB, *CHANNELS)))
            return cls(channels, steps, CHANNEL_OF, dict.fromkeys(channels, frozenset(CORE)))
        by_channel = {
            name: [one.step for journey in channel.journeys for one in scenario.journeys[journey].steps]
            for name, channel in scenario.channels.items()
        }
        own = {step: name for name, found in by_channel.items() for step in found if step not in steps}
        required: dict[str, set[str]] = {}
        for name, found in by_channel.items():
            for step in found:  # a journey may cross into another channel
                required.setdefault(CHANNEL_OF.get(step, name), set()).add(step)
        return cls(
            channels=tuple(sorted(by_channel, key=lambda name: (name != WEB, -len(set(by_channel[name]))))),
            steps=(*steps, *own),
            channel_of={**CHANNEL_OF, **own},
            required={name: frozenset(found) for name, found in required.items()},
            is_of_scenario=True,
            rules=scenario.target.content_rules,
        )

    def is_needed(self, step: str, channel: str) -> bool:
        """Whether the scenario needs this step in this channel."""
        return self.is_of_scenario and self.requires(step, channel)

    def requires(self, step: str, channel: str) -> bool:
        """Whether the shop cannot be loaded unless this step works in this channel."""
        return step in self.required.get(channel, frozenset())
