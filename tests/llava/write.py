"""A shape as the files of a repo."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from examples.byte_tokenizer import TokenizerSpec, dump, write_tokenizer
from tests.llava.shapes import PATCH, SIDE, STEPS, Shape

ROOT = Path(__file__).parents[2]
TEMPLATES = Path(__file__).parent / "templates"
MEANS = {"clip": [0.48145466, 0.4578275, 0.40821073], "siglip": [0.5, 0.5, 0.5]}
STDS = {"clip": [0.26862954, 0.26130258, 0.27577711], "siglip": [0.5, 0.5, 0.5]}
TEMPLATE = (
    "{{% for message in messages %}}{{{{ '<|im_start|>' + message['role'] + '\\n' }}}}"
    "{{% for part in message['content'] %}}{{% if part['type'] == 'image' %}}{token}{{% else %}}"
    "{{{{ part['text'] }}}}{{% endif %}}{{% endfor %}}{{{{ '<|im_end|>\\n' }}}}{{% endfor %}}"
    "{{% if add_generation_prompt %}}{{{{ '<|im_start|>assistant\\n' }}}}{{% endif %}}"
)
CLASSES = {"llama": "Llama", "qwen2": "Qwen2", "qwen3": "Qwen3"}


def tokenizer(shape: Shape) -> TokenizerSpec:
    specials = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", shape.image_token)
    return TokenizerSpec(
        specials, eos="<|im_end|>", pad="<|endoftext|>", chat_template=TEMPLATE.format(token=shape.image_token)
    )


def config(shape: Shape) -> dict[str, object]:
    ids = tokenizer(shape).ids()
    base = CLASSES[shape.llm]
    text: dict[str, object] = {
        "architectures": [f"{base}ForCausalLM"],
        "model_type": shape.llm,
        "vocab_size": 320,
        "hidden_size": 128,
        "intermediate_size": 384,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": False,
        "bos_token_id": None,
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
    }
    vision: dict[str, object] = {
        "model_type": f"{shape.tower}_vision_model",
        "hidden_size": 64,
        "num_hidden_layers": shape.tower_layers,
        "num_attention_heads": 2,
        "intermediate_size": 128,
        "image_size": SIDE,
        "patch_size": PATCH,
        "layer_norm_eps": 1e-5 if shape.tower == "clip" else 1e-6,
        "hidden_act": "quick_gelu" if shape.tower == "clip" else "gelu_pytorch_tanh",
    }
    if shape.tower == "siglip":
        vision["vision_use_head"] = False
    title, stem = shape.title, shape.stem
    values: dict[str, object] = {
        "architectures": [shape.architecture],
        "auto_map": {
            "AutoConfig": f"configuration_{stem}.{title}Config",
            "AutoModel": f"modeling_{stem}.{shape.architecture}",
            "AutoModelForCausalLM": f"modeling_{stem}.{shape.architecture}",
        },
        "model_type": shape.model_type,
        "dtype": "float32",
        "tie_word_embeddings": False,
        shape.key("image_token_index"): ids[shape.image_token],
        shape.key("vision_config"): vision,
        shape.key("text_config"): text,
        **shape.extra,
    }
    if shape.resolutions:
        values[shape.key("image_grid_pinpoints")] = [list(size) for size in shape.resolutions]
    if shape.resolutions and shape.tower == "siglip":
        values["vision_feature_select_strategy"] = "full"
    if not shape.fixed_layer:
        values[shape.key("vision_feature_layer")] = shape.layer
    return values


def preprocessor(shape: Shape) -> dict[str, object]:
    size = {"height": SIDE, "width": SIDE}
    common = {
        "do_resize": True,
        "do_rescale": True,
        "do_normalize": True,
        "resample": 3,
        "image_mean": MEANS[shape.tower],
        "image_std": STDS[shape.tower],
    }
    if shape.resolutions:
        tiles = {"image_grid_pinpoints": [list(item) for item in shape.resolutions], "size": {"shortest_edge": SIDE}}
        return {"image_processor_type": "LlavaNextImageProcessor", "crop_size": size, **tiles, **common}
    if shape.tower == "siglip":
        return {"image_processor_type": "SiglipImageProcessor", "size": size, **common}
    crop = {"do_center_crop": True, "crop_size": size, "size": {"shortest_edge": SIDE}}
    return {"image_processor_type": "CLIPImageProcessor", **crop, **common}


def write_repo(shape: Shape, folder: Path) -> Path:
    """Writes the repo, without weights, into `folder`; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    env = Environment(
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        keep_trailing_newline=True, autoescape=False,
    )  # fmt: skip
    stem = shape.stem
    settings = "config" if shape.style == "own" else "config_subclass"
    for name, template in ((f"configuration_{stem}.py", settings), (f"modeling_{stem}.py", shape.style)):
        text = env.get_template(f"{template}.py.j2").render(shape=shape, llm=CLASSES[shape.llm], base_steps=STEPS)
        (folder / name).write_text(text, encoding="utf-8")
    dump(folder / "config.json", config(shape))
    dump(folder / "preprocessor_config.json", preprocessor(shape))
    if shape.processor_file:
        filled = {
            "processor_class": f"{shape.base}Processor",
            "image_token": shape.image_token,
            "patch_size": PATCH,
            "vision_feature_select_strategy": "full" if shape.keep_cls or shape.tower == "siglip" else "default",
            "num_additional_image_tokens": 1 if shape.tower == "clip" else 0,
        }
        dump(folder / "processor_config.json", filled)
    write_tokenizer(folder, tokenizer(shape))
    readme = f"---\nlicense: apache-2.0\nlibrary_name: transformers\n---\n\n# {shape.title}\n\nAn image-text model.\n"
    (folder / "README.md").write_text(readme, encoding="utf-8")
    return folder


def add_weights(folder: Path, python: str = sys.executable) -> None:
    """Draws model.safetensors in a child process, which runs the repo's code."""
    command = [python, str(ROOT / "examples" / "make_weights.py"), str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
