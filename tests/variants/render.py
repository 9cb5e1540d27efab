"""A recipe as the files of a repo: code from the templates, JSON from the values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from examples.byte_tokenizer import CHATML, TokenizerSpec, dump, write_tokenizer
from tests.variants.configs import config_json, preprocessor_json, processor_json
from tests.variants.context import context_of
from tests.variants.recipe import Recipe

TEMPLATES = Path(__file__).parent / "templates"
LICENSES = {"mit": "MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining a copy.\n"}
NUMBERED = (
    "{% set counter = namespace(count=0) %}{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{% set counter.count = counter.count + 1 %}BEFORE{{ counter.count }}AFTER"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
OWN_TERMS = (
    "Terms of use\n\nThese files may be used for research. Every other use needs the written consent of the authors.\n"
)


def environment() -> Environment:
    env = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    env.filters["repr"] = repr
    return env


def code_files(recipe: Recipe) -> dict[str, str]:
    """File name -> template of every Python file of the repo."""
    stem = recipe.names.stem
    files = {f"configuration_{stem}.py": f"config_{recipe.config_style}.py.j2"}
    files[f"modeling_{stem}.py"] = f"model_{recipe.chassis}.py.j2"
    if not recipe.tower.native:
        files[f"vision_{stem}.py"] = f"vit_{recipe.tower.style}.py.j2"
    if recipe.llm.kind == "internlm2":
        files[f"modeling_{stem}_lm.py"] = "lm_fused.py.j2"
    if recipe.connector.own_file:
        files[f"projector_{stem}.py"] = "projector.py.j2"
    if recipe.images.source != "functions":
        kind = {"internvl_tiles": "tiles", "tiles": "tensors"}.get(recipe.images.scheme, "single")
        files[f"image_processing_{stem}.py"] = f"image_processor_{kind}.py.j2"
    if recipe.images.source == "auto_processor":
        files[f"processing_{stem}.py"] = "processor.py.j2"
    return files


def render_code(recipe: Recipe) -> dict[str, str]:
    env = environment()
    context = context_of(recipe)
    return {
        name: env.get_template(template).render(context).lstrip("\n") for name, template in code_files(recipe).items()
    }


def chat_template(recipe: Recipe) -> str:
    """One that writes its images' numbers, where the code counts them."""
    if recipe.tokens.label is None:
        return CHATML
    before, _, after = recipe.tokens.placeholder.partition("{}")
    return NUMBERED.replace("BEFORE", before).replace("AFTER", after)


def tokenizer_spec(recipe: Recipe) -> TokenizerSpec:
    tokens = recipe.tokens
    return TokenizerSpec(
        tokens.specials,
        eos="<|im_end|>",
        pad="<|endoftext|>",
        bos="<s>" if "<s>" in tokens.specials else None,
        merges=tokens.merges,
        chat_template=chat_template(recipe),
        template_file=recipe.seed % 2 == 0,
        added_tokens_file=recipe.seed % 3 != 0,
    )


def json_files(recipe: Recipe) -> dict[str, Mapping[str, object]]:
    files: dict[str, Mapping[str, object]] = {"config.json": config_json(recipe)}
    eos = tokenizer_spec(recipe).ids()["<|im_end|>"]
    files["generation_config.json"] = {"_from_model_config": True, "do_sample": False, "eos_token_id": eos}
    if recipe.images.source != "functions":
        files["preprocessor_config.json"] = preprocessor_json(recipe)
    if recipe.images.source == "auto_processor":
        files["processor_config.json"] = processor_json(recipe)
    return files


def readme(recipe: Recipe) -> str:
    front = ["---", *([f"license: {recipe.license}"] if recipe.license else []), "library_name: transformers", "---"]
    return "\n".join([*front, "", f"# {recipe.names.title}", "", "An image-text model with its own code.", ""])


def write_repo(recipe: Recipe, folder: Path) -> Path:
    """Writes the whole repo, without weights, into `folder` (made if needed)."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in render_code(recipe).items():
        (folder / name).write_text(text, encoding="utf-8")
    for name, value in json_files(recipe).items():
        dump(folder / name, json.loads(json.dumps(value)))
    write_tokenizer(folder, tokenizer_spec(recipe))
    (folder / "README.md").write_text(readme(recipe), encoding="utf-8")
    if recipe.license_file:
        (folder / "LICENSE").write_text(LICENSES.get(recipe.license or "", OWN_TERMS), encoding="utf-8")
    return folder
