"""Oddities of real repos that show in their code, rebuilt small in programs of our own: one test each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from porter.facts import Confidence, RepoReading
from tests.facts.compare import read
from tests.facts.models import CONFIG, indented, model, write
from tests.facts.odd_repos import counted, mlp, names, siglip, tokens
from tests.facts.truth import says, states

LAST = "x = self.tower(pixel_values).last_hidden_state\n"
PLAIN = LAST + "return self.proj(x)"
LINEAR = "self.proj = nn.Linear(16, 24)"


def odd(folder: Path, body: str, build: str = LINEAR, methods: str = "", **more: Any) -> RepoReading:
    """A repo with code: `body` is extract_feature, `methods` stand beside it; `more` goes to `write`."""
    before = more.pop("before", "")
    code = model(body, build, before=before) + "\n" + indented(methods, 1) + "\n"
    return read(write(folder / "repo", code, more.pop("config", None), **more))


def index(tensors: list[str]) -> str:
    return json.dumps({"weight_map": dict.fromkeys(tensors, "model-00001-of-00001.safetensors")})


# --- LocateAnything


def test_a_config_id_beats_a_class_default_that_is_the_end_token(tmp_path: Path) -> None:
    configuration = """
    from transformers import LlamaConfig, PretrainedConfig, SiglipVisionConfig

    class Config(PretrainedConfig):
        model_type = 'm'

        def __init__(self, vision_config=None, text_config=None, image_token_index=92, **kwargs):
            super().__init__(**kwargs)
            self.vision_config = SiglipVisionConfig(**(vision_config or {}))
            self.text_config = LlamaConfig(**(text_config or {}))
            self.image_token_index = image_token_index
    """
    scatter = """
    def forward(self, pixel_values, input_ids):
        embeds = self.llm.get_input_embeddings()(input_ids)
        embeds[input_ids == self.config.image_token_index] = self.extract_feature(pixel_values)
        return self.llm(inputs_embeds=embeds)
    """
    ids = {"<img>": 91, "</img>": 92, "<ctx>": 93}
    files = {"configuration_m__py": indented(configuration, 0), "tokenizer_config__json": json.dumps(tokens(ids))}
    found = odd(tmp_path, PLAIN, methods=scatter, config={"image_token_index": 93}, **files)
    assert (found.facts.value("image_context_token"), found.facts.value("image_context_token_id")) == ("<ctx>", 93)


def test_a_class_default_that_nothing_reads_is_not_certain(tmp_path: Path) -> None:
    configuration = """
    from transformers import LlamaConfig, PretrainedConfig, SiglipVisionConfig

    class Config(PretrainedConfig):
        model_type = 'm'

        def __init__(self, vision_config=None, text_config=None, downsample_ratio=0.5, **kwargs):
            super().__init__(**kwargs)
            self.vision_config = SiglipVisionConfig(**(vision_config or {}))
            self.text_config = LlamaConfig(**(text_config or {}))
            self.downsample_ratio = downsample_ratio
    """
    found = odd(tmp_path, "return self.unheard_of(pixel_values)", configuration_m__py=indented(configuration, 0))
    assert found.facts["downsample_ratio"].confidence is not Confidence.CERTAIN


def test_a_local_tower_is_read_although_auto_map_names_another_repos(tmp_path: Path) -> None:
    vision = {**CONFIG["vision_config"], "auto_map": {"AutoModel": "someone/Tower--modeling_t.Tower"}}
    found = odd(tmp_path, PLAIN, config={"vision_config": vision})
    assert says([{"kind": "siglip", "hidden_size": 16}], found.facts.value("vision_tower"))
    assert says({"layers": [{"op": "Linear", "in": 16, "out": 24, "bias": True}]}, found.facts.value("connector"))


def test_features_that_come_as_a_list_still_reach_the_connector(tmp_path: Path) -> None:
    body = """
    features = [x for x in self.tower(pixel_values).last_hidden_state]
    x = torch.cat(features, dim=0)
    return self.proj(x)
    """
    found = odd(tmp_path, indented(body, 0))
    connector = found.facts["connector"]
    assert not states(connector) or says({"layers": [{"op": "Linear", "in": 16, "out": 24}]}, connector.value)


# --- Eagle2.5 in GR00T

EAGLE = """
if config.mlp_connector_layers == 2:
    self.proj = nn.Sequential(nn.LayerNorm(64), nn.Linear(64, 24), nn.GELU(), nn.Linear(24, 24))
elif config.mlp_connector_layers == 1 and config.use_pixel_shuffle:
    self.proj = nn.Sequential(nn.Linear(64, 24))
