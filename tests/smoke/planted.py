"""Faults to plant in a port, each with the rung that has to catch it and words by which the detail names it.

An edit is (text as generated, text with the fault); an empty first text appends to the file.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

Edit = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Fault:
    """`words` are all in the detail of the rung; `file` of the port's package is edited; `base` is which port."""

    name: str
    rung: str
    words: tuple[str, ...]
    edits: tuple[Edit, ...]
    file: str = "modeling.py"
    base: str = "skylark_vl"

    def plant(self, port: Path, out: Path) -> Path:
        """A copy of the port with the fault in it. AssertionError when an edit changes nothing."""
        shutil.copytree(port, out)
        path = out / self.base / self.file
        for old, new in self.edits:
            text = path.read_text(encoding="utf-8")
            assert old in text, f"{self.file} no longer says {old!r}"
            path.write_text(text.replace(old, new) if old else text + new, encoding="utf-8")
        return out


INFO = "class SkylarkVLProcessingInfo(BaseInternVLProcessingInfo):\n"
MODEL = "class SkylarkVLForCausalLM(InternVLChatModel):\n"
REGISTER = '    """Tell vLLM about SkylarkVLForCausalLM; safe to call again."""\n'
DECORATOR = (
    "@MULTIMODAL_REGISTRY.register_processor(\n"
    "    BaseInternVLMultiModalProcessor,\n"
    "    info=SkylarkVLProcessingInfo,\n"
    "    dummy_inputs=BaseInternVLDummyInputsBuilder,\n"
    ")\n"
)
LENGTH = "image_seq_length=int(grid_length**2 * config.downsample_ratio**2)"
FEATURES = "return super().extract_feature(pixel_values)\n"
NORMALISE = "pixel_values = (pixel_values - self.norm_mean) / self.norm_std"
PIXELS = "SkylarkVLImageProcessor._images_to_pixel_values_lst"

CONFIG_FAULTS = (
    Fault(
        "a config class that cannot be made from the repo's config.json",
        "config",
        ("KeyError", "lm_config", "configuration.py"),
        (('kwargs.pop("language_config", None) or {}', 'kwargs["lm_config"]'),),
        "configuration.py",
    ),
    Fault(
        "a config class registered under another model_type",
        "config",
        ("model_type", "skylark_vl"),
        (('AutoConfig.register("skylark_vl"', 'AutoConfig.register("skylark"'),),
        "__init__.py",
    ),
    Fault(
        "a config that cannot be pickled",
        "config",
        ("cannot pickle", "lock"),
        (
            (
                '"force_image_size": None,',
                '"lock": __import__("threading").Lock(),\n            "force_image_size": None,',
            ),
        ),
        "configuration.py",
    ),
)

REGISTRY_FAULTS = (
    Fault(
        "the architecture registered under another name",
        "registry",
        ("no class is registered for 'SkylarkVLForCausalLM'",),
        (('        "SkylarkVLForCausalLM",\n', '        "SkylarkVL",\n'),),
        "__init__.py",
    ),
    Fault(
        "an import that this vLLM does not have",
        "registry",
        ("ImportError", "InternVLVisionChatModel"),
        (("    InternVLChatModel,\n)", "    InternVLVisionChatModel as InternVLChatModel,\n)"),),
    ),
    Fault(
        "a class of another name than the registered one",
        "registry",
        ("SkylarkVLModel",),
        (('"skylark_vl.modeling:SkylarkVLForCausalLM"', '"skylark_vl.modeling:SkylarkVLModel"'),),
        "__init__.py",
    ),
    Fault(
        "registration that a flag in the environment keeps from workers",
        "registry",
        ("in a spawned process", "not registered"),
        (
            (
                REGISTER,
                REGISTER
                + '    import os\n\n    if os.environ.get("REG"):\n        return\n    os.environ["REG"] = "1"\n',
            ),
        ),
        "__init__.py",
    ),
    Fault(
        "registration in the main process only",
        "registry",
        ("in a spawned process", "not registered"),
        (
            (
                REGISTER,
                REGISTER + "    import multiprocessing\n\n    if multiprocessing.parent_process():\n        return\n",
            ),
        ),
        "__init__.py",
    ),
    Fault(
        "register() that fails when it is called again",
        "registry",
        ("registering it a second time fails", "AssertionError: twice"),
        (
            (
                "    ModelRegistry.register_model(\n",
                '    assert "SkylarkVLForCausalLM" not in ModelRegistry.get_supported_archs(), "twice"\n'
                "    ModelRegistry.register_model(\n",
            ),
        ),
        "__init__.py",
    ),
)

