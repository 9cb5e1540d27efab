# Copyright 2025 The Skylark Authors. Licensed under the Apache License, Version 2.0.
"""Cuts an image into square tiles of the best-fitting grid; the model itself normalises the pixels."""

import numpy as np
import torch
from PIL import Image
from transformers import BaseImageProcessor, BatchFeature


class SkylarkImageProcessor(BaseImageProcessor):
    model_input_names = ["pixel_values", "tile_counts"]

    def __init__(
        self,
        tile_size=448,
        min_tiles=1,
        max_tiles=12,
        use_thumbnail=True,
        resample=Image.Resampling.BICUBIC,
        rescale_factor=1 / 255,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.tile_size = tile_size
        self.min_tiles = min_tiles
        self.max_tiles = max_tiles
        self.use_thumbnail = use_thumbnail
        self.resample = resample
        self.rescale_factor = rescale_factor

    def candidate_grids(self):
        """All `(columns, rows)` with an allowed number of tiles, fewest tiles first."""
        sides = range(1, self.max_tiles + 1)
        grids = {(c, r) for c in sides for r in sides if self.min_tiles <= c * r <= self.max_tiles}
        return sorted(grids, key=lambda grid: grid[0] * grid[1])

    def choose_grid(self, width, height):
        """The grid nearest in aspect ratio; of equally near ones the larger, if the image has the pixels for it."""
        best, best_gap = (1, 1), float("inf")
        for columns, rows in self.candidate_grids():
            gap = abs(width / height - columns / rows)
            roomy = width * height > 0.5 * self.tile_size**2 * columns * rows
            if gap < best_gap or (gap == best_gap and roomy):
                best, best_gap = (columns, rows), gap
        return best

    def cut(self, image):
        """One PIL image as a list of `tile_size` squares, row by row, the thumbnail last."""
        image = image.convert("RGB")
        columns, rows = self.choose_grid(*image.size)
        size = self.tile_size
        canvas = image.resize((columns * size, rows * size), self.resample)
        corners = [(x * size, y * size) for y in range(rows) for x in range(columns)]
        tiles = [canvas.crop((x, y, x + size, y + size)) for x, y in corners]
        if self.use_thumbnail and len(tiles) > 1:
            tiles.append(image.resize((size, size), self.resample))
        return tiles

    def preprocess(self, images, return_tensors=None, **kwargs):
        images = images if isinstance(images, (list, tuple)) else [images]
        groups = [self.cut(image) for image in images]
        tiles = [np.asarray(tile, dtype=np.float32) * np.float32(self.rescale_factor) for g in groups for tile in g]
        pixels = torch.from_numpy(np.stack(tiles)).permute(0, 3, 1, 2).contiguous()
        counts = torch.tensor([len(group) for group in groups])
        return BatchFeature({"pixel_values": pixels, "tile_counts": counts}, tensor_type=return_tensors)
