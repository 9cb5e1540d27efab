"""`python -m porter`."""

from __future__ import annotations

import sys

from porter.cli import main

sys.exit(main())