PROCESSOR_FAULTS = (
    Fault(
        "the decorator that registers the processor is missing",
        "processor",
        ("SkylarkVLProcessingInfo", "register_processor"),
        ((DECORATOR, ""),),
    ),
    Fault(
        "a setting of another name than the repo's",
        "processor",
        ("KeyError", "min_patches", "modeling.py"),
        (('image_config["min_tiles"]', 'image_config["min_patches"]'),),
    ),
    Fault(
        "an image longer than max_model_len",
        "processor",
        ("the largest image takes", "max_model_len is"),
        ((LENGTH, "image_seq_length=int(grid_length**2 * 100)"),),
    ),
    Fault(
        "images are not among the supported modalities",
        "processor",
        ("takes no image",),
        ((INFO, INFO + '    def get_supported_mm_limits(self):\n        return {"image": 0}\n\n'),),
    ),
)

TOKEN_FAULTS = (
    Fault(
        "a wrong context token",
        "tokens",
        ("features go to '<|im_start|>'", "the repo's context token is '<|vision_patch|>'"),
        (("<|vision_patch|>", "<|im_start|>"),),
    ),
    Fault(
        "a sequence length that is off by one",
        "tokens",
        ("image 1x1: 5 + 2 = 7 placeholders, 5 of them for features; the model gives 4 rows", "cases fail"),
        ((LENGTH, LENGTH + " + 1"),),
    ),
    Fault(
        "video advertised by accident",
        "tokens",
        ("video: the port advertises video, the repo takes image only",),
        ((INFO, INFO + '    def get_supported_mm_limits(self):\n        return {"image": None, "video": None}\n\n'),),
    ),
    Fault(
        "a dummy image that is not the largest",
        "tokens",
        ("the dummy image: 6 placeholders, but image", "has 30: vLLM profiles too little memory", "(1 of "),
        (
            (
                INFO,
                INFO + "    def get_image_size_with_most_features(self):\n"
                "        from vllm.multimodal.parse import ImageSize\n\n"
                "        return ImageSize(width=56, height=56)\n\n",
            ),
        ),
    ),
    Fault(
        "the row of the CLS token kept",
        "tokens",
        ("4 + 2 = 6 placeholders", "the model gives 5 rows"),
        (
            (
                FEATURES,
                "features = super().extract_feature(pixel_values)\n"
                "        return torch.cat([features[:, :1], features], dim=1)\n",
            ),
        ),
    ),
    Fault(
        "a CLS token dropped that the SigLIP tower does not have",
        "tokens",
        ("modeling.py", "extract_feature", "unflatten"),
        (("self.vision_model(pixel_values)\n", "self.vision_model(pixel_values)[:, 1:]\n"),),
        base="siskin",
    ),
    Fault(
        "a tile more than the largest number",
        "tokens",
        ("the dummy image: 30 placeholders", "has 34: vLLM profiles too little memory"),
        (
            (
                "            use_thumbnail=False,\n        )\n        cut",
                "            use_thumbnail=True,\n        )\n        cut",
            ),
        ),
    ),
    Fault(
        "a processor with state: cached inputs are others than fresh ones",
        "tokens",
        ("gives other inputs than",),
        (
            (
                "",
                f"\n\n_pixels, _made = {PIXELS}, []\n\n\n"
                "def _with_state(self, images, *args, **kwargs):\n"
                "    _made.append(len(images))\n"
                "    return [tiles / len(_made) for tiles in _pixels(self, images, *args, **kwargs)]\n\n\n"
                f"{PIXELS} = _with_state\n",
            ),
        ),
    ),
    Fault(
        "a processor that refuses an image of one pixel",
        "tokens",
        ("image 1x1", "ValueError: too small", "modeling.py"),
        (
            (
                "        cut = partial(",
                "        if min(images[0].size) < 2:\n"
                '            raise ValueError("too small")\n'
                "        cut = partial(",
            ),
        ),
    ),
    Fault(
        "the embed method under an older name",
        "tokens",
        ("has no method embed_multimodal",),
        (("", "\n    get_multimodal_embeddings = InternVLChatModel.embed_multimodal\n    embed_multimodal = None\n"),),
    ),
    Fault(
        "the features of several images in one tensor",
        "tokens",
        ("two images", "2 placeholders, 2 inputs and 1 features of image"),
        (
            (
                "",
                "\n    def embed_multimodal(self, **kwargs: object):\n"
                "        return [torch.cat(list(super().embed_multimodal(**kwargs)))]\n",
            ),
        ),
    ),
)

