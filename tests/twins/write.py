"""A twin as the files of a repo."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from examples.byte_tokenizer import MERGES, TokenizerSpec, dump, write_tokenizer
from tests.twins import native, rename
from tests.twins.shapes import Insert, Twin, Values

ROOT = Path(__file__).parents[2]
TEMPLATES = Path(__file__).parent / "templates"
TEMPLATE = (
    "{{% for message in messages %}}{{{{ '<|im_start|>' + message['role'] + '\\n' }}}}"
    "{{% if message['content'] is string %}}{{{{ message['content'] }}}}{{% else %}}"
    "{{% for part in message['content'] %}}{{% if part['type'] == 'image' %}}{image}{{% else %}}"
    "{{{{ part['text'] }}}}{{% endif %}}{{% endfor %}}{{% endif %}}{{{{ '<|im_end|>\\n' }}}}{{% endfor %}}"
    "{{% if add_generation_prompt %}}{{{{ '<|im_start|>assistant\\n' }}}}{{% endif %}}"
)
PLAIN = (
    "{{% for message in messages %}}{{% for part in message['content'] %}}{{% if part['type'] == 'image' %}}{image}"
    "{{% else %}}{{{{ part['text'] }}}}{{% endif %}}{{% endfor %}}{{% endfor %}}"
)
COMMON_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def tokenizer(twin: Twin) -> TokenizerSpec:
    specials = tuple(twin.token(token) for token in twin.family.tokens)
    image = twin.family.image
    for token in twin.family.tokens:
        image = image.replace(token, twin.token(token))
    template = (PLAIN if twin.family.plain_template else TEMPLATE).format(image=image)
    bos = twin.family.bos and twin.token(twin.family.bos)
    return TokenizerSpec((*COMMON_TOKENS, *specials), "<|im_end|>", "<|endoftext|>", bos, len(MERGES), template, True)


def spelled(values: Values, keys: Mapping[str, str], parent: str = "") -> dict[str, object]:
    """Config values under the keys of this repo."""
    out = {}
    for key, value in values.items():
        new = keys.get(f"{parent}.{key}" if parent else key, keys.get(key, key))
        out[new] = spelled(value, keys, key) if isinstance(value, dict) else value
    return out


def with_values(base: Values, changes: Values) -> dict[str, Any]:
    """A deep copy with the values at some paths replaced."""
    out = json.loads(json.dumps(base))
    for path, value in changes.items():
        *parents, leaf = path.split(".")
        at = out
        for parent in parents:
            at = at[parent]
        at[leaf] = value
    return dict(out)


def native_config(twin: Twin) -> dict[str, Any]:
    """The config as transformers' own class would have it."""
    ids = tokenizer(twin).ids()
    numbered = {key: ids[twin.token(str(token))] for key, token in twin.family.token_keys.items()}
    return with_values(twin.family.config, {**twin.values, **numbered})


def config(twin: Twin) -> dict[str, object]:
    values = native_config(twin)
    if twin.flat:
        values = {**values, **dict(values.pop("text_config"), model_type=None)}
    return {
        "architectures": [twin.architecture],
        **({"auto_map": auto_map(twin)} if twin.style != "native" else {}),
        **own_types(spelled(values, twin.keys), twin),
        "model_type": twin.model_type,
        "dtype": "float32",
    }


def auto_map(twin: Twin) -> dict[str, str]:
    own = f"modeling_{twin.stem}.{twin.architecture}"
    return {
        "AutoConfig": f"configuration_{twin.stem}.{twin.title}Config",
        "AutoModel": own,
        "AutoModelForImageTextToText": own,
        **processor_map(twin),
    }


def processor_map(twin: Twin) -> dict[str, str]:
    return {"AutoProcessor": f"processing_{twin.stem}.{twin.title}Processor"} if twin.own_processor else {}


def own_types(values: dict[str, object], twin: Twin) -> dict[str, object]:
    """The model types of a copy's own parts, as its code has them."""
    if twin.style != "copy":
        return values
    for part in values.values():
        kind = part.get("model_type") if isinstance(part, dict) else None
        if isinstance(part, dict) and isinstance(kind, str):
            part["model_type"] = kind.replace(twin.family.name, twin.model_type)
    return values


def subclassed(twin: Twin) -> dict[str, str]:
    """The two files of a repo whose classes inherit from transformers' own."""
    tables: dict[str, dict[str, str]] = defaultdict(dict, {"": {}})
    for path, new in twin.keys.items():
        parent, _, key = path.rpartition(".")
        tables[parent][new] = key
    env = Environment(
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True, autoescape=False,
    )  # fmt: skip
    renamed = json.dumps(tables, indent=4)
    return {
        f"{kind}_{twin.stem}.py": env.get_template(f"{kind}.py.j2").render(twin=twin, renamed=renamed)
        for kind in ("configuration", "modeling")
    }


