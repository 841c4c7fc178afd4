"""docs/how-to/journeys.md tells of everything a journey may use, and of nothing else."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
TOLD = set(re.findall(r"^\| `self\.(\w+)", (ROOT / "docs/how-to/journeys.md").read_text(), re.MULTILINE))
VALUES = {"visit", "shop", "rng"}
FOR_JOURNEYS = {"step", "try_step", "think"}  # of the methods of StepRunner; the others are for insistence


def methods_of(file: str, name: str) -> set[str]:
    """The public methods of a class of the library's folder load."""
    (found,) = (
        node
        for node in ast.parse((ROOT / "doorbuster/load" / file).read_text()).body
        if isinstance(node, ast.ClassDef) and node.name == name
    )
    methods = {node.name for node in found.body if isinstance(node, ast.FunctionDef)}
    return {method for method in methods if not method.startswith("_")}


def test_every_method_of_a_customer_is_told():
    steps = methods_of("customers/step_runner.py", "StepRunner") & FOR_JOURNEYS
    assert methods_of("customers/customer.py", "Customer") | steps | VALUES == TOLD
