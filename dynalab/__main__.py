"""``python -m dynalab``: the command line, where its script is not on the path."""

from __future__ import annotations

import sys

from dynalab.cli import main

sys.exit(main())
