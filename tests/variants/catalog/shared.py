"""What several variants use."""

from __future__ import annotations

from tests.variants.recipe import Buffer

VL_SETTINGS = (
    "select_layer",
    "force_image_size",
    "downsample_ratio",
    "ps_version",
    "dynamic_image_size",
    "use_thumbnail",
    "min_dynamic_patch",
    "max_dynamic_patch",
)
TILE_FIELDS = frozenset({"image_size", "min_tiles", "max_tiles", "use_thumbnail"})


def norm_buffers(mean: str, std: str, shape: tuple[int, ...]) -> tuple[Buffer, ...]:
    """Two stored buffers that the model applies to pixels in [0, 1]; the config holds their values."""
    view = "" if len(shape) == 1 else f".view{shape!r}"
    return (
        Buffer(mean, f"torch.tensor(config.pixel_mean){view}", shape, "mean"),
        Buffer(std, f"torch.tensor(config.pixel_std){view}", shape, "std"),
    )
