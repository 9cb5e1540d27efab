"""A copy or subclass whose connector is another one: the port brings its own, where all of it is read."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

from porter.families import FAMILIES
from porter.families.verdict import decide
from porter.planning.build import port_spec
from porter.planning.layout import WIDTH
from tests.families.repos import needs_vllm, read, stored, tree
from tests.twins import TWINS, native, write_repo

pytestmark = needs_vllm
VISION, TEXT = "config.vision_config.hidden_size", "config.text_config.hidden_size"
BIAS = "bias=config.multimodal_projector_bias"
PATCHES = "config.vision_config.embed_dim * config.vision_config.spatial_merge_size ** 2"
WRITTEN = {
    "shearwater-copy": [
        f"self.before = nn.LayerNorm({VISION}, eps=1e-06)",
        f"self.widen = nn.Linear({VISION}, {TEXT}, {BIAS})",
        "self.act = nn.GELU()",
        f"self.project = nn.Linear({TEXT}, {TEXT}, {BIAS})",
    ],
    "dotterel-copy": [
        f"self.pre_norm = nn.LayerNorm({VISION}, eps=1e-06)",
        f"self.linear_1 = nn.Linear({VISION}, {TEXT} * 4, {BIAS})",
        "self.act = nn.GELU()",
        f"self.linear_2 = nn.Linear({TEXT} * 4, {TEXT}, {BIAS})",
    ],
    "curlew-normed": [
        f"self.pre_norm = nn.LayerNorm({VISION}, eps=1e-06)",
        f"self.linear_1 = nn.Linear({VISION}, {TEXT})",
        "self.act = nn.GELU()",
        f"self.linear_2 = nn.Linear({TEXT}, {TEXT})",
    ],
    "turnstone-subclass": [
        f"self.mlp = nn.Sequential(nn.Linear({VISION}, config.bridge_width), nn.SiLU(), nn.Identity(), "
        "nn.Linear(config.bridge_width, config.bridge_width))",
        f"self.out = nn.Linear(config.bridge_width, {TEXT}, bias=False)",
        f"self.post_norm = nn.LayerNorm({TEXT}, eps=config.text_config.rms_norm_eps)",
    ],
    "sandpiper-silu": [
        f"self.widen = nn.Linear({VISION}, {TEXT}, {BIAS})",
        f"self.project = nn.Linear({TEXT}, {TEXT}, {BIAS})",
        "self.act = nn.SiLU()",
    ],
    "swallow-copy": [f"self.linear = nn.Linear({VISION}, config.vision_config.projection_dim, bias=False)"],
    "petrel-copy": [
        f"self.linear_1 = ReplicatedLinear({VISION}, {TEXT}, {BIAS}, quant_config=quant_config, "
        "prefix=maybe_prefix(prefix, 'linear_1'))",
        "self.act = nn.GELU()",
        f"self.final_norm = nn.LayerNorm({TEXT}, bias=False)",
    ],
    "smew-merger": [
        f"self.merged_size = {PATCHES}",
        "self.whole_norm = nn.LayerNorm(self.merged_size, bias=False)",
        "self.mlp = nn.ModuleList([ReplicatedLinear(self.merged_size, self.merged_size, quant_config=quant_config, "
        "prefix=maybe_prefix(prefix, 'mlp.0')), nn.GELU(), ReplicatedLinear(self.merged_size, "
        "config.vision_config.hidden_size, bias=False, quant_config=quant_config, "
        "prefix=maybe_prefix(prefix, 'mlp.2'))])",
    ],
    "buzzard-copy": [
        f"self.proj = ReplicatedLinear({VISION} * config.scale_factor ** 2, {TEXT}, quant_config=quant_config, "
        "prefix=maybe_prefix(prefix, 'proj'))",
    ],
}
PLACES = {"smew-merger": "visual.merger", "buzzard-copy": "model.connector.modality_projection"}


def written(folder: Path) -> tuple[str, str]:
    """The verdict's level, and the model file where there is a port."""
    reading = read(folder)
    verdict = decide(reading, tree())
    if verdict.level != "inherit" or verdict.match is None:
        return verdict.level, ""
    spec = port_spec(reading, verdict, tree())
    return verdict.level, FAMILIES[verdict.match.family].model_file(spec, relative=False, own_config=True)


