"""Names and shapes of the tensors that a plan of the first batch stores."""

from __future__ import annotations

from collections.abc import Iterator

from tests.facts.generated.code import MODULES, chain_code, chain_words, needs_mid
from tests.facts.generated.plan import Plan

Shapes = dict[str, list[int]]


def with_bias(name: str, out: int, into: int, bias: bool = True) -> Shapes:
    return {f"{name}.weight": [out, into], **({f"{name}.bias": [out]} if bias else {})}


def norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": [width], f"{name}.bias": [width]}


def own_tower(plan: Plan) -> Shapes:
    n, w, mlp, cell = MODULES[plan.index % 2], plan.width, plan.width * 2, plan.patch
    made: Shapes = {}
    if plan.tower == "navit":
        made |= with_bias(n["embed"], w, 3 * cell * cell)
    else:
        made |= stem(plan)
    for k in range(plan.depth):
        block = f"{n['blocks']}.{k}"
        attn = block if plan.tower == "navit" else f"{block}.{n['attn']}"
        made |= norm(f"{block}.{n['norm1']}", w) | norm(f"{block}.{n['norm2']}", w)
        made |= with_bias(f"{attn}.qkv", 3 * w, w) | with_bias(f"{attn}.out", w, w)
        made |= with_bias(f"{block}.{n['mlp']}.0", mlp, w) | with_bias(f"{block}.{n['mlp']}.2", w, mlp)
    return made | norm(n["final"], w)


