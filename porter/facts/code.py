"""The remote code of a repo, followed by the abstract interpreter: its config object, its model, and where
features go."""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from porter.facts.inherited import inherited_files
from porter.hub.snapshot import AutoMapEntry, Snapshot
from porter.source.codebase import CodeBase, External
from porter.source.interpreter import Interpreter, Stop
from porter.source.layers import children
from porter.source.values import ClassRef, Instance, Layer, LibraryConfig, Val, from_json

MODEL_KEYS = (
    "AutoModelForImageTextToText",
    "AutoModelForVision2Seq",
    "AutoModelForCausalLM",
    "AutoModelForConditionalGeneration",
    "AutoModelForPreTraining",
    "AutoModel",
)
MAX_MODULES = 4000
TOO_LARGE = "the remote code is too large to follow to its end"


@dataclass(slots=True)
class CodeReading:
    """What the code of a repo gave: `config` is an Instance of its own config class, or its JSON as a LibraryConfig."""

    run: Interpreter
    config: Val
    config_class: ClassRef | None = None
    model: Instance | None = None
    model_entry: AutoMapEntry | None = None
    problems: list[str] = field(default_factory=list)

    def modules(self, blocks: bool = True) -> Iterator[tuple[str, Instance | Layer]]:
        """Every module that the model's code builds, with its attribute path; the model itself has the empty path.
        `blocks`: also what stands in lists, such as the many equal blocks of a tower."""
        if self.model is None:
            return
        queue: deque[tuple[str, object, int]] = deque([("", self.model, 0)])
        count = 0
        while queue and count < MAX_MODULES:
            path, module, depth = queue.popleft()
            count += 1
            if isinstance(module, (Instance, Layer)):
                yield path, module
                if depth < 8 and len(queue) < MAX_MODULES and (blocks or module.cls.name != "ModuleList"):
                    inner = children(self.run, module)
                    queue.extend((f"{path}.{name}" if path else name, child, depth + 1) for name, child in inner)


def read_code(snapshot: Snapshot) -> CodeReading:
    """Follow the code that `auto_map` names; whatever cannot be followed stays out, with a problem line."""
    run = Interpreter(CodeBase(snapshot.python, inherited_files(snapshot.python)))
    reading = CodeReading(run, Val(json_config(from_json(snapshot.config(), "config.json").value)))
    try:
        _read_config(reading, snapshot)
        _read_model(reading, snapshot)
    except (Stop, RecursionError):
        reading.problems.append(TOO_LARGE)
    problems = [file.error for file in run.code.files() if file.error]
    reading.problems.extend(problems)
    return reading


def json_config(values: object) -> LibraryConfig:
    """A JSON object as a config object, nested objects included."""
    pairs = values.items() if isinstance(values, dict) else ()
    converted: dict[str, Val] = {}
    for key, value in pairs:
        inner = value.value
        converted[key] = Val(json_config(inner), value.src) if isinstance(inner, dict) else value
    return LibraryConfig(External("json"), converted)


def entry_for(snapshot: Snapshot, keys: tuple[str, ...], owner: str = "config.json") -> AutoMapEntry | None:
    """The first `auto_map` entry of an owner among the keys."""
    entries = {entry.key: entry for entry in snapshot.auto_map if entry.owner == owner}
    return next((entries[key] for key in keys if key in entries), None)


def class_of(run: Interpreter, entry: AutoMapEntry) -> ClassRef | None:
    found = run.code.find_class(entry.file, entry.class_name) if entry.found else None
    return ClassRef(*found) if found is not None else None


def _read_config(reading: CodeReading, snapshot: Snapshot) -> None:
    entry = entry_for(snapshot, ("AutoConfig",))
    cls = class_of(reading.run, entry) if entry is not None else None
    if cls is None:
        return
    values = from_json(snapshot.config(), "config.json").value
    instance = Instance(cls, [], dict(values) if isinstance(values, dict) else {})
    reading.run.start(instance)
    _build_parts(reading.run, instance)
    reading.config_class = cls
    reading.config = Val(instance)


def _build_parts(run: Interpreter, config: Instance) -> None:
    """A config class of transformers makes objects of the parts that it lists; a repo's own code does so itself."""
    behind = [item for item in run.mro(config.cls) if isinstance(item, ClassRef) and item.file in run.code.library]
    listed = run.class_attribute(behind[0], "sub_configs") if behind else None
    for name in listed.value if listed is not None and isinstance(listed.value, dict) else ():
        given = config.attrs.get(name)
        if given is not None and isinstance(given.value, dict):
            config.attrs[name] = Val(json_config(given.value), given.src)


def _read_model(reading: CodeReading, snapshot: Snapshot) -> None:
    entry = model_entry(snapshot)
    if entry is None:
        return
    reading.model_entry = entry
    cls = class_of(reading.run, entry)
    if cls is None:
        reading.problems.append(
            f"{entry.owner}: {entry.key} names {entry.file}:{entry.class_name}, which is not in the repo"
        )
        return
    instance = Instance(cls, [reading.config], {})
    reading.model = instance
    reading.run.start(instance)


def model_entry(snapshot: Snapshot) -> AutoMapEntry | None:
    """The model class that loading takes: the one that `architectures` names, else the first of the usual auto
    classes."""
    entries = [entry for entry in snapshot.auto_map if entry.owner == "config.json" and entry.key in MODEL_KEYS]
    architectures = snapshot.config().get("architectures")
    named = architectures[0] if isinstance(architectures, list) and architectures else None
    for entry in entries:
        if entry.class_name == named:
            return entry
    return min(entries, key=lambda entry: MODEL_KEYS.index(entry.key), default=None)


def methods(run: Interpreter, instance: Instance) -> Iterator[tuple[ClassRef, ast.FunctionDef]]:
    """Every method of the instance's class, bases of the code base included, overridden ones left out."""
    seen: set[str] = set()
    for item in run.mro(instance.cls):
        if not isinstance(item, ClassRef):
            continue
        for statement in item.node.body:
            if isinstance(statement, ast.FunctionDef) and statement.name not in seen:
                seen.add(statement.name)
                yield item, statement
