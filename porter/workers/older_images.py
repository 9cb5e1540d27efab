"""What processors of transformers 4.4x and 4.5x found in their base classes, for code that asks for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypedDict

KEYS = (
    *("do_resize", "size", "default_to_square", "resample", "do_center_crop", "crop_size", "do_rescale"),
    *("rescale_factor", "do_normalize", "image_mean", "image_std", "do_convert_rgb", "return_tensors"),
    *("data_format", "input_data_format", "device"),
)


def keyword_class() -> Any:
    """The arguments that such a processor took, as the class that its own arguments extend; helps its base as well."""
    from transformers import image_processing_backends as backends

    base = backends.TorchvisionBackend
    backends.group_images_by_shape = partial(backends.group_images_by_shape, disable_grouping=False)
    resize = base.resize

    def resized(self: Any, *images: Any, interpolation: Any = None, **options: Any) -> Any:
        return resize(self, *images, **options | ({"resample": interpolation} if interpolation is not None else {}))

    added = {
        "resize": resized,
        "_prepare_input_images": _prepared,
        "_process_image": base.process_image,
        "_further_process_kwargs": _further,
    }
    for name, method in added.items():
        setattr(base, name, method)
    make: Any = TypedDict
    return make("DefaultFastImageProcessorKwargs", dict.fromkeys(KEYS, Any), total=False)


def _prepared(self: Any, images: Any, **options: Any) -> list[Any]:
    """Each image as a tensor, channels first."""
    one = partial(self._process_image, **options)
    return [one(image) for image in self._prepare_images_structure(images)]


def _further(self: Any, **given: Any) -> dict[str, Any]:
    """The arguments in their final form; what today's base takes out or adds is as it was."""
    made = self._standardize_kwargs(**given)
    kept = {name: made.get(name, value) for name, value in given.items()}
    return {"default_to_square": None, **kept, "data_format": given.get("data_format") or "channels_first"}


def with_plain_arguments(load: Callable[[], Any], used: list[str]) -> Any:
    """What `load` makes; where it fails, again with unused arguments as they were answered: as one dict, not a pair."""
    from transformers import ProcessorMixin

    try:
        return load()
    except (TypeError, ValueError):
        pair = ProcessorMixin.validate_init_kwargs
        ProcessorMixin.validate_init_kwargs = staticmethod(lambda *given, **named: pair(*given, **named)[0])
        try:
            made = load()
        finally:
            ProcessorMixin.validate_init_kwargs = staticmethod(pair)
        used.append("ProcessorMixin.validate_init_kwargs answers unused arguments alone")
        return made
