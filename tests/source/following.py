"""Short code strings, followed by the interpreter."""

from __future__ import annotations

import textwrap
from typing import Any

from porter.source.codebase import CodeBase
from porter.source.interpreter import Frame, Interpreter, Stop
from porter.source.values import ClassRef, Function, Instance, Unknown, Val, from_json, plain


def interpreter(code: str | dict[str, str], budget: int = 250_000) -> Interpreter:
    files = {"m.py": code} if isinstance(code, str) else code
    return Interpreter(CodeBase({path: textwrap.dedent(text) for path, text in files.items()}), budget=budget)


def value_of(code: str | dict[str, str], name: str = "result", file: str = "m.py") -> Val:
    """The value of a module-level name, called when it is a function without arguments."""
    run = interpreter(code)
    value = run.module_name(file, name)
    return run.call_function(value.value, [], {}, 1) if isinstance(value.value, Function) else value


def result(code: str | dict[str, str], name: str = "result", file: str = "m.py") -> Any:
    """Like `value_of`, as a plain Python value."""
    return plain(value_of(code, name, file))


def attribute_of(
    code: str | dict[str, str], name: str, cls: str = "Model", config: Any = None, file: str = "m.py"
) -> Val:
    """An attribute of `Model(config)`."""
    from porter.facts.code import json_config
    from porter.source.attributes import instance_attribute

    run = interpreter(code)
    found = run.code.find_class(file, cls)
    assert found is not None
    given = [] if config is None else [Val(json_config(from_json(config, "config.json").value))]
    return instance_attribute(run, Instance(ClassRef(*found), given, {}), name, "here")


def is_lost(value: Val) -> bool:
    return isinstance(value.value, Unknown)


def survives(code: str, name: str = "result", budget: int = 20_000) -> object:
    """Follow to the end or until the budget is spent, which is the only way out that is not a value."""
    run = interpreter(code, budget)
    try:
        value = run.module_name("m.py", name)
        done = run.call_function(value.value, [], {}, 1) if isinstance(value.value, Function) else value
    except Stop:
        return "stopped"
    return done


__all__ = ["Frame", "Stop", "attribute_of", "interpreter", "is_lost", "plain", "result", "survives", "value_of"]
