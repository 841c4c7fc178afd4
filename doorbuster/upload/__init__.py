"""Sends the folder of a run to object storage, a web server or another folder."""

from doorbuster.upload.destination import UploadTarget, open_destination
from doorbuster.upload.upload import upload_run

__all__ = ["UploadTarget", "open_destination", "upload_run"]
