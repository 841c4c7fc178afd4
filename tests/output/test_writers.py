"""Finds code that writes to a terminal or a file without going through `doorbuster.output`."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SOURCES = sorted([*(ROOT / "doorbuster").rglob("*.py"), *(ROOT / "analysis").glob("*.py")])

STREAM_WRITERS = {
    "output/streams.py": "the border itself",
    "load/coordination/coordinator.py": "in a process with protected streams",
    "load/locust_plugin/plugin.py": "in a process with protected streams",
    "load/runtime/notes.py": "in a process with protected streams",
    "shop/__main__.py": "the embedded shop's URL",
    "observe/__main__.py": "JSON to the process that records it",
    "streaming/__main__.py": "JSON to the process that started it",
    "live/stream.py": "JSON to the process that shows it",
}
FILE_WRITERS = {
    "report/write.py": "texts of renderers, which clean every value",
    "records/result_file.py": "JSON in ASCII",
    "cli/export.py": "numbers and tags, which the format restricts",
    "cli/init.py": "copies of bundled files; drivers, in which recorded data is escaped",
    "cli/run_workflow.py": "the user's scenario",
    "cli/pipeline_output.py": "the Markdown of the report, and values without line breaks",
    "capacity/runner.py": "the user's scenario",
    "locust_process.py": "the output of a process with protected streams",
    "shop_process.py": "the log of the embedded shop",
    "compare/interleaved/targets.py": "the logs of the shops under comparison",
    "shop/server.py": "an empty lock file",
    "browsers/__main__.py": "JSON to the process that records it",
    "browsers/probes.py": "the log of a probe",
    "cli/demand_from_log.py": "texts of the log's demand, in which names are cleaned",
    "observe_process.py": "the log of the observing process",
    "output/termination_message.py": "cleaned and masked there",
    "sizing/manifests.py": "bundled manifests with numbers, and the user's scenario",
    "streaming/outputs/json_lines.py": "JSON",
    "upload/upload.py": "checksums and names of files",
}


def calls(path: Path) -> list[tuple[int, str, ast.Call]]:
    """Line, dotted name and node of every call."""
    return [
        (node.lineno, ast.unparse(node.func), node)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    ]


def writes_to_a_stream(name: str) -> bool:
    return name in ("print", "click.echo", "click.secho", "Console", "rich.print", "console.Console") or (
        name.endswith(("stdout.write", "stderr.write", "stdout.writelines", "stderr.writelines", "print_exc"))
    )


def writes_to_a_file(name: str, node: ast.Call) -> bool:
    if name.endswith((".write_text", ".write_bytes")):
        return True
    if name not in ("open", "os.fdopen") and not name.endswith(".open"):
        return False
    modes = [*node.args, *(word.value for word in node.keywords if word.arg == "mode")]
    return any(
        isinstance(mode, ast.Constant) and isinstance(mode.value, str) and len(mode.value) <= 3
        and set(mode.value) & set("wax+") for mode in modes
    )  # fmt: skip


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_known_files_write_to_streams_and_files(path):
    name = str(path.relative_to(ROOT / "doorbuster")) if path.is_relative_to(ROOT / "doorbuster") else ""
    wrong = [
        f"{path.name}:{line}: {call}"
        for line, call, node in calls(path)
        if (writes_to_a_stream(call) and name not in STREAM_WRITERS)
        or (writes_to_a_file(call, node) and name not in FILE_WRITERS)
    ]
    assert wrong == [], "use say, say_lines or open_console of doorbuster.output"


def test_every_exception_exists_and_is_needed():
    for table, kind in ((STREAM_WRITERS, writes_to_a_stream), (FILE_WRITERS, writes_to_a_file)):
        for name in table:
            if name == "output/streams.py":
                continue
            path = ROOT / "doorbuster" / name
            used = [
                call for _, call, node in calls(path)
                if (kind(call) if kind is writes_to_a_stream else kind(call, node))
            ]  # fmt: skip
            assert used, f"{name} writes nothing: remove it from the table"
