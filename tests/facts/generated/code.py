"""The code of a plan of the first batch: the names and expressions that its templates fill in."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import SimpleNamespace

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tests.facts.generated.plan import MEANS, Plan

CLASSES = {"qwen2": "Qwen2", "qwen3": "Qwen3", "llama": "Llama", "mistral": "Mistral"}
TOWERS = {"siglip": "Siglip", "clip": "CLIP", "dinov2": "Dinov2", "two": "Siglip"}
STOCK = {
    "layer": -1, "ratio": 0.5, "mid": 4096, "queries": 64, "context_id": 0, "min_tiles": 1, "max_tiles": 12,
    "thumbnail": False,
}  # fmt: skip
STOCK_VISION = {"width": 1024, "depth": 24, "heads": 16, "mlp": 4096, "patch": 14, "image": 448}
CHAINS = {
    "ln_mlp": "norm-linear-act-linear", "mlp": "linear-act-linear", "linear": "linear", "ln_linear": "norm-linear",
    "mlp3": "linear-act-linear-act-linear", "mlp_ln": "linear-act-linear-norm",
}  # fmt: skip
ACTS = {"GELU": "nn.GELU()", "SiLU": "nn.SiLU()", "tanh": 'nn.GELU(approximate="tanh")'}
ACT_CALLS = {"GELU": "F.gelu(x)", "SiLU": "F.silu(x)", "tanh": 'F.gelu(x, approximate="tanh")'}
MODULES = (
    {"proj": "proj", "cls": "cls_token", "pos": "pos_embed", "embed": "patch_embed", "blocks": "blocks",
     "norm1": "norm1", "norm2": "norm2", "attn": "attn", "mlp": "mlp", "final": "norm"},
    {"proj": "grid", "cls": "summary", "pos": "where", "embed": "stem", "blocks": "storeys",
     "norm1": "calm_a", "norm2": "calm_b", "attn": "mix", "mlp": "think", "final": "settle"},
)  # fmt: skip


@cache
def environment() -> Environment:
    env = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    env.filters["repr"] = repr
    return env


def stem_of(plan: Plan) -> str:
    return plan.model.lower()


def constant_name(name: str) -> str:
    return f"K_{name.upper()}"


def expression(plan: Plan, name: str) -> str:
    """A setting as code that has `config` at hand."""
    setting = plan.settings[name]
    if setting.where == "literal":
        return repr(setting.value)
    if setting.where == "constant":
        return constant_name(name)
    return f"config.{plan.names[name]}"


def used_settings(plan: Plan) -> list[str]:
    """The settings that the code of this plan reads at all."""
    used = ["context_id"] if plan.tokens in ("config_id", "processor", "code_id") else []
    used += ["layer"] if plan.select in ("setting", "literal", "list") else []
    used += ["ratio"] if uses_step(plan) else []
    used += ["queries"] if plan.connector == "resampler" else []
    used += ["mid"] if plan.mid and needs_mid(plan) else []
    return used


def uses_step(plan: Plan) -> bool:
    return plan.merge not in ("none", "conv", "in_tower")


def needs_mid(plan: Plan) -> bool:
    return plan.connector in ("ln_mlp", "mlp", "mlp3", "mlp_ln")


def vision_path(plan: Plan) -> str:
    if plan.nesting == "vision_flat":
        return "config"
    group = f".{group_of(plan)}" if plan.nesting == "deep" else ""
    return f"config{group}.{plan.names['vision_key']}"


def text_path(plan: Plan) -> str:
    if plan.nesting == "llm_top":
        return "config"
    group = f".{group_of(plan)}" if plan.nesting == "deep" else ""
    return f"config{group}.{plan.names['text_key']}"


def group_of(plan: Plan) -> str:
    return ("pieces", "anatomy", "model_cfg")[plan.index % 3]


def chain_words(plan: Plan) -> list[str]:
    return CHAINS[plan.connector].split("-") if plan.connector in CHAINS else []


def chain_code(plan: Plan) -> list[tuple[str | None, str]]:
    """(attribute, code) of each layer of a plain chain, for `dim`, `mid` and `hidden`."""
    words = chain_words(plan)
    left, at = words.count("linear"), "dim"
    bias = "" if plan.bias else ", bias=False"
    eps = "" if plan.eps is None else f", eps={plan.eps!r}"
    made: list[tuple[str | None, str]] = []
    for number, word in enumerate(words):
        if word == "linear":
            left -= 1
            to = "mid" if left else "hidden"
            made.append((f"{'lin' if plan.index % 2 else 'fc'}{number}", f"nn.Linear({at}, {to}{bias})"))
            at = to
        elif word == "norm":
            made.append((f"ln{number}", f"nn.LayerNorm({at}{eps})"))
        else:
            made.append((f"act{number}" if plan.index % 4 else None, ACTS[plan.act]))
    return made


def tower_class(plan: Plan) -> str:
    return (
        f"{TOWERS[plan.tower]}{'VisionModel' if plan.tower != 'dinov2' else 'Model'}"
        if plan.tower in TOWERS
        else (f"{plan.model}VisionModel" if plan.index % 2 else f"{plan.model}Encoder")
    )


def tower_code(plan: Plan) -> str:
    name = tower_class(plan)
    if plan.tower in TOWERS and plan.index % 3 == 1 and plan.tower != "two":
        return "AutoModel.from_config(vcfg)"
    return f"{name}(vcfg)"


def llm_classes(plan: Plan) -> tuple[str, str]:
    """The class with a head, and the code that builds what stands in the model."""
    if plan.llm == "own" and plan.layout != "llm_base":
        names = (f"{plan.model}DecoderForCausalLM", f"{plan.model}Decoder")
        return names[0], f"{names[plan.layout == 'headed']}(tcfg)"
    names = (f"{CLASSES[plan.family]}ForCausalLM", f"{CLASSES[plan.family]}Model")
    if plan.llm == "auto" and plan.nesting != "llm_top":
        return names[0], f"{'AutoModel' if plan.layout == 'headed' else 'AutoModelForCausalLM'}.from_config(tcfg)"
    return names[0], f"{names[plan.layout == 'headed']}(tcfg)"


def text_config_class(plan: Plan) -> str:
    if plan.llm == "own":
        return plan.config_class if plan.nesting == "llm_top" else f"{plan.model}TextConfig"
    return f"{CLASSES[plan.family]}Config"


def vision_config_class(plan: Plan) -> str:
    return (
        f"{TOWERS[plan.tower]}{'Config' if plan.tower == 'dinov2' else 'VisionConfig'}"
        if plan.tower in TOWERS
        else (plan.config_class if plan.nesting == "vision_flat" else f"{plan.model}VisionConfig")
    )


def setting_args(plan: Plan) -> list[tuple[str, object]]:
    """Parameters of the config class: a stock value where config.json holds the true one."""
    made: list[tuple[str, object]] = []
    for name in used_settings(plan):
        setting = plan.settings[name]
        if setting.where in ("json", "default"):
            made.append((plan.names[name], STOCK[name] if setting.where == "json" else setting.value))
    if "dead branch" in plan.lies:
        made.append(("legacy_path", False))
    if plan.connector in CHAINS and plan.build == "builder" and plan.index % 2:
        made.append(("bridge_recipe", CHAINS[plan.connector]))
    if plan.pixels == "config":
        made += [(key, [0.5, 0.5, 0.5]) for key in colour_keys(plan)]
    return made


def colour_keys(plan: Plan) -> tuple[str, str]:
    return (("image_mean", "image_std"), ("centre", "spread"))[plan.index % 2]


def image_keys(plan: Plan) -> SimpleNamespace:
    """Keys of an own image processor."""
    own = {"size": "edge", "mean": "centre", "std": "spread", "min_tiles": "fewest", "max_tiles": "most",
           "thumbnail": "overview"}  # fmt: skip
    usual = {"size": "image_size", "mean": "image_mean", "std": "image_std", "min_tiles": "min_dynamic_patch",
             "max_tiles": "max_dynamic_patch", "thumbnail": "use_thumbnail"}  # fmt: skip
    return SimpleNamespace(**(own if plan.index % 2 else usual))


def processor_values(plan: Plan) -> dict[str, object]:
    keys, mean = image_keys(plan), MEANS[plan.colour]
    values: dict[str, object] = {keys.size: plan.image, keys.mean: list(mean[0]), keys.std: list(mean[1])}
    if plan.tiling:
        values |= {getattr(keys, name): plan.settings[name].value for name in ("min_tiles", "max_tiles", "thumbnail")}
    return values


def processor_args(plan: Plan) -> list[tuple[str, object]]:
    """Defaults of the image processor class: wrong on purpose where the JSON overrides them."""
    keys = image_keys(plan)
    wrong = {keys.size: 448, keys.mean: [0.1, 0.2, 0.3], keys.std: [0.9, 0.8, 0.7], keys.min_tiles: 3,
             keys.max_tiles: 40, keys.thumbnail: not plan.settings["thumbnail"].value}  # fmt: skip
    stored = stored_keys(plan)
    return [(key, wrong[key] if key in stored else value) for key, value in processor_values(plan).items()]


def stored_keys(plan: Plan) -> set[str]:
    """What preprocessor_config.json holds; the rest is left to the class."""
    values = processor_values(plan)
    return {key for number, key in enumerate(values) if (plan.index + number) % 3}


def render(plan: Plan) -> dict[str, str]:
    """File name -> source of every Python file."""
    env, context, stem = environment(), context_of(plan), stem_of(plan)
    names = {f"configuration_{stem}.py": "config.py.j2", f"modeling_{stem}.py": "model.py.j2"}
    if plan.pixels == "own":
        names[f"image_processing_{stem}.py"] = "image_processor.py.j2"
    if plan.tokens == "processor":
        names[f"processing_{stem}.py"] = "processor.py.j2"
    made = {name: env.get_template(f"first/{template}").render(context) for name, template in names.items()}
    head = "import math\n\nimport torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n"
    outputs = (
        "from transformers.modeling_outputs import BaseModelOutput, BaseModelOutputWithPast, CausalLMOutputWithPast\n"
    )
    if plan.separate and plan.tower in ("own", "navit"):
        inner = env.get_template(f"first/{'navit' if plan.tower == 'navit' else 'tower'}.j2").render(context)
        made[f"vision_{stem}.py"] = f"{head}from transformers import PreTrainedModel\n{outputs}{inner}"
    if plan.separate and plan.llm == "own":
        local = f"from .configuration_{stem} import {text_config_class(plan)}\n"
        inner = env.get_template("first/decoder.j2").render(context)
        made[f"decoder_{stem}.py"] = f"{head}from transformers import PreTrainedModel\n{outputs}{local}{inner}"
    return made


def imports_of(plan: Plan) -> dict[str, list[str]]:
    towers = [tower_class(plan)] if plan.tower in TOWERS else []
    towers += ["CLIPVisionModel"] if plan.tower == "two" else []
    family = CLASSES[plan.family]
    llms = [f"{family}ForCausalLM", f"{family}Model"] if plan.llm != "own" or plan.layout == "llm_base" else []
    model = ["AutoModel", "AutoModelForCausalLM", "PreTrainedModel", *towers, *llms]
    configs = ["CONFIG_MAPPING", "PretrainedConfig"]
    configs += [vision_config_class(plan)] if plan.tower in TOWERS else []
    configs += ["CLIPVisionConfig"] if plan.tower == "two" else []
    configs += [f"{family}Config"] if plan.llm != "own" else []
    local = [plan.config_class]
    if plan.llm == "own" and not plan.separate and plan.nesting != "llm_top":
        local.append(text_config_class(plan))
    return {"model_imports": model, "config_imports": configs, "local_configs": local}


def constants_of(plan: Plan) -> list[tuple[str, object]]:
    made = [(constant_name(name), plan.settings[name].value) for name in used_settings(plan)
            if plan.settings[name].where == "constant"]  # fmt: skip
    if plan.tokens in ("config_id", "code_id") and plan.index % 2 == 0:
        made.append(("SLOT_WORD", plan.marks["context"]))
    return made


def step_expression(plan: Plan) -> str:
    text = expression(plan, "ratio")
    return f"round(1 / {text})" if plan.ratio_as == "ratio" else text


def dim_expression(plan: Plan) -> str:
    keys = SimpleNamespace(**vision_keys(plan))
    own = plan.tower in ("own", "navit")
    text = f"vcfg.{keys.width if own else 'hidden_size'}"
    text += f" + {vision_path(plan)}_b.hidden_size" if plan.tower == "two" else ""
    text = f"({text})" if plan.tower == "two" else text
    if plan.select == "list":
        text = f"{text} * len({expression(plan, 'layer')})"
    if plan.merge == "in_tower":
        return f"{text} * 4"
    return f"{text} * s * s" if plan.merged_width != plan.feature_width else text


def vision_keys(plan: Plan) -> dict[str, str]:
    """Keys of the tower's sizes: own ones, or the library's."""
    usual = {"width": "hidden_size", "depth": "num_hidden_layers", "heads": "num_attention_heads",
             "mlp": "intermediate_size", "patch": "patch_size", "image": "image_size"}  # fmt: skip
    if plan.tower not in ("own", "navit"):
        return usual
    prefix = "vit_" if plan.nesting == "vision_flat" else ""
    return {name: prefix + plan.names[name] for name in usual}


def vision_args(plan: Plan) -> list[tuple[str, object]]:
    """Parameters of an own tower's config: true values where config.json leaves them out."""
    return [(key, vision_values(plan)[name] if name in left_out(plan) else STOCK_VISION[name])
            for name, key in vision_keys(plan).items()]  # fmt: skip


