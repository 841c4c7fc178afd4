"""Reads result files into a new run file; writes nothing if any of them fails."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from secrets import token_hex
from time import time

from doorbuster.errors import DoorbusterError, RecordError, UsageError
from doorbuster.importers.format import Format
from doorbuster.importers.input_file import InputFile
from doorbuster.importers.options import ImportOptions
from doorbuster.importers.registry import detect_format, find_format
from doorbuster.importers.run_builder import RunBuilder
from doorbuster.records.import_info import ImportInfo
from doorbuster.records.metadata import RunMeta
from doorbuster.records.reader import Run
from doorbuster.records.schema import FILE_NAME
from doorbuster.records.storable import ROW_REFUSED
from doorbuster.records.writer import RunWriter

MAX_UNREADABLE_RATIO = 0.05  # of the rows; more is another format, or a damaged file
MIN_UNREADABLE = 10


def import_run(
    paths: Sequence[Path],
    out: Path,
    *,
    title: str,
    name: str,
    scenario_text: str,
    options: ImportOptions,
    form: str = "",
    on_progress: Callable[[int], object] = lambda _: None,
) -> ImportInfo:
    """Read all files into one run file in the folder `out`, which must not exist or be empty.

    Args:
        title, name, scenario_text: of the run; the scenario holds its thresholds.
        form: name of the format; "" detects it for each file by its content.
        on_progress: called with the bytes consumed since the last call.
    Returns: where the numbers come from.
    Raises: UsageError for a file that cannot be read, files of several tools, or a file without requests.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} is not empty; choose a new folder with --out, or remove it")
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        holder = tempfile.TemporaryDirectory(dir=out.parent, prefix=".import-")
    except OSError as error:
        raise UsageError(
            f"cannot write to {out.parent}: {error.strerror}; choose a folder with --out"
        ) from error
    with holder as folder, ExitStack() as stack:
        files = [stack.enter_context(InputFile(path, on_progress)) for path in paths]
        forms = [find_format(form) if form else detect_format(file) for file in files]
        _check_one_tool(files, forms)
        _check_options(forms[0], options)
        writer = stack.enter_context(RunWriter.create(Path(folder), _meta(title, name, scenario_text), {}))
        builder = RunBuilder(writer, options.label_map)
        for file, found in zip(files, forms, strict=True):
            _read(file, found, builder, options)
        info = builder.finish()
        writer.finish("finished")
        writer.close()
        _check_complete(Path(folder))
        out.mkdir(exist_ok=True)
        (Path(folder) / FILE_NAME).rename(out / FILE_NAME)
    return info


def _read(file: InputFile, form: Format, builder: RunBuilder, options: ImportOptions) -> None:
    before, skipped = builder.requests, builder.skipped
    try:
        form.read(file, builder, options)
    except (DoorbusterError, RecordError):
        raise
    except OSError as error:
        raise UsageError(f"{file.path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, KeyError, IndexError, TypeError, OverflowError, RecursionError) as error:
        raise UsageError(
            f"{file.path}: is damaged, or not {form.description}: {type(error).__name__}: {str(error)[:200]}"
        ) from error
    if file.truncated:
        builder.skip(1, f"{file.path.name} ends early: its compression is cut off or damaged.")
    rows, bad = builder.requests - before, builder.skipped - skipped
    if bad > max(MIN_UNREADABLE, MAX_UNREADABLE_RATIO * rows):
        raise UsageError(
            f"{file.path}: {bad:,} of {rows + bad:,} rows cannot be read as {form.description}: "
            f"{builder.last_note} The file is damaged, or mixes formats."
        )


def _check_complete(folder: Path) -> None:
    """Raises: RecordError if the run file has refused a row; a run with some rows is not an import."""
    with Run.open(folder) as run:
        refused = [event.text for event in run.events() if event.kind == ROW_REFUSED]
    if refused:
        raise RecordError(f"the results cannot be stored: {refused[0]}; please report this as a bug")


def _check_one_tool(files: Sequence[InputFile], forms: Sequence[Format]) -> None:
    tools = {form.tool for form in forms}
    if len(tools) > 1:
        found = ", ".join(f"{file.path} from {form.tool}" for file, form in zip(files, forms, strict=True))
        raise UsageError(f"these files come from several tools: {found}; import them one by one")


def _check_options(form: Format, options: ImportOptions) -> None:
    """Raises: UsageError for an option without effect on files of this format."""
    given = {
        "stamp": ("--jtl-time end", options.stamp == "end"),
        "count_transactions": ("--transactions", options.count_transactions),
        "zone": ("--zone", options.zone is not None),
        "columns": ("the key columns of --map", bool(options.label_map.columns)),
    }
    unused = [name for key, (name, is_set) in given.items() if is_set and key not in form.options]
    if unused:
        raise UsageError(f"{', '.join(unused)} has no effect on {form.description}; leave it out")


def _meta(title: str, name: str, scenario_text: str) -> RunMeta:
    return RunMeta(
        run_id=f"import-{token_hex(6)}",
        title=title,
        scenario_name=name,
        scenario_text=scenario_text,
        workload="closed",
        storefront="",
        target_url="",
        seed=0,
        workers=0,
        started_at_unix_ns=int(time() * 1e9),
        duration_s=0.0,
    )