else:
    self.proj = nn.Sequential(nn.Linear(16, 24))
"""
MAYBE_SHUFFLED = (
    LAST
    + """
if self.config.use_pixel_shuffle:
    b, l, c = x.shape
    x = x.view(b, 4, 2, 4, 2, c).permute(0, 1, 3, 2, 4, 5).reshape(b, 16, 4 * c)
return self.proj(x)
"""
)


def eagle(tmp_path: Path, layers: int, shuffle: bool) -> RepoReading:
    config = {"mlp_connector_layers": layers, "use_pixel_shuffle": shuffle, "downsample_ratio": 0.5}
    return odd(tmp_path, MAYBE_SHUFFLED, EAGLE, config=config)


def test_one_connector_layer_without_shuffle_is_one_linear(tmp_path: Path) -> None:
    found = eagle(tmp_path, 1, False)
    assert says({"layers": [{"op": "Linear", "in": 16, "out": 24, "bias": True}]}, found.facts.value("connector"))
    assert found.facts.value("downsample_ratio") == 1.0
    assert found.facts.value("tokens_per_tile") == 64


def test_the_same_code_with_both_switched_on_is_the_usual_connector(tmp_path: Path) -> None:
    found = eagle(tmp_path, 2, True)
    connector = found.facts.value("connector")
    assert isinstance(connector, dict)
    assert [layer["op"] for layer in connector["layers"]] == ["LayerNorm", "Linear", "GELU", "Linear"]
    assert found.facts.value("tokens_per_tile") == 16


def test_a_class_that_could_build_another_tower_builds_the_configured_one(tmp_path: Path) -> None:
    build = """
    if config.vision_config.model_type == 'radio':
        from .radio import Radio
        self.tower = Radio(config.vision_config)
    elif config.vision_config.model_type == 'siglip_vision_model':
        self.tower = SiglipVisionModel(config.vision_config)
    self.proj = nn.Linear(16, 24)
    """
    found = odd(tmp_path, PLAIN, indented(build, 0))
    assert says([{"kind": "siglip", "class": "SiglipVisionModel"}], found.facts.value("vision_tower"))


# --- InternVL2


def test_the_architectures_of_the_language_config_choose_its_class(tmp_path: Path) -> None:
    build = """
    if config.text_config.architectures[0] == 'LlamaForCausalLM':
        self.llm = LlamaForCausalLM(config.text_config)
    else:
        raise NotImplementedError(config.text_config.architectures[0])
    self.proj = nn.Linear(16, 24)
    """
    found = odd(tmp_path, PLAIN, indented(build, 0))
    expected = {"architecture": "LlamaForCausalLM", "prefix": "llm", "hidden_size": 24}
    assert says(expected, found.facts.value("language_model")), found.facts["language_model"]


# --- MiniCPM-V, SciCore-Omics

BLOCK = """
def image_block(self, text, n):
    return text.replace('(<image>./</image>)', self.im_start + self.unk * n + self.im_end)

im_start, im_end, unk = '<image>', '</image>', '<unk>'
"""
GENE = """
def gene_block(self, text):
    return text.replace('(<gene>./</gene>)', '<gene>' + '<unk>' * 32 + '</gene>')
