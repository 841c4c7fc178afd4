"""`doorbuster init`: a workbench in a retailer's own repository."""

from __future__ import annotations

import shutil
from pathlib import Path

import click


@click.command("init")
@click.argument("folder", default=".", type=click.Path(path_type=Path, file_okay=False))
def command(folder: Path) -> None:
    """Lay out a workbench in FOLDER: scenarios, locustfiles and analysis, copied from the shipped ones.

    Files that are there already are left as they are.

    \b
    Example: doorbuster init my-shop-peaks
    """
    from doorbuster.cli.program import program
    from doorbuster.errors import UsageError
    from doorbuster.workbench import shipped

    written, kept = 0, 0
    try:
        for name in ("scenarios", "locustfiles", "analysis"):
            for source in sorted(shipped(name).rglob("*")):
                if not source.is_file() or "__pycache__" in source.parts:
                    continue
                copy = folder / name / source.relative_to(shipped(name))
                if copy.exists():
                    kept += 1
                    continue
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, copy)
                written += 1
        reports = folder / "reports"
        reports.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{error.filename}: cannot be written: {error.strerror}; name another folder"
        ) from error
    click.echo(f"{folder}: wrote {written} files" + (f", left {kept} as they were" if kept else ""))
    click.echo(f"next:    {'' if folder == Path() else f'cd {folder} && '}{program()} run smoke")
