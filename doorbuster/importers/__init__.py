"""Imports the results of other load generators into a run file, to be judged like any other run."""

from doorbuster.importers.import_run import import_run
from doorbuster.importers.label_map import LabelMap, read_label_map
from doorbuster.importers.options import ImportOptions
from doorbuster.importers.registry import FORMATS
from doorbuster.importers.time_stamps import find_zone

__all__ = [
    "FORMATS",
    "ImportOptions",
    "LabelMap",
    "find_zone",
    "import_run",
    "read_label_map",
]
