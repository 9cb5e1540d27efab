"""Single mistakes for `bench/sensitivity.py`: code that is added to the model file of a correct port.

`at` says when it runs: `build` with the built model as `m`, `load` with its weights loaded, `import` as it stands.
`stage` is the one that porter has to name. `{MODEL}` and `{PIXELS}` are the port's model and image processor classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

At = Literal["build", "load", "import"]

FRAMES: dict[At, str] = {
    "import": "\n\n{body}\n",
    "build": (
        "\n\n_init = {{MODEL}}.__init__\n\n\n"
        'def _wrong(self, *, vllm_config, prefix=""):\n'
        "    _init(self, vllm_config=vllm_config, prefix=prefix)\n"
        "    m = self\n{body}\n\n\n"
        "{{MODEL}}.__init__ = _wrong\n"
    ),
    "load": (
        "\n\n_load = {{MODEL}}.load_weights\n\n\n"
        "def _wrong(self, weights):\n"
        "    made = _load(self, weights)\n"
        "    m = self\n{body}\n    return made\n\n\n"
        "{{MODEL}}.load_weights = _wrong\n"
    ),
}


@dataclass(frozen=True, slots=True)
class Mistake:
    """`base`: which repo's port it is planted in."""

    name: str
    stage: str
    at: At
    body: str
    base: str = "skylark"

    def code(self, model: str, pixels: str) -> str:
        body = self.body if self.at == "import" else "\n".join(f"    {line}" for line in self.body.splitlines())
        framed = FRAMES[self.at].replace("{{MODEL}}", "{MODEL}").replace("{body}", body)
        return framed.replace("{MODEL}", model).replace("{PIXELS}", pixels)


TOWER = "m.vision_model.encoder.layers"
CLIP = "m.vision_model.vision_model"
DECODER = "m.language_model.model.layers"

PIXELS = (
    Mistake(
        "thumbnail missing",
        "prompt ids",
        "import",
        "_made = {PIXELS}.__init__\n\n\ndef _none(self, *args, **kwargs):\n"
        '    _made(self, *args, **{**kwargs, "use_thumbnail": False})\n\n\n{PIXELS}.__init__ = _none',
    ),
    Mistake(
        "image token id off",
        "prompt ids",
        "import",
        "_made = InternVLProcessor.__init__\n\n\ndef _none(self, *args, **kwargs):\n"
        '    _made(self, *args, **{**kwargs, "ctx_image_token": "<|vision_close|>"})\n\n\n'
        "InternVLProcessor.__init__ = _none",
    ),
    Mistake(
        "mean and std swapped",
        "pixel values",
        "load",
        "kept = m.norm_mean.clone()\nm.norm_mean.copy_(m.norm_std)\nm.norm_std.copy_(kept)",
    ),
    Mistake("mean of another channel", "pixel values", "load", "m.norm_mean.copy_(m.norm_mean.flip(1))"),
    Mistake(
        "bilinear for bicubic",
        "pixel values",
        "import",
        "_resize = Image.Image.resize\n_lists = {PIXELS}._images_to_pixel_values_lst\n\n\n"
        "def _bilinear(self, *args, **kwargs):\n"
        "    Image.Image.resize = lambda one, size, *rest, **more: _resize(one, size, Image.Resampling.BILINEAR)\n"
        "    try:\n        return _lists(self, *args, **kwargs)\n"
        "    finally:\n        Image.Image.resize = _resize\n\n\n"
        "{PIXELS}._images_to_pixel_values_lst = _bilinear",
    ),
    Mistake(
        "tile order: the thumbnail first",
        "pixel values",
        "import",
        "_lists = {PIXELS}._images_to_pixel_values_lst\n\n\n"
        "def _turned(self, *args, **kwargs):\n"
        "    return [tiles.roll(1, 0) for tiles in _lists(self, *args, **kwargs)]\n\n\n"
        "{PIXELS}._images_to_pixel_values_lst = _turned",
    ),
    Mistake(
        "h and w of the pixels swapped",
        "pixel values",
        "import",
        "_features = {MODEL}.extract_feature\n"
        "{MODEL}.extract_feature = lambda self, pixels: _features(self, pixels.transpose(2, 3).contiguous())",
    ),
    Mistake(
        "BGR for RGB",
        "pixel values",
        "import",
        "_features = {MODEL}.extract_feature\n"
        "{MODEL}.extract_feature = lambda self, pixels: _features(self, pixels.flip(1))",
    ),
    Mistake(
        "rescaling forgotten",
        "pixel values",
        "import",
        "_features = {MODEL}.extract_feature\n"
        "{MODEL}.extract_feature = lambda self, pixels: _features(self, pixels * 255)",
    ),
)

