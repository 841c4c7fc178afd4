"""Runs every call below on one kind of Locust user and prints what went over the wire and what came back.

    python calls.py HttpUser|FastHttpUser|ours

The server is raw: it sends exactly the bytes that a route states, and keeps exactly what it read.
"""

from __future__ import annotations

import io
import json
import re
import sys
import threading
from collections.abc import Callable
from typing import Any

import locust  # patches the interpreter first
import requests
from gevent import socket
from locust.env import Environment
from locust.exception import InterruptTaskSet, RescheduleTask, ResponseError, StopUser
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth, HTTPDigestAuth

from doorbuster.load.locust_plugin import http_user

UNCOMPARED = {"user-agent", "accept", "accept-encoding", "connection"}
CHALLENGE = 'WWW-Authenticate: Digest realm="shop", nonce="n1", qop="auth", algorithm=MD5'


def answer(body: bytes | str = b"ok", *headers: str, status: str = "200 OK") -> bytes:
    data = body.encode() if isinstance(body, str) else body
    lines = "".join(f"{line}\r\n" for line in headers)
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(data)}\r\n{lines}\r\n".encode() + data


def moved(location: str, status: int = 302, *headers: str) -> bytes:
    return answer(b"", f"Location: {location}", *headers, status=f"{status} Moved")


ROUTES: dict[str, bytes | Callable[[dict[str, Any]], bytes]] = {
    "/json": answer('{"a": 1}', "Content-Type: application/json", "X-Tag: t"),
    "/big": answer('{"id": 147573952589676412927}', "Content-Type: application/json"),
    "/nan": answer('{"total": NaN}', "Content-Type: application/json"),
    "/bom": answer(b"\xef\xbb\xbf{}", "Content-Type: application/json; charset=utf-8"),
    "/latin": answer("é".encode("latin-1"), "Content-Type: text/plain; charset=ISO-8859-1"),
    "/utf8": answer("é", "Content-Type: text/plain; charset=utf-8"),
    "/lines": answer("one\ntwo\n\nthree"),
    "/link": answer("", 'Link: </n?p=2>; rel="next"; title="more", </l>; rel=last'),
    "/empty": answer(b"", status="204 No Content"),
    "/404": answer("gone", status="404 Not Found"),
    "/500": answer("broken", status="500 Oops"),
    "/html": answer("<p>", "Content-Type: text/html; charset=utf-8"),
    "/set": answer("set", "Set-Cookie: sid=abc; Path=/", "Set-Cookie: far=1; Path=/shop"),
    "/set/more": answer("set", "Set-Cookie: lang=en; Path=/; Max-Age=60"),
    "/unset": answer("unset", "Set-Cookie: sid=; Path=/; Expires=Thu, 01-Jan-70 00:00:00 GMT"),
    "/r301": moved("/landed", 301),
    "/r302": moved("/landed", 302),
    "/r303": moved("/landed", 303),
    "/r307": moved("/landed", 307),
    "/r308": moved("/landed", 308),
    "/two-hops": moved("/r302", 302),
    "/with-cookie": moved("/landed", 302, "Set-Cookie: wall=1; Path=/"),
    "/drops-cookie": moved("/landed", 302, "Set-Cookie: sid=; Max-Age=0; Path=/"),
    "/cookie/quoted": answer("x", 'Set-Cookie: q="a b"; Path=/'),
    "/cookie/empty": answer("x", "Set-Cookie: e=; Path=/"),
    "/cookie/foreign": answer("x", "Set-Cookie: a=1; Path=/; Domain=other.example"),
    "/cookie/secure": answer("x", "Set-Cookie: a=1; Path=/; Secure"),
    "/cookie/equals": answer("x", "Set-Cookie: a=b=c; Path=/"),
    "/zeros": b"HTTP/1.1 200 OK\r\nContent-Length: 0002\r\n\r\nok",
    "/extension": (
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n02;a="b;c"\r\nok\r\n000\r\nX-T: 1\r\n\r\n'
    ),
    "/old": b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nok",
    "/hints": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "/twice": answer('{"a": 1, "a": 2}', "Content-Type: application/json", "X-M: 1", "X-M: 2"),
    "/relative/r": moved("../landed?x=1"),
    "/query/r": moved("?page=2"),
    "/fragment": moved("/landed#part"),
    "/utf8-location": moved("/café?q=ü"),
    "/spaces": moved("/a b"),
    "/loop": moved("/loop"),
    "/nowhere": answer("stay", status="302 Found"),
    "/digest": lambda asked: (
        answer("in") if "authorization" in asked["headers"] else answer("", CHALLENGE, status="401 No")
    ),
    "/lf": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "/chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
    "/until-end": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok",
}