def stem(plan: Plan) -> Shapes:
    n, w, cell = MODULES[plan.index % 2], plan.width, plan.patch
    at = f"{n['embed']}.{n['proj']}"
    made: Shapes = {f"{n['embed']}.{n['pos']}": [1, plan.grid**2 + plan.cls, w]}
    if plan.cls:
        made[f"{n['embed']}.{n['cls']}"] = [1, 1, w]
    if plan.stem == "unfold":
        return made | with_bias(at, w, 3 * cell * cell)
    if plan.stem == "conv":
        return made | {f"{at}.weight": [w, 3, cell, cell], f"{at}.bias": [w]}
    half = cell // 2
    return made | {f"{at}.0.weight": [w // 2, 3, 2, 2], f"{at}.0.bias": [w // 2],
                   f"{at}.2.weight": [w, w // 2, half, half], f"{at}.2.bias": [w]}  # fmt: skip


def library_tower(plan: Plan, kind: str) -> Shapes:
    """As transformers names them (with the inner `vision_model`)."""
    w, mlp, cell, made = plan.width, plan.width * 2, plan.patch, Shapes()
    if kind == "dinov2":
        return dinov2(plan)
    root = "vision_model"
    made |= {f"{root}.embeddings.patch_embedding.weight": [w, 3, cell, cell]}
    positions = plan.grid**2 + (kind == "clip")
    made |= {f"{root}.embeddings.position_embedding.weight": [positions, w]}
    if kind == "siglip":
        made |= {f"{root}.embeddings.patch_embedding.bias": [w]}
    else:
        made |= {f"{root}.embeddings.class_embedding": [w]} | norm(f"{root}.pre_layrnorm", w)
    for k in range(plan.depth):
        block = f"{root}.encoder.layers.{k}"
        made |= norm(f"{block}.layer_norm1", w) | norm(f"{block}.layer_norm2", w)
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            made |= with_bias(f"{block}.self_attn.{name}", w, w)
        made |= with_bias(f"{block}.mlp.fc1", mlp, w) | with_bias(f"{block}.mlp.fc2", w, mlp)
    return made | norm(f"{root}.post_layernorm", w)


def dinov2(plan: Plan) -> Shapes:
    w, cell = plan.width, plan.patch
    made: Shapes = {
        "embeddings.cls_token": [1, 1, w], "embeddings.mask_token": [1, w],
        "embeddings.position_embeddings": [1, plan.grid**2 + 1, w],
        "embeddings.patch_embeddings.projection.weight": [w, 3, cell, cell],
        "embeddings.patch_embeddings.projection.bias": [w],
    }  # fmt: skip
    for k in range(plan.depth):
        block = f"encoder.layer.{k}"
        made |= norm(f"{block}.norm1", w) | norm(f"{block}.norm2", w)
        for name in ("attention.query", "attention.key", "attention.value", "output.dense"):
            made |= with_bias(f"{block}.attention.{name}", w, w)
        made |= {f"{block}.layer_scale1.lambda1": [w], f"{block}.layer_scale2.lambda1": [w]}
        made |= with_bias(f"{block}.mlp.fc1", 4 * w, w) | with_bias(f"{block}.mlp.fc2", w, 4 * w)
    return made | norm("layernorm", w)


def decoder(plan: Plan) -> Shapes:
    """The language model without its head."""
    t, made = plan.text, Shapes()
    w, mlp = t["hidden"], t["hidden"] * 2
    own = plan.llm == "own" and plan.layout != "llm_base"
    made[f"{'tok' if own else 'embed_tokens'}.weight"] = [t["vocab"], w]
    for k in range(t["layers"]):
        block = f"layers.{k}"
        names = ("ln_a", "ln_b") if own else ("input_layernorm", "post_attention_layernorm")
        made |= {f"{block}.{name}.weight": [w] for name in names}
        qkv = ("wq", "wk", "wv", "wo") if own else tuple(f"self_attn.{x}_proj" for x in "qkvo")
        for name, out in zip(qkv, (w, w // 2, w // 2, w), strict=True):
            bias = plan.family == "qwen2" and not own and not name.endswith("o_proj")
            made |= with_bias(f"{block}.{name}", out, w, bias)
        if plan.family == "qwen3" and not own:
            made |= {f"{block}.self_attn.{x}_norm.weight": [w // 4] for x in "qk"}
        ups = ("gate", "up", "down") if own else tuple(f"mlp.{x}_proj" for x in ("gate", "up", "down"))
        made |= with_bias(f"{block}.{ups[0]}", mlp, w, False) | with_bias(f"{block}.{ups[1]}", mlp, w, False)
        made |= with_bias(f"{block}.{ups[2]}", w, mlp, False)
    return {**made, "norm.weight": [w]}


def connector(plan: Plan) -> Shapes:
    m, h, made = plan.merged_width * (4 if plan.merge == "in_tower" else 1), plan.text["hidden"], Shapes()
    if plan.merge == "conv":
        made |= {"squeeze.weight": [m, m, plan.side, plan.side], "squeeze.bias": [m]}
    if plan.connector == "gated":
        return made | {"w1.weight": [h, m], "w2.weight": [h, h], "w3.weight": [h, m]}
    if plan.connector == "residual":
        return made | with_bias("enter", h, m) | with_bias("fc1", h, h) | with_bias("fc2", h, h)
    if plan.connector == "resampler":
        attn = {"attn.in_proj_weight": [3 * h, h], "attn.in_proj_bias": [3 * h]} | with_bias("attn.out_proj", h, h)
        return {"query": [plan.queries, h], "kv.weight": [h, m], **attn, **norm("ln", h)}
    for name, op, into, out in chain_shapes(plan):
        made |= norm(name, into) if op == "norm" else with_bias(name, out, into, plan.bias)
    return made


def chain_shapes(plan: Plan) -> Iterator[tuple[str, str, int, int]]:
    """(stored name, norm or linear, in, out) of each layer with weights."""
    at, hidden = plan.merged_width * (4 if plan.merge == "in_tower" else 1), plan.text["hidden"]
    mid = (plan.mid or hidden) if needs_mid(plan) else hidden
    words, code = chain_words(plan), chain_code(plan)
    left = words.count("linear")
    named = plan.build == "class" or plan.merge == "conv"
    for number, word in enumerate(words):
        name = code[number][0] if named and plan.build != "builder" else str(number)
        if word == "linear":
            left -= 1
            to = mid if left else hidden
            yield name or str(number), word, at, to
            at = to
        elif word == "norm":
            yield name or str(number), word, at, at


def stored(plan: Plan) -> Shapes:
    """The whole checkpoint."""
    prefix = "model." if plan.layout in ("inner", "headed", "llm_base") else ""
    names, made = plan.names, Shapes()
    kinds = {"two": [("siglip", ""), ("clip", "_b")]}.get(plan.tower, [(plan.tower, "")])
    for kind, suffix in kinds:
        tensors = own_tower(plan) if kind in ("own", "navit") else library_tower(plan, kind)
        made |= {f"{prefix}{names['tower']}{suffix}.{name}": shape for name, shape in tensors.items()}
    made |= {f"{prefix}{names['connector']}.{name}": shape for name, shape in connector(plan).items()}
    if "unused connector" in plan.lies:
        old = norm("0", 7) | with_bias("1", 11, 7) | with_bias("3", 13, 11)
        made |= {f"{prefix}old_projector.{name}": shape for name, shape in old.items()}
    return made | language(plan, prefix)


def language(plan: Plan, prefix: str) -> Shapes:
    inner = "" if plan.layout == "llm_base" else f"{plan.names['llm']}."
    body = inner if plan.layout in ("headed", "llm_base") else f"{inner}model."
    made = {f"{prefix}{body}{name}": shape for name, shape in decoder(plan).items()}
    if not plan.tied:
        made[head_name(plan, prefix)] = [plan.text["vocab"], plan.text["hidden"]]
    return made


def head_name(plan: Plan, prefix: str) -> str:
    if plan.layout == "llm_base":
        return "lm_head.weight"
    if plan.layout == "headed":
        return f"{'lm_head' if plan.index % 2 else 'vocab_head'}.weight"
    return f"{prefix}{plan.names['llm']}.{'head' if plan.llm == 'own' else 'lm_head'}.weight"