PATCHES = (
    Mistake(
        "bias of the patch convolution lost",
        "patch embed",
        "load",
        "m.vision_model.embeddings.patch_embedding.bias.data.zero_()",
    ),
    Mistake(
        "positions read column by column",
        "patch embed",
        "load",
        "rows = m.vision_model.embeddings.position_embedding.data\n"
        "rows[:, 1:] = rows[:, 1:].unflatten(1, (4, 4)).transpose(1, 2).flatten(1, 2).clone()",
    ),
    Mistake(
        "CLS token without its position",
        "patch embed",
        "load",
        "m.vision_model.embeddings.position_embedding.data[:, :1] = 0",
    ),
    Mistake(
        "norm before the layers left out",
        "patch embed",
        "build",
        f"{CLIP}.pre_layrnorm = torch.nn.Identity()",
        "curlew",
    ),
)

TOWERS = (
    Mistake(
        "norm epsilon of the tower",
        "tower",
        "build",
        f"for layer in {TOWER}:\n    layer.norm1.eps = layer.norm2.eps = 1e-5",
    ),
    Mistake(
        "tanh for exact GELU in the tower",
        "tower",
        "build",
        f'for layer in {TOWER}:\n    layer.mlp.activation_fn = torch.nn.GELU(approximate="tanh")',
    ),
    Mistake(
        "q and k swapped in the tower",
        "tower",
        "load",
        f"for layer in {TOWER}:\n    for data in (layer.attn.qkv.weight.data, layer.attn.qkv.bias.data):\n"
        "        q, k, v = data.clone().chunk(3)\n        data.copy_(torch.cat([k, q, v]))",
    ),
    Mistake(
        "bias of q, k and v lost",
        "tower",
        "load",
        f"for layer in {TOWER}:\n    layer.attn.qkv.bias.data.zero_()",
    ),
    Mistake(
        "norm order of the tower",
        "tower",
        "load",
        f"for layer in {TOWER}:\n    layer.norm1, layer.norm2 = layer.norm2, layer.norm1",
    ),
    Mistake("layer scale ignored", "tower", "load", f"for layer in {TOWER}:\n    layer.ls1.data.fill_(1.0)"),
    Mistake("last layer of the tower dropped", "tower", "build", f"{TOWER}[-1].forward = lambda states: states"),
    Mistake(
        "feature layer -1 for -2",
        "tower",
        "import",
        "_tower = {MODEL}._init_vision_model\n\n\n"
        "def _deeper(self, config, quant_config, *, prefix):\n"
        "    made = _tower(self, config, quant_config, prefix=prefix)\n"
        "    layers = made.vision_model.encoder.layers\n    layers.append(layers[-1])\n    return made\n\n\n"
        "{MODEL}._init_vision_model = _deeper",
        "curlew",
    ),
    Mistake(
        "exact for quick GELU",
        "tower",
        "build",
        f"for layer in {CLIP}.encoder.layers:\n    layer.mlp.activation_fn = torch.nn.GELU()",
        "curlew",
    ),
)

