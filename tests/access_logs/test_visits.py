"""Visits from logs: known chains, groups, pauses and arrivals are found again; programs are not visits."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
from simulated_log import ENTER, FIREFOX, LEAVE, START_S, LoggedPage, combined_lines, simulate

from doorbuster.access_logs import LogMap, LogOptions, model_demand
from doorbuster.access_logs.demand_model import DemandModel
from doorbuster.access_logs.log_map import PageRule
from doorbuster.access_logs.reading import read_logs
from doorbuster.access_logs.sessions import find_visits
from doorbuster.access_logs.visitors import is_program
from doorbuster.scenario import PAGE_CHAINS

ADDRESSES = {
    "home": "GET /",
    "category": "GET /category/toys",
    "search": "GET /search?q=bear",
    "product": "GET /product/17",
    "add_to_basket": "POST /basket/add",
    "basket": "GET /basket",
    "checkout_page": "GET /checkout",
    "checkout": "POST /checkout",
}


def model_of(path, lines: str, **options) -> DemandModel:
    path.write_text(lines)
    return model_demand([path], LogOptions(**options), gap_s=1800.0, window_s=3600.0)


def pages_of(*visits):
    """Page views of visits, each a list of (seconds, page)."""
    return [LoggedPage(START_S + at_s, n, page) for n, visit in enumerate(visits) for at_s, page in visit]


@pytest.mark.parametrize(
    "mix", [pytest.param(mix, marks=[] if mix == "shopping" else pytest.mark.truth) for mix in PAGE_CHAINS]
)
def test_the_matrix_of_tpc_w_is_found_again(mix, tmp_path):
    chain = PAGE_CHAINS[mix]
    rows = {page: {to: share * 0.95 for to, share in zip(chain.pages, row, strict=True)} | {LEAVE: 0.05}
            for page, row in zip(chain.pages, chain.matrix.tolist(), strict=True)}  # fmt: skip
    pages = simulate(
        {ENTER: {"home": 1.0}, **rows},
        500,
        rate_per_s=1.0,
        think_s=lambda rng: rng.exponential(7.0),
        seed=11,
    )
    path = tmp_path / "log"
    path.write_text(combined_lines(pages, {page: f"GET /tpcw/{page}" for page in chain.pages}))
    every_page = LogMap(rules=(PageRule(re.compile("GET /tpcw/.*"), "other"),))
    log = read_logs([path], LogOptions(log_map=every_page))
    steps = [page.use.template.rpartition("/")[2] if page.use.requests else "" for page in log.table.pages]
    found = find_visits(log.store, log.overlaps, log.table, steps, gap_s=1800.0)
    statistic, freedom = 0.0, 0
    for name, counts in zip(found.kinds, found.transitions[1:], strict=True):
        expected = counts.sum() * np.array([rows[name].get(kind, 0.0) for kind in (*found.kinds, LEAVE)])
        assert counts[expected == 0].sum() == 0
        used = expected >= 5
        statistic += float(((counts - expected)[used] ** 2 / expected[used]).sum())
        freedom += max(int(used.sum()) - 1, 0)
    # chi-square: mean freedom, standard deviation sqrt(2 freedom)
    assert abs(statistic - freedom) < 4 * math.sqrt(2 * freedom)
    assert len(found.visits) == 500


def test_known_groups_pauses_and_arrivals_are_found_again(tmp_path):
    # Visits of one page could be of either group, so both groups look on from their first page.
    lookers = {
        ENTER: {"home": 0.3, "category": 0.7}, "home": {"category": 1.0},
        "category": {"product": 0.4, "category": 0.4, LEAVE: 0.2}, "product": {"category": 0.6, LEAVE: 0.4},
    }  # fmt: skip
    buyers = {
        ENTER: {"home": 1.0}, "home": {"search": 1.0}, "search": {"product": 0.8, "search": 0.2},
        "product": {"add_to_basket": 0.7, LEAVE: 0.3}, "add_to_basket": {"checkout_page": 0.8, LEAVE: 0.2},
        "checkout_page": {"checkout": 0.9, LEAVE: 0.1}, "checkout": {LEAVE: 1.0},
    }  # fmt: skip

    def think_s(rng):
        return rng.lognormal(math.log(20), 0.8)

    pages = simulate(lookers, 1_400, rate_per_s=0.35, think_s=think_s, seed=1)
    pages += simulate(buyers, 600, rate_per_s=0.15, think_s=think_s, seed=2, first=1_400)
    model = model_of(tmp_path / "log", combined_lines(pages, ADDRESSES))
    assert len(model.behaviour.visits) == 2_000
    assert model.mixture.shares.tolist() == pytest.approx([0.7, 0.3], abs=0.03)
    kinds = ("enter", *model.behaviour.kinds)
    product = model.mixture.chains[1][kinds.index("product")]
    assert product[model.behaviour.kinds.index("add_to_basket")] == pytest.approx(0.7, abs=0.05)
    best = model.fits[0]
    assert (best.family, best.median_s, best.sigma) == (
        "lognormal", pytest.approx(20, rel=0.05), pytest.approx(0.8, rel=0.05))  # fmt: skip
    window = model.arrivals.window
    assert window.length_s == 3600.0
    assert abs(window.visits - 1800) < 4 * math.sqrt(1800)
    second, minute = model.arrivals.by_second, model.arrivals.by_minute
    assert second.low < 1 < second.high
    assert minute.low < 1.0 + 0.3
    assert model.arrivals.littles_law.agrees
    assert model.behaviour.visits.ordered.mean() == pytest.approx(0.3 * 0.7 * 0.8 * 0.9, abs=0.02)


def test_a_gap_ends_a_visit_and_other_gaps_are_counted(tmp_path):
    visit = [(0, "home"), (400, "product"), (1_500, "product"), (1_500 + 1_801, "home"), (8_000, "home")]
    model = model_of(tmp_path / "log", combined_lines(pages_of(visit), ADDRESSES))
    assert model.behaviour.visits.pages.tolist() == [3, 1, 1]
    # the pauses are 400, 1,100, 1,801 and 4,699 s
    assert model.behaviour.visits_at_gap == {5: 5, 10: 4, 15: 4, 20: 3, 30: 3, 45: 2, 60: 2}


def test_a_page_after_a_redirect_belongs_to_the_request_before(tmp_path):
    lines = combined_lines(
        pages_of([(0, "product"), (5, "add_to_basket"), (5.4, "basket"), (30, "basket")]), ADDRESSES
    )
    lines = "\n".join(
        line.replace('" 200 ', '" 303 ') if "POST" in line else line for line in lines.splitlines()
    )
    model = model_of(tmp_path / "log", lines + "\n")
    assert set(model.behaviour.kinds) == {"product", "add_to_basket", "basket"}
    assert model.behaviour.pages == 3


@pytest.mark.parametrize(
    ("agent", "is_program"),
    [
        (FIREFOX, False),
        ("doorbuster", False),
        ("Mozilla/5.0 (Linux; Android 14; CUBOT P80) AppleWebKit/537.36 Mobile Safari/537.36", False),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", True),
        ("curl/8.5.0", True),
        ("python-requests/2.32", True),
        ("Pingdom.com_bot_version_1.4", True),
        ("Mozilla/5.0 HeadlessChrome/141.0", True),
        ("-", True),
    ],
)
def test_programs_are_recognised_by_their_user_agents(agent, is_program, tmp_path):
    people = combined_lines(pages_of([(0, "home")]), ADDRESSES)
    other = combined_lines([LoggedPage(START_S + 1, 9, "home")], ADDRESSES, agent=agent)
    model = model_of(tmp_path / "log", people + other)
    assert len(model.behaviour.visits) == (1 if is_program else 2)
    assert model.counts.program_requests == int(is_program)


@pytest.mark.parametrize(
    ("agent", "is_known"),
    [("Mediapartners-Google", True), ("ia_archiver (+none)", True), ("WhatsApp/2.23", True), (FIREFOX, False),
     ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) Version/18.1 Safari/604.1", False)],
)  # fmt: skip
def test_the_list_of_crawlers_knows_programs_without_general_words(agent, is_known):
    pytest.importorskip("crawleruseragents", reason="crawler-user-agents is not installed (extra logs)")
    assert is_program(agent) is is_known


@pytest.mark.parametrize(
    "visit",
    [
        [(n * 0.5, "product") for n in range(40)],  # 40 pages in 20 s
        [(n * 60.0, "home") for n in range(12)],  # one page at even intervals: a probe
        [(n * 7.0 + n % 3, "category") for n in range(501)],  # more than 500 pages
    ],
)
def test_programs_without_a_name_are_recognised_by_their_behaviour(visit, tmp_path):
    human = [(0, "home"), (20, "category"), (47, "product")]
    model = model_of(tmp_path / "log", combined_lines(pages_of(human, visit), ADDRESSES))
    assert len(model.behaviour.visits) == 1
    assert model.behaviour.program_visits == 1
    assert model.behaviour.program_pages == len(visit)


def test_who_reads_robots_txt_is_a_program(tmp_path):
    addresses = ADDRESSES | {"robots": "GET /robots.txt"}
    lines = combined_lines(pages_of([(0, "home")], [(0, "robots"), (9, "home")]), addresses)
    model = model_of(tmp_path / "log", lines)
    assert (len(model.behaviour.visits), model.behaviour.program_visits) == (1, 1)


def test_overloaded_and_silent_minutes_are_censored(tmp_path):
    begin_s = START_S + 40  # a whole minute
    views = [
        LoggedPage(begin_s + m * 60 + n * 2, 100 + n, "home") for m in range(30) if m != 12 for n in range(28)
    ]
    lines = combined_lines(views, ADDRESSES).splitlines()
    for place, view in enumerate(views):
        if (view.time_s - begin_s) // 60 in (5, 6) and view.visit % 2:
            lines[place] = lines[place].replace('" 200 ', '" 503 ')
    arrivals = model_of(tmp_path / "log", "\n".join(lines) + "\n").arrivals
    found = [((one.start_ms / 1e3 - begin_s) / 60, (one.end_ms - one.start_ms) / 60e3, one.reason)
             for one in arrivals.censored]  # fmt: skip
    assert found == [(5, 2, "5% or more of the requests failed"), (12, 1, "no request was logged")]
    assert arrivals.window.censored_ms == 3 * 60_000


def test_a_script_request_right_after_a_page_is_not_a_page_but_a_page_of_unknown_kind_is(tmp_path):
    addresses = ADDRESSES | {"script": "GET /fragments/offers", "about": "GET /about-us"}
    visit = [(0, "home"), (0.4, "script"), (30, "about"), (30.4, "script"), (60, "product")]
    model = model_of(tmp_path / "log", combined_lines(pages_of(*[visit] * 12), addresses))
    assert model.behaviour.visits.pages.tolist() == [3] * 12
    kinds = {page.use.template: page.kind for page in model.table.pages}
    assert kinds["/fragments/offers"].evidence == "within a second of another page in 100% of cases"
    assert kinds["/about-us"].kind == "other"


def test_the_first_page_belongs_to_the_cookie_that_its_answer_sets(tmp_path):
    lines = [
        json.dumps({"msec": START_S + 60 * n + at_s, "remote_addr": "192.0.2.1", "http_user_agent": FIREFOX,
                    "status": 200, "request": f"GET {path} HTTP/1.1", "cookie_session": cookie})
        for n in range(10)
        for at_s, path, cookie in ((0, "/", ""), (9, "/product/1", f"v{n}"), (20, "/basket", f"v{n}"))
    ]  # fmt: skip
    model = model_of(tmp_path / "log", "\n".join(lines) + "\n")
    assert model.behaviour.visits.pages.tolist() == [3] * 10


def test_a_small_log_is_not_split_into_groups(tmp_path):
    model = model_of(
        tmp_path / "log", combined_lines(pages_of(*[[(0, "home")], [(0, "basket")]] * 10), ADDRESSES)
    )
    assert len(model.mixture.shares) == 1
