"""Secrets in every place a run meets them: none appears in a file of the run, or on a stream."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

S = {n: f"hush{n:02d}xQ7" for n in range(1, 40)}  # values that occur nowhere else
JWT = f"eyJhbGciOiJI.eyJzdWIiOiIx{S[30]}.c2lnbmF0dXJl"
TEXTS = [  # what a driver, a shop or Python puts into the text of an error
    f"login failed: password={S[1]}",
    f'{{"access_token": "{S[2]}", "n": 1}}',
    f"{{\\'client_secret\\': \\'{S[3]}\\'}}",
    f"(\\'api_key\\', \\'{S[4]}\\')",
    f"Authorization: Bearer {S[5]}",
    f"Cookie: lang=en; sid={S[6]}; other={S[7]}",
    f"Set-Cookie: sessionid={S[8]}; Path=/",
    f"GET http://127.0.0.1:8080/?token={S[9]}&x=1",
    f"GET https://ann:{S[10]}@shop.example/basket failed",
    f"next=%3Ftoken%3D{S[11]}%26x%3D1",
    f"<login><password>{S[12]}</password></login>",
    f'<input type="hidden" value="{S[13]}" name="csrfmiddlewaretoken">',
    f'<meta name="csrf-token" content="{S[14]}">',
    f'body \\\\"secret\\\\": \\\\"{S[15]}\\\\"',
    f"Basic {S[16]}",
    JWT,
    f"X-Api-Key: {S[17]}",
    f"card_number={S[18]}&cvv={S[19]}",
    f'Content-Disposition: form-data; name="password"\\r\\n\\r\\n{S[20]}\\r\\n',
    f"Proxy-Authorization: Digest username=a, response={S[21]}",
]
ENVIRONMENT = {  # known by value: secret names, and names that the driver's file uses
    "SHOP_PASSWORD": S[22] + " with spaces & signs",
    "SHOP_TOKEN": S[23],
    "SHOP_LOGIN": S[24],
    "CI_JOB_TOKEN": S[25],
}
DRIVER = """
import itertools
import logging
import os
from urllib.parse import quote

from locust import events
from doorbuster.load.locustfile import Customer, GeneratorUser, RunShape, install
from doorbuster.storefronts import Catalogue, Listing, Rejected, Storefront

TEXTS = [{texts}]
VALUES = [os.environ[name] for name in ("SHOP_PASSWORD", "SHOP_TOKEN", "SHOP_LOGIN")]
VALUES.append(os.environ["CI_JOB" + "_TOKEN"])
NUMBERS = itertools.count()


class Leaky(Storefront):
    name = "leaky"

    @classmethod
    def prepare(cls, client):
        print("printed", *TEXTS, *VALUES)
        logging.getLogger("leaky").warning("logged %s %s", TEXTS, VALUES)
        return Catalogue(("a",), (1.0,), ("x",), ("/c",))

    def home(self):
        number = next(NUMBERS) % (len(TEXTS) + 8)
        if number < len(TEXTS):
            self.fetch("GET", "/ok")
            raise Rejected(f"cause{{number}}", TEXTS[number])
        number -= len(TEXTS)
        if number < 4:
            raise Rejected(f"value{{number}}", f"said {{VALUES[number]}} and {{quote(VALUES[number])}}")
        if number == 4:
            self.fetch("GET", "{url}/fail?token={s26}&session={s27}", headers={{"X-Token": VALUES[1]}})
        if number == 5:
            self.fetch("POST", "/fail", json={{"password": VALUES[0], "login": VALUES[2]}})
        if number == 6:
            self.fetch("GET", "/ok", headers={{"Authorization": "Bearer {s28}\\n"}})
        raise RuntimeError(f"raised {{TEXTS}} {{VALUES}}")

    category = search = product = home


class Web(Customer):
    channel = "web"

    def browse(self):
        self.step(self.shop.home)


install(events, drivers=[Leaky])
"""
SCENARIO = """
title: leaky
story: A driver with secrets.
target: {{storefront: "custom:leaky", url: "{url}"}}
demand: {{peak: 60 customers/s, curve: {{stages: [{{for: 2s, at: 100%}}]}}}}
channels: {{web: {{share: 100%, journeys: {{browse: 1}}, patience: none}}}}
thresholds: {{customers: ["count>=0"]}}
safety: {{allow: [127.0.0.1]}}
drain: 2s
"""


@pytest.fixture
def shop():
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.rfile.read(int(self.headers.get("content-length", "0")))
            body = f'token={S[29]} <input name="csrf" value="{S[31]}"> {self.headers} {self.path}'.encode()
            self.send_response(503 if "fail" in self.path else 200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Set-Cookie", f"sid={S[32]}; HttpOnly")
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self):
            self.do_GET()

        def log_message(self, *_):
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def found_in(text: str) -> list[str]:
    return [f"{n}: {secret}" for n, secret in S.items() if secret in text]


def test_no_secret_reaches_a_file_or_a_stream(tmp_path, shop):
    texts = ",\n".join(f"'{text}'" for text in TEXTS)
    driver = DRIVER.format(texts=texts, url=shop, s26=S[26], s27=S[27], s28=S[28])
    (tmp_path / "leaky.py").write_text(driver, encoding="utf-8")
    (tmp_path / "leaky.yaml").write_text(SCENARIO.format(url=shop), encoding="utf-8")
    out = tmp_path / "out"
    commands = (
        ("run", "leaky.yaml", "--locustfile", "leaky.py", "--out", out, "--quiet"),
        ("gate", out),
        ("probe", shop, "--locustfile", "leaky.py", "--trace"),
    )
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", "doorbuster", *map(str, command)], cwd=tmp_path, capture_output=True,
            text=True, timeout=120, env={**os.environ, **ENVIRONMENT},
        )  # fmt: skip
        assert done.stdout + done.stderr
        assert found_in(done.stdout + done.stderr) == [], command[0]
    files = [path for path in out.rglob("*") if path.is_file()]
    assert {"run.sqlite", "index.html", "summary.json", "locust.out"} <= {path.name for path in files}
    leaks = {path.name: found_in(path.read_bytes().decode("utf-8", "replace")) for path in files}
    assert {name: found for name, found in leaks.items() if found} == {}
    recorded = (out / "run.sqlite").read_bytes()
    assert all(f"cause{n}".encode() in recorded for n in range(len(TEXTS))), "every text was met"
