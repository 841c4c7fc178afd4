"""Finds a storefront driver by name: a bundled one, or one of a user's files.

Rules: what a locustfile gives to `install` are its drivers. Otherwise they are the classes of its files that
have a name; of several classes of one name, such as a base class and one class for each channel, the driver
is the one whose `for_channel` leads to the others.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType

from doorbuster.errors import AnalysisError, UsageError
from doorbuster.output import named_exception
from doorbuster.output.secret_masking import remember_variables_in
from doorbuster.scenario import CHANNELS, JOURNEYS, is_driver_name
from doorbuster.storefronts import Storefront, drivers_with

INSTALLED = "doorbuster_drivers"  # attribute of locust.events: the drivers that locustfiles have added
CORE = tuple(dict.fromkeys(v.step for name in ("browse", "search", "buy") for v in JOURNEYS[name].steps))
"""The steps of a visit that browses, searches and buys."""


def find_driver(storefront: str, locustfiles: str) -> type[Storefront]:
    """The bundled driver of this name, or the one of the files; without a name, the files' only driver.

    Raises: UsageError that lists the drivers.
    """
    own = drivers_of(load_files(locustfiles)) if locustfiles else []
    if not storefront and len(own) == 1:
        return own[0]
    known = drivers_with(own)
    if (storefront or "reference") in known:
        return known[storefront or "reference"]
    names = ", ".join(sorted(known))
    other_case = [name for name in known if name.lower() == storefront.lower()]
    if other_case:
        raise UsageError(f"there is no driver {storefront!r}; names are in lower case: {other_case[0]}")
    more = "" if locustfiles or not storefront.startswith("custom:") else ", or add --locustfile FILE"
    raise UsageError(f"there is no driver {storefront!r}; name one of {names}{more}")


def load_files(locustfiles: str) -> list[ModuleType]:
    """The modules that Locust would load from files with commas between them, or from folders.

    Raises: as `load_module`.
    """
    paths = (Path(name.strip()) for name in locustfiles.split(","))
    files = [file for path in paths for file in (sorted(path.glob("[!_]*.py")) if path.is_dir() else [path])]
    return [load_module(file) for file in files]


def has_installed() -> bool:
    """Whether a file that was loaded has called `install`; plain Locust files have not."""
    return hasattr(getattr(sys.modules.get("locust"), "events", None), INSTALLED)


def drivers_of(modules: Iterable[ModuleType]) -> list[type[Storefront]]:
    """The drivers that the modules install; if there are none, those that they define or import.

    Raises: UsageError for drivers without a usable name, or of one name.
    """
    events = getattr(sys.modules.get("locust"), "events", None)
    installed = list(getattr(events, INSTALLED, ()))
    if installed:
        return check_names(installed)
    by_name: dict[str, list[type[Storefront]]] = {}
    classes = [value for module in modules for value in vars(module).values() if inspect.isclass(value)]
    for kind in dict.fromkeys(classes):
        is_ours = kind.__module__.startswith("doorbuster.storefronts")
        if issubclass(kind, Storefront) and hasattr(kind, "name") and not is_ours:
            by_name.setdefault(kind.name, []).append(kind)
    return check_names([kind for kinds in by_name.values() for kind in _start_of(kinds)])


def check_names(drivers: Sequence[type[Storefront]]) -> list[type[Storefront]]:
    """The drivers. Raises: UsageError for a name that no scenario can use, or that several drivers have."""
    for driver in drivers:
        name = getattr(driver, "name", "")
        if not is_driver_name(name):
            raise UsageError(
                f"the driver {driver.__name__} needs a name of lower-case letters, digits, - and _, such as "
                f'name = "my-shop" (got {name!r}); a scenario then says storefront: "custom:my-shop"'
            )
        same = [other.__name__ for other in drivers if other.name == name]
        if len(same) > 1:
            raise UsageError(
                f"{' and '.join(same)} are drivers of the same name {name!r}: give each its own, or name the "
                "one to use in install(events, drivers=[...])"
            )
    return list(drivers)


def _start_of(kinds: list[type[Storefront]]) -> list[type[Storefront]]:
    """Of classes of one name, the one that inherits from the others or whose `for_channel` leads to them."""
    kinds = [kind for kind in kinds if _is_complete(kind)] or kinds
    starts = [kind for kind in kinds if _leads_to(kind, kinds)]
    return [kind for kind in starts if "name" in vars(kind)] or starts or kinds


def _is_complete(kind: type[Storefront]) -> bool:
    prepares = kind.prepare.__func__ is not Storefront.prepare.__func__  # type: ignore[attr-defined]
    return prepares and not kind.for_channel("web").missing_steps(CORE)


def _leads_to(kind: type[Storefront], kinds: Sequence[type[Storefront]]) -> bool:
    reached = {*kind.__mro__, *(kind.for_channel(channel) for channel in CHANNELS)}
    return kind.for_channel("web") is kind and reached >= set(kinds)


def load_module(path: Path) -> ModuleType:
    """The module in a user's file, such as a locustfile.

    Raises: UsageError if the file cannot be loaded, with the line that failed.
    """
    sys.path.insert(0, str(path.parent.resolve()))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise UsageError(f"{path} is not a Python file; name the locustfile that installs the driver")
    module = importlib.util.module_from_spec(spec)
    remember_variables_in(path)
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise UsageError(
            f"{error.filename}:{error.lineno}: {error.msg}; correct the driver's file"
        ) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the user's file may fail in any way; report where
        raise UsageError(f"{_place(error, path)}: {named_exception(error)}; correct the file") from error
    return module


def driver_error(driver: type[Storefront], method: str, error: BaseException) -> AnalysisError:
    """The error to report for an exception in a driver's code."""
    return AnalysisError(
        f"the driver {driver.name!r} raised in {method}: {named_exception(error)}"
        f"{place_in_driver(error)}; doorbuster probe shows each of its steps"
    )


def place_in_driver(error: BaseException) -> str:
    """The driver's line that raised, rather than that of a library which it called."""
    load = Path(__file__).parents[1]
    drivers = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if load not in Path(frame.filename).parents and "lib/python" not in frame.filename.replace("\\", "/")
    ]
    return f" ({Path(drivers[-1].filename).name}:{drivers[-1].lineno}: {drivers[-1].line})" if drivers else ""


def place_of_exit(error: SystemExit) -> str:
    """The user's line that called `sys.exit`; empty if a library did."""
    frames = traceback.extract_tb(error.__traceback__)
    file = frames[-1].filename if frames else "<"
    own = Path(__file__).parents[2]
    is_library = file.startswith("<") or "lib/python" in file.replace("\\", "/") or own in Path(file).parents
    return "" if is_library else f"{file}:{frames[-1].lineno}"


def _place(error: BaseException, path: Path) -> str:
    """The last line of the traceback in the user's folder."""
    place, trace = str(path), error.__traceback__
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        if file.parent == path.parent or file.parent == path.parent.resolve():
            place = f"{file}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