WEIGHT_FAULTS = (
    Fault(
        "a value read while the module is built",
        "build",
        ("Tensor.item() cannot be called on meta tensors",),
        (
            (
                '        self.register_buffer("norm_std", torch.zeros(1, 3, 1, 1))\n',
                '        self.register_buffer("norm_std", torch.zeros(1, 3, 1, 1))\n'
                "        self.steps = self.norm_std.sum().item()\n",
            ),
        ),
    ),
    Fault(
        "a wrong prefix=",
        "weights",
        ("prefix",),
        (("vllm_config=vllm_config, prefix=prefix)", 'vllm_config=vllm_config, prefix="model")'),),
    ),
    Fault(
        "a connector of another width",
        "weights",
        ("shape", "has shape [128], the parameter takes [256]"),
        (
            (
                "            nn.Linear(merged_size, llm_hidden_size),\n"
                "            nn.GELU(),\n"
                "            nn.Linear(llm_hidden_size, llm_hidden_size),\n",
                "            nn.Linear(merged_size, merged_size),\n"
                "            nn.GELU(),\n"
                "            nn.Linear(merged_size, llm_hidden_size),\n",
            ),
        ),
        base="siskin",
    ),
    Fault(
        "an entry of the mapper missing",
        "weights",
        ("unmapped", "model.connector."),
        (('            "model.connector.": "mlp1.",\n', ""),),
    ),
    Fault(
        "load_weights that skips in silence",
        "weights",
        ("mlp1",),
        (
            (
                "",
                "\n    def load_weights(self, weights):\n"
                '        return super().load_weights((n, w) for n, w in weights if "connector" not in n)\n',
            ),
        ),
    ),
)

ENGINE_FAULTS = (
    Fault(
        "a forward that takes no embeddings",
        "text",
        ("TypeError", "inputs_embeds"),
        (
            (
                "",
                "\n    def forward(self, input_ids, positions, intermediate_tensors=None):\n"
                "        return self.language_model.model(input_ids, positions, intermediate_tensors)\n",
            ),
        ),
    ),
    Fault(
        "logits from a head that cannot be called",
        "text",
        ("compute_logits", "modeling.py"),
        (
            (
                "",
                "\n    def compute_logits(self, hidden_states):\n"
                "        return self.language_model.lm_head(hidden_states)\n",
            ),
        ),
    ),
    Fault(
        "text alone is not expected",
        "text",
        ("no image", "modeling.py"),
        (
            (
                "",
                "\n    def embed_input_ids(self, input_ids, multimodal_embeddings=None, *, is_multimodal=None):\n"
                "        if not multimodal_embeddings and len(input_ids) < 100:\n"
                '            raise ValueError("no image")\n'
                "        return super().embed_input_ids(\n"
                "            input_ids, multimodal_embeddings, is_multimodal=is_multimodal\n"
                "        )\n",
            ),
        ),
    ),
    Fault(
        "features of another dtype than the text's",
        "image",
        ("modeling.py",),
        (
            (
                "",
                "\n    def embed_input_ids(self, input_ids, multimodal_embeddings=None, *, is_multimodal=None):\n"
                "        embeds = super().embed_input_ids(input_ids)\n"
                "        if multimodal_embeddings:\n"
                "            embeds[is_multimodal] = torch.cat(list(multimodal_embeddings)).double()\n"
                "        return embeds\n",
            ),
        ),
    ),
    Fault(
        "images of one batch mixed",
        "batch",
        ("two sizes: the image features of prompt 'one tile' are others than alone",),
        ((NORMALISE, "pixel_values = pixel_values - pixel_values.mean(0)"),),
    ),
    Fault(
        "two images of one size swapped in a batch",
        "batch",
        ("all prompts", "features of prompt", "others than alone"),
        (
            (
                "",
                "\n    def embed_multimodal(self, **kwargs: object):\n"
                "        made = list(super().embed_multimodal(**kwargs))\n"
                "        sizes = [len(features) for features in made]\n"
                "        for index, size in enumerate(sizes):\n"
                "            if size in sizes[:index]:\n"
                "                first = sizes.index(size)\n"
                "                made[index], made[first] = made[first], made[index]\n"
                "        return made\n",
            ),
        ),
    ),
    Fault(
        "features merged at wrong places when a batch has several",
        "batch",
        ("two sizes", "logprobs of step 1"),
        (
            (
                "",
                "\n    def embed_input_ids(self, input_ids, multimodal_embeddings=None, *, is_multimodal=None):\n"
                "        if multimodal_embeddings and len(multimodal_embeddings) > 1:\n"
                "            is_multimodal = is_multimodal.roll(1)\n"
                "        return super().embed_input_ids(\n"
                "            input_ids, multimodal_embeddings, is_multimodal=is_multimodal\n"
                "        )\n",
            ),
        ),
    ),
)

PROOF_FAULTS = (
    Fault(
        "the thumbnail forgotten",
        "parity",
        ("prompt ids", "31 in the reference, 27 in vLLM"),
        (("            use_thumbnail=self.use_thumbnail,\n", "            use_thumbnail=False,\n"),),
    ),
    Fault(
        "the token after an image is another one",
        "parity",
        ("prompt token ids differ (23 in the reference, 23 in vLLM)",),
        (('end_image_token="<|vision_close|>"', 'end_image_token="<|im_end|>"'),),
    ),
)

FAULTS = (
    *CONFIG_FAULTS,
    *REGISTRY_FAULTS,
    *PROCESSOR_FAULTS,
    *TOKEN_FAULTS,
    *WEIGHT_FAULTS,
    *ENGINE_FAULTS,
    *PROOF_FAULTS,
)
