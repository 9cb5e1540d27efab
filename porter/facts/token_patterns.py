"""Image tokens as code puts them together: every function that may build an image's text is followed, and what
has the shape of `start + context * n + end` is kept."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from porter.facts.code import CodeReading, methods
from porter.facts.token_roles import CHAT_TOKENS, about_images, words_of
from porter.facts.vocabulary import Vocabulary
from porter.source.interpreter import Interpreter, Stop
from porter.source.values import ClassRef, Function, Instance, Pieces, Repeat, Src, Val, unknown
from porter.source.walking import nodes

FOLLOWED = ("replace", "sub", "join", "split", "convert_tokens_to_ids", "index")
OTHERS = frozenset(["gene", "audio", "video", "speech", "slice", "sound"])
MAX_FUNCTIONS, MIN_BUDGET = 80, 40_000


@dataclass(frozen=True, slots=True)
class Pattern:
    """start + context * n + end, as code builds it; `placeholder` is what it replaces."""

    context: str
    start: str
    end: str
    placeholder: str | None
    sources: tuple[Src, ...]
    whole: bool = False
    """Whether this is all that is put in place of the placeholder."""


def patterns(code: CodeReading, others: list[Instance]) -> list[Pattern]:
    """Follow every function that may build an image's text, and keep what has the shape of one."""
    found: list[Pattern] = []
    for function in list(_functions(code, others))[:MAX_FUNCTIONS]:
        found.extend(_followed(code.run, function, {}) or _followed(code.run, function, _inputs(function)))
    return found


def _followed(run: Interpreter, function: Function, given: dict[str, Val]) -> list[Pattern]:
    """What one call of a function puts together."""
    run.pieces.clear()
    run.replacements.clear()
    before, run.budget = run.budget, min(run.budget, 20_000)
    start = run.budget
    try:
        run.call_function(function, [], given, 3)
    except (Stop, RecursionError):
        run.notes.append(Src(function.file, f"line {function.node.lineno}", "too long to follow"))
    run.budget = before - (start - max(run.budget, 0))
    looped = [pieces.parts for pieces, _ in run.pieces if pieces.looped]
    whole = [(pieces, place) for pieces, place in run.pieces if pieces.looped or pieces.parts not in looped]
    found = [_pattern(pieces, place, run.replacements) for pieces, place in whole]
    return [pattern for pattern in found if pattern is not None]


def _inputs(function: Function) -> dict[str, Val]:
    """Arguments that default to None as if they were given: `images=None` must not hide what is done with images."""
    spec = function.node.args
    names = [argument.arg for argument in [*spec.posonlyargs, *spec.args]]
    pairs = [*zip(reversed(names), reversed(spec.defaults), strict=False)]
    pairs += [(a.arg, d) for a, d in zip(spec.kwonlyargs, spec.kw_defaults, strict=False) if d is not None]
    silent = [name for name, default in pairs if isinstance(default, ast.Constant) and default.value is None]
    return {name: unknown(f"argument {name}", function.file) for name in silent}


def _functions(code: CodeReading, others: list[Instance]) -> Iterator[Function]:
    seen: set[tuple[str, int]] = set()
    for instance in [*others, *_shallow(code)]:
        for owner, node in methods(code.run, instance):
            if (
                node.name not in ("__init__", "forward", "generate")
                and _builds_text(node)
                and (owner.file, node.lineno) not in seen
            ):
                seen.add((owner.file, node.lineno))
                yield Function(owner.file, node, instance, owner)
    for file in code.run.code.files():
        for defined in file.definitions.values():
            if isinstance(defined, ast.FunctionDef) and _builds_text(defined):
                yield Function(file.path, defined)
            elif isinstance(defined, ast.ClassDef):
                yield from _unbuilt(ClassRef(file.path, defined), seen)


def _shallow(code: CodeReading) -> list[Instance]:
    """The model and what it holds directly, as far as they can be built."""
    found: list[Instance] = []
    try:
        for path, module in code.modules():
            if path.count(".") > 0:
                break
            if isinstance(module, Instance):
                found.append(module)
    except (Stop, RecursionError):
        code.run.budget = MIN_BUDGET
    return found


