"""Every error has a location, a rule, the value found and a way out; the table is problems.txt."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from doorbuster.errors import ExitCode, FileProblem, ScenarioError
from doorbuster.scenario import load_scenario, read_scenario

CASES = re.findall(
    r"^== (.+)\n((?:\d+ \| .*\n)+)((?:-> .+\n)+)",
    Path(__file__).with_name("problems.txt").read_text(),
    re.MULTILINE,
)


@pytest.mark.parametrize(("label", "lines", "messages"), CASES, ids=[case[0] for case in CASES])
def test_an_error_has_location_rule_value_and_way_out(problems_with, label, lines, messages):
    numbers, texts = zip(*(line.split(" | ", 1) for line in lines.splitlines()), strict=True)

    found = problems_with(int(numbers[0]), "\n".join(texts))

    assert found == [message.removeprefix("-> ") for message in messages.splitlines()], label


def test_all_cases_of_the_table_are_read():
    assert len(CASES) == Path(__file__).with_name("problems.txt").read_text().count("\n== ") >= 130


def test_no_message_speaks_of_the_library_behind_it():
    text = Path(__file__).with_name("problems.txt").read_text()

    assert re.findall(r"Input should|pydantic|validation error|value_error|Extra inputs", text) == []


def test_all_errors_of_a_file_are_reported_in_file_order(valid_text):
    text = (
        valid_text.replace("replatformed", "replatfromed")
        .replace("at: 100%", "at: 100%, tu: 1")
        .replace("share: 100%", "share: 90%")
        .replace("browse: 1", "brose: 1")
        .replace("rate>=99%", "p(99)<3s")
        .replace("127.0.0.1", "127.0.0.1:8080")
    )

    with pytest.raises(ScenarioError) as caught:
        read_scenario(text, file="peak.yaml")

    assert caught.value.exit_code == ExitCode.INVALID_CONFIGURATION
    assert [(problem.line, problem.column, problem.key) for problem in caught.value.problems] == [
        (2, 26, "target.shop.profile"),
        (3, 70, "demand.curve.stages[0].tu"),
        (4, 1, "channels"),
        (4, 41, "channels.web.journeys.brose"),
        (5, 27, "thresholds.can_browse[0]"),
        (6, 18, "safety.allow[0]"),
    ]


START = '; start with "title:", "target:", "demand:" and "channels:"'
LOOK = "; check the indentation, quotes and brackets just before this position"
NO_SCENARIO = [
    ("an empty file", "", "x.yaml: is empty" + START),
    ("comments only", "# nothing\n", "x.yaml: is empty" + START),
    (
        "a list",
        "- a\n",
        "x.yaml:1:1: must be a mapping of keys such as title, target, demand (got a list of 1)",
    ),
    ("a text", "hello\n", "x.yaml:1:1: must be a mapping of keys such as title, target, demand (got hello)"),
    (
        "two documents",
        "title: a\n---\ntitle: b\n",
        "x.yaml:2:1: is not valid YAML (got but found another document)" + LOOK,
    ),
    (
        "an open bracket",
        "title: [a\nstory: b\n",
        "x.yaml:2:6: is not valid YAML (got did not find expected ',' or ']')" + LOOK,
    ),
    (
        "a control character",
        "title: a\x07\n",
        "x.yaml:1:9: is not valid YAML (got the character U+0007)" + LOOK,
    ),
    ("a lone surrogate", "title: \ud800\n", "x.yaml:1:8: must be UTF-8 text (got a lone surrogate)"),
    ("a deep nest", "title: " + "[" * 100_000, "x.yaml:1:47: must not nest deeper than 40 levels"),
    ("a huge file", "#" * 1_000_001, "x.yaml: is too large for a scenario (got over 1,000,000 characters)"),
]


@pytest.mark.parametrize(("label", "text", "message"), NO_SCENARIO, ids=[row[0] for row in NO_SCENARIO])
def test_a_text_that_is_not_a_scenario_is_one_problem(label, text, message):
    with pytest.raises(ScenarioError) as caught:
        read_scenario(text, file="x.yaml")

    assert str(caught.value) == message, label


@pytest.mark.parametrize(
    ("label", "line", "message"),
    [
        ("a value in itself", "story: &a [*a]", "6:8: story[0] contains itself through an alias"),
        ("a list as key", "? [a]\n: b", "6:3: has a key that is not a string"),
        ("a merge of a text", "<<: a", "6:5: can only merge (<<) mappings"),
    ],
)
def test_yaml_features_that_scenarios_do_not_need_are_rejected(problems_with, label, line, message):
    assert message in problems_with(6, line), label


def test_mappings_can_be_shared_by_merging_and_their_own_keys_win(valid_text):
    text = valid_text.replace(
        "channels: {web: {share: 100%, journeys: {browse: 1}}}",
        "channels:\n  web: &people {share: 60%, journeys: {browse: 1}, patience: none}\n"
        "  app: {share: 40%, <<: *people}",
    )

    scenario = read_scenario(text)

    assert scenario.channels["app"].share_ratio == 0.4
    assert scenario.channels["app"].patience is None


def test_the_first_of_several_merged_mappings_wins(valid_text):
    text = valid_text.replace(
        "channels: {web: {share: 100%, journeys: {browse: 1}}}",
        "channels:\n  web: &a {share: 60%, journeys: {browse: 1}, patience: none}\n"
        "  app: &b {share: 10%, journeys: {search: 1}, patience: desktop}\n"
        "  print: {share: 30%, <<: [*a, *b]}",
    )

    channel = read_scenario(text).channels["print"]

    assert (channel.share_ratio, channel.journeys, channel.patience) == (0.3, {"browse": 1.0}, None)


def test_aliases_that_multiply_are_stopped():
    bomb = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
        f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)
    )

    with pytest.raises(ScenarioError, match="has more than 100,000 values after resolving aliases"):
        read_scenario(bomb)


def test_a_missing_scenario_suggests_the_closest_bundled_one(bundled_folder):
    with pytest.raises(ScenarioError) as caught:
        load_scenario("ms-chrismas-2004", search=[bundled_folder])

    assert str(caught.value) == (
        "ms-chrismas-2004: is neither a file nor the name of a bundled scenario; "
        'did you mean "ms-christmas-2004"?'
    )


def test_a_missing_scenario_lists_the_bundled_ones(tmp_path):
    for name in ("flash-sale.yaml", "advert.yml", "notes.txt"):
        (tmp_path / name).write_text("")

    with pytest.raises(ScenarioError) as caught:
        load_scenario("zzz", search=[tmp_path, tmp_path / "nowhere"])

    assert str(caught.value).endswith("; use one of advert, flash-sale")


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 5000, "no/such/folder/x.yaml", "."])
def test_a_name_that_no_file_can_have_is_a_scenario_error(name):
    with pytest.raises(ScenarioError):
        load_scenario(name)


def test_a_folder_is_not_a_scenario(tmp_path):
    with pytest.raises(ScenarioError) as caught:
        load_scenario(tmp_path)

    assert str(caught.value) == f"{tmp_path}: is a folder; give the path of a .yaml file in it"


def test_a_file_in_another_encoding_is_refused(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_bytes("title: café".encode("latin-1"))

    with pytest.raises(ScenarioError) as caught:
        load_scenario(path)

    assert str(caught.value) == f"{path}:1:11: must be UTF-8 text (got byte 0xe9)"


def test_keys_values_and_lists_of_problems_have_a_limit():
    text = "".join(f"{chr(97 + n % 26) * 1000}{n}: {'v' * 1000}\n" for n in range(300))
    with pytest.raises(ScenarioError) as caught:
        read_scenario(text, file="x.yaml")
    lines = str(caught.value).splitlines()
    assert len(caught.value.problems) >= 300
    assert len(lines) == 41
    assert lines[-1] == f"… and {len(caught.value.problems) - 40} more problems"
    assert max(map(len, lines)) < 600


def test_a_problem_is_one_line_without_control_characters():
    problem = FileProblem("x\x1b[2J.yaml", 1, 2, "k\ney", "must be text", "\u202eabc\r\nPASS")
    assert str(problem) == "x\ufffd[2J.yaml:1:2: k ey must be text (got \ufffdabc PASS)"
