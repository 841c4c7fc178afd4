# ruff: noqa: E501 -- tables of documents and messages
"""Drivers drafted from descriptions of APIs: one walks the embedded shop, others show how values are chosen."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from doorbuster.cli import init
from doorbuster.errors import DoorbusterError, UsageError
from doorbuster.storefronts.openapi.described_visit import described_visit
from doorbuster.storefronts.openapi.document import read_openapi

SHOP = (Path(__file__).parent / "embedded_shop.yaml").read_text(encoding="utf-8")


def written(tmp_path, document, **changes):
    path = tmp_path / "api.yaml"
    path.write_text(yaml.safe_dump({**document, **changes}, sort_keys=False))
    return path


def small(**paths):
    return {"openapi": "3.1.0", "servers": [{"url": "https://shop.example/v1"}],
            "paths": {name.replace("_", "/"): item for name, item in paths.items()}}  # fmt: skip


def drafted(tmp_path, text, *options):
    (tmp_path / "api.yaml").write_text(text)
    words = ["--storefront", "mine", "--openapi", tmp_path / "api.yaml", *options, tmp_path / "out"]
    done = CliRunner().invoke(init.command, [str(word) for word in words])
    if isinstance(done.exception, DoorbusterError):
        return int(done.exception.exit_code), str(done.exception)
    assert done.exception is None, done.exception
    return done.exit_code, done.output


def test_the_driver_of_a_described_shop_works_without_a_line_of_code(tmp_path, doorbuster):
    shop = subprocess.Popen([sys.executable, "-m", "doorbuster", "shop", "--port", "0"], stdout=subprocess.PIPE,
                            text=True)  # fmt: skip
    try:
        url = re.search(r"http://\S+", shop.stdout.readline())[0]
        # The description says nothing about where categories are listed, so its example must be a real one.
        code, output = drafted(tmp_path, SHOP.replace("CATEGORY", "womens-knitwear"), "--url", f"{url}/api")
        assert code == 0, output
        assert "steps drafted: home, category, search, product, add_to_basket, basket, checkout" in output
        probed = doorbuster("probe", url, "--locustfile", tmp_path / "out" / "locustfiles" / "_mine.py")
        assert probed.returncode == 0, probed.stdout + probed.stderr
    finally:
        shop.terminate()
        shop.wait()
        shop.stdout.close()


def test_json_of_3_1_gives_the_driver_of_yaml_of_3_0(tmp_path):
    def newer(value):
        if isinstance(value, dict):
            value = {key: newer(inner) for key, inner in value.items()}
            if isinstance(value.get("type"), str):
                value["type"] = [value["type"], "null"]
            if "example" in value and "type" in value:
                value["examples"] = [value.pop("example")]
        return [newer(inner) for inner in value] if isinstance(value, list) else value

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert drafted(tmp_path / "a", SHOP)[0] == 0
    assert drafted(tmp_path / "b", json.dumps({**newer(yaml.safe_load(SHOP)), "openapi": "3.1.0"}))[0] == 0
    first, second = ((tmp_path / one / "out/locustfiles/_mine.py").read_text() for one in "ab")
    assert first == second


def test_examples_come_before_defaults_enumerations_and_values_that_fit(tmp_path):
    schema = {"type": "object", "properties": {
        "colour": {"type": "string", "example": "teal", "enum": ["red"]},
        "size": {"type": "string", "enum": ["XL", "S"]},
        "gift": {"type": "boolean", "default": False},
        "email": {"type": "string", "format": "email"},
        "when": {"type": "string", "format": "date"},
        "quantity": {"type": "integer", "minimum": 3},
        "kind": {"const": "parcel"},
        "either": {"oneOf": [{"type": "object", "properties": {"a": {"type": "number"}}}, {"type": "string"}]},
        "all": {"allOf": [{"properties": {"x": {"type": "string", "example": "1"}}}, {"properties": {"y": {"example": 2}}}]},
    }}  # fmt: skip
    operation = {"requestBody": {"content": {"application/json": {"schema": schema}}}, "responses": {}}
    visit = described_visit(read_openapi(written(tmp_path, small(_orders={"post": operation}))))
    assert visit.requests[0].body.value == {
        "colour": "teal", "size": "XL", "gift": False, "email": "test.customer@example.com", "when": "2026-12-01",
        "quantity": 3, "kind": "parcel", "either": {"a": 1}, "all": {"x": "1", "y": 2},
    }  # fmt: skip


def test_an_example_of_the_whole_body_comes_first_and_its_ids_are_followed(tmp_path):
    made = {"content": {"application/json": {"examples": {"one": {"value": {"cartId": "c-9", "items": []}}}}}}
    document = small(
        **{"_carts_{cartId}": {"get": {"parameters": [{"name": "cartId", "in": "path", "example": "c-1"}]}},
           "_carts": {"post": {"responses": {201: made}}}}
    )  # fmt: skip
    visit = described_visit(read_openapi(written(tmp_path, document)))
    assert [one.path for one in visit.requests] == ["/v1/carts", "/v1/carts/c-9"]


def test_secrets_of_security_schemes_come_from_the_environment(tmp_path):
    document = yaml.safe_load(SHOP)
    document["components"]["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer"}, "key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"}}  # fmt: skip
    document["security"] = [{"token": [], "key": []}]
    code, output = drafted(tmp_path, yaml.safe_dump(document, sort_keys=False))
    assert code == 0
    assert "set before a run: MINE_AUTHORIZATION, MINE_X_API_KEY (secrets are written in no file)" in output
    text = (tmp_path / "out" / "locustfiles" / "_mine.py").read_text()
    assert 'environ.get("MINE_X_API_KEY", "")' in text
    assert 'headers={"Authorization": AUTHORIZATION, "X-Api-Key": X_API_KEY}' in text
    assert "set-by-the-environment" not in text


def test_schemas_that_contain_themselves_end(tmp_path):
    document = small(_products={"get": {"responses": {"200": {"content": {"application/json": {"schema": {
        "$ref": "#/components/schemas/Node"}}}}}}})  # fmt: skip
    document["components"] = {"schemas": {"Node": {"type": "object", "properties": {
        "children": {"type": "array", "items": {"$ref": "#/components/schemas/Node"}},
        "twin": {"$ref": "#/components/schemas/Node"}}}}}  # fmt: skip
    assert described_visit(read_openapi(written(tmp_path, document))).requests[0].answer.text


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": 7},
        {"allOf": [{"$ref": "#/components/schemas/Odd"}]},
        {"oneOf": "x", "anyOf": 3, "allOf": None},
        {"type": ["null"]},
        {"type": "string", "minLength": 10**30},
        {"items": {"$ref": "#/components/schemas/Odd"}},
        "nothing",
    ],
)
def test_odd_schemas_are_read_as_far_as_they_can_be(schema, tmp_path):
    document = yaml.safe_load(SHOP)
    document["components"]["schemas"]["Odd"] = schema
    document["components"]["schemas"]["Product"]["properties"]["odd"] = {"$ref": "#/components/schemas/Odd"}
    visit = described_visit(read_openapi(written(tmp_path, document)))
    assert all(len(one.answer.text) < 1_000_000 for one in visit.requests)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"servers": []}, "api.yaml:1:1: servers is missing, so the shop is not known; add servers: "),
        (
            {"servers": [{"url": "/api"}]},
            "api.yaml:1:1: servers must name a host (got /api); name the shop with --url",
        ),
        ({"paths": {}}, "api.yaml:1:1: paths has no operation, so there is nothing to draft"),
        (
            {"openapi": "2.0"},
            "api.yaml:1:1: is of version 2.0; versions 3.0 to 3.2 can be read: convert it first",
        ),
    ],
)
def test_a_document_that_cannot_be_used_is_refused(changes, message, tmp_path):
    with pytest.raises(UsageError) as error:
        read_openapi(written(tmp_path, yaml.safe_load(SHOP), **changes))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("openapi: [3", "api.yaml:1:12: is neither YAML nor JSON"),
        ("hello", "api.yaml:1:1: is not an OpenAPI document: it has no key openapi"),
        (
            SHOP.replace('"#/components/parameters/Category"', '"other.yaml#/x"'),
            "refers to other.yaml#/x, but there is no such file",
        ),
        (
            SHOP.replace("/parameters/Category", "/parameters/Lost"),
            "#/components/parameters/Lost leads nowhere",
        ),
        (SHOP + "  a: {$ref: '#/components/a'}\n", ""),
    ],
)
def test_a_broken_document_writes_nothing(text, message, tmp_path):
    code, output = drafted(tmp_path, text)
    if message:
        assert (code, message in output) == (2, True), output
        assert not (tmp_path / "out").exists()
    else:
        assert code == 0


def split(tmp_path, **changes):
    """The embedded shop's description in files of four folders, as editors of large descriptions write it."""
    document = yaml.safe_load(SHOP)
    files = {"paths/products.json": {}, "common/models.yaml": {}, "common/parameters.yml": {}}
    for name, item in document["paths"].items():
        key = name.strip("/").replace("/", "-").replace("{", "").replace("}", "")
        files[f"paths/{key}.yaml"] = item
        document["paths"][name] = {"$ref": f"./paths/{key}.yaml"}
    for name, model in document["components"]["schemas"].items():
        files["common/models.yaml"][name] = model
    files["common/parameters.yml"]["all"] = list(document["components"].get("parameters", {}).values())
    names = list(document["components"].get("parameters", {}))
    del document["components"]["schemas"], document["components"]["parameters"]

    def moved(value, up):
        if isinstance(value, list):
            return [moved(one, up) for one in value]
        if not isinstance(value, dict):
            return value
        reference = value.get("$ref", "")
        if reference.startswith("#/components/schemas/"):
            return {"$ref": f"{up}models.yaml#/{reference.rpartition('/')[2]}"}
        if reference.startswith("#/components/parameters/"):
            return {"$ref": f"{up}parameters.yml#/all/{names.index(reference.rpartition('/')[2])}"}
        if reference.startswith("#/") and up != "common/":
            return {"$ref": f"../api.yaml{reference}"}
        return {key: moved(one, up) for key, one in value.items()}

    for name, content in {**files, **changes}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        up = "" if name.startswith("common/") else "../common/"
        text = (
            content if isinstance(content, str) else json.dumps(moved(content, up), indent="\t", default=str)
        )
        (tmp_path / name).write_text(text)
    return yaml.safe_dump(moved(document, "common/"), sort_keys=False)


