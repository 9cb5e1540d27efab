"""What files and code state about image tokens: strings and ids under keys that name their role."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from porter.facts.callers import functions, value_inside
from porter.facts.configs import Configs
from porter.facts.token_roles import CHAT_TOKENS, IMAGE_WORDS, Kind, Role, role_of, words_of
from porter.facts.vocabulary import text_of
from porter.jsontypes import JSON
from porter.source.codebase import snippet, where
from porter.source.interpreter import Stop
from porter.source.values import Function, Src, plain
from porter.source.walking import nodes

Level = Literal["config", "processor", "tokenizer", "code", "default"]
FILES: tuple[tuple[Level, tuple[str, ...]], ...] = (
    ("processor", ("processor_config.json", "preprocessor_config.json")),
    ("tokenizer", ("tokenizer_config.json", "special_tokens_map.json")),
)
MAX_KEYS, MAX_DEPTH, MAX_COMPARISONS = 4000, 5, 60


@dataclass(frozen=True, slots=True)
class Stated:
    """A token or an id that stands under `key`; `level` says what kind of place that is."""

    role: Role
    kind: Kind
    key: str
    value: str | int
    level: Level
    sources: tuple[Src, ...]

    @property
    def place(self) -> str:
        source = self.sources[0]
        return f"{source.file} {source.where}"


def stated_tokens(configs: Configs) -> list[Stated]:
    """Every statement: ids and strings of config.json at any level, then of the processor's and the tokenizer's
    files, then constants of the code, then defaults of the config class."""
    snapshot = configs.snapshot
    found = list(_of_file(snapshot.config(), "config.json", "config"))
    for level, files in FILES:
        for file in files:
            found.extend(_of_file(snapshot.json.get(file, {}), file, level))
    return [*found, *_constants(configs), *_defaults(configs)]


def _of_file(content: Mapping[str, JSON], file: str, level: Level) -> Iterator[Stated]:
    left = [MAX_KEYS]
    yield from _of_object(content, file, level, "", left)


def _of_object(content: Mapping[str, JSON], file: str, level: Level, path: str, left: list[int]) -> Iterator[Stated]:
    nested: list[tuple[str, dict[str, JSON]]] = []
    for key in sorted(content):
        left[0] -= 1
        if left[0] < 0:
            return
        value, place = content[key], f"{path}.{key}" if path else key
        stated = _statement(key, value, level, Src(file, place, repr(value)[:80]))
        if stated is not None:
            yield stated
        elif isinstance(value, dict) and "content" not in value and place.count(".") < MAX_DEPTH:
            nested.append((place, value))
    for place, inner in nested:
        if not any(word in place for word in ("video", "audio", "added_tokens_decoder", "auto_map")):
            yield from _of_object(inner, file, level, place, left)


def _statement(key: str, value: object, level: Level, source: Src) -> Stated | None:
    found = role_of(key)
    if found is None:
        return None
    role, kind = found
    if kind == "id":
        whole = isinstance(value, int) and not isinstance(value, bool)
        return Stated(role, kind, key, value, level, (source,)) if whole and isinstance(value, int) else None
    text = text_of(value)
    usable = (
        text is not None and len(text) < 200 and like_token(text) and (role == "context" or text not in CHAT_TOKENS)
    )
    return Stated(role, kind, key, text, level, (source,)) if usable and text is not None else None


def like_token(text: str) -> bool:
    """Whether a string may be a token at all, and not a word such as `image` that code puts into one."""
    return len(text.strip()) > 2 and not text.replace("_", "").replace("-", "").replace(" ", "").isalnum()


def _constants(configs: Configs) -> Iterator[Stated]:
    """Module constants, locals and argument defaults of the code: `DEFAULT_IMAGE_TOKEN = "<image>"`."""
    cls = configs.code.config_class
    skipped = {id(node) for node in nodes(cls.node)} if cls is not None else set()
    for file in configs.code.run.code.files():
        for node in nodes(file.tree):
            for name, value in _named_literals(node) if id(node) not in skipped else ():
                source = Src(file.path, where(value), f"{name} = {snippet(value)}")
                stated = _statement(name, value.value, "code", source)
                if stated is not None:
                    yield stated


def _named_literals(node: ast.AST) -> Iterator[tuple[str, ast.Constant]]:
    """(name, literal) pairs that one node binds."""
    if isinstance(node, ast.Assign):
        pairs: list[tuple[ast.expr | str, ast.expr | None]] = [(target, node.value) for target in node.targets]
    elif isinstance(node, ast.AnnAssign):
        pairs = [(node.target, node.value)]
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        names = [argument.arg for argument in [*node.args.posonlyargs, *node.args.args]]
        pairs = [*zip(reversed(names), reversed(node.args.defaults), strict=False)]
        pairs += [(a.arg, d) for a, d in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=False)]
    else:
        return
    for target, value in pairs:
        name = target if isinstance(target, str) else _last_name(target)
        literal = _literal(value)
        if name and literal is not None:
            yield name, literal


def _last_name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _literal(value: ast.expr | None) -> ast.Constant | None:
    """A literal string or number; `-200` and an f-string without fields count."""
    if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub) and isinstance(value.operand, ast.Constant):
        inner = value.operand.value
        return ast.copy_location(ast.Constant(-inner), value) if isinstance(inner, int) else None
    if isinstance(value, ast.JoinedStr) and len(value.values) == 1 and isinstance(value.values[0], ast.Constant):
        return value.values[0]
    return value if isinstance(value, ast.Constant) else None


def _defaults(configs: Configs) -> Iterator[Stated]:
    """Defaults of the config class, whether config.json replaces them or not."""
    cls = configs.code.config_class
    found = configs.code.run.find_method(cls, "__init__") if cls is not None else None
    if found is None:
        return
    owner, node = found
    for name, value in _named_literals(node):
        source = Src(owner.file, where(value), f"{name}={snippet(value)}")
        default = _statement(name, value.value, "default", source)
        if default is not None and default.value != -1:
            yield default


@dataclass(frozen=True, slots=True)
class Compared:
    """An id that the code looks for in the prompt to put image features there; None: any negative one."""

    index: int | None
    sources: tuple[Src, ...]


def compared_ids(configs: Configs) -> list[Compared]:
    """`input_ids == self.image_token_id` anywhere in the code, with the value that stands for it."""
    found: list[Compared] = []
    for function in functions(configs):
        for node in nodes(function.node):
            pair = _ids_and_other(node)
            if pair is not None and len(found) < MAX_COMPARISONS:
                one = _compared(configs, function, node, pair)
                if one is not None:
                    found.append(one)
    return found


def _ids_and_other(node: ast.AST) -> tuple[ast.expr, bool] | None:
    """(what ids are compared with, whether it asks for negative ones)."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "eq" and node.args:
        return (node.args[0], False) if _ids(node.func.value) else None
    if not isinstance(node, ast.Compare) or len(node.ops) != 1:
        return None
    left, right = node.left, node.comparators[0]
    if isinstance(node.ops[0], ast.Eq) and _ids(left) != _ids(right):
        return (right if _ids(left) else left), False
    zero = isinstance(right, ast.Constant) and right.value == 0
    return (right, True) if isinstance(node.ops[0], ast.Lt) and _ids(left) and zero else None


def _ids(node: ast.expr) -> bool:
    while isinstance(node, ast.Subscript):
        node = node.value
    name = _last_name(node)
    return name.endswith(("input_ids", "_ids")) or name in ("ids", "tokens")


def _compared(configs: Configs, function: Function, node: ast.AST, pair: tuple[ast.expr, bool]) -> Compared | None:
    place = Src(function.file, where(node), snippet(node))
    if pair[1]:
        return Compared(None, (place,))
    names = {word for inner in nodes(pair[0]) for word in words_of(_spelled(inner))}
    if not names & (IMAGE_WORDS | {"context", "ctx", "patch"}) or {"start", "end", "video", "audio"} & names:
        return None
    try:
        value = value_inside(configs, function, pair[0])
    except (Stop, RecursionError):
        return None
    index = plain(value)
    whole = isinstance(index, int) and not isinstance(index, bool)
    return Compared(index, (place, *value.src[:3])) if whole else None


def _spelled(node: ast.AST) -> str:
    """The name in a node, or the key in `config["image_token_id"]`."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return _last_name(node) if isinstance(node, ast.expr) else ""