def vision_values(plan: Plan) -> dict[str, int]:
    return {"width": plan.width, "depth": plan.depth, "heads": plan.heads, "mlp": plan.width * 2, "patch": plan.patch,
            "image": plan.image}  # fmt: skip


def left_out(plan: Plan) -> set[str]:
    """Sizes of an own tower that only its config class states."""
    return {"heads", "mlp"} if plan.index % 4 == 3 else {"patch"} if plan.index % 7 == 2 else set()


def context_of(plan: Plan) -> dict[str, object]:
    """Everything that a template may name."""
    mean = MEANS[plan.colour]
    classes = llm_classes(plan)
    chat_attr = f"{plan.names['context_id']}_seen" if plan.tokens == "chat" else "slot_number"
    slot = f"self.{chat_attr}" if plan.tokens in ("chat", "code_id") else f"self.{expression(plan, 'context_id')}"
    recipe = CHAINS.get(plan.connector, "")
    return {
        **imports_of(plan),
        "p": plan, "m": plan.marks, "v": SimpleNamespace(**{k: s.value for k, s in plan.settings.items()}),
        "x": SimpleNamespace(**{name: expression(plan, name) for name in plan.settings}),
        "c": SimpleNamespace(**vision_keys(plan)), "n": SimpleNamespace(**MODULES[plan.index % 2]),
        "ik": image_keys(plan), "stem": stem_of(plan), "group": group_of(plan),
        "model_type": stem_of(plan) + "_vl", "vision_type": stem_of(plan) + "_vision",
        "text_type": stem_of(plan) + "_decoder", "vision_args": vision_args(plan), "setting_args": setting_args(plan),
        "vision_config_class": vision_config_class(plan), "text_config_class": text_config_class(plan),
        "decoder_config": text_config_class(plan), "tower_class": tower_class(plan), "tower_code": tower_code(plan),
        "own_tower": plan.tower in ("own", "navit"), "connector_class": f"{plan.model}Bridge",
        "chain": chain_code(plan), "act": ACTS[plan.act], "act_call": ACT_CALLS[plan.act],
        "bias": "" if plan.bias else ", bias=False", "eps": "" if plan.eps is None else f", eps={plan.eps!r}",
        "recipe_expr": "config.bridge_recipe" if plan.index % 2 else repr(recipe), "needs_mid": needs_mid(plan),
        "uses_step": uses_step(plan), "step_expr": step_expression(plan), "dim_expr": dim_expression(plan),
        "vision_path": vision_path(plan), "text_path": text_path(plan), "llm_code": classes[1],
        "family_class": CLASSES[plan.family], "head": "lm_head" if plan.index % 2 else "vocab_head",
        "embed_name": "merge_embeddings" if plan.index % 2 else "splice",
        "inner_attr": ".model" if plan.layout in ("inner", "headed", "llm_base") else "",
        "slot_attr": chat_attr, "slot_expr": slot, "dead": "dead branch" in plan.lies,
        "dead_flag": "config.legacy_path", "dead_flag_self": "self.config.legacy_path",
        "stale": "stale words" in plan.lies, "constants": constants_of(plan),
        "mean": mean[0], "std": mean[1], "mean_key": colour_keys(plan)[0], "std_key": colour_keys(plan)[1],
        "processor_args": processor_args(plan), "stock_token": "<img>" if plan.index % 2 else plan.marks["context"],
        "stock_count": 999 if plan.index % 2 else plan.tokens_out,
    }  # fmt: skip