def ported(folder: Path) -> tuple[str, ast.Module]:
    level, text = written(folder)
    return level, ast.parse(text)


def inits(module: ast.Module) -> list[list[str]]:
    """The statements of each `__init__` behind the base's."""
    found = [node for node in ast.walk(module) if isinstance(node, ast.FunctionDef) and node.name == "__init__"]
    return [[ast.unparse(item) for item in node.body[1:]] for node in found]


@pytest.mark.parametrize("name", WRITTEN)
def test_the_port_has_the_repos_connector(name: str, twin_repo: Callable[[str], Path]) -> None:
    level, module = ported(twin_repo(name))
    assert level == "inherit"
    connector, model = inits(module)
    assert connector == WRITTEN[name]
    place = PLACES.get(name, "multi_modal_projector")
    assert len(model) == 1 and model[0].startswith(f"self.{place} = {TWINS[name].title}")


FORWARD = {
    "petrel-copy": [
        "hidden_states, _ = self.linear_1(image_features)",
        "hidden_states = self.act(hidden_states)",
        "return self.final_norm(hidden_states)",
    ],
    "smew-merger": [
        "hidden_states = image_features.view(-1, self.merged_size)",
        "hidden_states = self.whole_norm(hidden_states)",
        "hidden_states, _ = self.mlp[0](hidden_states)",
        "hidden_states = self.mlp[1](hidden_states)",
        "hidden_states, _ = self.mlp[2](hidden_states)",
        "return hidden_states",
    ],
}


@pytest.mark.parametrize("name", FORWARD)
def test_forward_applies_the_layers_in_the_repos_order(name: str, twin_repo: Callable[[str], Path]) -> None:
    module = ported(twin_repo(name))[1]
    forward = next(node for node in ast.walk(module) if isinstance(node, ast.FunctionDef) and node.name == "forward")
    assert [ast.unparse(item) for item in forward.body] == FORWARD[name]


@pytest.mark.parametrize("name", ["skua-silu", "nuthatch-eps", "scoter-merger"])
def test_a_merger_may_differ_in_its_layers(name: str, twin_repo: Callable[[str], Path]) -> None:
    level, text = written(twin_repo(name))
    assert level == "inherit" and max(map(len, text.splitlines())) <= WIDTH


REGROUPED = {
    "fewer patches": ("self.whole_norm(x.view(-1, self.hidden_size))", "self.whole_norm(x)"),
    "more patches": ("x.view(-1, self.hidden_size)", "x.view(-1, self.hidden_size * 2)"),
    "by a number": ("x.view(-1, self.hidden_size)", "x.view(-1, 256)"),
    "put together twice": ("x.view(-1, self.hidden_size)", "x.view(-1, 128).view(-1, self.hidden_size)"),
    "another first axis": ("x.view(-1, self.hidden_size)", "x.view(1, self.hidden_size)"),
}


@pytest.mark.parametrize("what", REGROUPED)
def test_patches_put_together_otherwise_are_no_port(what: str, tmp_path: Path) -> None:
    assert ported(rewritten(tmp_path, "smew-merger", *REGROUPED[what]))[0] not in ("inherit", "supported")


def rewritten(folder: Path, name: str, old: str, new: str) -> Path:
    write_repo(TWINS[name], folder)
    (code,) = folder.glob("modeling_*.py")
    said = code.read_text(encoding="utf-8")
    assert said.count(old) == 1, said.count(old)
    code.write_text(said.replace(old, new), encoding="utf-8")
    return folder


MADE = "self.model.multi_modal_projector = TurnstoneBridge(config)"
OTHERWISE = {
    "nothing is a layer": (MADE, MADE.replace("TurnstoneBridge(config)", "nn.Identity()")),
    "a layer around it": (MADE, MADE.replace("TurnstoneBridge(config)", "nn.Sequential(TurnstoneBridge(config))")),
    "a compiled one": (MADE, MADE.replace("TurnstoneBridge(config)", "torch.compile(TurnstoneBridge(config))")),
    "a hook on it": (MADE, f"{MADE}\n        self.model.multi_modal_projector.register_forward_hook(print)"),
    "a layer of it replaced": (MADE, f"{MADE}\n        self.model.multi_modal_projector.out = nn.Identity()"),
    "set twice": (MADE, f"{MADE}\n        {MADE}"),
    "made in a branch": (MADE, f"if config.bridge_width:\n            {MADE}"),
    "another config": (MADE, f"config = config.text_config\n        {MADE}"),
    "a width that the config lacks": ("width = config.bridge_width", "width = config.bridge_size"),
    "an activation that is not known": ("nn.SiLU()", "nn.Mish()"),
    "a function of the file": (
        "self.post_norm(self.out(features))",
        "F.softmax(self.post_norm(self.out(features)), -1)",
    ),
}