def test_a_description_in_several_files_gives_the_driver_of_one(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "several").mkdir()
    assert drafted(tmp_path / "one", SHOP)[0] == 0
    code, output = drafted(tmp_path / "several", split(tmp_path / "several"))
    assert code == 0, output
    first, second = ((tmp_path / one / "out/locustfiles/_mine.py").read_text() for one in ("one", "several"))
    assert first == second


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("https://example.com/x.yaml#/a", "which is not read from elsewhere; bundle the document first"),
        ("//example.com/x.yaml", "which is not read from elsewhere"),
        ("file:///etc/hostname", "which is not read from elsewhere"),
        ("../outside.yaml#/a", "outside.yaml#/a, outside "),
        ("/etc/hostname", "refers to /etc/hostname, outside "),
        ("link.yaml#/a", ", outside "),
        ("%2e%2e/outside.yaml", ", outside "),
        ("gone.yaml", "refers to gone.yaml, but there is no such file; repair the document"),
        ("deep", "refers to deep, but there is no such file"),
        ("a\0b.yaml", "which is no path"),
        ("broken.yaml#/a", "broken.yaml:1:6: is neither YAML nor JSON"),
        ("bomb.yaml#/a", "bomb.yaml: its YAML aliases expand to too much"),
        ("self.yaml#/a", "self.yaml: its YAML aliases expand to too much"),
        ("round.yaml#/a", "its references go round in a circle"),
        ("good.yaml#/list/7", "good.yaml#/list/7 leads nowhere"),
        ("good.yaml#nowhere", "good.yaml#nowhere leads nowhere"),
        ("http://[", "which is not read from elsewhere"),
    ],
)
def test_references_stay_in_the_folder_and_end(reference, message, tmp_path):
    folder = tmp_path / "api"
    (folder / "deep").mkdir(parents=True)
    (tmp_path / "outside.yaml").write_text("a: {name: x, in: query}")
    (folder / "link.yaml").symlink_to(tmp_path / "outside.yaml")
    (folder / "broken.yaml").write_text("a: [3")
    (folder / "good.yaml").write_text("list: []")
    (folder / "round.yaml").write_text("a: {$ref: 'api.yaml#/x-round'}")
    (folder / "self.yaml").write_text("a: &a {b: *a}")
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    (folder / "bomb.yaml").write_text("\n".join(["a0: &a0 [x]", *levels, "a: *a11"]))
    document = yaml.safe_load(SHOP)
    document["components"]["parameters"]["Category"] = {"$ref": reference}
    document["x-round"] = {"$ref": "round.yaml#/a"}
    code, output = drafted(folder, yaml.safe_dump(document, sort_keys=False))
    assert (code, message in output) == (2, True), output
    assert not (folder / "out").exists()


