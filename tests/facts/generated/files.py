"""The files of a plan of the first batch: JSON, tokenizer, tensor headers, and the lies told in them."""

from __future__ import annotations

import json
import struct
from pathlib import Path

from tests.facts.generated import code
from tests.facts.generated.plan import MEANS, Plan, ids_of
from tests.facts.generated.tensors import Shapes, stored

LIBRARY_PROCESSORS = {"siglip": "SiglipImageProcessor", "clip": "CLIPImageProcessor", "dinov2": "BitImageProcessor"}
FILTERS = {"bicubic": 3, "bilinear": 2, "lanczos": 1}
TOWER_TYPES = {"siglip": "siglip_vision_model", "two": "siglip_vision_model", "clip": "clip_vision_model",
               "dinov2": "dinov2"}  # fmt: skip


def vision_json(plan: Plan) -> dict[str, object]:
    keys, values, hidden = code.vision_keys(plan), code.vision_values(plan), code.left_out(plan)
    own = plan.tower in ("own", "navit")
    made: dict[str, object] = {keys[name]: value for name, value in values.items() if not (own and name in hidden)}
    if plan.tower == "dinov2":
        made.pop("intermediate_size")
    if plan.nesting == "vision_flat":
        return made
    kind = TOWER_TYPES.get(plan.tower, f"{code.stem_of(plan)}_vision")
    return {"model_type": kind, **made}


def text_json(plan: Plan) -> dict[str, object]:
    text = plan.text
    own = plan.llm == "own"
    made: dict[str, object] = {
        "vocab_size": text["vocab"], "hidden_size": text["hidden"], "intermediate_size": text["hidden"] * 2,
        "num_hidden_layers": text["layers"], "num_attention_heads": 4, "num_key_value_heads": 2,
        "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "max_position_embeddings": 2048,
    }  # fmt: skip
    if plan.nesting == "llm_top":
        return made
    kind = f"{code.stem_of(plan)}_decoder" if own else plan.family
    shown = {} if plan.index % 3 == 1 else {"architectures": [code.llm_classes(plan)[0]]}
    return {**shown, "model_type": kind, "tie_word_embeddings": plan.tied, **made}


def auto_map(plan: Plan) -> dict[str, object]:
    stem, where = code.stem_of(plan), f"modeling_{code.stem_of(plan)}.{plan.architecture}"
    made: dict[str, object] = {"AutoConfig": f"configuration_{stem}.{plan.config_class}", "AutoModelForCausalLM": where}
    if "null in auto_map" in plan.lies:
        made |= {"AutoModel": None, "AutoTokenizer": [None, None]}
    if "second auto_map" in plan.lies:
        made["AutoModelForTokenClassification"] = "elsewhere/gone--modeling_gone.GoneModel"
    return made


def config_json(plan: Plan) -> dict[str, object]:
    vision_key, text_key = plan.names["vision_key"], plan.names["text_key"]
    parts: dict[str, object] = vision_json(plan) if plan.nesting == "vision_flat" else {vision_key: vision_json(plan)}
    if plan.tower == "two":
        parts[f"{vision_key}_b"] = {**vision_json(plan), "model_type": "clip_vision_model"}
    parts |= text_json(plan) if plan.nesting == "llm_top" else {text_key: text_json(plan)}
    if plan.nesting == "deep":
        parts = {code.group_of(plan): parts}
    shown = "LlavaForConditionalGeneration" if "wrong architectures" in plan.lies else plan.architecture
    made = {"architectures": [shown], "auto_map": auto_map(plan), "model_type": f"{code.stem_of(plan)}_vl",
            "tie_word_embeddings": plan.tied, "torch_dtype": "float32", **parts, **settings_json(plan)}  # fmt: skip
    return {**lies_json(plan, made), **made}


def settings_json(plan: Plan) -> dict[str, object]:
    made: dict[str, object] = {
        plan.names[name]: plan.settings[name].value
        for name in code.used_settings(plan) if plan.settings[name].where == "json"
    }  # fmt: skip
    if plan.pixels == "config":
        made |= dict(zip(code.colour_keys(plan), map(list, MEANS[plan.colour]), strict=True))
    return made


def lies_json(plan: Plan, made: dict[str, object]) -> dict[str, object]:
    """Keys of other families that this code never reads, and sizes that another level contradicts."""
    lies: dict[str, object] = {}
    if "unread values" in plan.lies:
        lies |= {"downsample_ratio": 0.25, "ps_version": "v1", "max_dynamic_patch": 44, "min_dynamic_patch": 3}
        lies |= {"use_thumbnail": True, "force_image_size": 777, "select_layer": -9, "image_token_index": 5}
    if plan.nesting == "both" or "levels contradict" in plan.lies:
        lies |= {"hidden_size": 9999, "vocab_size": 77, "num_hidden_layers": 61, "num_attention_heads": 3}
    read = {key for key, _ in code.setting_args(plan)} | set(code.vision_keys(plan).values())
    flat = plan.nesting == "vision_flat"
    return {key: value for key, value in lies.items() if key not in made and not (flat and key in read)
            and key not in {name for name, _ in code.setting_args(plan)}}  # fmt: skip


