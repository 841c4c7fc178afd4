"""`doorbuster init --storefront`: what it writes works against a shop, as the guide says."""

from __future__ import annotations

import json
import re
import time
import urllib.parse
import urllib.request
from datetime import UTC, datetime
from http.cookiejar import CookieJar
from pathlib import Path

import pytest

from doorbuster.shop_process import start_shop
from doorbuster.shop_settings import ShopSettings

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "tutorial" / "your-own-shop.md"


@pytest.fixture(scope="module")
def shop_url(tmp_path_factory):
    """The embedded shop in the role of the user's own shop."""
    with start_shop(ShopSettings(products=200), tmp_path_factory.mktemp("shop") / "shop.log") as shop:
        yield shop.url


@pytest.fixture(scope="module")
def har(shop_url, tmp_path_factory):
    """A recording of one visit, as a browser would save it, with things in it that must not be kept."""
    path = tmp_path_factory.mktemp("har") / "visit.har"
    path.write_text(
        json.dumps({"log": {"version": "1.2", "entries": recorded_visit(shop_url)}}), encoding="utf-8"
    )
    return path


def recorded_visit(url: str) -> list[dict]:
    entries = []
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))

    def go(method: str, path: str, **form: str) -> str:
        data = urllib.parse.urlencode(form).encode() if form else None
        with browser.open(urllib.request.Request(url + path, data, method=method), timeout=30) as answer:
            text = answer.read().decode()
        headers = [{"name": "Cookie", "value": "basket=very-secret"}]
        request = {"method": method, "url": url + path, "headers": headers, "cookies": headers}
        if form:
            params = [{"name": name, "value": value} for name, value in form.items()]
            mime = "application/x-www-form-urlencoded"
            request["postData"] = {"mimeType": mime, "params": params, "text": data.decode()}
        entries.append(
            {
                "startedDateTime": datetime.fromtimestamp(
                    1_800_000_000 + 3 * len(entries), tz=UTC
                ).isoformat(),
                "request": request,
                "response": {
                    "status": 200,
                    "content": {"mimeType": "text/html; charset=utf-8", "text": text},
                },
            }
        )
        return text

    home = go("GET", "/")
    entries.append(foreign("https://tracker.example/collect?token=very-secret", "application/json"))
    entries.append(foreign(f"{url}/static/shop.css", "text/css"))
    go("GET", re.search(r'href="(/category/[^"]+)"', home)[1])
    go("GET", "/search?q=coat")
    sku = re.search(r'href="/product/([^"]+)"', home)[1]
    go("GET", f"/product/{sku}")
    go("POST", "/basket/add", sku=sku, quantity="1")
    go("GET", "/basket")
    page = go("GET", "/checkout")
    key = re.search(r'name="idempotency_key"[^>]*value="([^"]+)"', page)[1]
    go("POST", "/checkout", name="Ann Other", email="ann@other.example", address="1 Way", postcode="W1A 1AA",
       idempotency_key=key, card_number="4111111111111111")  # fmt: skip
    return entries


def foreign(url: str, mime: str) -> dict:
    return {
        "startedDateTime": "2027-01-15T08:00:01+00:00",
        "request": {"method": "GET", "url": url},
        "response": {"status": 200, "content": {"mimeType": mime}},
    }


def test_the_starter_writes_a_driver_customers_and_a_scenario(doorbuster, tmp_path):
    done = doorbuster("init", "--storefront", "harbour-lane", tmp_path)
    assert done.returncode == 0, done.stderr
    driver = (tmp_path / "locustfiles" / "_harbour_lane.py").read_text(encoding="utf-8")
    peak = (tmp_path / "locustfiles" / "harbour_lane_peak.py").read_text(encoding="utf-8")
    scenario = (tmp_path / "scenarios" / "harbour-lane-smoke.yaml").read_text(encoding="utf-8")
    assert "class HarbourLaneShop(Storefront):" in driver
    assert 'name = "harbour-lane"' in driver
    code = [line for line in peak.partition('"""\n\n')[2].splitlines() if line and "__all__" not in line]
    assert code == [
        "from _harbour_lane import HarbourLaneShop",
        "from locust import events",
        "from doorbuster.load.locustfile import GeneratorUser, RunShape, install",
        "install(events, drivers=[HarbourLaneShop])",
    ]
    assert '"custom:harbour-lane"' in scenario
    assert "my" not in re.findall(r"\w+", driver + peak)
    assert sum(1 for line in driver.splitlines() if line.strip() and not line.strip().startswith("#")) <= 80


def test_existing_files_are_not_changed(doorbuster, tmp_path):
    doorbuster("init", "--storefront", "my-shop", tmp_path)
    driver = tmp_path / "locustfiles" / "_my_shop.py"
    driver.write_text("# mine\n", encoding="utf-8")
    done = doorbuster("init", "--storefront", "my-shop", tmp_path)
    assert driver.read_text(encoding="utf-8") == "# mine\n"
    assert done.stdout.count("exists, not changed") == 3


def test_a_name_whose_file_would_hide_a_module_of_python_is_refused(doorbuster, tmp_path):
    done = doorbuster("init", "--storefront", "json", tmp_path)
    assert done.returncode == 2
    assert "_json.py would hide a module of Python; use json-shop" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_bundled_customers_fit_the_starter_and_what_it_lacks_is_named(doorbuster, tmp_path):
    doorbuster("init", "--storefront", "my-shop", tmp_path)
    both = ["--locustfile", f"retail_peak.py,{tmp_path}/locustfiles/my_shop_peak.py"]
    scenario = tmp_path / "scenarios" / "my-shop-smoke.yaml"
    assert doorbuster("check", scenario, *both).returncode == 0
    scenario.write_text(
        scenario.read_text(encoding="utf-8").replace("search: 20", "review: 20"), encoding="utf-8"
    )
    done = doorbuster("check", scenario, *both)
    assert done.returncode == 104
    assert "landing" in done.stderr + done.stdout


