"""What image functions of the remote code default to."""

from __future__ import annotations

import ast

from porter.facts.configs import Configs, Found
from porter.facts.synonyms import spellings
from porter.source.codebase import snippet, where
from porter.source.interpreter import Frame
from porter.source.values import Src, plain
from porter.source.walking import nodes


def code_value(configs: Configs, attribute: str) -> Found | None:
    """A default of one of the image functions in the remote code (`def tile(image, max_num=6)`, `BUILD_SIZE = 448`)."""
    names = set(spellings(attribute))
    for file in configs.code.run.code.files():
        for node in nodes(file.tree):
            if not isinstance(node, ast.FunctionDef) or not _image_function(node):
                continue
            arguments = [*node.args.posonlyargs, *node.args.args]
            pairs = list(zip(reversed(arguments), reversed(node.args.defaults), strict=False))
            pairs += [
                (a, d) for a, d in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=False) if d is not None
            ]
            for argument, default in pairs:
                if argument.arg not in names:
                    continue
                value = configs.code.run.evaluate(default, Frame(file.path, {}, None, None, 1))
                if isinstance(plain(value), (int, float, bool, str)):
                    source = Src(file.path, where(node), f"{node.name}({argument.arg}={snippet(default)})")
                    return Found(plain(value), (source, *value.src[:2]), sure=False)
    return None


def _image_function(node: ast.FunctionDef) -> bool:
    first = [argument.arg for argument in node.args.args[:2] if argument.arg not in ("self", "cls")]
    words = ("image", "img", "tile", "patch", "pil", "preprocess", "transform", "path", "file")
    return any(word in text.lower() for text in (*first, node.name) for word in words)
