"""Python's own functions, and the methods of strings, lists and dicts, on known values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from porter.source.attributes import attribute
from porter.source.codebase import External
from porter.source.statements import iterable, set_attribute, truth
from porter.source.tensors import Features, Pixels, TowerOutput
from porter.source.values import ClassRef, Instance, LibraryConfig, Src, Val, is_plain, is_unknown, merge_sources, plain

if TYPE_CHECKING:
    from porter.source.interpreter import Frame, Interpreter

Handler = Callable[["Interpreter", list[Val], dict[str, Val], Src, "Frame"], "Val | None"]
PlainMethod = Callable[[Val, list[Val], dict[str, Val]], "Val | None"]
TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (float,),
    "bool": (bool,),
    "list": (list,),
    "tuple": (list, tuple),
    "dict": (dict,),
}


def _pure(function: Callable[..., Any]) -> Handler:
    """A pure function of known plain values."""

    def handler(run: Interpreter, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame) -> Val | None:
        values = [*args, *kwargs.values()]
        if not all(is_plain(plain(value)) for value in values):
            return None
        try:
            result = function(*[plain(a) for a in args], **{k: plain(v) for k, v in kwargs.items()})
        except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError):
            return None
        return Val(_wrapped(result), merge_sources(values))

    return handler


def _wrapped(result: Any) -> Any:
    if isinstance(result, (list, tuple, set)):
        return [Val(_wrapped(item)) for item in result]
    return result


def _bounded_range(*args: int) -> range:
    numbers = range(*args)
    if len(numbers) > 100_000:
        raise ValueError("range")
    return numbers


def _product(items: list[Any]) -> Any:
    """Of numbers whose product stays small enough to compute at once."""
    if sum(item.bit_length() for item in items if isinstance(item, int)) > 4096:
        raise ValueError("product")
    return math.prod(items)


def _sum(items: list[Any], start: Any = 0) -> Any:
    """Of numbers; adding lists up takes time that grows with the square of their length."""
    if not all(isinstance(item, (int, float)) for item in items):
        raise TypeError("sum")
    return sum(items, start)


def _isinstance(run: Interpreter, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame) -> Val | None:
    if len(args) < 2 or is_unknown(args[0]):
        return None
    wanted = args[1].value if isinstance(args[1].value, list) else [args[1]]
    names = {item.value.name for item in wanted if isinstance(item.value, (External, ClassRef))}
    value = args[0].value
    if isinstance(value, Instance):
        return Val(bool(names & {item.name for item in run.mro(value.cls)}))
    if isinstance(value, LibraryConfig):
        return Val(value.cls.name in names) if names else None
    if isinstance(value, (Features, Pixels, TowerOutput)):
        return Val("Tensor" in names)
    if value is None or isinstance(value, (str, int, float, list, tuple, dict)):
        known = [TYPES[name] for name in names if name in TYPES]
        return Val(any(isinstance(value, kinds) for kinds in known), args[0].src)
    return None


def _getattr(run: Interpreter, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame) -> Val | None:
    if len(args) < 2 or not isinstance(args[1].value, str):
        return None
    import ast

    node = ast.Name(args[1].value)
    found = attribute(run, args[0], args[1].value, node, frame)
    missing = is_unknown(found) or type(found.value).__name__ == "Method"
    return args[2] if missing and len(args) > 2 else found


def _hasattr(run: Interpreter, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame) -> Val | None:
    found = _getattr(run, args[:2], {}, place, frame)
    if found is None or not isinstance(args[0].value, (Instance, LibraryConfig)):
        return None
    return Val(not (is_unknown(found) or type(found.value).__name__ == "Method"))


def _setattr(run: Interpreter, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame) -> Val | None:
    if len(args) == 3 and isinstance(args[1].value, str):
        set_attribute(run, args[0], args[1].value, args[2])
    return Val(None)


def _items_of(function: Callable[[list[list[Val]]], list[Any]]) -> Handler:
    def handler(run: Interpreter, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame) -> Val | None:
        lists = [iterable(arg) for arg in args]
        known = [items for items in lists if items is not None]
        return Val(function(known), merge_sources(args)) if len(known) == len(lists) and lists else None

    return handler


def _list(run: Interpreter, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame) -> Val | None:
    """A list; of image features, the features themselves: one item per image."""
    features = len(args) == 1 and isinstance(args[0].value, Features)
    return args[0] if features else _items_of(lambda lists: list(lists[0]))(run, args, kwargs, place, frame)


def _dict_of(run: Interpreter, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame) -> Val | None:
    base = args[0].value if args and isinstance(args[0].value, dict) else {}
    if args and not isinstance(args[0].value, dict):
        pairs = [item.value for item in iterable(args[0]) or []]
        base = {plain(pair[0]): pair[1] for pair in pairs if isinstance(pair, (list, tuple)) and len(pair) == 2}
    return Val({**base, **kwargs})


def _length(run: Interpreter, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame) -> Val | None:
    inner = args[0].value if args else None
    if isinstance(inner, (list, tuple, dict, str, range)):
        return Val(len(inner), args[0].src)
    items = iterable(args[0]) if args else None
    return Val(len(items), args[0].src) if items is not None else None


def _any_all(of: Callable[[list[bool]], bool]) -> Handler:
    def handler(run: Interpreter, args: list[Val], kwargs: dict[str, Val], place: Src, frame: Frame) -> Val | None:
        known = [truth(item) for item in (iterable(args[0]) if args else None) or []]
        return None if any(item is None for item in known) else Val(of([bool(item) for item in known]))

    return handler


PURE: dict[str, Callable[..., Any]] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
    "abs": abs,
    "round": round,
    "min": min,
    "max": max,
    "sum": _sum,
    "divmod": divmod,
    "range": _bounded_range,
    "math.sqrt": math.sqrt,
    "math.isqrt": math.isqrt,
    "math.ceil": math.ceil,
    "math.floor": math.floor,
    "math.prod": _product,
    "math.log2": math.log2,
    "sorted": sorted,
    "numpy.sqrt": math.sqrt,
    "numpy.prod": _product,
    "set": lambda items=(): list(dict.fromkeys(items)),
}
BUILTINS: dict[str, Handler] = {
    **{name: _pure(function) for name, function in PURE.items()},
    "len": _length,
    "isinstance": _isinstance,
    "getattr": _getattr,
    "hasattr": _hasattr,
    "setattr": _setattr,
    "dict": _dict_of,
    "collections.OrderedDict": _dict_of,
    "list": _list,
    "tuple": _items_of(lambda lists: list(lists[0])),
    "reversed": _items_of(lambda lists: list(reversed(lists[0]))),
    "enumerate": _items_of(lambda lists: [Val([Val(index), item]) for index, item in enumerate(lists[0])]),
    "zip": _items_of(lambda lists: [Val(list(group)) for group in zip(*lists, strict=False)]),
    "any": _any_all(any),
    "all": _any_all(all),
    "copy.deepcopy": lambda run, args, kwargs, place, frame: args[0] if args else None,
    "copy.copy": lambda run, args, kwargs, place, frame: args[0] if args else None,
    "print": lambda run, args, kwargs, place, frame: Val(None),
    "torch.no_grad": lambda run, args, kwargs, place, frame: Val(None),
}


def _string(name: str) -> PlainMethod:
    def method(owner: Val, args: list[Val], kwargs: dict[str, Val]) -> Val | None:
        parts = [plain(arg) for arg in args]
        size = sum(
            len(item)
            for part in parts
            for item in (part if isinstance(part, list) else [part])
            if isinstance(item, str)
        )
        if (
            any(not isinstance(part, (str, int, list)) for part in parts)
            or (len(owner.value) + 1) * (size + 1) > 1_000_000
        ):
            return None
        try:
            return Val(_wrapped(getattr(owner.value, name)(*parts)))
        except (TypeError, ValueError, LookupError):
            return None

    return method


def _get(owner: Val, args: list[Val], kwargs: dict[str, Val]) -> Val | None:
    key = args[0].value if args else None
    if isinstance(key, (str, int)) and key in owner.value:
        found = owner.value[key]
        return found if isinstance(found, Val) else Val(found)
    return args[1] if len(args) > 1 else kwargs.get("default", Val(None))


def _pop(owner: Val, args: list[Val], kwargs: dict[str, Val]) -> Val | None:
    found = _get(owner, args, kwargs)
    if args and isinstance(args[0].value, (str, int)):
        owner.value.pop(args[0].value, None)
    return found


def _update(owner: Val, args: list[Val], kwargs: dict[str, Val]) -> Val | None:
    for source in [arg.value for arg in args] + [kwargs]:
        if isinstance(source, dict):
            owner.value.update(source)
    return Val(None)


def _setdefault(owner: Val, args: list[Val], kwargs: dict[str, Val]) -> Val | None:
    if not args or not isinstance(args[0].value, (str, int)):
        return None
    found = owner.value.setdefault(args[0].value, args[1] if len(args) > 1 else Val(None))
    return found if isinstance(found, Val) else Val(found)


def _append(owner: Val, args: list[Val], kwargs: dict[str, Val]) -> Val | None:
    if len(owner.value) < 10_000:
        owner.value.extend(args[:1])
    return Val(None)


def _extend(owner: Val, args: list[Val], kwargs: dict[str, Val]) -> Val | None:
    items = iterable(args[0]) if args else None
    if items is None or len(owner.value) > 10_000:
        return None
    owner.value.extend(items)
    return Val(None)


def _pairs(owner: Val, args: list[Val], kwargs: dict[str, Val]) -> Val | None:
    return Val([Val([Val(key), value if isinstance(value, Val) else Val(value)]) for key, value in owner.value.items()])


STRING_METHODS = [
    "replace",
    "strip",
    "lower",
    "upper",
    "split",
    "startswith",
    "endswith",
    "join",
    "rstrip",
    "lstrip",
    "title",
    "count",
]
METHODS: dict[tuple[str, str], PlainMethod] = {
    **{("str", name): _string(name) for name in STRING_METHODS},
    ("dict", "get"): _get,
    ("dict", "pop"): _pop,
    ("dict", "update"): _update,
    ("dict", "setdefault"): _setdefault,
    ("dict", "copy"): lambda owner, args, kwargs: Val(dict(owner.value), owner.src),
    ("dict", "items"): _pairs,
    ("dict", "keys"): lambda owner, args, kwargs: Val([Val(key) for key in owner.value]),
    ("dict", "values"): lambda owner, args, kwargs: Val(list(owner.value.values())),
    ("list", "append"): _append,
    ("list", "extend"): _extend,
    ("list", "copy"): lambda owner, args, kwargs: Val(list(owner.value), owner.src),
    ("LibraryConfig", "to_dict"): lambda owner, args, kwargs: Val(dict(owner.value.values), owner.src),
}
