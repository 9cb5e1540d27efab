"""Workers import each other as `porter_worker`: here that name is the package porter.workers."""

from __future__ import annotations

import sys

import porter.workers

sys.modules.setdefault("porter_worker", porter.workers)
