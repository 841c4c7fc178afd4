"""docs/how-to/journeys.md documents everything that a journey may use, and nothing else."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DOCUMENTED = set(
    re.findall(r"^\| `self\.(\w+)", (ROOT / "docs/how-to/journeys.md").read_text(), re.MULTILINE)
)
VALUES = {"visit", "shop", "rng"}
FOR_JOURNEYS = {"step", "try_step", "think"}  # of StepRunner's methods; the retry policy uses the others
NOT_FOR_JOURNEYS = {
    "drop",
    "join",
    "run_journey",
    "runs_in",
}  # of Customer's methods; the generator uses them


def methods_of(file: str, name: str) -> set[str]:
    """The public methods of a class of the library's folder load."""
    (found,) = (
        node
        for node in ast.parse((ROOT / "doorbuster/load" / file).read_text()).body
        if isinstance(node, ast.ClassDef) and node.name == name
    )
    methods = {node.name for node in found.body if isinstance(node, ast.FunctionDef)}
    return {method for method in methods if not method.startswith("_")}


def test_every_method_of_a_customer_is_documented():
    steps = methods_of("customers/step_runner.py", "StepRunner") & FOR_JOURNEYS
    methods = methods_of("customers/customer.py", "Customer") - NOT_FOR_JOURNEYS
    assert methods | steps | VALUES == DOCUMENTED