def _unbuilt(cls: ClassRef, seen: set[tuple[str, int]]) -> Iterator[Function]:
    """Methods of classes that nothing above built, such as a processor that only `auto_map` names."""
    for statement in cls.node.body:
        fresh = isinstance(statement, ast.FunctionDef) and (cls.file, statement.lineno) not in seen
        if (
            fresh
            and isinstance(statement, ast.FunctionDef)
            and statement.name != "__init__"
            and _builds_text(statement)
        ):
            seen.add((cls.file, statement.lineno))
            yield Function(cls.file, statement, Instance(cls, [], {}), cls)


def _builds_text(node: ast.FunctionDef) -> bool:
    calls = any(isinstance(n, ast.Attribute) and n.attr in FOLLOWED for n in nodes(node))
    repeats = any(isinstance(n, ast.BinOp) and isinstance(n.op, ast.Mult) for n in nodes(node))
    return calls or repeats


def _pattern(pieces: Pieces, place: Src, replacements: list[tuple[str, list[Val], Src]]) -> Pattern | None:
    parts = pieces.inside()
    repeats = [index for index, part in enumerate(parts) if isinstance(part, Repeat)]
    if len(repeats) != 1:
        return None
    index = repeats[0]
    repeat = parts[index]
    if not isinstance(repeat, Repeat) or not isinstance(repeat.token.value, str):
        return None
    before = list(reversed(_known(list(reversed(parts[:index])))))
    after = _known(list(parts[index + 1 :]))
    start, end = "".join(part.value for part in before), "".join(part.value for part in after)
    sources = (*repeat.token.src[:2], place, *(source for part in (*before, *after) for source in part.src[:1]))
    whole = any(len(args) > 1 and args[1].value == pieces for _, args, _ in replacements)
    known = len(before) + len(after) + 1 == len(parts)
    return Pattern(repeat.token.value, start, end, _placeholder(pieces, replacements), sources, whole and known)


def _known(parts: list[Val | Repeat]) -> list[Val]:
    """The known strings next to the repeat, up to the first piece that is not known."""
    found: list[Val] = []
    for part in parts:
        if not isinstance(part, Val) or not isinstance(part.value, str):
            break
        found.append(part)
    return found


def _placeholder(pieces: Pieces, replacements: list[tuple[str, list[Val], Src]]) -> str | None:
    """What the pieces replace, else what the same function splits the prompt at or looks for in it."""
    for _, args, _ in replacements:
        if len(args) > 1 and args[1].value == pieces and isinstance(args[0].value, str):
            return args[0].value
    for wanted in ("split", "in", "replace"):
        for name, args, _ in replacements:
            text = args[0].value if args else None
            if name == wanted and isinstance(text, str) and len(text.strip()) > 2:
                return text
    return None


def best_pattern(found: list[Pattern], vocabulary: Vocabulary) -> Pattern | None:
    """The pattern of one image: its context token is a special token, and what stands around it speaks of images
    rather than of something else; what stands in place of a placeholder as a whole comes first, then the most of
    start, end and placeholder known."""

    def rank(pattern: Pattern) -> tuple[bool, int, bool, bool, int, int]:
        both = (pattern.start in vocabulary.ids) + (pattern.end in vocabulary.ids)
        text = pattern.placeholder is not None
        known = pattern.context in vocabulary.ids
        return known, of_images(pattern), text, pattern.whole, both, -len(pattern.start) - len(pattern.end)

    usable = [
        p for p in found if p.context.strip() and (p.context in vocabulary.ids or not vocabulary.ids) and _like_token(p)
    ]
    return max(usable, key=rank, default=None)


def of_images(pattern: Pattern) -> int:
    """2 where a name in the pattern speaks of images, 0 where one speaks of something else, 1 where none tells."""
    texts = [pattern.context, pattern.start, pattern.end]
    if any(OTHERS & set(words_of(text)) for text in texts):
        return 0
    return 2 if any(about_images(text) for text in texts) else 1


def nearest_token(text: str, vocabulary: Vocabulary, *, last: bool) -> str:
    """The one special token of a text that stands next to the context tokens: the last of a start, the first of an
    end; the text itself where it is no chain of tokens."""
    if text in vocabulary.ids:
        return text
    inside = [
        token
        for token in vocabulary.ids
        if len(token) > 2 and (text.endswith(token) if last else text.startswith(token))
    ]
    return max(inside, key=len, default=text)


def _like_token(pattern: Pattern) -> bool:
    return (len(pattern.context) > 2 or pattern.context in ("<unk>",)) and pattern.context not in CHAT_TOKENS - {
        "<pad>"
    }
