"""`python -m dynalab.cli` is `dynalab`."""

import sys

from dynalab.cli import main

sys.exit(main())
