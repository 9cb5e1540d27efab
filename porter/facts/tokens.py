"""Image tokens: the strings that code puts around and in place of an image, and their ids, with every source
compared."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from porter.facts.code import CodeReading, methods
from porter.facts.configs import evidence
from porter.facts.model import Confidence, Evidence, Fact
from porter.facts.synonyms import CONTEXT_ID_KEYS
from porter.facts.templates import named_token, template_placeholder
from porter.facts.vocabulary import Vocabulary, read_vocabulary
from porter.hub.snapshot import Snapshot
from porter.source.interpreter import Interpreter, Stop
from porter.source.values import ClassRef, Function, Instance, Pieces, Repeat, Src, Val, plain, unknown

FOLLOWED = ("replace", "sub", "join", "split", "convert_tokens_to_ids", "index")
MAX_FUNCTIONS = 80


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
    found = [_pattern(pieces, place, run.replacements) for pieces, place in run.pieces]
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
    instances = [module for path, module in code.modules() if isinstance(module, Instance) and path.count(".") < 1]
    seen: set[tuple[str, int]] = set()
    for instance in [*others, *instances]:
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
    calls = any(isinstance(n, ast.Attribute) and n.attr in FOLLOWED for n in ast.walk(node))
    repeats = any(isinstance(n, ast.BinOp) and isinstance(n.op, ast.Mult) for n in ast.walk(node))
    return calls or repeats


def _pattern(pieces: Pieces, place: Src, replacements: list[tuple[str, list[Val], Src]]) -> Pattern | None:
    repeats = [index for index, part in enumerate(pieces.parts) if isinstance(part, Repeat)]
    if len(repeats) != 1:
        return None
    index = repeats[0]
    repeat = pieces.parts[index]
    if not isinstance(repeat, Repeat) or not isinstance(repeat.token.value, str):
        return None
    before = list(reversed(_known(list(reversed(pieces.parts[:index])))))
    after = _known(list(pieces.parts[index + 1 :]))
    start, end = "".join(part.value for part in before), "".join(part.value for part in after)
    sources = (*repeat.token.src[:2], place, *(source for part in (*before, *after) for source in part.src[:1]))
    whole = any(len(args) > 1 and args[1].value == pieces for _, args, _ in replacements)
    known = len(before) + len(after) + 1 == len(pieces.parts)
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
    """The pattern of one image: its context token is a special token; what stands in place of a placeholder as a
    whole comes first, then the most of start, end and placeholder known."""

    def rank(pattern: Pattern) -> tuple[bool, bool, bool, int, int]:
        both = (pattern.start in vocabulary.ids) + (pattern.end in vocabulary.ids)
        text = pattern.placeholder is not None
        return pattern.context in vocabulary.ids, text, pattern.whole, both, -len(pattern.start) - len(pattern.end)

    usable = [
        p for p in found if p.context.strip() and (p.context in vocabulary.ids or not vocabulary.ids) and _like_token(p)
    ]
    return max(usable, key=rank, default=None)


def _like_token(pattern: Pattern) -> bool:
    return len(pattern.context) > 2 or pattern.context in ("<unk>",)


def config_ids(code: CodeReading) -> list[tuple[str, int, tuple[Src, ...]]]:
    """Ids that the config states under the usual names for an image context token."""
    inner = code.config.value
    pairs = getattr(inner, "attrs", None) or getattr(inner, "values", None) or {}
    found = []
    for key in CONTEXT_ID_KEYS:
        value = pairs.get(key) if isinstance(pairs, dict) else None
        if value is not None and isinstance(plain(value), int) and not isinstance(plain(value), bool):
            found.append((key, int(plain(value)), value.src))
    return found


def token_facts(snapshot: Snapshot, code: CodeReading, others: list[Instance]) -> list[Fact]:
    """image_context_token(_id), image_start_token, image_end_token, image_placeholder."""
    vocabulary = read_vocabulary(snapshot)
    pattern = best_pattern(patterns(code, others), vocabulary)
    ids = config_ids(code)
    if pattern is None:
        return _from_files(snapshot, vocabulary, ids)
    shown = evidence(pattern.sources, 6)
    index = vocabulary.ids.get(pattern.context)
    stated = [(key, number) for key, number, _ in ids if number != index]
    note = "; ".join(f"config.json {key} says {number}" for key, number in stated)
    agreed = index is not None and not stated and not vocabulary.conflicts
    sure = Confidence.CERTAIN if agreed else Confidence.LIKELY
    facts = [
        Fact(
            "image_context_token",
            pattern.context,
            sure,
            (*shown, *vocabulary.sources.get(pattern.context, [])[:2]),
            note=note,
        ),
        _id_fact(pattern.context, vocabulary, ids, sure),
        _around("image_start_token", pattern.start, vocabulary, shown),
        _around("image_end_token", pattern.end, vocabulary, shown),
    ]
    return [*facts, _placeholder_fact(snapshot, pattern, shown)]


def _id_fact(token: str, vocabulary: Vocabulary, ids: list[tuple[str, int, tuple[Src, ...]]], sure: Confidence) -> Fact:
    index = vocabulary.ids.get(token)
    if index is not None:
        return Fact("image_context_token_id", index, sure, tuple(vocabulary.sources[token][:3]))
    if ids:
        return Fact("image_context_token_id", ids[0][1], Confidence.LIKELY, evidence(ids[0][2]))
    return Fact("image_context_token_id", None, Confidence.UNKNOWN, note=f"no tokenizer file of the repo lists {token}")


def _around(name: str, text: str, vocabulary: Vocabulary, shown: tuple[Evidence, ...]) -> Fact:
    if not text:
        return Fact(name, None, Confidence.ABSENT, shown, note="the code puts nothing there")
    return Fact(name, text, Confidence.CERTAIN if text in vocabulary.ids else Confidence.LIKELY, shown)


def _placeholder_fact(snapshot: Snapshot, pattern: Pattern, shown: tuple[Evidence, ...]) -> Fact:
    if pattern.placeholder:
        return Fact("image_placeholder", pattern.placeholder, Confidence.CERTAIN, shown)
    found = template_placeholder(snapshot)
    if found is not None:
        return Fact("image_placeholder", found[0], Confidence.LIKELY, (found[1],))
    return Fact("image_placeholder", None, Confidence.UNKNOWN)


def _from_files(snapshot: Snapshot, vocabulary: Vocabulary, ids: list[tuple[str, int, tuple[Src, ...]]]) -> list[Fact]:
    """Without code that tells: the config's id, then what the tokens are called."""
    context: Fact
    if ids and vocabulary.token(ids[0][1]) is not None:
        token = vocabulary.token(ids[0][1])
        shown = (*evidence(ids[0][2]), *vocabulary.sources.get(token or "", [])[:2])
        context = Fact("image_context_token", token, Confidence.LIKELY, shown)
    else:
        context = named_token("image_context_token", vocabulary)
    token = context.value if isinstance(context.value, str) else ""
    placeholder = template_placeholder(snapshot)
    return [
        context,
        _id_fact(token, vocabulary, ids, context.confidence),
        named_token("image_start_token", vocabulary),
        named_token("image_end_token", vocabulary),
        Fact("image_placeholder", placeholder[0], Confidence.LIKELY, (placeholder[1],))
        if placeholder
        else Fact("image_placeholder", None, Confidence.UNKNOWN),
    ]
