"""docs/journeys.md tells of everything a journey may use, and of nothing else."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
TOLD = set(re.findall(r"^\| `self\.(\w+)", (ROOT / "docs/journeys.md").read_text(), re.MULTILINE))
VALUES = {"visit", "shop", "rng"}


def test_every_method_of_a_customer_is_told():
    (customer,) = (
        node
        for node in ast.parse((ROOT / "doorbuster/load/customer.py").read_text()).body
        if isinstance(node, ast.ClassDef)
    )
    methods = {node.name for node in customer.body if isinstance(node, ast.FunctionDef)}
    assert {name for name in methods if not name.startswith("_")} | VALUES == TOLD
