"""Stand-ins for packages that a repo's code imports and this interpreter lacks. Each one that acts says so.

While the code is imported, whatever it does with such a package goes through: a name is a class, a decorator leaves
what it decorates as it is. Afterwards every use is refused, with the name of the package.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import inspect
import sys
import types
from collections.abc import Callable
from typing import Any, TypeVar

Result = TypeVar("Result")
REMOTE = "transformers_modules"
MAX_STUBS = 12
_importing: list[str] = []


class StandIn(type):
    """The class of every name of a package that is not there."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return stand_in(f"{cls.__module__}.{cls.__qualname__}", name)

    def __getitem__(cls, _: Any) -> Any:
        return cls

    def __call__(cls, *arguments: Any, **named: Any) -> Any:
        if not _is_stand_in(cls):
            return super().__call__(*arguments, **named)
        if not _importing:
            raise RuntimeError(f"{cls.__module__}.{cls.__qualname__} is a stand-in: the package is not installed")
        decorated = arguments[0] if len(arguments) == 1 and not named else None
        return decorated if inspect.isfunction(decorated) or inspect.isclass(decorated) else cls


def stand_in(module: str, name: str) -> StandIn:
    return StandIn(name, (), {"__module__": module, "is_stand_in": True})


def _is_stand_in(cls: type) -> bool:
    return "is_stand_in" in vars(cls)


class StubModule(types.ModuleType):
    """A module that has every name."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return stand_in(self.__name__, name)


class StubFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Answers imports of the packages in `names`."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        if fullname.partition(".")[0] not in self.names:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: Any) -> StubModule:
        module = StubModule(spec.name)
        module.__path__ = []
        return module

    def exec_module(self, module: Any) -> None:
        return None


def with_stubs(load: Callable[[], Result], used: list[str]) -> Result:
    """Run `load`; each package that it cannot import is replaced by a stand-in, one after the other.

    Packages that the code imports inside try/except stay missing, as they would be.
    """
    finder = StubFinder()
    sys.meta_path.append(finder)
    _importing.append("")
    try:
        for _ in range(MAX_STUBS):
            try:
                return load()
            except ModuleNotFoundError as error:
                package = (error.name or "").partition(".")[0]
                if not package or package in finder.names or package in sys.modules or package == REMOTE:
                    raise
                finder.names.add(package)
                used.append(f"stand-in for the missing package {package}")
                for name in [name for name in sys.modules if name.partition(".")[0] == REMOTE]:
                    del sys.modules[name]
        return load()
    finally:
        _importing.pop()


def skip_import_check() -> None:
    """transformers checks for packages before importing the code; the stand-ins are found on import only."""
    import transformers.dynamic_module_utils as dynamic

    dynamic.check_imports = dynamic.get_relative_imports