@pytest.mark.parametrize("name", ["My Shop", "9lives", "../up", ""])
def test_a_name_that_no_scenario_could_use_is_refused(doorbuster, tmp_path, name):
    done = doorbuster("init", "--storefront", name, tmp_path)
    assert done.returncode == 2
    assert "--storefront: must be lower-case letters" in done.stderr
    assert list(tmp_path.iterdir()) == []


def guide_commands() -> list[str]:
    """The commands of the guide, in order, without those that open a shop for the reader."""
    blocks = re.findall(r"```sh\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("doorbuster shop")]


@pytest.fixture
def files_of_the_guide(tmp_path, har):
    (tmp_path / "visit.har").write_bytes(har.read_bytes())
    return tmp_path


@pytest.mark.truth
def test_the_commands_of_the_guide_work_from_zero_to_a_passing_peak(doorbuster, files_of_the_guide, shop_url):
    commands = guide_commands()
    verbs = [line.split()[1] for line in commands]
    assert verbs.count("init") >= 2
    assert {"probe", "check", "run", "report"} <= set(verbs)
    for line in commands:
        words = [word.replace("http://127.0.0.1:8004", shop_url) for word in line.split()[1:]]
        scenario = files_of_the_guide / "scenarios" / "my-shop-smoke.yaml"
        if scenario.exists():
            text = scenario.read_text(encoding="utf-8").replace("http://127.0.0.1:8004", shop_url)
            scenario.write_text(text, encoding="utf-8")
        done = doorbuster(*words, cwd=files_of_the_guide)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def test_a_recording_becomes_a_driver_that_walks_the_whole_shop(doorbuster, tmp_path, har, shop_url):
    done = doorbuster("init", "--storefront", "harbour-lane", "--har", har, tmp_path)
    assert done.returncode == 0, done.stderr
    driver = tmp_path / "locustfiles" / "_harbour_lane.py"
    text = driver.read_text(encoding="utf-8")
    for secret in ("very-secret", "ann@other.example", "4111111111111111", "tracker.example"):
        assert secret not in text
    assert '"email": "test.customer@example.com"' in text
    assert '"card_number": CARD_NUMBER' in text
    assert 'CARD_NUMBER = environ.get("HARBOUR_LANE_CARD_NUMBER", "")' in text
    assert "set before a run: HARBOUR_LANE_CARD_NUMBER" in done.stdout
    assert 'SEARCH_TERMS = ("coat",)' in text
    assert "POST /basket/add" in text
    probed = doorbuster("probe", shop_url, "--locustfile", driver)
    assert probed.returncode == 0, probed.stdout + probed.stderr
    scenario = (tmp_path / "scenarios" / "harbour-lane-smoke.yaml").read_text(encoding="utf-8")
    assert f'url: "{shop_url}"' in scenario
    pauses = re.search(r"pauses in the recording: \{lognormal: \{median: (.*)s, sigma: (.*)\}\}", scenario)
    assert float(pauses[1]) == 3.0
    assert 0.1 <= float(pauses[2]) <= 2.0


def test_the_starter_for_an_api_needs_no_change_against_the_embedded_shop(doorbuster, tmp_path, shop_url):
    assert doorbuster("init", "--storefront", "my-shop", "--api", tmp_path).returncode == 0
    scenario = tmp_path / "scenarios" / "my-shop-smoke.yaml"
    scenario.write_text(
        scenario.read_text(encoding="utf-8").replace("http://127.0.0.1:8004", shop_url), encoding="utf-8"
    )
    files = f"retail_peak.py,{tmp_path / 'locustfiles' / 'my_shop_peak.py'}"
    probed = doorbuster("probe", "--scenario", scenario, "--locustfile", files)
    assert probed.returncode == 0, probed.stdout + probed.stderr
    assert "no step" not in probed.stdout
    assert "All core steps work" in probed.stdout
    assert "reset_password" in probed.stdout  # a name in the rows that looks like that of a secret
    checked = doorbuster("check", scenario, "--locustfile", files)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("options", [("--api",), ("--storefront", "my-shop", "--api", "--har", "visit.har")])
def test_an_api_starter_needs_a_name_and_no_recording(doorbuster, files_of_the_guide, options):
    done = doorbuster("init", *options, cwd=files_of_the_guide)
    assert done.returncode == 2
    assert "--api" in done.stderr


def test_an_invalid_recording_is_refused_before_anything_is_written(doorbuster, tmp_path):
    path = tmp_path / "no.har"
    path.write_text("{}", encoding="utf-8")
    done = doorbuster("init", "--storefront", "my-shop", "--har", path, tmp_path / "new")
    assert done.returncode == 2
    assert "is not a HAR recording" in done.stderr
    assert not (tmp_path / "new").exists()


def test_a_recording_needs_a_name_for_its_driver(doorbuster, tmp_path, har):
    done = doorbuster("init", "--har", har, tmp_path)
    assert done.returncode == 2
    assert "add e.g. --storefront my-shop" in done.stderr


def test_the_guide_takes_less_than_an_hour_to_run(doorbuster):
    """The machine's part of it: one probe of a whole shop is a matter of seconds."""
    started = time.monotonic()
    assert doorbuster("probe").returncode == 0
    assert time.monotonic() - started < 60
