"""`python -m chronas` is the command line."""

from __future__ import annotations

from chronas.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