def preprocessor_json(plan: Plan) -> dict[str, object] | None:
    mean, std = map(list, MEANS[plan.colour])
    if plan.tower == "navit":
        return {"image_processor_type": "Qwen2VLImageProcessor", "min_pixels": 3136, "max_pixels": 501760,
                "patch_size": plan.patch, "temporal_patch_size": 1, "merge_size": 2, "do_rescale": True,
                "image_mean": mean, "image_std": std, "resample": FILTERS[plan.resample]}  # fmt: skip
    if plan.pixels == "own":
        name = f"image_processing_{code.stem_of(plan)}.{plan.model}ImageProcessor"
        values = {k: v for k, v in code.processor_values(plan).items() if k in code.stored_keys(plan)}
        return {"auto_map": {"AutoImageProcessor": name}, "image_processor_type": name.split(".")[1], **values}
    if plan.pixels != "lib":
        return None
    square = {"height": plan.image, "width": plan.image}
    kind = LIBRARY_PROCESSORS.get(plan.tower, "SiglipImageProcessor")
    made: dict[str, object] = {
        "do_resize": True, "do_normalize": True, "do_rescale": True, "image_mean": mean, "image_std": std,
        "resample": FILTERS[plan.resample], "image_processor_type": kind,
    }  # fmt: skip
    if kind == "SiglipImageProcessor":
        return {**made, "size": square}
    return {**made, "do_center_crop": True, "size": {"shortest_edge": plan.image}, "crop_size": square}


def tokenizer_files(plan: Plan) -> dict[str, object]:
    ids = ids_of(plan)
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    added = {str(number): {"content": word, **flags} for word, number in ids.items()}
    base = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    files: dict[str, object] = {"tokenizer_config.json": base}
    style = plan.index % 3
    if style != 1:
        files["tokenizer_config.json"] = {**base, "added_tokens_decoder": added}
    if style != 2:
        files["added_tokens.json"] = ids
    listed = [{"id": number, "content": word, **flags} for word, number in ids.items()]
    vocab = {f"t{number}": number for number in range(300)}
    model = {"type": "BPE", "vocab": vocab, "merges": []}
    files["tokenizer.json"] = {"version": "1.0", "added_tokens": listed, "model": model}
    return files


def json_files(plan: Plan) -> dict[str, object]:
    files: dict[str, object] = {"config.json": config_json(plan), **tokenizer_files(plan)}
    preprocessor = preprocessor_json(plan)
    if plan.tokens == "processor":
        where = f"processing_{code.stem_of(plan)}.{plan.model}Processor"
        stored_values: dict[str, object] = {
            "processor_class": where.split(".")[1],
            "auto_map": {"AutoProcessor": where},
        }
        if plan.index % 2:
            stored_values |= {"image_token": plan.marks["context"], "image_seq_length": plan.tokens_out}
        files["processor_config.json"] = stored_values
    if preprocessor is not None:
        files["preprocessor_config.json"] = preprocessor
    return files


def write_header(path: Path, shapes: Shapes) -> None:
    """A safetensors file of the right length that holds zeros and takes no space."""
    header, at = {}, 0
    for name, shape in shapes.items():
        size = 2
        for side in shape:
            size *= side
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + at)


def write_weights(plan: Plan, folder: Path) -> None:
    if "no weights" in plan.lies:
        return
    shapes = stored(plan)
    if "index disagrees" in plan.lies or plan.index % 4 == 0:
        lie = "index disagrees" in plan.lies
        names = {f"old.{name}" if lie else name: "model-00001-of-00001.safetensors" for name in shapes}
        text = json.dumps({"metadata": {"total_size": 1}, "weight_map": names})
        (folder / "model.safetensors.index.json").write_text(text, encoding="utf-8")
        if lie or plan.index % 8 == 0:
            write_header(folder / "model-00001-of-00001.safetensors", shapes)
        return
    write_header(folder / "model.safetensors", shapes)


def write(plan: Plan, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in code.render(plan).items():
        if "tower file missing" in plan.lies and name.startswith("vision_"):
            continue
        (folder / name).write_text(text, encoding="utf-8")
    for name, value in json_files(plan).items():
        (folder / name).write_text(json.dumps(value, indent=1), encoding="utf-8")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# a model\n", encoding="utf-8")
    write_weights(plan, folder)
    return folder
