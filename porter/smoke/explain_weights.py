"""Errors of weights: names, shapes, files, quantisation."""

from __future__ import annotations

from porter.smoke.explain_shape import Shape

WEIGHTS: tuple[Shape, ...] = (
    Shape(
        "weights-renamed-twice",
        r"(?:lm_lm_head|qkqkv_proj|qkvqkv|gate_gate_up|language_model\.language_model\.)",
        "a rule of the weight mapper matches inside its own output",
        "anchor the rule with dots or make it a prefix; each rule applied twice must change nothing the second time",
        "weights",
        ("#48449", "#42814", "#52036", "#49189"),
        types=("ValueError", "KeyError", "AttributeError"),
    ),
    Shape(
        "quantised-name",
        r"no (?:module or )?parameter named '?(?P<name>[\w.]*(?:qweight|qzeros|g_idx|weight_scale\w*|input_scale"
        r"|absmax"
        r"|quant_map|quant_state\w*|SCB|weight_packed))",
        "{name} is quantised in the checkpoint, and the layer was built unquantised",
        "pass quant_config and prefix= to this layer; the prefix must equal the attribute path, ignore lists are "
        "matched on it",
        "weights",
        ("#51910", "#51495", "#32385", "#9832", "#13343"),
    ),
    Shape(
        "weight-not-placed",
        r"no module or parameter named '?(?P<name>[\w.]+)'? in (?P<cls>\w+)",
        "the checkpoint has {name}, and {cls} has no place for it",
        "a rule in hf_to_vllm_mapper (check-weights suggests it); a value of None drops a tensor on purpose",
        "weights",
        ("#27138", "#19424", "#21176", "#50355", "#53342"),
    ),
    Shape(
        "weight-key-error",
        r"^['\"](?P<name>[\w.]+\.(?:weight|bias|inv_freq|qweight|scales|weight_scale))['\"]$",
        "load_weights looked for {name} among the parameters and it is not there",
        "rename it in hf_to_vllm_mapper, or skip it by name where it is no parameter (inv_freq, position_ids)",
        "weights",
        ("#11802", "#14828", "#1977", "#48952"),
        types=("KeyError",),
    ),
    Shape(
        "weights-missing",
        r"[Ff]ollowing weights were not initialized from checkpoint: \{?(?P<names>[^}]{0,120})",
        "no tensor of the checkpoint fills {names}",
        "the mapper loses or misnames them; `porter check-weights` shows both sides without loading",
        "weights",
        ("#27138", "#16555", "#53019", "#51063"),
    ),
    Shape(
        "weight-shape",
        r"Attempted to load weight \(.*?\) into parameter|Tried to load weights of size|size mismatch for "
        r"(?P<name>[\w.]+)"
        r"|loaded_weight.{0,40}shape",
        "a tensor and its parameter have different shapes",
        "a size is read from the wrong config key, or the name maps to another layer; check-weights lists both shapes",
        "weights",
        ("#31108", "#50355", "#15536"),
    ),
    Shape(
        "weight-shape",
        r"^$|shape",
        "a tensor and its parameter have different shapes",
        "a size is read from the wrong config key, or the name maps to another layer; check-weights lists both shapes",
        "weights",
        ("#31108", "#50355", "#15536"),
        types=("AssertionError",),
        frame=r"loaded_weight|loaded_shard|weight_loader|param_data",
    ),
    Shape(
        "no-weight-files",
        r"Cannot find any model weights with|Weight files referenced in index but missing|no file named "
        r".*(?:safetensors|bin)",
        "the folder has no weights that vLLM loads, or the index names files that are not there",
        "download the rest, or --weights dummy to go on without",
        "load",
        ("huggingface_hub#3619",),
    ),
    Shape(
        "broken-weight-file",
        r"Error while deserializing header|HeaderTooLarge|InvalidHeader|MetadataIncompleteBuffer|HeaderTooSmall"
        r"|invalid load key",
        "a weight file is cut off, or is a Git LFS pointer instead of the file",
        "download it again; `porter inspect` names the broken file",
        "weights",
        ("huggingface_hub#4602",),
    ),
    Shape(
        "quantisation-mismatch",
        r"Quantization method specified in the model config \((?P<config>\w+)\) does not match",
        "the config says {config}, the command line another quantisation",
        "leave --quantization out; if the config is right, nothing else is needed",
        "config",
        ("#9628", "#20046"),
    ),
    Shape(
        "quantisation-unknown",
        r"Unknown quantization method|quantization method \S+ is not supported|[Nn]o quantization config found",
        "this vLLM does not have the quantisation that the checkpoint is stored in",
        "another checkpoint of the same model (the unquantised one, or FP8/AWQ)",
        "config",
        ("#13343", "#19643", "ascend#7869"),
    ),
)
