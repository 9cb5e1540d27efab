"""python -m tests.variants.example_run FOLDER: loads the example as its README says and prints what it measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.variants.check import picture


def measure(folder: Path) -> dict[str, object]:
    """Tiles, features and logits of one picture, and the expanded prompt's tokens."""
    import torch
    from transformers import AutoImageProcessor, AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
    processor = AutoImageProcessor.from_pretrained(folder, trust_remote_code=True)
    batch = processor(picture(), return_tensors="pt")
    tiles = batch["tile_counts"].tolist()
    ids = tokenizer(model.expand_prompt("<image>\nwhat is this?", tiles), return_tensors="pt")["input_ids"]
    with torch.no_grad():
        features = model.model.encode_tiles(batch["pixel_values"])
        logits = model(input_ids=ids, pixel_values=batch["pixel_values"]).logits
    answer = model.chat(tokenizer, batch["pixel_values"], "what is this?", max_new_tokens=4)
    return {
        "tiles": tiles,
        "features": list(features.shape),
        "context": int((ids == tokenizer.convert_tokens_to_ids(model.IMAGE_PATCH)).sum()),
        "config_id": model.config.vision_token_id == tokenizer.convert_tokens_to_ids(model.IMAGE_PATCH),
        "finite": bool(logits.isfinite().all()),
        "spread": float(logits.std()),
        "answered": isinstance(answer, str),
    }


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]))))
