"""Builds the real shops that the drivers are tested against, from npm and PyPI, outside the repository.

    python tests/real_shops/install.py [vendure] [oscar]

They lie in DOORBUSTER_SHOPS, by default `doorbuster/shops` in the user's cache folder, 450 MB together.
A shop is built again when one of its files here has changed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

HERE = Path(__file__).parent
CREATE = "3.7.3"  # @vendure/create brings the catalogue
OSCAR = ("django-oscar==4.2.1", "django-oscar-api==3.3.0", "sorl-thumbnail", "whoosh", "gunicorn")
STAMP = ".built"


def cache() -> Path:
    """The folder of all shops."""
    own = os.environ.get("DOORBUSTER_SHOPS")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "doorbuster" / "shops"


def built(name: str) -> Path:
    """The folder of one shop, built if it is not there or out of date."""
    folder, digest = cache() / name, _digest(name)
    stamp = folder / STAMP
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != digest:
        stamp.unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        for source in _sources(name):
            shutil.copyfile(source, folder / source.name)
        BUILDERS[name](folder)
        stamp.write_text(digest, encoding="utf-8")
    return folder


def _vendure(folder: Path) -> None:
    _run(folder, "npm", "install", "--no-audit", "--no-fund")
    _run(folder, "npm", "pack", f"@vendure/create@{CREATE}")
    (folder / "catalog").mkdir(exist_ok=True)
    with tarfile.open(folder / f"vendure-create-{CREATE}.tgz") as archive:
        for name in ("products.csv", "initial-data.json"):
            content = archive.extractfile(f"package/assets/{name}")
            assert content is not None, f"@vendure/create {CREATE} has no {name}"
            (folder / "catalog" / name).write_bytes(content.read())
    (folder / "vendure.sqlite").unlink(missing_ok=True)
    _run(folder, "node", "populate.js", SHOP_KEEP="1")


def _oscar(folder: Path) -> None:
    python = folder / "venv" / "bin" / "python"
    if not python.exists():
        _run(folder, sys.executable, "-m", "venv", "venv")
    _run(folder, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *OSCAR)
    (folder / "shop.sqlite").unlink(missing_ok=True)
    where = {"SHOP_FOLDER": str(folder), "DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": str(folder)}
    _run(folder, python, "-m", "django", "migrate", "--verbosity", "0", **where)
    _run(folder, python, "populate.py", **where)
    _run(folder, python, "-m", "django", "rebuild_index", "--noinput", **where)


BUILDERS = {"vendure": _vendure, "oscar": _oscar}


def _sources(name: str) -> list[Path]:
    return sorted(path for path in (HERE / name).iterdir() if path.suffix in (".js", ".json", ".py"))


def _digest(name: str) -> str:
    text = b"".join(path.read_bytes() for path in [HERE / "install.py", *_sources(name)])
    return hashlib.sha256(text).hexdigest()


def _run(folder: Path, *command: object, **environment: str) -> None:
    """One step, its output in `build.log`; a step that fails ends the build with the end of that log."""
    log = folder / "build.log"
    with log.open("ab") as said:
        done = subprocess.run(
            [str(word) for word in command],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
        )
    if done.returncode:
        tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
        raise SystemExit(
            f"{' '.join(map(str, command))} ended with {done.returncode}:\n{tail}\n(all of it: {log})"
        )


if __name__ == "__main__":
    for shop in sys.argv[1:] or sorted(BUILDERS):
        print(f"{shop}: {built(shop)}")
