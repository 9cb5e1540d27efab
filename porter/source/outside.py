"""What well-known names outside the repo stand for: image constants and activations by name."""

from __future__ import annotations

from porter.source.codebase import External
from porter.source.values import Layer, Src, Val

CONSTANTS: dict[str, tuple[float, ...]] = {
    "OPENAI_CLIP_MEAN": (0.48145466, 0.4578275, 0.40821073),
    "OPENAI_CLIP_STD": (0.26862954, 0.26130258, 0.27577711),
    "IMAGENET_DEFAULT_MEAN": (0.485, 0.456, 0.406),
    "IMAGENET_DEFAULT_STD": (0.229, 0.224, 0.225),
    "IMAGENET_STANDARD_MEAN": (0.5, 0.5, 0.5),
    "IMAGENET_STANDARD_STD": (0.5, 0.5, 0.5),
    "IMAGENET_INCEPTION_MEAN": (0.5, 0.5, 0.5),
    "IMAGENET_INCEPTION_STD": (0.5, 0.5, 0.5),
}
PACKAGES = ("transformers", "timm")
ACTIVATION_TABLES = ("ACT2FN", "get_activation")
ACTIVATIONS: dict[str, tuple[str, str]] = {
    "gelu": ("GELU", "none"),
    "gelu_python": ("GELU", "none"),
    "gelu_new": ("GELU", "tanh"),
    "gelu_fast": ("GELU", "tanh"),
    "gelu_pytorch_tanh": ("GELU", "tanh"),
    "quick_gelu": ("QuickGELU", "none"),
    "silu": ("SiLU", "none"),
    "swish": ("SiLU", "none"),
    "relu": ("ReLU", "none"),
    "tanh": ("Tanh", "none"),
    "sigmoid": ("Sigmoid", "none"),
    "linear": ("Identity", "none"),
}


def constant(name: External) -> Val:
    """The numbers of a constant that image code imports, else the name itself."""
    package, _, _ = name.dotted.partition(".")
    numbers = CONSTANTS.get(name.name) if package in PACKAGES else None
    if numbers is None:
        return Val(name)
    return Val([Val(number) for number in numbers], (Src("", name.dotted, repr(numbers)),))


def activation(name: str, place: Src) -> Val:
    """The layer that `ACT2FN[name]` gives; one that is not in the table keeps its own name, so that it is seen."""
    op, approximate = ACTIVATIONS.get(name, (name, "none"))
    given = {"approximate": Val(approximate)} if op == "GELU" else {}
    return Val(Layer(External(f"torch.nn.{op}"), [], given, place), (place,))
