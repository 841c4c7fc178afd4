"""What makes runs comparable over time: scenario, target, machine and branch.

A change of the demand or of the customers starts another timeline; a change of texts, thresholds, seed,
safety limits or target does not. Shops under test differ in `target`, which has a key of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from doorbuster.compare.comparability import compared_scenario
from doorbuster.records.metadata import RunMeta

# Where pipelines name the branch: GitHub (pull request, push), GitLab, Jenkins, Azure.
_BRANCH_VARIABLES = (
    "GITHUB_HEAD_REF", "GITHUB_REF_NAME", "CI_COMMIT_REF_NAME", "BRANCH_NAME", "BUILD_SOURCEBRANCHNAME",
)  # fmt: skip


class TimelineKey(NamedTuple):
    """The runs that stand in one timeline."""

    scenario: str
    target: str
    machine: str
    branch: str


def timeline_key(meta: RunMeta, *, branch: str, target: str = "", capacity: bool = False) -> TimelineKey:
    """The key of a run.

    Args: target: a name that replaces the address, for a target whose address changes; capacity: the run
        stands for a capacity search.
    """
    scenario = f"{meta.scenario_name} {scenario_fingerprint(meta)}"
    return TimelineKey(
        f"{scenario} capacity" if capacity else scenario,
        target or target_name(meta),
        machine_name(meta.machine),
        branch,
    )


def scenario_fingerprint(meta: RunMeta) -> str:
    """Eight hexadecimal digits over what must be equal for a comparison; comments and layout do not count."""
    canonical = json.dumps(compared_scenario(meta), sort_keys=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:8]


def target_name(meta: RunMeta) -> str:
    """The address without its user; an embedded shop, whose port changes, by its design."""
    if meta.shop_profile:
        return f"embedded shop, {meta.shop_profile}"
    address = urlsplit(meta.target_url)
    return f"{address.scheme}://{address.netloc.rpartition('@')[2]}{address.path}".rstrip("/")


def machine_name(machine: Mapping[str, Any]) -> str:
    """ "Linux x86_64, 2 cores, 25 GB"; pipelines give each job another host name."""
    memory = float(machine.get("memory_bytes") or 0) / 1e9
    parts = (machine.get("system"), f"{machine.get('cores', '?')} cores", f"{memory:.0f} GB")
    return ", ".join(str(part) for part in parts if part)


def current_branch() -> str:
    """The branch from the pipeline's variables or from git; "" outside both."""
    named = next((os.environ[name] for name in _BRANCH_VARIABLES if os.environ.get(name)), "")
    if named:
        return named
    command = ["git", "symbolic-ref", "--quiet", "--short", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
