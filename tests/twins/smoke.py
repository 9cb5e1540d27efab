"""Runs one image through repos of this package: python smoke.py FOLDER... (needs torch and transformers)."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path


def forward(folder: Path) -> str:
    """One forward pass by the repo's own code; says the shape of the logits and how much the image matters."""
    import torch
    from PIL import Image
    from transformers import AutoModelForImageTextToText, AutoProcessor

    model, loading = AutoModelForImageTextToText.from_pretrained(
        folder, trust_remote_code=True, output_loading_info=True
    )
    assert not loading["missing_keys"] and not loading["unexpected_keys"], loading
    model.eval()
    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
    parts = [{"type": "image"}, {"type": "text", "text": "What is this?"}]
    text = processor.apply_chat_template([{"role": "user", "content": parts}], add_generation_prompt=True)
    out = []
    for colour in ((250, 10, 60), (10, 60, 250)):
        image = Image.linear_gradient("L").convert("RGB").resize((120, 90))
        image = Image.blend(image, Image.new("RGB", image.size, colour), 0.5)
        inputs = processor(text=[text], images=[image], return_tensors="pt")
        with torch.no_grad():
            out.append(model(**inputs).logits)
    moved = (out[0] - out[1]).abs()[:, -1].max().item()
    assert out[0].isfinite().all() and moved > 1e-3, f"the image moves logits by {moved}"
    return f"{tuple(out[0].shape)}, image moves the last logits by {moved:.3f}, std {out[0].std().item():.2f}"


def main(folders: list[str]) -> int:
    failed = 0
    for folder in folders:
        try:
            print(Path(folder).name, forward(Path(folder)), flush=True)
        except Exception:
            failed += 1
            print(Path(folder).name, "FAILED", flush=True)
            traceback.print_exc(limit=-4)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