class Server:
    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            threading.Thread(target=self._serve, args=(self._listener.accept()[0],), daemon=True).start()

    def _serve(self, sock: Any) -> None:
        file = sock.makefile("rb")
        while line := file.readline():
            method, path, _ = line.decode("latin-1").split(" ")
            headers = {}
            while (field := file.readline().rstrip(b"\r\n")) != b"":
                name, _, value = field.decode("latin-1").partition(":")
                headers[name.lower()] = value.strip()
            if headers.get("transfer-encoding") == "chunked":
                body = b""
                while size := int(file.readline(), 16):
                    body += file.read(size)
                    file.readline()
                file.readline()
            else:
                body = file.read(int(headers.get("content-length", "0")))
            asked = {"method": method, "path": path, "headers": headers, "body": body}
            self.seen.append(asked)
            route = ROUTES.get(path, ROUTES.get(path.partition("?")[0], answer()))
            data = route(asked) if callable(route) else route
            if method == "HEAD":
                data = data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
            sock.sendall(data)
            if b"Connection: close" in data:
                break
        sock.close()


class Token(AuthBase):
    def __call__(self, request: Any) -> Any:
        request.headers["Authorization"] = f"Bearer {request.method} {request.path_url}"
        return request


class AnsweredByHook(AuthBase):
    """Answers a challenge as the packages for NTLM, Kerberos and OAuth do: with a hook."""

    def __call__(self, request: Any) -> Any:
        request.register_hook("response", self.handle_401)
        request.register_hook("response", lambda response, **_: None)
        assert not request.deregister_hook("response", print)
        return request

    def handle_401(self, response: Any, **options: Any) -> Any:
        if response.status_code != 401:
            return response
        response.content  # noqa: B018  read it, so that the connection can be used again
        response.close()
        again = response.request.copy()
        again.prepare_cookies(again._cookies)
        again.headers["Authorization"] = f"Own {again.method} {again.path_url}"
        answered = response.connection.send(again, **options)
        answered.history.append(response)
        answered.request = again
        return answered


def block(user: Any, path: str, act: Callable[[Any], Any], **options: Any) -> list[Any]:
    """Uses a with block; says whether what follows it ran, and what left it."""
    after, left = False, None
    try:
        with user.client.get(path, catch_response=True, **options) as response:
            act(response)
        after = True
    except BaseException as error:  # noqa: BLE001 - what left the block is the result
        left = family(error)
    return [after, left]


def throw(error: BaseException) -> Callable[[Any], Any]:
    def act(_: Any) -> Any:
        raise error

    return act


def family(error: BaseException) -> str:
    for known in (InterruptTaskSet, RescheduleTask, StopUser, ResponseError):
        if isinstance(error, known):
            return known.__name__
    if isinstance(error, requests.RequestException):
        return "RequestException"
    return type(error).__name__


def setting(**attributes: Any) -> Callable[[Any], Any]:
    """A call of /ok after attributes of the client were set."""

    def call(user: Any) -> Any:
        for name, value in attributes.items():
            setattr(user.client, name, value)
        return user.client.get("/ok").text

    return call


def page(user: Any) -> Any:
    user.client.get("/set")
    return user.client


def rest(user: Any, path: str, **options: Any) -> Any:
    with user.rest("POST", path, **options) as response:
        return response.js


def renamed(user: Any) -> Any:
    with user.client.rename_request("named"):
        user.client.get("/ok?x=1")
    return user.client.get("/ok?x=2").status_code


def hooked(user: Any) -> Any:
    seen: list[int] = []
    user.client.get("/json", hooks={"response": lambda response, **_: seen.append(response.status_code)})
    return seen


def caught(user: Any, path: str, **options: Any) -> str:
    try:
        user.client.get(path, **options).raise_for_status()
    except requests.RequestException as error:
        return next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "requests.exceptions")
    return "nothing"


def second_session(user: Any) -> Any:
    other = locust.clients.HttpSession(base_url=user.host, request_event=user.client.request_event, user=user)
    return other.get("/json").json()


def generator() -> Any:
    yield b"a"
    yield b""
    yield "bc"


