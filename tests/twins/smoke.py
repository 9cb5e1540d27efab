"""Runs an image through made repos and through transformers' own classes: python -m tests.twins.smoke OUT [NAME ...]

A repo that only has other names must give the native numbers, a near miss must not. Needs torch and transformers."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Any

from tests.twins import TWINS, Twin
from tests.twins.write import native_config

QUESTION = ({"type": "image"}, {"type": "text", "text": "What is this?"})


def inputs(folder: Path, colour: tuple[int, int, int]) -> Any:
    """A question about one picture, as the repo's processor makes it."""
    from PIL import Image
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
    text = processor.apply_chat_template([{"role": "user", "content": list(QUESTION)}], add_generation_prompt=True)
    image = Image.linear_gradient("L").convert("RGB").resize((120, 90))
    image = Image.blend(image, Image.new("RGB", image.size, colour), 0.5)
    return processor(text=[text], images=[image], return_tensors="pt")


def own_model(folder: Path) -> Any:
    from transformers import AutoModelForImageTextToText

    model, loading = AutoModelForImageTextToText.from_pretrained(
        folder, trust_remote_code=True, output_loading_info=True
    )
    assert not loading["missing_keys"] and not loading["unexpected_keys"], loading
    return model.eval()


def native_model(twin: Twin, own: Any) -> Any:
    """Transformers' own class with the same values in the same order, or None where the parameters differ."""
    import torch
    import transformers

    config = getattr(transformers, f"{twin.family.base}Config")(**native_config(twin))
    model = getattr(transformers, f"{twin.family.base}ForConditionalGeneration")(config).float().eval()
    theirs, ours = list(model.parameters()), list(own.parameters())
    if [p.shape for p in theirs] != [p.shape for p in ours]:
        return None
    with torch.no_grad():
        for mine, other in zip(theirs, ours, strict=True):
            mine.copy_(other)
    return model


def compared(twin: Twin, folder: Path) -> str:
    """One forward pass by the repo's own code and by the native class."""
    import torch

    own = own_model(folder)
    native = native_model(twin, own)
    pair = [inputs(folder, colour) for colour in ((250, 10, 60), (10, 60, 250))]
    with torch.no_grad():
        logits = [own(**item).logits for item in pair]
        other = native(**pair[0]).logits if native is not None else None
    moved = (logits[0] - logits[1]).abs()[:, -1].max().item()
    assert logits[0].isfinite().all() and moved > 1e-3, f"the image moves the logits by {moved}"
    away = (logits[0] - other).abs().max().item() if other is not None else None
    if twin.near_miss and not twin.own_processor:
        assert away is not None and away > 1e-3, f"a near miss, but {away} from the native class"
    elif not (twin.edits or twin.module or twin.config_init):
        assert away is not None and away < 1e-5, f"only renamed, but {away} from the native class"
    return f"{logits[0].shape[1]} tokens, image moves logits by {moved:.3f}, from native {away}"


def main(out: Path, names: list[str]) -> int:
    failed = 0
    for twin in (TWINS[name] for name in names or TWINS):
        try:
            print(twin.name, compared(twin, out / twin.name), flush=True)
        except Exception:
            failed += 1
            print(twin.name, "FAILED", flush=True)
            traceback.print_exc(limit=-4)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
