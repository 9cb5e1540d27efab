"""Pixel arithmetic in the repo's own image functions: mean and std, resampling filter, rescaling, tiles or none."""

from __future__ import annotations

import ast

from porter.facts.code import CodeReading
from porter.facts.configs import Configs, Found, evidence, found_from
from porter.facts.cutting import cutting
from porter.facts.model import Confidence, Fact
from porter.facts.synonyms import RESAMPLING
from porter.facts.syntax import called
from porter.facts.tiling import filtered_grids, other_choice, tiling_bounds
from porter.jsontypes import JSON
from porter.source.codebase import snippet, where
from porter.source.interpreter import Frame
from porter.source.values import Function, Src, plain
from porter.source.walking import nodes

RESAMPLE = tuple(RESAMPLING)
RESCALING = ("ToTensor", "to_tensor", "pil_to_tensor", "rescale")
DIVIDING = ("div", "div_", "true_divide", "divide")


def resample_name(value: JSON) -> JSON:
    """A resampling filter by its PIL name, from PIL's number or any spelling of the name."""
    if isinstance(value, str):
        name = value.rsplit(".", 1)[-1].lower()
        return name if name in RESAMPLE else None
    return RESAMPLE[value] if isinstance(value, int) and 0 <= value < len(RESAMPLE) else None


def constant_of(code: CodeReading, role: str) -> Found | None:
    """Arguments of Normalize / Resize / resize calls anywhere in the remote code."""
    for file in code.run.code.files():
        for owner in nodes(file.tree):
            if not isinstance(owner, (ast.FunctionDef, ast.Module)):
                continue
            frame = _default_frame(code, file.path, owner)
            body = owner.body if isinstance(owner, ast.FunctionDef) else []
            for node in (n for statement in body for n in nodes(statement) if isinstance(n, ast.Call)):
                found = call_constant(code, node, role, frame)
                if found is not None:
                    return found
    return None


def _default_frame(code: CodeReading, file: str, owner: ast.AST) -> Frame:
    """The names of a function at its defaults, and the constants that it assigns before use."""
    frame = Frame(file, {}, None, None, 1)
    if isinstance(owner, ast.FunctionDef):
        code.run.bind(Function(file, owner), [], {}, frame)
        for statement in owner.body[:20]:
            if isinstance(statement, ast.Assign) and not any(isinstance(n, ast.Call) for n in nodes(statement)):
                code.run.run([statement], frame)
    return frame


def call_constant(code: CodeReading, node: ast.Call, role: str, frame: Frame) -> Found | None:
    """What one call of an image function is given for a role (mean, std, resample)."""
    name = called(node)
    keywords = {keyword.arg: keyword.value for keyword in node.keywords}
    place = Src(frame.file, where(node), snippet(node))
    if role == "resample":
        return _resample_argument(code, name, node, keywords, frame, place)
    if name.lower() not in ("normalize", "normalise"):
        return None
    index = 0 if role == "mean" else 1
    image_first = len(node.args) == 3
    at = index + (1 if image_first else 0)
    argument = keywords.get(role) or (node.args[at] if len(node.args) > at else None)
    value = code.run.evaluate(argument, frame) if argument is not None else None
    inner = plain(value) if value is not None else None
    inner = [inner] * 3 if isinstance(inner, (int, float)) and not isinstance(inner, bool) else inner
    numbers = isinstance(inner, list) and len(inner) in (1, 3) and all(isinstance(item, (int, float)) for item in inner)
    return Found(inner, (place, *(value.src[:2] if value is not None else ()))) if numbers else None


def _resample_argument(
    code: CodeReading, name: str, node: ast.Call, keywords: dict[str | None, ast.expr], frame: Frame, place: Src
) -> Found | None:
    if name not in ("resize", "Resize"):
        return None
    argument = (
        keywords.get("resample") or keywords.get("interpolation") or (node.args[1] if len(node.args) > 1 else None)
    )
    if argument is None:
        return None
    value = code.run.evaluate(argument, frame)
    text = value.value.dotted if hasattr(value.value, "dotted") else plain(value)
    found = resample_name(text) if isinstance(text, (str, int)) and not isinstance(text, bool) else None
    return Found(found, (place, *value.src[:2])) if found is not None else None


def per_channel(found: Found) -> Found:
    """One number per channel."""
    value = found.value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Found([value] * 3, found.sources)
    return found


