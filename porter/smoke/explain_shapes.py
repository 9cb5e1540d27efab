"""All error shapes. The first that fits an exception names it, so a special one stands before a general one.

Words are those of vLLM 0.20 to 0.33 and of transformers 4 and 5.
"""

from __future__ import annotations

import re

from porter.smoke.explain_inputs import CONFIG, TOKENS
from porter.smoke.explain_running import RUNNING
from porter.smoke.explain_shape import Shape
from porter.smoke.explain_weights import WEIGHTS

SHAPES: tuple[Shape, ...] = (*TOKENS, *CONFIG, *WEIGHTS, *RUNNING)
WORDS = tuple(re.compile(shape.words, re.DOTALL) for shape in SHAPES)
FRAMES = tuple(re.compile(shape.frame) if shape.frame else None for shape in SHAPES)
