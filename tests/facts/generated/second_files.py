"""The files of a repo of the second batch, and the facts that it settles."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

from tests.facts.generated.code import CLASSES, environment
from tests.facts.generated.files import FILTERS, write_header
from tests.facts.generated.second import COLOURS, Second, ids_of
from tests.facts.generated.tensors import Shapes, decoder, library_tower, norm, with_bias
from tests.facts.generated.truths import Layers, NoChain, OneOf, Truth, Value

LIBRARY = {"siglip": "Siglip", "clip": "CLIP"}
SHUFFLES = {"fold_v2": "v2", "fold_v1": "v1", "stack": "v2", "tensor_unfold": "v2", "gather": "v2"}


def owns(plan: Second) -> bool:
    return plan.tower in ("timm", "mha")


def vision_json(plan: Second) -> dict[str, object]:
    n = plan.names
    sizes = {"width": plan.width, "depth": plan.depth, "heads": plan.heads, "patch": plan.patch, "image": plan.image}
    if owns(plan):
        lies = {"hidden_size": 1111, "image_size": 999} if "shadowed" in plan.tricks else {}
        return {**lies, **{n[role]: value for role, value in sizes.items()}}
    return {
        "model_type": f"{plan.tower}_vision_model", "hidden_size": plan.width, "num_hidden_layers": plan.depth,
        "num_attention_heads": plan.heads, "patch_size": plan.patch, "image_size": plan.image,
        "intermediate_size": plan.width * 2,
    }  # fmt: skip


def config_json(plan: Second) -> dict[str, object]:
    n = plan.names
    text = {
        "model_type": plan.family, "architectures": [f"{CLASSES[plan.family]}ForCausalLM"], "vocab_size": plan.vocab,
        "hidden_size": plan.hidden, "num_hidden_layers": plan.layers, "num_attention_heads": 4,
        "num_key_value_heads": 2, "intermediate_size": plan.hidden * 2, "tie_word_embeddings": plan.tied,
    }  # fmt: skip
    made: dict[str, object] = {
        "architectures": [plan.architecture], "model_type": plan.noun.lower(),
        "auto_map": {
            "AutoConfig": f"configuration.{plan.noun}Config", "AutoModel": f"modeling.{plan.architecture}",
            "AutoModelForCausalLM": f"modeling.{plan.architecture}",
        },
        n["vision"]: vision_json(plan), n["text"]: text, "tie_word_embeddings": plan.tied,
        n["step"]: str(plan.step) if "string numbers" in plan.tricks else plan.step,
    }  # fmt: skip
    if "shadowed" in plan.tricks:
        made |= {"hidden_size": 4321, "num_hidden_layers": 99}
    fill = ids_of(plan)[str(plan.marks["fill"])]
    made |= {"image_token_index": fill} if plan.skeleton == "subclass" else {}
    return made | ({} if plan.tokens == "ids" else {n["slot"]: fill})


def image_values(plan: Second) -> dict[str, object]:
    mean, std = COLOURS[plan.colour]
    values: dict[str, object] = {}
    if plan.pixels in ("numpy", "json"):
        values = {"side": plan.image, "image_mean": mean, "image_std": std, "how": FILTERS[plan.resample]}
    return values | ({"most": plan.tiles[1]} if plan.tiles and plan.pixels == "json" else {})


def json_files(plan: Second) -> dict[str, object]:
    ids = ids_of(plan)
    processor = {"AutoImageProcessor": f"processing.{plan.noun}ImageProcessor"}
    if plan.tokens in ("template", "rows"):
        processor["AutoProcessor"] = f"processing.{plan.noun}Processor"
    stored = image_values(plan) if plan.pixels == "json" else {}
    added = {str(number): {"content": word, "special": True} for word, number in ids.items()}
    tokenizer: dict[str, object] = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>"}
    if plan.index % 2:
        tokenizer["added_tokens_decoder"] = added
    listed = [{"id": number, "content": word, "special": True} for word, number in ids.items()]
    model = {"type": "BPE", "vocab": {f"x{number}": number for number in range(500)}, "merges": []}
    return {
        "config.json": config_json(plan),
        "preprocessor_config.json": {"auto_map": processor, **stored},
        "tokenizer_config.json": tokenizer,
        "tokenizer.json": {"added_tokens": listed, "model": model},
    }


def expressions(plan: Second) -> dict[str, object]:
    """The code of each part, with the config at hand."""
    n = plan.names
    vraw = f"config.{n['vision']}"
    own = owns(plan)
    step = f"int(config.{n['step']})"
    square = "" if plan.merged == plan.width else f" * {step} ** 2"
    lm = CLASSES[plan.family]
    if plan.skeleton == "dataclass" and own:
        eye = f"{plan.noun}Vision(sizes.dim, sizes.blocks, sizes.heads, sizes.patch, sizes.res)"
    elif own:
        keys = [n[role] for role in ("width", "depth", "heads", "patch", "image")]
        eye = f"{plan.noun}Vision({', '.join(f'{vraw}[{key!r}]' for key in keys)})"
    elif plan.skeleton == "wrapper":
        eye = f"{plan.noun}Eye({vraw}, pick={plan.layer})"
    else:
        eye = f"{LIBRARY[plan.tower]}VisionModel({vraw})"
    source = (f"{vraw}[{n['width']!r}]" if own else f"{vraw}.hidden_size") + square
    target = f"config.{n['text']}.hidden_size"
    by = f", by={step}" if plan.merge == "conv" else ""
    name = "nn.Linear" if plan.connector == "direct" else f"{plan.noun}Bridge"
    built = (
        f"{lm}ForCausalLM(config.{n['text']})"
        if plan.index % 2
        else f"AutoModelForCausalLM.from_config(config.{n['text']})"
    )
    return {
        "vraw": vraw, "vobj": vraw, "eye_code": eye, "bridge_code": f"{name}({source}, {target}{by})", "lm_code": built,
        "self_step": f"int(self.config.{n['step']})",
        "step": step if plan.skeleton not in ("mixin",) else str(plan.step),
    }  # fmt: skip


def context_of(plan: Second) -> dict[str, object]:
    n, (mean, std) = plan.names, COLOURS[plan.colour]
    source = {
        "class_constants": ("self.SIDE", "np.array(self.MEAN)", "np.array(self.STD)", f"Image.{plan.resample.upper()}"),
        "dict": ('RECIPE["side"]', 'RECIPE["mean"]', 'RECIPE["std"]', 'RECIPE["how"]'),
    }.get(plan.pixels, ("self.side", "self.image_mean", "self.image_std", "self.how"))
    wrong = {"side": 448, "image_mean": [0.9, 0.9, 0.9], "image_std": [0.1, 0.1, 0.1], "how": 0, "most": 64}
    values = image_values(plan)
    args = [(key, wrong[key] if plan.pixels == "json" else value) for key, value in values.items()]
    own = owns(plan)
    return {
        "p": plan, "m": plan.marks, "n": SimpleNamespace(**n), "k": SimpleNamespace(**n), "own": own, "raw": own,
        "lm": CLASSES[plan.family], "library": LIBRARY.get(plan.tower, ""), "mean": mean, "std": std,
        "slot_id": ids_of(plan)[str(plan.marks["fill"])], "slot_code": f"self.config.{n['slot']}",
        "side": source[0], "mean_code": source[1], "std_code": source[2], "how": source[3], "args": args,
        "most": "self.most" if "most" in values else (plan.tiles or (1, 1))[1], **expressions(plan),
    }  # fmt: skip


def own_tower(plan: Second) -> Shapes:
    w, cell = plan.width, plan.patch
    places = "places.weight" if plan.tower == "mha" else "places"
    made: Shapes = {"cut.weight": [w, 3, cell, cell], places: [plan.grid**2 + plan.cls, w]}
    made |= {"anchor": [w]} if plan.cls else {}
    for k in range(plan.depth):
        at = f"blocks.{k}"
        made |= norm(f"{at}.before", w) | norm(f"{at}.after", w)
        made |= with_bias(f"{at}.feed.up", 4 * w, w) | with_bias(f"{at}.feed.down", w, 4 * w)
        if plan.tower == "mha":
            made |= {f"{at}.mix.core.in_proj_weight": [3 * w, w], f"{at}.mix.core.in_proj_bias": [3 * w]}
            made |= with_bias(f"{at}.mix.core.out_proj", w, w)
        else:
            made |= with_bias(f"{at}.mix.to_qkv", 3 * w, w, False) | with_bias(f"{at}.mix.to_out", w, w)
    return made | norm("last", w)


def chain(plan: Second) -> list[tuple[str, str, int, int]]:
    """(stored name, kind, in, out) of the layers with weights of a plain chain."""
    m, h, mid = plan.merged, plan.hidden, plan.mid
    return {
        "direct": [("", "linear", m, h)],
        "list": [("steps.0", "linear", m, mid), ("steps.1", "linear", mid, mid), ("steps.2", "linear", mid, h)],
        "depth": [
            ("net.0", "norm", m, m), ("net.1", "linear", m, h), ("net.3", "linear", h, h), ("net.5", "linear", h, h),
        ],
        "dict": [("parts.norm", "norm", m, m), ("parts.up", "linear", m, mid), ("parts.down", "linear", mid, h)],
    }.get(plan.connector, [])  # fmt: skip


def bridge(plan: Second) -> Shapes:
    m, h, mid, made = plan.merged, plan.hidden, plan.mid, Shapes()
    for name, kind, into, out in chain(plan):
        made |= norm(name, into) if kind == "norm" else with_bias(name, out, into)
    if plan.merge == "conv":
        made |= {"shrink.weight": [m, m, plan.step, plan.step], "shrink.bias": [m]}
    if plan.connector == "glu":
        made |= with_bias("wide", 2 * mid, m) | with_bias("narrow", h, mid)
    elif plan.connector == "rms":
        made |= {"norm.gain": [m]} | with_bias("a", mid, m) | with_bias("b", h, mid)
    elif plan.connector == "parallel":
        made |= with_bias("left", h, m) | norm("right.0", m) | with_bias("right.1", h, m)
    elif plan.connector == "perceiver":
        made |= {"questions": [1, plan.queries, h]} | with_bias("enter", h, m)
        for k in range(2):
            at = f"layers.{k}"
            made |= norm(f"{at}.norm_q", h) | norm(f"{at}.norm_kv", h) | norm(f"{at}.ff.0", h)
            made |= {f"{at}.attend.in_proj_weight": [3 * h, h], f"{at}.attend.in_proj_bias": [3 * h]}
            made |= with_bias(f"{at}.attend.out_proj", h, h) | with_bias(f"{at}.ff.1", 2 * h, h)
            made |= with_bias(f"{at}.ff.3", h, 2 * h)
    return made


def prefixes(plan: Second) -> tuple[str, str, str]:
    n, inside = plan.names, "parts." if plan.skeleton == "moduledict" else ""
    tower = f"{inside}{n['tower']}" + (".encoder" if plan.skeleton == "wrapper" else "")
    return tower, f"{inside}{n['bridge']}", n["llm"]


def stored(plan: Second) -> Shapes:
    tower, connector, llm = prefixes(plan)
    eye = own_tower(plan) if owns(plan) else library_tower(plan, plan.tower)  # type: ignore[arg-type]
    made: Shapes = {f"{tower}.{name}": shape for name, shape in eye.items()}
    made |= {f"{connector}.{name}".replace("..", "."): shape for name, shape in bridge(plan).items()}
    text = {"hidden": plan.hidden, "layers": plan.layers, "vocab": plan.vocab}
    like = SimpleNamespace(text=text, llm="concrete", layout="flat", family=plan.family)
    made |= {f"{llm}.model.{name}": shape for name, shape in decoder(like).items()}  # type: ignore[arg-type]
    return made if plan.tied else {**made, f"{llm}.lm_head.weight": [plan.vocab, plan.hidden]}


def write(plan: Second, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    env, context = environment(), context_of(plan)
    names = ["configuration:config", "modeling:model", "processing:processing"]
    names += ["mixins:mixins"] if plan.skeleton == "mixin" else []
    for name in names:
        target, _, template = name.partition(":")
        text = env.get_template(f"second/{template}.py.j2").render(context)
        (folder / f"{target}.py").write_text(text, encoding="utf-8")
    for file, value in json_files(plan).items():
        (folder / file).write_text(json.dumps(value, indent=1), encoding="utf-8")
    (folder / "README.md").write_text("---\nlicense: mit\n---\n", encoding="utf-8")
    if "no index" not in plan.tricks:
        write_header(folder / "model.safetensors", stored(plan))
    return folder


def connector_truth(plan: Second) -> Value:
    layers = chain(plan)
    if not layers or plan.merge == "conv":
        return NoChain()
    kept = tuple(
        ("LayerNorm", into, out, True, 1e-5) if kind == "norm" else ("Linear", into, out, True, None)
        for _, kind, into, out in layers
    )
    between = sum(kind == "linear" for _, kind, _, _ in layers) - 1
    return Layers(kept, ("gelu",) * between)


def truth_of(plan: Second) -> Truth:
    n, marks = plan.names, plan.marks
    tower, connector, llm = prefixes(plan)
    mean, std = COLOURS[plan.colour]
    library = f"{LIBRARY.get(plan.tower)}VisionModel"
    lib_at = OneOf((tower, f"{tower}.vision_model", tower.removesuffix(".encoder")))
    blend = plan.merge in ("none", "pool", "interp", "conv")
    values: dict[str, Value] = {
        "architecture": plan.architecture, "model_type": plan.noun.lower(), "license": "mit", "modalities": ["image"],
        "vision_config_key": n["vision"], "text_config_key": n["text"], "tied_embeddings": plan.tied,
        "image_context_token": marks["fill"], "image_context_token_id": ids_of(plan)[str(marks["fill"])],
        "image_start_token": marks["start"], "image_end_token": marks["end"], "image_placeholder": marks["ask"],
        "pixel_shuffle": SHUFFLES.get(plan.merge),
        "downsample_ratio": OneOf((1 / plan.step, None)) if blend else 1 / plan.step,
        "tokens_per_tile": plan.tokens_out, "feature_layer": plan.layer, "native_resolution": False,
        "merge_size": OneOf((None, plan.step)), "image_size": plan.image, "patch_size": plan.patch,
        "image_mean": mean, "image_std": std, "resample": plan.resample,
        "min_tiles": OneOf((1, None)), "max_tiles": plan.tiles[1] if plan.tiles else OneOf((1, None)),
        "use_thumbnail": OneOf((False, None)), "min_pixels": None, "max_pixels": None,
        "vision_tower.#": 1, "vision_tower.0.prefix": tower if owns(plan) else lib_at,
        "vision_tower.0.class": f"{plan.noun}Vision" if owns(plan) else OneOf((library, f"{plan.noun}Eye")),
        "vision_tower.0.hidden_size": plan.width, "vision_tower.0.layers": plan.depth,
        "vision_tower.0.heads": plan.heads, "vision_tower.0.patch_size": plan.patch, "vision_tower.0.has_cls": plan.cls,
        "connector.prefix": connector, "connector.layers": connector_truth(plan),
        "language_model.architecture": f"{CLASSES[plan.family]}ForCausalLM", "language_model.model_type": plan.family,
        "language_model.hidden_size": plan.hidden, "language_model.layers": plan.layers,
        "language_model.vocab_size": plan.vocab, "language_model.prefix": llm,
    }  # fmt: skip
    return Truth(values, axes_of(plan))


def axes_of(plan: Second) -> dict[str, str]:
    return {
        "skeleton": plan.skeleton, "tower": f"{plan.tower} (second)", "merge": plan.merge, "connector": plan.connector,
        "tokens": f"{plan.tokens} (second)", "pixels": plan.pixels + (" tiled" if plan.tiles else ""),
        "lies": ", ".join(plan.tricks) or "none",
    }  # fmt: skip