C = Callable[[Any], Any]
CALLS: dict[str, C] = {
    # methods and bodies
    "get": lambda u: u.client.get("/ok").text,
    "head": lambda u: [u.client.head("/ok").status_code, u.client.head("/r302").status_code],
    "options": lambda u: u.client.options("/ok").status_code,
    "delete": lambda u: u.client.delete("/ok").status_code,
    "delete with json": lambda u: u.client.delete("/ok", json={"a": 1}).status_code,
    "post nothing": lambda u: u.client.post("/ok").status_code,
    "put nothing": lambda u: u.client.put("/ok").status_code,
    "request positional": lambda u: u.client.request("GET", "/ok", "named").status_code,
    "request lower case": lambda u: u.client.request("get", "/ok").status_code,
    "own method": lambda u: u.client.request("PURGE", "/ok").status_code,
    "post fields": lambda u: u.client.post("/ok", {"a": 1, "b": "x y"}).status_code,
    "post repeated fields": lambda u: u.client.post("/ok", data={"a": ["1", "2"]}).status_code,
    "post pairs": lambda u: u.client.post("/ok", data=[("a", "1"), ("a", "2")]).status_code,
    "post none in fields": lambda u: u.client.post("/ok", data={"a": None, "b": ["c", None]}).status_code,
    "post text": lambda u: u.client.post("/ok", data="plain").status_code,
    "post unicode": lambda u: u.client.post("/ok", data="é").status_code,
    "post unicode fields": lambda u: u.client.post("/ok", data={"é": "ü"}).status_code,
    "post bytes": lambda u: u.client.post("/ok", data=b"\x00\xff").status_code,
    "post file": lambda u: u.client.post("/ok", data=io.BytesIO(b"file")).status_code,
    "post generator": lambda u: u.client.post("/ok", data=generator()).status_code,
    "post json": lambda u: u.client.post("/ok", json={"a": [1, None, "é"]}).status_code,
    "post json positional": lambda u: u.client.post("/ok", None, {"a": 1}).status_code,
    "post json list": lambda u: u.client.post("/ok", json=[1]).status_code,
    "post empty json": lambda u: u.client.post("/ok", json={}).status_code,
    "post big number": lambda u: u.client.post("/ok", json={"a": 2**80}).status_code,
    "post nan": lambda u: u.client.post("/ok", json={"a": float("nan")}).status_code,
    "post json beside empty data": lambda u: u.client.post("/ok", data={}, json={"a": 1}).status_code,
    "put json": lambda u: u.client.put("/ok", json={"a": 1}).status_code,
    "patch fields": lambda u: u.client.patch("/ok", {"a": 1}).status_code,
    "file": lambda u: u.client.post("/ok", files={"f": ("a.txt", b"x", "text/plain")}).status_code,
    "file without type": lambda u: u.client.post("/ok", files={"f": ("a.bin", b"x")}).status_code,
    "file of bytes": lambda u: u.client.post("/ok", files={"f": b"x"}).status_code,
    "file without name": lambda u: u.client.post("/ok", files={"f": (None, "{}", "text/x")}).status_code,
    "field among files": lambda u: u.client.post("/ok", files={"f": (None, "1")}).status_code,
    "file with headers": lambda u: (
        u.client.post("/ok", files={"f": ("a", b"x", "a/b", {"Expires": "0"})}).status_code
    ),
    "files and fields": lambda u: (
        u.client.post("/ok", data={"a": "1", "n": None}, files=[("f", ("a", b"x", "a/b"))]).status_code
    ),
    "post pairs in a tuple": lambda u: u.client.post("/ok", data=(("a", "1"), ("b", "2"))).status_code,
    "post numbers": lambda u: u.client.post("/ok", data={"a": 1.5, "b": True}).status_code,
    "post bytearray": lambda u: u.client.post("/ok", data=bytearray(b"abc")).status_code,
    "post empty text": lambda u: u.client.post("/ok", data="").status_code,
    "post json text": lambda u: u.client.post("/ok", json="x").status_code,
    "post json false": lambda u: u.client.post("/ok", json=False).status_code,
    "post json keys": lambda u: u.client.post("/ok", json={1: 2, None: 4}).status_code,
    "post half-read file": lambda u: (
        f := io.BytesIO(b"abcdef"), f.seek(2), u.client.post("/ok", data=f).status_code
    )[2],
    "files of one name": lambda u: (
        u.client.post("/ok", files=[("f", ("a", b"1", "a/b")), ("f", ("b", b"2", "a/b"))]).status_code
    ),
    "file with a unicode name": lambda u: (
        u.client.post("/ok", files={"f": ("é.txt", b"x", "text/plain")}).status_code
    ),
    "no files": lambda u: u.client.post("/ok", files={}, data={"a": 1}).status_code,
    "files and repeated fields": lambda u: (
        u.client.post("/ok", files={"f": ("a", b"x", "a/b")}, data=[("a", "1"), ("a", "2")]).status_code
    ),
    # addresses
    "params nested": lambda u: u.client.get("/ok", params={"a": {"b": 1}}).status_code,
    "params of nothing": lambda u: u.client.get("/ok", params={"a": [], "b": ""}).status_code,
    "params marks": lambda u: u.client.get("/ok", params={"a": "b+c d/e~"}).status_code,
    "plus": lambda u: u.client.get("/a+b?c=d+e").status_code,
    "semicolons": lambda u: u.client.get("/a;b=1?c;d").status_code,
    "query alone": lambda u: u.client.get("?a=1", name="x").status_code,
    "params": lambda u: u.client.get("/ok", params={"a": 1, "b": "x y"}).url.endswith("/ok?a=1&b=x+y"),
    "params list": lambda u: u.client.get("/ok", params={"a": [1, 2]}).status_code,
    "params none": lambda u: u.client.get("/ok", params={"a": None, "b": [None, "c"]}).status_code,
    "params pairs": lambda u: u.client.get("/ok", params=[("a", "1"), ("a", "2")]).status_code,
    "params text": lambda u: u.client.get("/ok", params="a=1&b").status_code,
    "params bytes": lambda u: u.client.get("/ok", params=b"a=1").status_code,
    "params beside query": lambda u: u.client.get("/ok?x=1", params={"a": 1}).status_code,
    "params unicode": lambda u: u.client.get("/ok", params={"q": "é&"}).status_code,
    "params empty": lambda u: u.client.get("/ok", params={}).status_code,
    "absolute": lambda u: u.client.get(u.host + "/ok?y=1").status_code,
    "absolute named": lambda u: u.client.get(u.host + "/ok?y=1", name="step").status_code,
    "dots": lambda u: u.client.get("/a/./b/../c").status_code,
    "dots escaped": lambda u: u.client.get("/a/%2e%2e/c").status_code,
    "two slashes": lambda u: u.client.get("//a//b").status_code,
    "unicode path": lambda u: u.client.get("/é", name="x").status_code,
    "space in path": lambda u: u.client.get("/a b", name="x").status_code,
    "escaped slash": lambda u: u.client.get("/a%2Fb").status_code,
    "fragment": lambda u: u.client.get("/ok#part", name="x").status_code,
    "name": lambda u: u.client.get("/ok?x=1", name="/ok?x=[x]").status_code,
    "rename_request": renamed,
    "request_name": lambda u: (setattr(u.client, "request_name", "n"), u.client.get("/ok").text)[1],
    # headers
    "own header": lambda u: u.client.get("/ok", headers={"X-A": "1"}).text,
    "own content type": lambda u: (
        u.client.post("/ok", data="x", headers={"Content-Type": "text/x"}).status_code
    ),
    "own content type in other case": lambda u: (
        u.client.post("/ok", json={}, headers={"content-type": "application/vnd+json"}).status_code
    ),
    "own host": lambda u: u.client.get("/ok", headers={"Host": "other.example"}).status_code,
    "own length too short": lambda u: (
        u.client.post("/ok", data=b"12345", headers={"Content-Length": "3"}).status_code
    ),
    "own length without a body": lambda u: (
        u.client.post("/ok", headers={"Content-Length": "0"}).status_code
    ),
    "header removed": lambda u: u.client.get("/ok", headers={"X-Standing": None}).status_code,
    "client.headers update": lambda u: (u.client.headers.update({"X-A": "1"}), u.client.get("/ok").text)[1],
    "client.headers item": lambda u: (
        u.client.headers.__setitem__("Authorization", "Bearer x"), u.client.get("/ok").text
    )[1],
    "client.headers none": lambda u: (
        u.client.headers.update({"Authorization": None}), u.client.get("/ok").text
    )[1],
    "client.headers assigned": setting(headers={"X-A": "1", "X-B": "2"}),
    "client.headers content type": lambda u: (
        u.client.headers.update({"Content-Type": "application/json"}),
        u.client.post("/ok", data={"a": 1}).text,
    )[1],
    "client.params": setting(params={"k": "v"}),
    "client.params merged": lambda u: (
        setattr(u.client, "params", {"k": "v", "a": "0"}), u.client.get("/ok", params={"a": "1"}).text
    )[1],
    # authentication
    "auth pair": lambda u: u.client.get("/ok", auth=("ann", "pw")).text,
    "auth basic": lambda u: u.client.get("/ok", auth=HTTPBasicAuth("ann", "pw")).text,
    "auth object": lambda u: u.client.get("/ok?x=1", auth=Token(), name="n").text,
    "auth function": lambda u: (
        u.client.post("/ok", data="x", auth=lambda r: (r.headers.update({"X-Sig": str(r.body)}), r)[1]).text
    ),
    "auth digest by a hook": lambda u: [
        (r := u.client.post("/digest", json={"a": 1}, headers={"X-A": "1"}, auth=AnsweredByHook())).text,
        r.status_code, [one.status_code for one in r.history], r.request.headers["Authorization"],
    ],
    "auth digest by a hook, then redirected": lambda u: [
        (r := u.client.get("/r302", auth=AnsweredByHook())).text, len(r.history),
    ],
    "auth digest by a hook of the client": lambda u: (
        setattr(u.client, "auth", AnsweredByHook()), u.client.get("/digest").text,
    )[1],
    "auth digest": lambda u: [u.client.get("/digest", auth=HTTPDigestAuth("ann", "pw")).text],
    "client.auth pair": setting(auth=("ann", "pw")),
    "client.auth object": setting(auth=Token()),
    "client.auth dropped by call": lambda u: (
        setattr(u.client, "auth", ("a", "b")), u.client.get("/ok", auth=("c", "d")).text
    )[1],
    # cookies
    "cookies kept": lambda u: page(u).get("/ok").text,
    "cookies by path": lambda u: page(u).get("/shop/1").text,
    "cookies expire": lambda u: (page(u).get("/unset"), u.client.get("/ok").text)[1],
    "cookies of a call": lambda u: u.client.get("/ok", cookies={"a": "1"}).text,
    "cookies of a call are not kept": lambda u: (
        u.client.get("/ok", cookies={"a": "1"}), u.client.get("/ok").text
    )[1],
    "cookies beside the jar": lambda u: page(u).get("/ok", cookies={"a": "1"}).text,
    "cookies iterate": lambda u: sorted((c.name, c.value, c.path) for c in page(u).cookies),
    "cookies as a dict": lambda u: dict(page(u).cookies),
    "cookies get": lambda u: [(c := page(u).cookies).get("sid"), c.get("no"), "sid" in c],
    "cookies get_dict": lambda u: page(u).cookies.get_dict(),
    "cookies keys": lambda u: [sorted(page(u).cookies.keys()), len(u.client.cookies)],
    "cookies set": lambda u: (u.client.cookies.set("k", "v"), u.client.get("/ok").text)[1],
    "cookies set with attributes": lambda u: (
        u.client.cookies.set("k", "v", domain="127.0.0.1", path="/ok", secure=False, rest={"HttpOnly": None}),
        u.client.cookies.set("no", "v", domain="other.example"),
        u.client.get("/ok").text,
        u.client.get("/a").text,
    )[2],
    "cookies of a call from a jar": lambda u: (
        u.client.get("/ok", cookies=requests.cookies.cookiejar_from_dict({"a": "1"})).text
    ),
    "cookies set_cookie": lambda u: (
        u.client.cookies.set_cookie(requests.cookies.create_cookie("k", "v", path="/ok")),
        u.client.get("/ok").text,
        u.client.get("/a").text,
    )[1],
    "cookies set none": lambda u: (page(u).cookies.set("sid", None), u.client.get("/ok").text)[1],
    "cookies item": lambda u: (u.client.cookies.__setitem__("k", "v"), u.client.get("/ok").text)[1],
    "cookies update": lambda u: (u.client.cookies.update({"k": "v"}), u.client.get("/ok").text)[1],
    "cookies clear": lambda u: (page(u).cookies.clear(), u.client.get("/ok").text)[1],
    "cookies pop": lambda u: [page(u).cookies.pop("sid"), u.client.get("/ok").text],
    "cookies assigned jar": setting(cookies=requests.cookies.cookiejar_from_dict({"k": "v"})),
    "cookies of the answer": lambda u: u.client.get("/set").cookies.get_dict(),
    "cookiejar iterates": lambda u: sorted(c.name for c in page(u).cookiejar),
    "cookiejar clear": lambda u: (page(u).cookiejar.clear(), u.client.get("/ok").text)[1],
    "cookie quoted": lambda u: (u.client.get("/cookie/quoted"), u.client.get("/ok").text)[1],
    "cookie empty": lambda u: (u.client.get("/cookie/empty"), u.client.get("/ok").text)[1],
    "cookie foreign": lambda u: (u.client.get("/cookie/foreign"), u.client.get("/ok").text)[1],
    "cookie secure": lambda u: (u.client.get("/cookie/secure"), u.client.get("/ok").text)[1],
    "cookie with equals signs": lambda u: (
        u.client.get("/cookie/equals"), u.client.get("/ok"), u.client.cookies.get_dict()
    )[2],
    "cookie header beside cookies": lambda u: page(u).get("/ok", headers={"Cookie": "mine=1"}).text,
    "cookies of a call as a jar": lambda u: (
        u.client.get("/ok", cookies=requests.cookies.cookiejar_from_dict({"k": "v"})).text
    ),
    "cookies clear a host": lambda u: (page(u).cookies.clear("127.0.0.1"), u.client.get("/ok").text)[1],
    "cookies missing": lambda u: [u.client.cookies.get("no", "d"), "no" in u.client.cookies],
    "cookies missing item": lambda u: u.client.cookies["no"],
    # redirects
    "redirect put 303": lambda u: u.client.put("/r303", json={"a": 1}).status_code,
    "redirect patch 307": lambda u: u.client.patch("/r307", data="x").status_code,
    "redirect file 307": lambda u: u.client.post("/r307", data=io.BytesIO(b"file")).status_code,
    "redirect generator 302": lambda u: u.client.post("/r302", data=generator()).status_code,
    "redirect delete 302": lambda u: u.client.delete("/r302").status_code,
    "redirect head followed": lambda u: u.client.head("/r302", allow_redirects=True).status_code,
    "redirect with params": lambda u: u.client.get("/r302", params={"a": 1}).status_code,
    "redirect drops a cookie": lambda u: page(u).get("/drops-cookie").text,
    "redirect": lambda u: [(r := u.client.get("/r302")).status_code, r.text, len(r.history)],
    "redirect url": lambda u: u.client.get("/two-hops").url.removeprefix(u.host),
    "redirect history": lambda u: [hop.status_code for hop in u.client.get("/two-hops").history],
    "redirect refused": lambda u: u.client.get("/r302", allow_redirects=False).headers["Location"],
    "redirect post 301": lambda u: u.client.post("/r301", data={"a": 1}).status_code,
    "redirect post 302": lambda u: u.client.post("/r302", json={"a": 1}, headers={"X-A": "1"}).status_code,
    "redirect post 303": lambda u: u.client.post("/r303", data="x").status_code,
    "redirect post 307": lambda u: u.client.post("/r307", data={"a": 1}).status_code,
    "redirect post 308": lambda u: u.client.post("/r308", json={"a": 1}).status_code,
    "redirect put 302": lambda u: u.client.put("/r302", data="x").status_code,
    "redirect with own length": lambda u: (
        u.client.post("/r302", data="abc", headers={"Content-Length": "3"}).status_code
    ),
    "redirect with own type": lambda u: (
        u.client.post("/r302", data="{}", headers={"Content-Type": "application/json"}).status_code
    ),
    "redirect sets a cookie": lambda u: u.client.get("/with-cookie").text,
    "redirect with cookies of the call": lambda u: u.client.get("/with-cookie", cookies={"a": "1"}).text,
    "redirect relative": lambda u: u.client.get("/relative/r").text,
    "redirect to a query": lambda u: u.client.get("/query/r", name="x").status_code,
    "redirect to a fragment": lambda u: u.client.get("/fragment").text,
    "redirect to unicode": lambda u: u.client.get("/utf8-location").text,
    "redirect to spaces": lambda u: u.client.get("/spaces").text,
    "redirect loop": lambda u: u.client.get("/loop").status_code,
    "redirect without location": lambda u: [u.client.get("/nowhere").status_code],
    "redirect with auth": lambda u: u.client.get("/r302", auth=("ann", "pw")).text,
    # answers
    "length with zeros": lambda u: u.client.get("/zeros").text,
    "chunk extension": lambda u: u.client.get("/extension").text,
    "HTTP/1.0": lambda u: u.client.get("/old").text,
    "early hints": lambda u: u.client.get("/hints").text,
    "json with a key twice": lambda u: u.client.get("/twice").json(),
    "header twice": lambda u: u.client.get("/twice").headers["X-M"],
    "shown": lambda u: repr(u.client.get("/404")),
    "json": lambda u: u.client.get("/json").json(),
    "json big number": lambda u: str(u.client.get("/big").json()["id"]),
    "json nan": lambda u: str(u.client.get("/nan").json()["total"]),
    "json options": lambda u: u.client.get("/json").json(parse_int=str),
    "json of html": lambda u: u.client.get("/html").json(),
    "json byte-order mark": lambda u: u.client.get("/bom").json(),
    "text latin": lambda u: u.client.get("/latin").text,
    "text utf-8": lambda u: u.client.get("/utf8").text,
    "encoding": lambda u: u.client.get("/utf8").encoding.lower(),
    "encoding set": lambda u: (setattr(r := u.client.get("/utf8"), "encoding", "latin-1"), r.text)[1],
    "apparent encoding": lambda u: u.client.get("/utf8").apparent_encoding,
    "content": lambda u: u.client.get("/utf8").content.hex(),
    "headers": lambda u: [(h := u.client.get("/json").headers)["x-tag"], h.get("no"), "X-TAG" in h],
    "ok": lambda u: [u.client.get("/json").ok, u.client.get("/404").ok],
    "reason": lambda u: u.client.get("/404").reason,
    "elapsed": lambda u: u.client.get("/json").elapsed.total_seconds() >= 0,
    "links": lambda u: u.client.get("/link").links,
    "is_redirect": lambda u: u.client.get("/r302", allow_redirects=False).is_redirect,
    "permanent redirect": lambda u: u.client.get("/r301", allow_redirects=False).is_permanent_redirect,
    "no content": lambda u: [(r := u.client.get("/empty")).status_code, r.text],
    "chunks": lambda u: u.client.get("/chunks").text,
    "until the end": lambda u: u.client.get("/until-end").text,
    "lines with LF alone": lambda u: u.client.get("/lf").text,
    "response.request": lambda u: [
        (q := u.client.post("/json", json={"a": 1}).request).method, q.url.removeprefix(u.host), q.path_url,
        q.headers["Content-Type"],
    ],
    "request.body": lambda u: [
        u.client.post("/ok", data={"a": 1}).request.body, u.client.get("/ok").request.body,
        u.client.post("/ok", data=b"raw").request.body.decode(),
    ],
    "iter_content": lambda u: b"".join(u.client.get("/lines").iter_content(3)).decode(),
    "iter_content text": lambda u: "".join(u.client.get("/utf8").iter_content(1, decode_unicode=True)),
    "iter_lines": lambda u: [x.decode() for x in u.client.get("/lines", stream=True).iter_lines()],
    "iter_lines text": lambda u: list(u.client.get("/utf8", stream=True).iter_lines(decode_unicode=True)),
    "iter_lines delimiter": lambda u: [x.decode() for x in u.client.get("/lines").iter_lines(delimiter=b"t")],
    "client.iter_lines": lambda u: list(u.client.iter_lines("/lines")),
    "raw": lambda u: u.client.get("/lines", stream=True).raw.read(3).decode(),
    "response in a condition": lambda u: [bool(u.client.get("/json")), bool(u.client.get("/404"))],
    "iteration": lambda u: b"".join(u.client.get("/lines")).decode(),
    # failures
    "404": lambda u: [(r := u.client.get("/404")).status_code, r.text],
    "500": lambda u: u.client.get("/500").text,
    "raise_for_status": lambda u: u.client.get("/json").raise_for_status(),
    "raise_for_status 404": lambda u: u.client.get("/404").raise_for_status(),
    "caught 500": lambda u: caught(u, "/500"),
    "caught refused": lambda u: u.client.get("http://127.0.0.1:1/x", name="x").status_code,
    "caught connect": lambda u: caught(u, "http://127.0.0.1:1/x", name="x"),
    "caught loop": lambda u: caught(u, "/loop"),
    "bad scheme": lambda u: u.client.get("ftp://shop.example/", name="x").status_code,
    "timeout": lambda u: u.client.get("/ok", timeout=5).status_code,
    "timeout pair": lambda u: u.client.get("/ok", timeout=(5, 5)).status_code,
    "verify": lambda u: u.client.get("/ok", verify=False).status_code,
    "cert none": lambda u: u.client.get("/ok", cert=None).status_code,
    "proxies none": lambda u: u.client.get("/ok", proxies={"http": None}).status_code,
    # with blocks
    "block inside a block": lambda u: block(u, "/json", lambda _: block(u, "/404", lambda r: r.success())),
    "block failure then success": lambda u: block(u, "/json", lambda r: (r.failure("x"), r.success())),
    "block success then failure": lambda u: block(u, "/404", lambda r: (r.success(), r.failure("y"))),
    "block failure of nothing": lambda u: block(u, "/json", lambda r: r.failure(None)),
    "block": lambda u: block(u, "/json", lambda r: None),
    "block failure": lambda u: block(u, "/json", lambda r: r.failure("no price")),
    "block failure by exception": lambda u: block(u, "/json", lambda r: r.failure(ValueError("boom"))),
    "block success": lambda u: block(u, "/404", lambda r: r.success()),
    "block 404": lambda u: block(u, "/404", lambda r: None),
    "block interrupt": lambda u: block(u, "/json", throw(InterruptTaskSet())),
    "block reschedule": lambda u: block(u, "/json", throw(RescheduleTask())),
    "block stop user": lambda u: block(u, "/json", throw(StopUser())),
    "block response error": lambda u: block(u, "/json", throw(ResponseError("re"))),
    "block own exception": lambda u: block(u, "/json", throw(KeyError("price"))),
    "block failure then exception": lambda u: block(u, "/json", lambda r: (r.failure("x"), 1 / 0)),
    "block raise_for_status": lambda u: block(u, "/404", lambda r: r.raise_for_status()),
    "block success then raise_for_status": lambda u: (
        block(u, "/404", lambda r: (r.success(), r.raise_for_status()))
    ),
    "block assertion": lambda u: block(u, "/json", throw(AssertionError("no"))),
    "failure without a block": lambda u: u.client.get("/json").failure("x"),
    "rest": lambda u: rest(u, "/json", json={"a": 1}),
    "rest of html": lambda u: rest(u, "/html"),
    "rest get": lambda u: rest(u, "/json", headers={"X-A": "1"}),
    # the session
    "hooks": hooked,
    "client.hooks": lambda u: (
        setattr(u.client, "hooks", {"response": [lambda r, **_: setattr(r, "encoding", "latin-1")]}),
        u.client.get("/utf8").text,
    )[1],
    "client.hooks appended": lambda u: (
        u.client.hooks["response"].append(lambda r, **_: setattr(r, "encoding", "latin-1")),
        u.client.get("/utf8").text,
    )[1],
    "client.verify": setting(verify=False),
    "client.trust_env": setting(trust_env=False),
    "client.max_redirects": setting(max_redirects=5),
    "client.proxies": setting(proxies={}),
    "client.cert": setting(cert=None),
    "client.stream": setting(stream=False),
    "client.base_url": lambda u: u.client.base_url == u.host,
    "client.request_event": lambda u: u.client.request_event is u.environment.events.request,
    "second session": second_session,
    "prepared request": lambda u: (
        u.client.send(u.client.prepare_request(requests.Request("GET", u.host + "/json?a=1"))).status_code
    ),
    "mount": lambda u: (u.client.mount("https://", HTTPAdapter()), u.client.get("/ok").text)[1],
    "close": lambda u: u.client.close(),
    "context": lambda u: u.client.get("/ok", context={"who": "ann"}).status_code,
}  # fmt: skip


