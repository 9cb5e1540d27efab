"""The weights layout: groups and roles by structure, whatever the prefixes are called."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from porter.facts.layout import read_layout
from porter.facts.layout_model import Hints, Layout, Part
from porter.hub.snapshot import TensorInfo, TensorTable
from tests.facts.checkpoints import CHECKPOINTS, names_of

ROOT = Path(__file__).resolve().parents[3] / "shared" / "hf_repos"
INDICES = sorted(ROOT.glob("*/*.index.json")) if ROOT.is_dir() else []
BOUNDED = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
pieces = st.sampled_from(
    ["model", "vision", "layers", "0", "1", "2", "17", "*", "\0", "", "weight", "bias", "patch_embed", "embed_tokens",
     "norm1", "attn", "q_proj", "mlp", "scales", "qweight", "lm_head", "0" * 12, "blocks", "query", "²"]
)  # fmt: skip
names = st.lists(pieces, min_size=1, max_size=7).map(".".join)
shapes = st.none() | st.lists(st.integers(0, 5), max_size=4).map(tuple)


def layout_of(tensors: list[str] | dict[str, tuple[int, ...]], hints: Hints | None = None) -> Layout:
    shaped = tensors if isinstance(tensors, dict) else dict.fromkeys(tensors)
    infos = tuple(TensorInfo(name, "f", "BF16" if shape else None, shape) for name, shape in shaped.items())
    return read_layout(TensorTable("headers" if isinstance(tensors, dict) else "index", infos), hints)


def kinds(layout: Layout) -> Counter[tuple[str, str | None, int]]:
    return Counter((part.role, part.kind, part.tensors) for part in layout.parts)


def part(layout: Layout, role: str) -> Part:
    found = [one for one in layout.parts if one.role == role]
    assert len(found) == 1, found
    return found[0]


@BOUNDED
@given(st.dictionaries(names, shapes, max_size=40))
def test_every_tensor_lands_in_exactly_one_group(tensors: dict[str, tuple[int, ...] | None]) -> None:
    infos = tuple(TensorInfo(name, "f", "BF16", shape) for name, shape in tensors.items())
    layout = read_layout(TensorTable("headers", infos))
    assert sum(one.tensors for one in layout.parts) == layout.tensors == len(tensors)
    paths = [row.path for one in layout.parts for row in one.rows]
    assert len(paths) == len(set(paths))
    json.dumps(layout.to_json())


@BOUNDED
@given(st.sampled_from(sorted(CHECKPOINTS)), st.randoms(use_true_random=False))
def test_the_order_of_names_does_not_matter(name: str, dice: random.Random) -> None:
    tensors = names_of(name)
    shuffled = list(tensors)
    dice.shuffle(shuffled)
    assert layout_of(shuffled).to_json() == layout_of(tensors).to_json()


@BOUNDED
@given(st.sampled_from(sorted(CHECKPOINTS)), st.lists(st.from_regex(r"k[a-z]{3,8}", fullmatch=True), min_size=3,
                                                      max_size=3, unique=True))  # fmt: skip
def test_prefixes_may_be_called_anything(name: str, words: list[str]) -> None:
    """The towers, the language model and their kinds stay; only what lies between may be told by its name."""
    parts = CHECKPOINTS[name].parts
    renamed = dict(zip(parts, words, strict=False))
    tensors = [_renamed(tensor, renamed) for tensor in names_of(name)]
    towers = [one.kind for one in layout_of(tensors).of("tower")]
    assert towers == CHECKPOINTS[name].towers
    assert [one.kind for one in layout_of(tensors).of("language_model")] == [CHECKPOINTS[name].language]


def _renamed(tensor: str, renamed: dict[str, str]) -> str:
    for prefix, word in renamed.items():
        if tensor.startswith(f"{prefix}."):
            return word + tensor[len(prefix) :]
    return tensor


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_parts_are_found(name: str) -> None:
    case = CHECKPOINTS[name]
    layout = layout_of(names_of(name))
    assert [one.kind for one in layout.of("tower")] == case.towers
    assert [one.name for one in layout.of("connector")] == list(case.connectors)
    assert part(layout, "language_model").kind == case.language
    assert layout.of("side") == ()


@pytest.mark.parametrize("index", INDICES, ids=lambda path: path.parent.name)
def test_real_indices_are_grouped_whole(index: Path) -> None:
    names = list(json.loads(index.read_text(encoding="utf-8"))["weight_map"])
    layout = layout_of(names)
    assert sum(one.tensors for one in layout.parts) == len(names)
    assert layout.of("tower") and layout.of("connector") and len(layout.of("language_model")) == 1
    assert all(one.kind is not None for one in layout.of("tower"))


def test_towers_in_a_list_are_several_towers() -> None:
    tensors = [name.replace("tower.", f"towers.{index}.", 1) for index in range(3) for name in names_of("clip")
               if name.startswith("tower.")]  # fmt: skip
    assert [(one.name, one.kind) for one in layout_of(tensors).of("tower")] == [
        (f"towers.{index}", "clip") for index in range(3)
    ]


def test_layers_in_a_list_are_one_tower() -> None:
    layout = layout_of(names_of("clip"))
    assert part(layout, "tower").network is not None
    assert [one.network.depth for one in layout.of("tower") if one.network] == [2]


def test_a_norm_more_is_extra() -> None:
    added = [f"tower.encoder.layers.{index}.norm_more.{end}" for index in range(2) for end in ("weight", "bias")]
    tower = part(layout_of([*names_of("siglip"), *added]), "tower")
    assert (tower.kind, tower.extra) == ("siglip", ("encoder.layers.*.norm_more",))


def test_an_unknown_tower_has_no_kind() -> None:
    renamed = [name.replace("self_attn", "mixing").replace("mlp", "widen") for name in names_of("siglip")]
    assert part(layout_of(renamed), "tower").kind is None


def test_shapes_tell_naflex_from_siglip() -> None:
    from porter.facts.layout_towers import kind_of_part

    shaped: dict[str, tuple[int, ...]] = dict.fromkeys(names_of("siglip"), (8, 8))
    assert kind_of_part(part(layout_of(shaped), "tower"), None) == "siglip2"
    shaped["tower.embeddings.patch_embedding.weight"] = (8, 3, 14, 14)
    assert kind_of_part(part(layout_of(shaped), "tower"), None) == "siglip"


def test_extra_networks_are_no_connector() -> None:
    """A second encoder with a projector of its own: told apart by the config's word for it."""
    genes = [f"gene_encoder.layers.{index}.self_attn.in_proj_weight" for index in range(3)]
    genes += [f"gene_encoder.layers.{index}.norm1.weight" for index in range(3)]
    tensors = [*names_of("siglip"), *genes, "gene_projector.0.weight", "gene_projector.2.weight"]
    layout = layout_of(tensors, Hints(foreign=frozenset({"gene"})))
    assert [one.name for one in layout.of("connector")] == ["projector"]
    assert {one.name for one in layout.of("extra")} == {"gene_encoder", "gene_projector"}


def test_widths_tell_the_connector_where_names_do_not() -> None:
    shaped: dict[str, tuple[int, ...]] = {
        name: (8, 8) for name in names_of("siglip") if not name.startswith("projector")
    }
    shaped["tower.embeddings.patch_embedding.weight"] = (8, 3, 14, 14)
    shaped["llm.model.embed_tokens.weight"] = (99, 24)
    shaped |= {"a.weight": (24, 5), "b.weight": (24, 32), "c.weight": (7, 32)}
    assert [one.name for one in layout_of(shaped).of("connector")] == ["b"]


def test_side_tensors_of_a_quantiser_stand_apart() -> None:
    base = "llm.model.layers.0.mlp.up_proj"
    tensors = [*names_of("siglip"), *(f"{base}.weight.{end}" for end in ("absmax", "quant_map"))]
    side = part(layout_of(tensors), "side")
    assert (side.kind, side.tensors) == ("bitsandbytes", 2)


def test_many_strange_modules_are_one_group() -> None:
    layout = layout_of([f"m{index}.weight" for index in range(5000)])
    assert len(layout.parts) < 100
    assert sum(one.tensors for one in layout.parts) == 5000
    assert len(json.dumps(layout.to_json())) < 100_000
