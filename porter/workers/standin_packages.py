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

from porter_worker import moved_names

Result = TypeVar("Result")
REMOTE = "transformers_modules"
MOST = 24
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
    """Run `load`; what it cannot import is replaced, one after the other: packages by stand-ins, moved names.

    Packages that the code imports inside try/except stay missing, as they would be.
    """
    finder = next((one for one in sys.meta_path if isinstance(one, StubFinder)), None) or StubFinder()
    if finder not in sys.meta_path:
        sys.meta_path.append(finder)
    known = set(sys.modules)
    _plain_defaults(used)
    _importing.append("")
    try:
        for _ in range(MOST):
            try:
                return load()
            except ImportError as error:
                if not (_stood_in(error, finder, used) or moved_names.restored(error, used, stand_in)):
                    raise
                for name in [name for name in sys.modules if name.partition(".")[0] == REMOTE and name not in known]:
                    del sys.modules[name]
        return load()
    finally:
        _importing.pop()


def _plain_defaults(used: list[str]) -> None:
    """transformers prints a config beside its class's defaults, which older classes cannot be built from."""
    from transformers import PretrainedConfig

    shown = PretrainedConfig.to_diff_dict

    def to_diff_dict(self: Any) -> Any:
        try:
            return shown(self)
        except Exception as error:
            used.append(f"{type(self).__name__} has no defaults ({type(error).__name__})")
            plain = self.to_dict()
            self.dict_dtype_to_str(plain)
            return plain

    if shown.__module__ != __name__:
        PretrainedConfig.to_diff_dict = to_diff_dict


def _stood_in(error: ImportError, finder: StubFinder, used: list[str]) -> bool:
    """Whether a package that is not there has a stand-in now."""
    package = (error.name or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or not package:
        return False
    if package in finder.names or package in sys.modules or package == REMOTE:
        return False
    finder.names.add(package)
    used.append(f"stand-in for the missing package {package}")
    return True


def skip_import_check() -> None:
    """transformers checks for packages before importing the code; the stand-ins are found on import only."""
    import transformers.dynamic_module_utils as dynamic

    dynamic.check_imports = dynamic.get_relative_imports