def make_user(kind: str, url: str, heard: list[dict[str, Any]]) -> Any:
    base = http_user.HttpUser if kind == "ours" else getattr(locust, kind)

    class User(base):  # type: ignore[misc, valid-type]
        host = url

        @locust.task
        def nothing(self) -> None: ...

        def context(self) -> dict[str, Any]:
            return {"user": "u"}

    environment = Environment(user_classes=[User])
    environment.events.request.add_listener(lambda **event: heard.append(event))
    return User(environment)


def shown_event(event: dict[str, Any]) -> list[Any]:
    error = event["exception"]
    text = "" if error is None else "failed"
    if type(error).__name__ in ("CatchResponseError", "ValueError", "ResponseError"):
        text = f"{type(error).__name__}: {error}"
    path = re.sub(r"^https?://[^/]*", "", event["url"])
    return [event["request_type"], event["name"], text, event["response_length"], path, event["context"]]


def shown_request(asked: dict[str, Any]) -> list[Any]:
    headers = {name: value for name, value in asked["headers"].items() if name not in UNCOMPARED}
    body = asked["body"].decode("latin-1")
    boundary = re.search(r"boundary=(\S+)", headers.get("content-type", ""))
    if boundary:
        body = body.replace(boundary[1], "BOUNDARY")
        headers["content-type"] = "multipart/form-data"
        headers.pop("content-length")
    if headers.get("content-type") == "application/json" or headers.get("content-type") == "text/x":
        body = body.replace(" ", "")
        headers.pop("content-length", None)
    if headers.get("content-length") == "0":
        headers.pop("content-length")
    if "cookie" in headers:
        headers["cookie"] = "; ".join(sorted(headers["cookie"].split("; ")))
    if headers.get("authorization", "").startswith("Digest"):
        headers["authorization"] = re.sub(r'(cnonce|response)="[^"]*"', r'\1=""', headers["authorization"])
        headers["authorization"] = ", ".join(sorted(headers["authorization"][7:].split(", ")))
    headers["host"] = re.sub(r":\d+$", "", headers["host"])
    return [asked["method"], asked["path"], dict(sorted(headers.items())), body]


def main() -> None:
    kind = sys.argv[1]
    server = Server()
    url = f"http://127.0.0.1:{server.port}"
    results = {}
    for label, call in CALLS.items():
        heard: list[dict[str, Any]] = []
        server.seen.clear()
        user = make_user(kind, url, heard)
        try:
            back: Any = call(user)
        except Exception as error:  # noqa: BLE001 - the exception is the result
            back = f"raised {family(error)}"
        results[label] = {
            "back": back,
            "sent": [shown_request(asked) for asked in server.seen],
            "events": [shown_event(event) for event in heard],
        }
    sys.stdout.write(json.dumps(results, default=repr).replace(str(server.port), "PORT"))


if __name__ == "__main__":
    main()