def test_references_lead_to_anchors_numbers_and_the_first_file(tmp_path):
    document = yaml.safe_load(SHOP)
    document["components"]["parameters"]["Category"] = {"$ref": "more/one.json#here"}
    document["x-name"] = {
        "name": "category",
        "in": "path",
        "required": True,
        "example": "from-the-first-file",
    }
    (tmp_path / "more").mkdir()
    text = '{"x": [{"$anchor": "here", "$ref": "#/y/200"}], "y": {"200": {"$ref": "../api.yaml#/x-name"}}}'
    (tmp_path / "more" / "one.json").write_text(text)
    assert drafted(tmp_path, yaml.safe_dump(document, sort_keys=False))[0] == 0


def test_a_relative_server_is_completed_by_the_url(tmp_path):
    path = written(
        tmp_path, yaml.safe_load(SHOP), servers=[{"url": "/{v}", "variables": {"v": {"default": "v2"}}}]
    )
    found = read_openapi(path, "https://shop.example")
    assert (found.origin, found.base_path) == ("https://shop.example", "/v2")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--url", "http://127.0.0.1"], "--url has no effect without --openapi"),
        (["--api", "--openapi", "api.yaml", "--storefront", "x"], "--openapi and --api cannot be combined"),
        (["--openapi", "api.yaml"], "--openapi requires a name for the driver"),
    ],
)
def test_options_that_do_not_fit_are_refused(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "api.yaml").write_text(SHOP)
    done = CliRunner().invoke(init.command, words)
    assert message in str(done.exception)