def named_constant(code: CodeReading, role: str) -> Found | None:
    """A module-level constant of three numbers that is called a mean or std and that an image function uses."""
    for file in code.run.code.files():
        functions = [node for node in nodes(file.tree) if isinstance(node, ast.FunctionDef)]
        used = {node.id for function in functions for node in nodes(function) if isinstance(node, ast.Name)}
        for name in (name for name in file.definitions if role in name.lower() and name in used):
            value = code.run.module_name(file.path, name)
            if _three_numbers(plain(value)):
                return Found(plain(value), value.src)
    return None


def _three_numbers(value: object) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(isinstance(item, (int, float)) for item in value)


def rescale_fact(configs: Configs) -> Fact:
    """Whether pixels are divided by 255: stated by the processor, or done in an image function."""
    stated = configs.processor_value("do_rescale")
    if stated is not None and isinstance(plain(stated), bool):
        found = found_from(stated)
        return Fact("rescale", found.value, Confidence.CERTAIN, evidence(found.sources))
    for file in configs.code.run.code.files():
        for node in nodes(file.tree):
            if _rescales(node):
                return Fact("rescale", True, Confidence.LIKELY, evidence((Src(file.path, where(node), snippet(node)),)))
    return Fact("rescale", None, Confidence.UNKNOWN)


def _rescales(node: ast.AST) -> bool:
    """A division by 255, or a call that makes one."""
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Div) and getattr(node.right, "value", None) == 255
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    divides = bool(node.args) and getattr(node.args[0], "value", None) == 255
    return node.func.attr in RESCALING or (divides and node.func.attr in DIVIDING)


def scheme_fact(configs: Configs) -> Fact:
    """How an image becomes tiles: "internvl_tiles" where code cuts crops by the closest of some ratios, "tiles" where
    by another choice among them that was read, "single" where nothing is cut."""
    resizes: list[Src] = []
    for file in configs.code.run.code.files():
        for node in nodes(file.tree):
            name = called(node)
            if name in ("crop", "unfold", "divide_to_patches", "crop_to_patches", "crop_image_to_patches"):
                return _cut(configs, Src(file.path, where(node), snippet(node)))
            if name in ("resize", "Resize"):
                resizes.append(Src(file.path, where(node), snippet(node)))
    if resizes:
        return Fact(
            "resize_scheme", "single", Confidence.LIKELY, evidence(tuple(resizes[:2])), note="no code cuts tiles"
        )
    return _scheme_of_files(configs)


def _cut(configs: Configs, place: Src) -> Fact:
    """Crops by a choice among grids; crops by any other rule are no known scheme."""
    filtered, other = filtered_grids(configs), other_choice(configs)
    if filtered is None and other is not None and cutting(configs) is not None:
        note = "the grid of tiles is chosen by a rule of its own"
        return Fact("resize_scheme", "tiles", Confidence.LIKELY, evidence((other, place)), note=note)
    filtered = filtered or other
    if filtered is not None:
        note = "the grid of tiles is chosen by a rule of its own"
        return Fact("resize_scheme", None, Confidence.UNKNOWN, evidence((filtered,)), note=note)
    name, words = "resize_scheme", ("aspect_ratio", "target_ratios", "aspect_ratios")
    if tiling_bounds(configs) or any(configs.speaks_of(word) for word in words):
        return Fact(name, "internvl_tiles", Confidence.LIKELY, evidence((place,)))
    return Fact(name, None, Confidence.UNKNOWN, evidence((place,)), note="crops are cut by a rule that is not known")


def _scheme_of_files(configs: Configs) -> Fact:
    """The scheme `single` where the processor is the library's and its file says one square without a crop."""
    for name, values in configs.processor_files():
        stated = {key: plain(value) for key, value in values.items()}
        size = stated.get("size")
        square = isinstance(size, dict) and set(size) == {"height", "width"} and size["height"] == size["width"]
        cuts = stated.get("do_center_crop") or any("patches" in key or "split" in key for key in stated)
        if square and not cuts and stated.get("do_resize", True) and stated.get("image_processor_type"):
            place = Src(name, "size", repr(size))
            return Fact("resize_scheme", "single", Confidence.LIKELY, evidence((place,)), note="no file cuts tiles")
    return Fact("resize_scheme", None, Confidence.UNKNOWN)
