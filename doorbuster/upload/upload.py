"""The order in which the files of a run are sent, and what happens when one is not accepted.

- A destination that ends with "/" is a folder: every file is sent by its name, then `SHA256SUMS` with all
  checksums. Whoever finds that file finds a complete run.
- Any other destination is one file: a gzipped tar archive of the folder, checksums included.
- A file is sent again after a failure of the network or of the server, up to ATTEMPTS times.
"""

from __future__ import annotations

import hashlib
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from doorbuster.errors import UploadError, UsageError
from doorbuster.output.tracking import Track, untracked
from doorbuster.upload.destination import UploadTarget
from doorbuster.upload.stored_file import RetryableError, StoredFile

CHECKSUMS = "SHA256SUMS"
ATTEMPTS = 5
FIRST_PAUSE_S = 1.0
MAX_PAUSE_S = 30.0
_LEFT_OUT = (".sqlite-wal", ".sqlite-shm")  # empty after a run, and part of no copy


def upload_run(
    folder: Path,
    destination: UploadTarget,
    *,
    say: Callable[[str], None] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
    track: Track = untracked,
) -> int:
    """Send the files of a run; returns how many.

    Args: track: shows the progress.
    Raises: UploadError with the file that could not be sent; those before it are stored.
    """
    files = _files(folder)
    if not files:
        raise UsageError(f"{folder} has no files to upload; name a run folder")
    with tempfile.TemporaryDirectory(prefix="doorbuster-upload-") as name:
        sums = Path(name) / CHECKSUMS
        sums.write_text("".join(f"{file.sha256.hex()}  {file.name}\n" for file in files), encoding="utf-8")
        files.append(_stored(CHECKSUMS, sums))
        to_send = files if destination.is_folder else [_archive(files, folder.name, Path(name))]
        for file in track("uploading", to_send):
            _put(destination, file, say=say, sleep=sleep)
    return len(files)


def _put(
    destination: UploadTarget,
    file: StoredFile,
    *,
    say: Callable[[str], None],
    sleep: Callable[[float], None],
) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            destination.store.put(file)
        except RetryableError as error:
            if attempt == ATTEMPTS:
                raise UploadError(
                    f"{file.name} was not uploaded to {destination.shown}: {error} ({ATTEMPTS} attempts); "
                    "the run is complete on this machine: try again with doorbuster upload RUN DESTINATION"
                ) from error
            pause_s = min(error.pause_s or FIRST_PAUSE_S * 2 ** (attempt - 1), MAX_PAUSE_S)
            say(f"{file.name}: {error}; next attempt in {pause_s:g} s")
            sleep(pause_s)
        else:
            return


def _files(folder: Path) -> list[StoredFile]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return [
        _stored(path.relative_to(folder).as_posix(), path)
        for path in paths
        if path.name != CHECKSUMS and not path.name.endswith(_LEFT_OUT)
    ]


def _stored(name: str, path: Path) -> StoredFile:
    with path.open("rb") as file:
        return StoredFile(name, path, hashlib.file_digest(file, "sha256").digest())


def _archive(files: list[StoredFile], root: str, folder: Path) -> StoredFile:
    path = folder / f"{root or 'run'}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for file in files:
            archive.add(file.path, arcname=f"{root or 'run'}/{file.name}")
    return _stored(path.name, path)
