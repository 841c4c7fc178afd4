"""The scenario key `browsers`: its defaults, and every mistake with place and way out."""

from __future__ import annotations

import pytest

from doorbuster.capacity.load_step_scenario import RateLevel, load_step_text
from doorbuster.errors import ScenarioError
from doorbuster.scenario import journey_of, read_scenario

TEXT = """title: A peak
target: {target}
demand: {peak: 10 customers/s, curve: {stages: [{for: 60s, at: 100%}]}}
channels: {web: {share: 100%, journeys: {browse: 100}, patience: none}}
browsers: {browsers}
thresholds: {thresholds}
"""
SHOP = "{storefront: reference, shop: {profile: in-house-2004}}"
OWN = '{storefront: "custom:mine", url: "http://127.0.0.1:1"}'


def text(browsers="{}", *, target=SHOP, thresholds="{can_browse: [rate>=1%]}") -> str:
    return (
        TEXT.replace("{target}", target).replace("{browsers}", browsers).replace("{thresholds}", thresholds)
    )


def problems(*args, **changes) -> list[str]:
    with pytest.raises(ScenarioError) as refused:
        read_scenario(text(*args, **changes))
    return [f"{found.line}:{found.column}: {found.key} {found.rule}" for found in refused.value.problems]


def test_the_embedded_shop_has_a_journey_up_to_the_checkout():
    scenario = read_scenario(text())
    assert (scenario.browsers.probes, scenario.browsers.calm_s) == (1, 15.0)
    pages = [step.page for step in journey_of(scenario.browsers, scenario.target.storefront)]
    assert pages == ["home", "search", "product", "basket", "checkout"]


@pytest.mark.parametrize(
    ("browsers", "key", "rule"),
    [
        ("{probes: 4}", "browsers.probes", "must be"),
        ("{calm: 0s}", "browsers.calm", "must be"),
        ("{device: tablet}", "browsers.device", "must be a known device"),
        ("{wait: 3s}", "browsers.wait", "is not a valid key"),
        ("{journey: []}", "browsers.journey", "must be a list of 1 to 20 pages"),
        ("{journey: [{page: home}]}", "browsers.journey[0]", 'needs "open" or "click"'),
        ("{journey: [{page: home, open: home}]}", "browsers.journey[0].open", "must be a path of the shop"),
        ('{journey: [{page: home, open: "//evil.example"}]}', "browsers.journey[0].open", "must be a path"),
        ("{journey: [{page: Home, open: /}]}", "browsers.journey[0].page", "must have lower-case letters"),
        ("{journey: [{page: home, click: a}]}", "browsers.journey[0].click", "has nothing to click on"),
        ("{journey: [{page: a, open: /}, {page: a, open: /}]}", "browsers.journey[1].page", "is the name of"),
        ("{journey: [{page: a, open: /, fill: {x: y}}]}", "browsers.journey[0].fill", "has no effect"),
        ("{journey: [{page: a, open: /}, {page: b, click: a, fill: {x: 1}}]}", "browsers.journey[1].fill",
         "must be texts by selector"),
    ],
)  # fmt: skip
def test_a_mistake_has_its_place_and_rule(browsers, key, rule):
    (found,) = problems(browsers)
    assert found.startswith("5:")
    assert f" {key} {rule}" in found


def test_a_storefront_without_a_known_journey_needs_one():
    (found,) = problems(target=OWN)
    assert "browsers.journey must list the pages of a visit" in found
    assert read_scenario(text("{journey: [{page: home, open: /}]}", target=OWN)).browsers is not None


def test_thresholds_name_pages_and_phases_that_exist():
    good = '{"browser_lcp{page:checkout,phase:peak}": ["p(75)<2s"]}'
    assert read_scenario(text(thresholds=good)).thresholds
    (found,) = problems(thresholds='{"browser_lcp{page:chekout}": ["p(75)<2s"]}')
    assert "names a page that this scenario does not have" in found
    (found,) = problems(thresholds='{"browser_lcp{step:home}": ["p(75)<2s"]}')
    assert "has a tag that browser_lcp does not support" in found
    (found,) = problems(thresholds='{"http_req_duration{page:home}": ["p(75)<2s"]}')
    assert "has a tag that http_req_duration does not support" in found


def test_a_threshold_on_browsers_needs_browsers():
    without = text(thresholds='{browser_lcp: ["p(75)<2s"]}').replace("browsers: {}\n", "")
    with pytest.raises(
        ScenarioError, match="is measured by browser probes, which this scenario does not have"
    ):
        read_scenario(without)


def test_a_browser_cannot_end_a_run():
    (found,) = problems(thresholds='{browser_lcp: [{threshold: "p(75)<2s", abortOnFail: true}]}')
    assert "cannot end a run: browser probes are evaluated after it" in found


def test_load_steps_of_a_capacity_search_have_no_browsers():
    scenario = read_scenario(text(thresholds='{can_browse: [rate>=1%], browser_lcp: ["p(75)<2s"]}'))
    step = read_scenario(load_step_text(scenario, [RateLevel(5, 10)], url="http://127.0.0.1:1", seed=1))
    assert step.browsers is None
    assert [threshold.metric for threshold in step.thresholds] == ["can_browse"]


def test_the_ceiling_of_the_customers_leaves_room_for_the_browsers(scenario_with):
    scenario = scenario_with(6, "safety: {max_rate: 100 requests/s}\nbrowsers: {probes: 2}")

    assert scenario.customers_max_rate_per_s == 40
    with pytest.raises(ScenarioError, match="must be above 90 requests/s, which are kept for the browsers"):
        scenario_with(6, "safety: {max_rate: 90 requests/s}\nbrowsers: {probes: 3}")
