"""Repos without code: a model of the installed transformers, or its config with another architecture's name."""

from __future__ import annotations

from dataclasses import replace

from tests.twins.catalog.idefics3 import SMOLVLM
from tests.twins.catalog.mistral3 import LIGHTON_OCR
from tests.twins.catalog.qwen2_vl import QWEN2_VL
from tests.twins.shapes import Twin

SMOL_PROCESSOR = replace(
    SMOLVLM,
    preprocessor={
        **SMOLVLM.preprocessor,
        "image_processor_type": "SmolVLMImageProcessor",
        "processor_class": "SmolVLMProcessor",
    },
    processor={"processor_class": "SmolVLMProcessor", "image_seq_len": 4},
)
SMOL = Twin("smolvlm-native", SMOL_PROCESSOR, "SmolVLM", "smolvlm", style="native")
SMOL_FIRST = Twin("smolvlm-first", SMOLVLM, "SmolVLM", "smolvlm", style="native")
"""With Idefics3's processor, as the first repos of it have."""
ALIAS = Twin("alias-native", QWEN2_VL, "Sparrow", "qwen2_vl", style="native")
"""Only the architecture has another name."""
LIGHTON = Twin("lighton-native", LIGHTON_OCR, "LightOnOcr", "lighton_ocr", style="native")
"""Mistral 3 with values fixed in the code that Mistral 3 takes from its config."""
NATIVES = {twin.name: twin for twin in (SMOL, SMOL_FIRST, ALIAS, LIGHTON)}
