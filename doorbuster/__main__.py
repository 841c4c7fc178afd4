"""`python -m doorbuster` is the `doorbuster` command."""

from __future__ import annotations

from doorbuster.cli import main

if __name__ == "__main__":
    main()