@pytest.mark.parametrize("what", OTHERWISE)
def test_a_connector_that_is_not_read_in_full_is_no_port(what: str, tmp_path: Path) -> None:
    assert ported(rewritten(tmp_path, "turnstone-subclass", *OTHERWISE[what]))[0] not in ("inherit", "supported")


def test_a_layer_of_torch_needs_no_class_of_its_own(tmp_path: Path) -> None:
    layer = "nn.Linear(config.vision_config.hidden_size, config.text_config.hidden_size)"
    level, module = ported(
        rewritten(tmp_path, "turnstone-subclass", MADE, MADE.replace("TurnstoneBridge(config)", layer))
    )
    assert level == "inherit"
    assert inits(module) == [["config = self.config", f"self.multi_modal_projector = {layer}"]]


def own_norm(change: tuple[str, str] = ("", "")) -> str:
    """The library's norm under another name, as a copy in a repo has it."""
    classes = ast.parse(native.source("llama", "modeling_llama")).body
    norm = next(node for node in classes if isinstance(node, ast.ClassDef) and node.name == "LlamaRMSNorm")
    norm.decorator_list, norm.name = [], "TurnstoneNorm"
    assert change[0] in ast.unparse(norm)
    return ast.unparse(norm).replace(*change)


def with_norm(folder: Path, norm: str) -> Path:
    layer = "nn.LayerNorm(config.text_config.hidden_size, eps=config.text_config.rms_norm_eps)"
    rewritten(folder, "turnstone-subclass", layer, "TurnstoneNorm(config.text_config.hidden_size, eps=1e-5)")
    (code,) = folder.glob("modeling_*.py")
    said = code.read_text(encoding="utf-8")
    code.write_text(said.replace("class TurnstoneBridge", f"{norm}\n\n\nclass TurnstoneBridge"), encoding="utf-8")
    return folder


def test_a_copy_of_a_norm_of_the_library_is_that_norm(tmp_path: Path) -> None:
    level, module = ported(with_norm(tmp_path, own_norm()))
    assert level == "inherit" and inits(module)[0][2] == f"self.post_norm = RMSNorm({TEXT}, eps=1e-05)"


@pytest.mark.parametrize(
    "change",
    [
        ("self.weight * hidden_states", "(1 + self.weight) * hidden_states"),
        ("hidden_states.pow(2).mean(-1", "hidden_states.pow(2).mean(-2"),
        ("def extra_repr(self)", "def __call__(self, x)"),
    ],
)
def test_a_norm_that_is_nearly_the_librarys_is_none_of_it(tmp_path: Path, change: tuple[str, str]) -> None:
    assert ported(with_norm(tmp_path, own_norm(change)))[0] not in ("inherit", "supported")


def test_a_value_that_only_the_config_class_gives_is_put_in(tmp_path: Path) -> None:
    folder = rewritten(tmp_path, "turnstone-subclass", "width = config.bridge_width", "width = config.bridge_size")
    (code,) = folder.glob("configuration_*.py")
    said = code.read_text(encoding="utf-8")
    code.write_text(f"{said}        self.bridge_size = 72\n", encoding="utf-8")
    level, module = ported(folder)
    assert level == "inherit" and inits(module)[0][1] == f"self.out = nn.Linear(72, {TEXT}, bias=False)"


def test_the_connectors_tensors_keep_the_repos_names(tmp_path: Path) -> None:
    names = ("before", "widen", "project")
    layers = [f"model.bridge.{name}.weight" for name in names]
    match = decide(read(stored(write_repo(TWINS["shearwater-copy"], tmp_path), layers)), tree()).match
    assert match is not None and not match.blockers
    assert [item.what for item in match.differences].count("connector") == 1
    places = match.judgement.places
    assert [places[layer] for layer in layers] == [f"multi_modal_projector.{name}.weight" for name in names]