MERGES = (
    Mistake(
        "pixel shuffle of the other version",
        "merge",
        "build",
        'm.ps_version = "v1"',
    ),
    Mistake(
        "h and w swapped before the merge",
        "merge",
        "import",
        "_shuffle = {MODEL}.pixel_shuffle\n\n\ndef _swapped(self, grid, scale_factor=0.5):\n"
        "    return _shuffle(self, grid.transpose(1, 2).contiguous(), scale_factor=scale_factor)\n\n\n"
        "{MODEL}.pixel_shuffle = _swapped",
    ),
    Mistake(
        "CLS token kept, the last patch dropped",
        "merge",
        "build",
        "forward = m.vision_model.forward\n"
        "m.vision_model.forward = lambda *args, **kwargs: forward(*args, **kwargs).roll(1, 1)",
    ),
    Mistake("norm epsilon of the connector", "connector", "build", "m.mlp1[0].eps = 1e-3"),
    Mistake(
        "tanh for exact GELU in the connector",
        "connector",
        "build",
        'm.mlp1[2] = torch.nn.GELU(approximate="tanh")',
    ),
    Mistake("bias of the connector lost", "connector", "load", "m.mlp1[1].bias.data.zero_()"),
)

DECODERS = (
    Mistake(
        "features of an image in reverse",
        "merged embeddings",
        "import",
        "_embed = {MODEL}.embed_multimodal\n"
        "{MODEL}.embed_multimodal = lambda self, **kwargs: tuple(one.flip(0) for one in _embed(self, **kwargs))",
    ),
    Mistake(
        "embeddings scaled",
        "merged embeddings",
        "import",
        "_ids = {MODEL}.embed_input_ids\n"
        "{MODEL}.embed_input_ids = lambda self, *args, **kwargs: _ids(self, *args, **kwargs) * 1.5",
    ),
    Mistake(
        "rope theta",
        "language model",
        "build",
        "from vllm.model_executor.layers.rotary_embedding import get_rope\n"
        'rope = {"rope_type": "default", "rope_theta": 1000000.0}\n'
        f"for layer in {DECODER}:\n"
        "    inner = layer.self_attn\n"
        "    inner.rotary_emb = get_rope(inner.head_dim, max_position=2048, rope_parameters=rope)",
    ),
    Mistake(
        "RMS epsilon of the decoder",
        "language model",
        "build",
        f"for layer in {DECODER}:\n    layer.input_layernorm.variance_epsilon = 1e-5",
    ),
    Mistake(
        "q and k swapped in the decoder",
        "language model",
        "load",
        f"for layer in {DECODER}:\n    data = layer.self_attn.qkv_proj.bias.data\n"
        "    data[:64], data[128:192] = data[128:192].clone(), data[:64].clone()",
    ),
    Mistake(
        "gate and up (fc1 and fc3) swapped",
        "language model",
        "build",
        f"for layer in {DECODER}:\n"
        "    act = layer.mlp.act_fn.forward\n"
        "    layer.mlp.act_fn.forward = lambda both, act=act: act(torch.cat(both.chunk(2, -1)[::-1], -1))",
    ),
    Mistake(
        "norm order of the decoder",
        "language model",
        "load",
        f"for layer in {DECODER}:\n    first, second = layer.input_layernorm, layer.post_attention_layernorm\n"
        "    layer.input_layernorm, layer.post_attention_layernorm = second, first",
    ),
    Mistake(
        "a window where the repo has none",
        "language model",
        "build",
        f"for layer in {DECODER}:\n    layer.self_attn.attn.impl.sliding_window = 8",
    ),
    Mistake(
        "last layer of the decoder dropped",
        "language model",
        "build",
        f"{DECODER}[-1].mlp.forward = lambda states: states * 0",
    ),
    Mistake(
        "bias of the decoder's q, k and v lost",
        "language model",
        "load",
        f"for layer in {DECODER}:\n    layer.self_attn.qkv_proj.bias.data.zero_()",
    ),
    Mistake(
        "logits scaled",
        "language model",
        "import",
        "_logits = {MODEL}.compute_logits\n"
        "{MODEL}.compute_logits = lambda self, *args, **kwargs: _logits(self, *args, **kwargs) * 1.1",
    ),
)

MISTAKES = (*PIXELS, *PATCHES, *TOWERS, *MERGES, *DECODERS)
