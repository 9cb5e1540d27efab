"""The plan of a plugin folder: an installable package with the port, its config class, its tests and PORT.md."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import porter
from porter.facts.model import Fact
from porter.facts.reading import RepoReading
from porter.families import FAMILIES
from porter.families.base import Verdict
from porter.planning.fixtures import Fixtures, fixtures
from porter.planning.plan import FileChange, OpenItem
from porter.planning.render import environment, render, render_python
from porter.planning.spec import Spec

SKIPPED_FACTS = ("auto_map",)
CELL = 160


def plugin_files(
    reading: RepoReading,
    verdict: Verdict,
    spec: Spec,
    tree_version: str,
    todo: Sequence[OpenItem],
    *,
    own_config: bool,
) -> tuple[FileChange, ...]:
    """Every file of the plugin, paths relative to its folder."""
    made = fixtures(reading, spec, keep_code=not own_config)
    module, family = spec.names.module, FAMILIES[spec.family]
    texts = {
        "pyproject.toml": render("plugin/pyproject.toml.j2", spec=spec),
        f"{module}/__init__.py": render_python(
            "plugin/__init__.py.j2", spec=spec, own_config=own_config, config_class=spec.names.cls("Config")
        ),
        f"{module}/modeling.py": family.model_file(spec, relative=False, own_config=own_config),
        "PORT.md": port_notes(reading, verdict, spec, tree_version, todo, layout="plugin"),
        **_tests(spec, made, own_config, trust=bool(reading.snapshot.auto_map) and not own_config),
    }
    if own_config:
        texts[f"{module}/configuration.py"] = family.config_file(spec)
    texts |= {f"tests/tiny/{name}": text for name, text in made.files.items()}
    return tuple(FileChange(path, None, texts[path]) for path in sorted(texts))


def _tests(spec: Spec, made: Fixtures, own_config: bool, *, trust: bool) -> dict[str, str]:
    prompt = FAMILIES[spec.family].prompt(spec, made.tile)
    return {
        "tests/conftest.py": render_python(
            "plugin/tests/conftest.py.j2", spec=spec, trust=trust, max_model_len=made.max_model_len
        ),
        "tests/test_registration.py": render_python(
            "plugin/tests/test_registration.py.j2", spec=spec, own_config=own_config
        ),
        "tests/test_port.py": render_python(
            "plugin/tests/test_port.py.j2",
            spec=spec,
            names=bool(made.names),
            prompt=prompt,
            tokens_per_tile=prompt.unit or made.tokens_per_tile,
            cases=list(prompt.cases),
        ),
    }


def port_notes(
    reading: RepoReading, verdict: Verdict, spec: Spec, tree_version: str, todo: Sequence[OpenItem], *, layout: str
) -> str:
    """PORT.md: facts, evidence, open items, commands."""
    env = environment()
    env.filters.update(cell=cell, tojson_line=_line, places=_places)
    repo = reading.snapshot.repo
    return render(
        "plugin/PORT.md.j2",
        spec=spec,
        porter_version=porter.__version__,
        repo=repo.id,
        commit=repo.commit,
        tree_version=tree_version,
        verdict=verdict,
        match=verdict.match,
        layout=layout,
        facts=_shown(reading.facts.items()),
        todo=todo,
    )


def _shown(facts: Iterable[tuple[str, Fact]]) -> list[tuple[str, Fact]]:
    return [(name, fact) for name, fact in facts if name not in SKIPPED_FACTS]


def cell(value: object) -> str:
    """Text that cannot break out of a Markdown table."""
    plain = " ".join(str(value).split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
    return plain if len(plain) <= CELL else plain[: CELL - 1] + "…"


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _places(fact: Fact) -> str:
    return "; ".join(f"{item.file} {item.where}" for item in fact.evidence[:2])
