from __future__ import annotations

import ast
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from porter.families import FAMILIES
from porter.planning import config_file, model_file
from porter.planning.plugin import cell
from porter.planning.render import render_python, tidy
from porter.planning.spec import PortSpec, TokenSpec
from porter.weights.mapper import NameRules
from tests.families.repos import EXAMPLE, needs_vllm, read, tree

hostile = st.text(max_size=30) | st.sampled_from(
    ['"""', "'); import os; ('", "\\", "{{ 7 }}", "{% raw %}", "a\nb", "\u2028"]
)


@pytest.fixture(scope="module")
def spec() -> PortSpec:
    reading = read(EXAMPLE)
    family = FAMILIES["internvl"]
    return family.spec(family.match(reading, tree()), reading, tree())


def strings(source: str) -> set[str]:
    nodes = ast.walk(ast.parse(source))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


@needs_vllm
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(token=hostile, placeholder=hostile, old=hostile, new=hostile)
def test_strings_of_a_repo_stay_strings(spec: PortSpec, token: str, placeholder: str, old: str, new: str) -> None:
    changed = replace(
        spec,
        tokens=TokenSpec({"ctx_image_token": token}, placeholder),
        rules=NameRules(prefix={old: new}, substr={old: None}),
    )
    source = render_python("model.py.j2", **model_file.context(changed, relative=False, own_config=True))
    assert {token, placeholder, old, new} <= strings(source)
    classes = [node.name for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    assert classes[-1] == spec.names.architecture
    assert not any(isinstance(node, ast.Name) and node.id == "os" for node in ast.walk(ast.parse(source)))


@needs_vllm
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=hostile, value=hostile)
def test_config_keys_and_defaults_stay_values(spec: PortSpec, key: str, value: str) -> None:
    config = replace(spec.config, defaults={key: value}, renames={"downsample_ratio": key}, model_type=value)
    changed = replace(spec, config=config, model_type=value)
    source = render_python("configuration.py.j2", **config_file.context(changed))
    assert {key, value} <= strings(source)


@given(st.text(max_size=300))
def test_table_cells_cannot_end_a_row(text: str) -> None:
    found = cell(text)
    assert "\n" not in found
    assert "|" not in found.replace("\\|", "")
    assert len(found) <= 160


def test_tidy_leaves_blank_lines_as_the_formatter_does() -> None:
    assert (
        tidy("class A:\n\n\n    x = 1\n\n\n\n    y = 2\n\n\n\n\nz = 3\n\n")
        == "class A:\n    x = 1\n\n    y = 2\n\n\nz = 3\n"
    )
