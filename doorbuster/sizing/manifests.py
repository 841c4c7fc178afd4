"""Kubernetes manifests with the numbers of a plan, from those that doorbuster ships."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from doorbuster.bundled import shipped
from doorbuster.errors import UsageError
from doorbuster.scenario import Scenario
from doorbuster.sizing.fleet import Fleet

SCENARIO, EXAMPLE_SHOP = "scenario.yaml", "shop.yaml"
MOUNT = "/scenario"
MEMORY_STEP_MI = 64
MEMORY_LIMIT_RATIO = 2
_HEADER = "# Written by `doorbuster plan`.\n"


def write_manifests(folder: Path, plan: Scenario, fleet: Fleet, locustfiles: Sequence[Path]) -> None:
    """Write manifests for this plan: workers, memory, scenario, and locustfiles that are not bundled.

    Raises: UsageError if the scenario has no URL, or the folder cannot be written or is not empty.
    """
    if plan.target.url is None:
        raise UsageError(
            f"{plan.name} loads the embedded shop, which pods on other machines cannot reach; name the shop "
            "with --url URL"
        )
    source, bundled = shipped("deploy/kubernetes"), shipped("locustfiles").resolve()
    own = [path for path in locustfiles if not path.resolve().is_relative_to(bundled)]
    names = [path.name if path not in own else f"{MOUNT}/{path.name}" for path in locustfiles]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty; choose a new folder with --kubernetes")
        for path in sorted(source.glob("*.yaml")):
            if path.name not in (SCENARIO, EXAMPLE_SHOP):
                document = yaml.safe_load(path.read_text(encoding="utf-8"))
                if (change := _CHANGES.get(path.name)) is not None:
                    change(document, fleet, ",".join(names))
                if path.name == "kustomization.yaml":
                    document["configMapGenerator"][0]["files"] = [SCENARIO, *(one.name for one in own)]
                    document["resources"].remove(EXAMPLE_SHOP)
                text = yaml.safe_dump(document, sort_keys=False, width=110)
                (folder / path.name).write_text(_HEADER + text, encoding="utf-8")
        (folder / SCENARIO).write_text(plan.source_text, encoding="utf-8")
        for path in own:
            shutil.copyfile(path, folder / path.name)
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror}; choose another folder") from error


def _container(document: Any) -> dict[str, Any]:
    container: dict[str, Any] = document["spec"]["template"]["spec"]["containers"][0]
    return container


def _set_memory(container: dict[str, Any], bytes_: float) -> None:
    mi = math.ceil(bytes_ / 2**20 / MEMORY_STEP_MI) * MEMORY_STEP_MI
    container["resources"]["requests"]["memory"] = f"{mi}Mi"
    container["resources"]["limits"]["memory"] = f"{mi * MEMORY_LIMIT_RATIO}Mi"


def _change_master(document: Any, fleet: Fleet, locustfiles: str) -> None:
    container = _container(document)
    container["args"] = [
        f"--expect-workers={fleet.workers}" if arg.startswith("--expect-workers") else arg
        for arg in container["args"]
        if not arg.startswith("--confirm-host")  # the person who runs the test confirms it
    ] + [f"--locustfile={locustfiles}"]
    container["resources"]["requests"]["cpu"] = str(max(1, math.ceil(fleet.master_cpu_ratio)))
    _set_memory(container, fleet.master_memory_bytes)


def _change_workers(document: Any, fleet: Fleet, locustfiles: str) -> None:
    document["spec"]["parallelism"] = document["spec"]["completions"] = fleet.workers
    container = _container(document)
    container["args"].append(f"--locustfile={locustfiles}")
    _set_memory(container, fleet.memory_bytes_per_worker)


_CHANGES: dict[str, Callable[[Any, Fleet, str], None]] = {
    "master.yaml": _change_master,
    "workers.yaml": _change_workers,
}
