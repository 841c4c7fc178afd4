"""Finds a storefront driver by name: a bundled one, or one of a user's file."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from pathlib import Path
from types import ModuleType

from doorbuster.errors import AnalysisError, UsageError
from doorbuster.storefronts import DRIVERS, Storefront, drivers_with


def find_driver(storefront: str, locustfile: str) -> type[Storefront]:
    """The bundled driver of this name, or the one of a file; without a name, the file's only driver.

    Raises: UsageError that lists the drivers.
    """
    own = drivers_in(Path(locustfile)) if locustfile else []
    if not storefront and len(own) == 1:
        return own[0]
    known = drivers_with(own)
    if (storefront or "reference") not in known:
        more = "" if locustfile or not storefront.startswith("custom:") else ", or add --locustfile FILE"
        raise UsageError(f"there is no driver {storefront!r}; name one of {', '.join(sorted(known))}{more}")
    return known[storefront or "reference"]


def drivers_in(path: Path) -> list[type[Storefront]]:
    """The drivers that a file defines or imports, without the bundled ones. Raises: as `load_module`."""
    return find_drivers(load_module(path))


def find_drivers(module: ModuleType) -> list[type[Storefront]]:
    """The drivers that a module defines or imports, without the bundled ones."""
    classes = [value for value in vars(module).values() if inspect.isclass(value)]
    return [
        kind
        for kind in dict.fromkeys(classes)
        if issubclass(kind, Storefront) and hasattr(kind, "name") and kind not in DRIVERS.values()
    ]


def load_module(path: Path) -> ModuleType:
    """The module in a user's file, such as a locustfile.

    Raises: UsageError if the file cannot be loaded, with the line that failed.
    """
    sys.path.insert(0, str(path.parent.resolve()))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise UsageError(f"{path} is not a Python file; name the locustfile that installs the driver")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise UsageError(
            f"{error.filename}:{error.lineno}: {error.msg}; correct the driver's file"
        ) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # the user's file may fail in any way; report where
        raise UsageError(
            f"{_place(error, path)}: {type(error).__name__}: {error}; correct the file"
        ) from error
    return module


def driver_error(driver: type[Storefront], method: str, error: BaseException) -> AnalysisError:
    """The error to report for an exception in a driver's code."""
    return AnalysisError(
        f"the driver {driver.name!r} raised in {method}: {type(error).__name__}: {error}"
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


def _place(error: BaseException, path: Path) -> str:
    """The last line of the traceback in the user's folder."""
    place, trace = str(path), error.__traceback__
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        if file.parent == path.parent or file.parent == path.parent.resolve():
            place = f"{file}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
