"""Test images that two processes can make alike: smooth colours plus seeded noise, from (width, height, seed) alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image


def make_image(width: int, height: int, seed: int) -> Image:
    """An RGB image with no symmetry: transposed, mirrored or shifted it is another one."""
    import numpy as np
    from PIL import Image

    random = np.random.Generator(np.random.PCG64(seed))
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    waves = [np.sin(x * f[0] / width + y * f[1] / height + f[2]) for f in random.uniform(1.0, 9.0, (3, 3))]
    pixels = 127.5 + 90.0 * np.stack(waves, axis=-1) + random.normal(0.0, 20.0, (height, width, 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8), "RGB")


def load_images(specs: list[dict[str, Any]]) -> list[Image]:
    """Each spec is {width, height, seed} or {file}."""
    from PIL import Image

    made = []
    for spec in specs:
        if "file" in spec:
            made.append(Image.open(spec["file"]).convert("RGB"))
        else:
            made.append(make_image(spec["width"], spec["height"], spec["seed"]))
    return made