def copied(twin: Twin) -> dict[str, str]:
    """The two files of a repo that is a copy of transformers' own, renamed."""
    family = twin.family
    files = {kind: native.source(family.name, f"{kind}_{family.name}") for kind in ("configuration", "modeling")}
    classes = [name for text in files.values() for name in rename.class_names(text)]
    titled = rename.renamed_classes(classes, family.stems, twin.title)
    readers = {"vision_config": [*family.vision_classes, family.vision_config]}
    names = rename.parse_names({**titled, **twin.names, **twin.keys}, readers)
    types = {f"{family.name}{end}": f"{twin.model_type}{end}" for end in ("", "_vision", "_text")}
    strings = {**types, **twin.tokens}
    names = rename.Names(names.everywhere, names.within, names.read_from, strings)
    edits = (*family.edits, *twin.edits)
    out = {}
    for kind, text in files.items():
        own = [name for name in (family.vision_config,) if name]
        new = rename.rename(rename.edited(text, edits), names, family.name, twin.stem, own)
        here = [insert for insert in inserts(twin) if insert.owner in rename.class_names(new)]
        out[f"{kind}_{twin.stem}.py"] = rename.inserted(new, here)
    return out


def own_processor(twin: Twin) -> dict[str, str]:
    """The copied processor, if the twin has one."""
    if not twin.own_processor:
        return {}
    text = native.source(twin.family.name, f"processing_{twin.family.name}")
    titled = rename.renamed_classes(rename.class_names(text), twin.family.stems, twin.title)
    names = rename.Names(titled, strings=twin.tokens)
    text = rename.edited(text, twin.edits)
    return {f"processing_{twin.stem}.py": rename.rename(text, names, twin.family.name, twin.stem, ())}


def inserts(twin: Twin) -> list[Insert]:
    """The twin's own, and the getters that the library cannot guess under another name."""
    key, decoder = twin.keys.get("text_config"), twin.names.get("language_model")
    getters = [
        Insert(f"{twin.title}Config", None, f"def get_text_config(self, *args, **kwargs):\n    return self.{key}\n"),
        Insert(
            f"{twin.title}Model", None, f"def get_input_embeddings(self):\n    return self.{decoder}.embed_tokens\n"
        ),
    ]
    return [*twin.inserts, *(getter for getter, name in zip(getters, (key, decoder), strict=True) if name)]


def write_repo(twin: Twin, folder: Path) -> Path:
    """Writes the repo, without weights, into `folder`; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {**MAKERS[twin.style](twin), **own_processor(twin)}
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    family = twin.family
    dump(folder / "config.json", config(twin))
    for name, values in (("", family.preprocessor), ("video_", family.video)):
        if values:
            dump(folder / f"{name}preprocessor_config.json", processor_file(twin, values))
    if family.processor:
        dump(folder / "processor_config.json", processor_file(twin, family.processor))
    write_tokenizer(folder, tokenizer(twin))
    name_tokens(twin, folder / "tokenizer_config.json")
    readme = f"---\nlicense: apache-2.0\nlibrary_name: transformers\n---\n\n# {twin.title}\n\nAn image-text model.\n"
    (folder / "README.md").write_text(readme, encoding="utf-8")
    return folder


MAKERS: Mapping[str, Callable[[Twin], dict[str, str]]] = {
    "copy": copied,
    "subclass": subclassed,
    "native": lambda twin: {},
}


def processor_file(twin: Twin, values: Values) -> dict[str, object]:
    """A processor's settings with this repo's tokens and, where it has its own code, the class in it."""
    named = {key: twin.tokens.get(str(value), value) for key, value in values.items()}
    own = processor_map(twin)
    return {**named, "processor_class": f"{twin.title}Processor", "auto_map": own} if own else named


def name_tokens(twin: Twin, file: Path) -> None:
    """Tells the tokenizer which tokens the processor asks it for."""
    values = json.loads(file.read_text(encoding="utf-8"))
    named = {key: twin.token(str(token)) for key, token in twin.family.named_tokens.items()}
    if named:
        values["extra_special_tokens"] = named
        values["additional_special_tokens"] = []
        dump(file, values)


def add_weights(folder: Path, python: str = sys.executable) -> None:
    """Draws model.safetensors in a child process, which runs the repo's code."""
    command = [python, str(ROOT / "examples" / "make_weights.py"), str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
