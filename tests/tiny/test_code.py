"""Code of other repos is vendored beside the repo's own, and every auto_map names local modules only."""

from __future__ import annotations

from porter.jsontypes import JSON
from porter.tiny.code import local_code, relocated, without_code

TOWER = "from .configuration_vit import VitConfig\nfrom ..other import x\n\n\nclass Tower: ...\n"


def test_foreign_code_lies_beside_the_repos_own() -> None:
    code = local_code({"modeling.py": "a", "ORG/vit--modeling_vit.py": TOWER, "ORG/vit--configuration_vit.py": "b"})
    assert code.files == {"modeling.py": "a", "modeling_vit.py": TOWER, "configuration_vit.py": "b"}
    assert code.modules["ORG/vit--modeling_vit"] == "modeling_vit"


def test_a_clash_of_names_is_resolved_with_the_imports() -> None:
    code = local_code(
        {"configuration_vit.py": "own", "ORG/v-1--modeling_vit.py": TOWER, "ORG/v-1--configuration_vit.py": "b"}
    )
    assert code.files["configuration_vit.py"] == "own"
    assert code.files["org_v_1__configuration_vit.py"] == "b"
    assert "from .org_v_1__configuration_vit import VitConfig" in code.files["org_v_1__modeling_vit.py"]
    assert "from ..other import x" in code.files["org_v_1__modeling_vit.py"]


def test_auto_maps_at_any_depth_become_local() -> None:
    modules = {"ORG/vit--modeling_vit": "org_vit__modeling_vit"}
    doc: JSON = {
        "auto_map": {"AutoModel": "modeling.Model", "AutoTokenizer": ["tok.Slow", None]},
        "vision_config": {"auto_map": {"AutoModel": "ORG/vit--modeling_vit.Tower"}},
    }
    assert relocated(doc, modules) == {
        "auto_map": {"AutoModel": "modeling.Model", "AutoTokenizer": ["tok.Slow", None]},
        "vision_config": {"auto_map": {"AutoModel": "org_vit__modeling_vit.Tower"}},
    }


def test_without_trust_no_code_is_named() -> None:
    assert without_code({"auto_map": {"A": "m.B"}, "v": [{"auto_map": {}, "k": 1}]}) == {"v": [{"k": 1}]}
