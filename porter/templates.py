"""Where the templates are, in a wheel and in a checkout."""

from __future__ import annotations

from pathlib import Path

from porter.errors import PorterError


def folder() -> Path:
    """The template folder. Raises PorterError when the installation lacks it."""
    package = Path(__file__).resolve().parent
    for candidate in (package / "templates", package.parent / "templates"):
        if (candidate / "plugin").is_dir():
            return candidate
    raise PorterError("porter's templates are missing", hint="install porter again", where=str(package))