"""
IDS = {"<unk>": 0, "<image>": 91, "</image>": 92, "<gene>": 93, "</gene>": 94}


def test_a_filler_between_image_tokens_is_the_context(tmp_path: Path) -> None:
    found = odd(tmp_path, PLAIN, methods=BLOCK, tokenizer_config__json=json.dumps(tokens(IDS)))
    around = [found.facts.value(f"image_{part}_token") for part in ("start", "context", "end")]
    assert around == ["<image>", "<unk>", "</image>"]
    assert found.facts.value("image_context_token_id") == 0


def test_another_input_with_the_same_filler_does_not_lend_its_brackets(tmp_path: Path) -> None:
    found = odd(tmp_path, PLAIN, methods=BLOCK + GENE, tokenizer_config__json=json.dumps(tokens(IDS)))
    for part, token in (("start", "<image>"), ("context", "<unk>"), ("end", "</image>")):
        fact = found.facts[f"image_{part}_token"]
        assert fact.value == token or not states(fact), fact


def test_packages_of_extra_modules_are_named(tmp_path: Path) -> None:
    found = odd(tmp_path, PLAIN, before="import anndata")
    assert "anndata" in json.dumps(found.facts.value("python_dependencies"))


def test_a_tower_by_timm_name_is_not_given_a_shape(tmp_path: Path) -> None:
    """timm builds it from a string: what porter cannot read stays null, and nothing about it is certain."""
    build = """
    self.tower = timm.create_model(config.vision_encoder, pretrained=False, num_classes=0)
    self.proj = nn.Linear(16, 24)
    """
    found = odd(tmp_path, "return self.proj(self.tower.forward_features(pixel_values))", indented(build, 0),
                before="import timm", config={"vision_encoder": "vit_so400m_patch14_siglip_384.webli"})  # fmt: skip
    tower = found.facts["vision_tower"]
    assert tower.confidence is not Confidence.CERTAIN
    assert "timm" in json.dumps(found.facts.value("python_dependencies"))


# --- Molmo


def test_code_files_under_other_names_are_followed(tmp_path: Path) -> None:
    config = {"auto_map": {"AutoConfig": "config_x.Config", "AutoModel": "brain.Model"}}
    folder = write(tmp_path / "repo", "", config)
    code = model(PLAIN, LINEAR).replace(".configuration_m", ".config_x")
    (folder / "brain.py").write_text(code)
    (folder / "config_x.py").write_text((folder / "configuration_m.py").read_text())
    for name in ("configuration_m.py", "modeling_m.py"):
        (folder / name).unlink()
    found = read(folder)
    assert says([{"kind": "siglip"}], found.facts.value("vision_tower"))
    assert says({"layers": [{"op": "Linear"}]}, found.facts.value("connector"))


def test_tiles_cut_out_of_an_array_are_not_called_a_single_image(tmp_path: Path) -> None:
    processing = """
    import numpy as np
    from transformers import BaseImageProcessor

    class Processor(BaseImageProcessor):
        def __init__(self, max_crops=12, image_mean=None, **kwargs):
            super().__init__(**kwargs)
            self.max_crops = max_crops

        def preprocess(self, image):
            rows, columns = select(image.shape, self.max_crops)
            whole = resize(image, (28, 28))
            crops = [whole]
            for i in range(rows):
                for j in range(columns):
                    crops.append(image[i * 28:i * 28 + 28, j * 28:j * 28 + 28])
            return np.stack(crops)
    """
    settings = {"auto_map": {"AutoImageProcessor": "images_m.Processor"}, "max_crops": 12}
    found = odd(tmp_path, PLAIN, images_m__py=indented(processing, 0), preprocessor_config__json=json.dumps(settings))
    assert found.facts.value("max_tiles") == 12
    thumbnail = found.facts["use_thumbnail"]
    assert not (states(thumbnail) and thumbnail.value is False)
    assert not (states(found.facts["resize_scheme"]) and found.facts.value("resize_scheme") == "single")


# --- Phi-3-vision

EMBEDDING = """
class ImageEmbedding(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.tower = SiglipVisionModel(config.vision_config)
        self.glb_GN = nn.Parameter(torch.zeros(1, 1, 64))
        self.proj = nn.Sequential(nn.Linear(64, 24), nn.GELU(), nn.Linear(24, 24))

    def get_features(self, pixels):
        return self.tower(pixels, output_hidden_states=True).hidden_states[-2]

    def forward(self, input_ids, pixel_values, sizes):
        positions = torch.nonzero((input_ids < 0) & (input_ids > -1000), as_tuple=True)
        features = self.get_features(pixel_values)
        out = []
        for i, size in enumerate(sizes):
            b, l, c = features.shape
            x = features.view(b, 4, 2, 4, 2, c).permute(0, 1, 3, 2, 4, 5).reshape(b, 16, 4 * c)
            out.extend([x[i], self.glb_GN.squeeze(0)])
        merged = self.proj(torch.cat(out, dim=0))
        hidden = self.wte(input_ids)
        return hidden.index_put(positions, merged, accumulate=False)


class Model(PreTrainedModel):
    config_class = Config

    def __init__(self, config):
        super().__init__(config)
        self.vision_embed_tokens = ImageEmbedding(config)
        self.llm = LlamaForCausalLM(config.text_config)
"""
PHI_NAMES = [
    *siglip("vision_embed_tokens.tower.vision_model"),
    *mlp("vision_embed_tokens.proj", 0, 2),
    *names("vision_embed_tokens.glb_GN", "llm.model.layers.{0..1}.self_attn.{q,k,v,o}_proj.weight"),
    *names("llm.model.{embed_tokens,norm}.weight", "llm.lm_head.weight"),
]


def phi(tmp_path: Path) -> RepoReading:
    head = model("pass").partition("class Model(")[0]
    return read(write(tmp_path / "repo", head + EMBEDDING, model__safetensors__index__json=index(PHI_NAMES)))


def test_a_path_that_leaves_out_a_stored_projector_is_not_certain(tmp_path: Path) -> None:
    """`get_features` alone is tower and no more; the merge and the projector follow in `forward`."""
    facts = phi(tmp_path).facts
    assert not (facts["tokens_per_tile"].value == 64 and states(facts["tokens_per_tile"]))
    assert not (facts["downsample_ratio"].value == 1.0 and states(facts["downsample_ratio"]))
    connector = facts["connector"]
    prefix = connector.value.get("prefix") if isinstance(connector.value, dict) else None
    assert not states(connector) or prefix == "vision_embed_tokens.proj", connector


def test_negative_ids_as_placeholders_name_no_token(tmp_path: Path) -> None:
    assert not states(phi(tmp_path).facts["image_context_token"])


def test_a_learnt_separator_of_the_code_is_counted_beside_the_parts(tmp_path: Path) -> None:
    roles = counted(phi(tmp_path))
    assert roles["tower"] == len(siglip("x"))
    assert roles["connector"] + roles.get("extra", 0) == 4 + 1


# --- Logics


def test_a_negative_constant_index_is_no_token_of_the_vocabulary(tmp_path: Path) -> None:
    before = "IMAGE_TOKEN_INDEX = -200\nDEFAULT_IMAGE_TOKEN = '<image>'"
    scatter = """
    def forward(self, pixel_values, input_ids):
        embeds = self.llm.get_input_embeddings()(input_ids.clamp(min=0))
        embeds[input_ids == IMAGE_TOKEN_INDEX] = self.extract_feature(pixel_values)
        return self.llm(inputs_embeds=embeds)
    """
    stock = {"<|vision_start|>": 91, "<|vision_end|>": 92, "<|image_pad|>": 93}
    found = odd(tmp_path, PLAIN, methods=scatter, before=before, tokenizer_config__json=json.dumps(tokens(stock)))
    for name in ("image_context_token", "image_context_token_id", "image_start_token", "image_end_token"):
        assert not states(found.facts[name]), found.facts[name]


# --- VideoLLaMA3


def test_a_connector_built_from_the_towers_width(tmp_path: Path) -> None:
    """No mm_hidden_size in the config: the code reads the width of the vision config."""
    before = """
    def mlp(depth, width, out):
        layers = [nn.Linear(width, out)]
        for _ in range(1, depth):
            layers += [nn.GELU(), nn.Linear(out, out)]
        return nn.Sequential(*layers)

    class Readout(nn.Module):
        def __init__(self, config):
            super().__init__()
            depth = int(re.match(r'^mlp(\\d+)x_gelu$', config.mm_projector_type).group(1))
            self.readout = mlp(depth, config.vision_config.hidden_size, config.text_config.hidden_size)

        def forward(self, x):
            return self.readout(x)
    """
    found = odd(tmp_path, PLAIN, "self.proj = Readout(config)", before="import re\n" + indented(before, 0),
                config={"mm_projector_type": "mlp2x_gelu"})  # fmt: skip
    expected = [{"op": "Linear", "in": 16, "out": 24}, {"op": "GELU"}, {"op": "Linear", "in": 24, "out": 24}]
    connector = found.facts.value("connector")
    assert isinstance(connector, dict)
    assert [layer["op"] for layer in connector["layers"]] == [layer["op"] for layer in expected]
    assert says({"layers": expected}, connector)


def test_a_module_that_the_model_never_builds_is_no_part(tmp_path: Path) -> None:
    extra = """
    from torch import nn

    class Chooser(nn.Module):
        def __init__(self):
            self.encoder = nn.Linear(3, 4)
    """
    found = odd(tmp_path, PLAIN, choose__py=indented(extra, 0), before="from .choose import Chooser")
    assert says({"layers": [{"op": "Linear", "in": 16, "out": 24}]}, found.facts.value("connector"))
    assert not any(
        "encoder" in json.dumps(found.facts.value(name)) for name in ("vision_tower", "connector", "buffers")
    )


# --- DeepSeek-OCR


def test_repo_files_imported_absolutely_are_no_packages(tmp_path: Path) -> None:
    helper = "from torch import nn\n\ndef make():\n    return nn.Linear(16, 24)\n"
    found = odd(tmp_path, PLAIN, "self.proj = make()", before="from projecting import make", projecting__py=helper)
    assert "projecting" not in json.dumps(found.facts.value("python_dependencies"))


# --- Qwen-VL


def test_code_that_outlasted_its_steps_can_still_be_asked(tmp_path: Path) -> None:
    found = odd(tmp_path, PLAIN)
    found.configs.code.run.budget = 0
    value = found.resolve("model", "dynamic_image_size").value
    assert value is None or isinstance(value, dict)
