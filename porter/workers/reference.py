"""Job: run the repo's own model on random weights and keep what it computes. Executes the repo's code; knows no vLLM.

Request  {model, out, native, trust_remote_code, facts, sets: [{name, seed}], steps, prompts: [{name, text, images}]}
Answer   {model_class, shims, preprocessing, proven_preprocessing, proven_image_text, telling_pictures, banned, notes,
          sets: [{name, weights, results}]}

`weights` is a safetensors file under the repo's own tensor names; `results` an .npz with, per prompt, `ids` (prompt
tokens), `tokens` (greedy), `logprobs` (steps, vocab) and, for prompts with images, `embeds` (rows, width).
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from pathlib import Path
from typing import Any

from porter_worker import chatting, draw, images, own_features, preprocess, runtime, shims, stages, tilings
from porter_worker.placeholders import NUMBER
from porter_worker.said import line_of

CLASS_KEYS = ("AutoModelForImageTextToText", "AutoModelForVision2Seq", "AutoModelForCausalLM", "AutoModel")
THREADS = 2
"""At most: the model is tiny."""
ODD, REWRITTEN = "odd aspect", "rewritten from facts"


def model_class(folder: Path, config_doc: dict[str, Any], native: bool) -> Any:
    """The class that the repo's auto_map names for its architecture, or transformers' own."""
    import transformers
    from transformers.dynamic_module_utils import get_class_from_dynamic_module

    architectures = config_doc.get("architectures") or []
    auto_map = config_doc.get("auto_map") or {}
    references = [auto_map[key] for key in CLASS_KEYS if key in auto_map]
    references.sort(key=lambda reference: reference.rpartition(".")[2] not in architectures)
    if references and not native:
        return get_class_from_dynamic_module(references[0], str(folder))
    known = (getattr(transformers, str(name), None) for name in architectures)
    found = [cls for cls in known if isinstance(cls, type) and issubclass(cls, transformers.PreTrainedModel)]
    return found[0] if found else by_config(config_doc)


def by_config(config_doc: dict[str, Any]) -> Any:
    """The class that transformers builds for the model_type, whatever name the repo gives its architecture."""
    from transformers import AutoConfig, AutoModelForImageTextToText

    try:
        config = AutoConfig.for_model(config_doc.get("model_type"))
        return AutoModelForImageTextToText._model_mapping[type(config)]
    except (KeyError, ValueError):
        architectures = config_doc.get("architectures")
        raise LookupError(f"neither auto_map nor transformers has a class for {architectures}") from None


def build(folder: Path, native: bool, used: list[str]) -> Any:
    """The model in float32 on the CPU, eager attention, not yet with weights."""
    import torch
    from transformers import AutoConfig

    config_doc = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    shims.skip_import_check()

    def load() -> tuple[Any, Any]:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=not native)
        return config, model_class(folder, config_doc, native)

    config, cls = shims.with_stubs(load, used)
    shims.patch_classes(used)
    shims.patch_config(config, used)
    torch.manual_seed(0)
    try:
        model = cls._from_config(config, attn_implementation="eager")
    except (TypeError, ValueError, AttributeError) as error:
        used.append(f"_from_config: {line_of(error)}")
        model = cls(config)
    shims.retie(model, used)
    return model.float().eval()


def numbered(text: str, number: int) -> str:
    """A placeholder or a label of the image with this number."""
    return text.replace(NUMBER, str(number))


def set_image_ids(model: Any, token_id: int | None) -> None:
    """Older code keeps the id of the context token as an attribute that only its chat function sets."""
    for module in model.modules():
        compared = compared_attributes(type(module))
        for name, value in list(vars(module).items()):
            usual = name.endswith(("context_token_id", "image_token_id", "image_token_index"))
            if value is None and (usual or name in compared):
                setattr(module, name, token_id)


def compared_attributes(cls: type) -> set[str]:
    """Attributes of self that the class's own code looks for among ids: `input_ids == self.ctx_id`."""
    if cls.__module__.startswith(("torch.", "transformers.")):
        return set()
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (OSError, TypeError, SyntaxError):
        return set()
    sides = [
        side
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq)
        for side in (node.left, *node.comparators)
    ]
    return {
        side.attr
        for side in sides
        if isinstance(side, ast.Attribute) and isinstance(side.value, ast.Name) and side.value.id == "self"
    }


def forward(model: Any, ids: Any, tensors: dict[str, Any]) -> Any:
    """Logits (tokens, vocab) of one sequence; arguments chosen by the names that `forward` takes."""
    import torch

    names = inspect.signature(model.forward).parameters
    length = ids.shape[1]
    known: dict[str, Any] = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "use_cache": False,
        "return_dict": True,
    }
    if not any("grid" in key for key in tensors):
        known["position_ids"] = torch.arange(length).unsqueeze(0)
    pixels = tensors.get("pixel_values")
    if pixels is not None:
        known |= {name: pixels for name in names if preprocess.takes_pixels(name)}
        known["image_flags"] = torch.ones(len(pixels), 1, dtype=torch.long)
        if not any(preprocess.takes_pixels(name) for name in names):
            raise RuntimeError(f"{type(model).__name__}.forward takes no argument that images could go to")
    known |= tensors
    output = model(**{name: value for name, value in known.items() if name in names})
    logits = output.logits if hasattr(output, "logits") else output[0]
    return logits[0].float()


def greedy(step: Any, ids: Any, steps: int, banned: list[int]) -> tuple[list[int], Any]:
    """`steps` tokens, each the argmax over a forward of the whole sequence, and the logprobs of each step.

    `banned` tokens are never chosen: a generated context token would be taken for one more place of an image.
    """
    import torch

    tokens, kept = [], []
    for _ in range(steps):
        logprobs = torch.log_softmax(step(ids)[-1], dim=-1)
        token = int(logprobs.index_fill(0, torch.tensor(banned, dtype=torch.long), -torch.inf).argmax())
        tokens.append(token)
        kept.append(logprobs)
        ids = torch.cat([ids, torch.tensor([[token]])], dim=1)
    return tokens, torch.stack(kept)


def grown(inputs: preprocess.Inputs, length: int) -> dict[str, Any]:
    """The tensors for a sequence of this length: those with a value per prompt token go on with zeros, as text."""
    import torch

    if inputs.input_ids is None:
        return dict(inputs.tensors)
    start = inputs.input_ids.shape[1]
    per_token = {name for name, value in inputs.tensors.items() if tuple(value.shape) == (1, start)}
    return {
        name: torch.nn.functional.pad(value, (0, length - start)) if name in per_token else value
        for name, value in inputs.tensors.items()
    }


class Reference:
    """A built model with its tokenizer and its way to make image inputs."""

    def __init__(self, payload: dict[str, Any]) -> None:
        from transformers import AutoTokenizer

        self.folder = Path(payload["model"])
        self.facts: dict[str, Any] = payload["facts"]
        self.used: list[str] = []
        self.notes: list[str] = []
        self.source = ""
        self.shown_text = True
        """The repo's own code wrote what stands for an image in every prompt."""
        self.way: preprocess.Way | None = None
        self.model = build(self.folder, bool(payload.get("native")), self.used)
        self.trust = bool(payload["trust_remote_code"])
        self.tokenizer = AutoTokenizer.from_pretrained(self.folder, trust_remote_code=self.trust)
        context = self.facts.get("image_context_token")
        context_id = self.tokenizer.convert_tokens_to_ids(context) if context else None
        self.banned = [context_id] if isinstance(context_id, int) else []
        set_image_ids(self.model, context_id)
        self.layout = stages.layout_of(self.model, self.facts)
        modules = dict(self.model.named_modules())
        self.recorder = stages.Recorder({path: modules[path] for path in stages.watched(self.layout)})

    def image_inputs(self, prompt: str, pictures: list[Any]) -> preprocess.Inputs:
        """Inputs by the first way that works; that way is kept."""
        if self.way is not None:
            return self.way(prompt, pictures)
        for source, way in preprocess.ways(self.folder, self.facts, self.used, trust=self.trust):
            try:
                made = way(prompt, pictures)
            except Exception as error:
                self.notes.append(f"{source}: {line_of(error)}")
                continue
            self.way, self.source = way, source
            return made
        raise RuntimeError("no way to make image inputs")

    def telling_pictures(self, prompts: list[dict[str, Any]]) -> list[dict[str, int]]:
        """Pictures that show a tiling other than the usual one: in place of the odd one's, and in prompts of their own.

        The prompts that both sides run are made of them in the same way (`porter.smoke.reference.with_pictures`).
        """
        last = next((prompt for prompt in prompts if prompt["name"] == ODD), None)
        if last is None:
            return []
        try:
            self.image_inputs(last["text"], images.load_images(last["images"]))
            if self.source == REWRITTEN:
                return []
            pictures: list[dict[str, int]] = tilings.telling(
                lambda loaded: self.image_inputs(last["text"], loaded), self.facts["tiling"]
            )
        except Exception as error:
            self.notes.append(f"tilings: {line_of(error)}")
            return []
        last["images"] = pictures[:1] or last["images"]
        prompts += [{**last, "name": f"{ODD} {at}", "images": [one]} for at, one in enumerate(pictures[1:], 2)]
        return pictures

    def prompt_ids(self, text: str, inputs: preprocess.Inputs) -> Any:
        """Token ids with each placeholder replaced by start, context tokens and end."""
        if inputs.input_ids is not None:
            return inputs.input_ids
        filled, rest = "", text
        for number, count in enumerate(inputs.counts, 1):
            sign = numbered(self.facts["image_placeholder"], number)
            before, found, rest = rest.partition(sign)
            if not found:
                raise RuntimeError(f"the prompt has no {sign}")
            filled += before + self.image_text(inputs, count, number)
        return self.tokenizer(filled + rest, return_tensors="pt")["input_ids"]

    def image_text(self, inputs: preprocess.Inputs, count: int, number: int) -> str:
        """What stands for an image of `count` tiles: as the repo's own chat writes it, else as the facts say."""
        tiles = inputs.tensors["pixel_values"][:count]
        sign = numbered(self.facts["image_placeholder"], number)
        own = chatting.image_text(self.model, self.tokenizer, sign, tiles)
        if own is not None:
            return str(own)
        self.shown_text = False
        body = self.facts["image_context_token"] * (count * self.tokens_per_tile(inputs))
        start, end = (self.facts.get(f"image_{side}_token") or "" for side in ("start", "end"))
        return f"{numbered(self.label(), number)}{start}{body}{end}"

    def label(self) -> str:
        """What stands before an image, as the facts say."""
        rows = self.facts.get("image_separators") or []
        return next((str(row["token"]) for row in rows if row.get("role") == "label"), "")

    def tokens_per_tile(self, inputs: preprocess.Inputs) -> int:
        """From the features of the repo's own code where they can be had, else from the facts."""
        features = self.features(inputs)
        tiles = len(inputs.tensors["pixel_values"])
        return len(features) // tiles if features is not None else int(self.facts["tokens_per_tile"])

    def features(self, inputs: preprocess.Inputs) -> Any:
        """(rows, width) image features from a method of the repo's code that takes pixel values; None without one."""
        width = self.width()
        for module in self.model.modules():
            for method in own_features.feature_methods(module, inputs.tensors):
                try:
                    made = own_features.as_rows(own_features.call_by_name(method, inputs.tensors), width)
                except Exception as error:
                    self.notes.append(f"{method.__qualname__}: {line_of(error)}")
                    continue
                if made is not None:
                    return made
        return None

    def width(self) -> int:
        return int(self.model.get_input_embeddings().weight.shape[-1])

    def language_model(self) -> Any:
        return stages.submodule(self.model, (self.facts.get("language_model") or {}).get("prefix"))

    def step(self, inputs: preprocess.Inputs) -> Any:
        """A function ids -> logits. Text alone goes to the language model when the whole cannot do without an image."""
        inner = self.language_model()

        def whole(ids: Any) -> Any:
            return forward(self.model, ids, grown(inputs, ids.shape[1]))

        def text_only(ids: Any) -> Any:
            try:
                return forward(self.model, ids, {})
            except Exception:
                if inner is None:
                    raise
                return forward(inner, ids, {})

        return whole if inputs.tensors else text_only

    def run(self, prompt: dict[str, Any], steps: int) -> dict[str, Any]:
        """Everything that is compared, for one prompt, as arrays."""
        pictures = images.load_images(prompt["images"])
        inputs = self.image_inputs(prompt["text"], pictures) if pictures else preprocess.Inputs()
        ids = self.prompt_ids(prompt["text"], inputs)
        seen: list[Any] = []
        connector = stages.submodule(self.model, (self.facts.get("connector") or {}).get("prefix"))
        hook = connector.register_forward_hook(lambda *call: seen.append(call[-1])) if connector is not None else None
        step = stages.first_call(self.step(inputs), self.recorder) if pictures else self.step(inputs)
        tokens, logprobs = greedy(step, ids, steps, self.banned)
        if hook is not None:
            hook.remove()
        arrays = {"ids": ids[0].numpy(), "tokens": tokens, "logprobs": logprobs.numpy()}
        features = self.features(inputs) if pictures else None
        if features is None and pictures and seen:
            features = own_features.as_rows(seen[0], self.width())
        if features is not None:
            arrays["embeds"] = features.float().numpy()
        return arrays


def run_set(reference: Reference, payload: dict[str, Any], chosen: dict[str, Any]) -> dict[str, str]:
    """Draw one set of weights, save it, run every prompt on it."""
    import numpy as np
    from safetensors.torch import save_file

    out = Path(payload["out"])
    draw.draw_parameters(reference.model, int(chosen["seed"]), chosen["name"])
    weights = out / f"weights-{chosen['name']}.safetensors"
    save_file(draw.state_to_save(reference.model), str(weights), metadata={"format": "pt"})
    arrays: dict[str, Any] = {}
    seen: dict[str, Any] = {"layout": np.asarray(json.dumps(reference.layout))}
    for prompt in payload["prompts"]:
        for key, value in reference.run(prompt, int(payload["steps"])).items():
            arrays[f"{prompt['name']}.{key}"] = np.asarray(value)
        seen |= reference.recorder.arrays(prompt["name"]) if prompt["images"] else {}
    results = out / f"reference-{chosen['name']}.npz"
    np.savez(str(results), **arrays)
    np.savez(str(out / stages.file_of("reference", chosen["name"])), **seen)
    return {"name": chosen["name"], "weights": str(weights), "results": str(results)}


def handle(payload: dict[str, Any]) -> dict[str, Any]:
    import torch

    torch.set_num_threads(min(THREADS, torch.get_num_threads()))
    with torch.no_grad():
        runtime.event({"stage": "build"})
        reference = Reference(payload)
        pictures = reference.telling_pictures(payload["prompts"])
        sets = []
        for chosen in payload["sets"]:
            runtime.event({"stage": "run", "set": chosen["name"]})
            sets.append(run_set(reference, payload, chosen))
    return {
        "model_class": type(reference.model).__name__,
        "parameters": sum(p.numel() for p in reference.model.parameters()),
        "shims": list(dict.fromkeys(reference.used)),
        "preprocessing": reference.source,
        "banned": reference.banned,
        "proven_preprocessing": reference.source != REWRITTEN,
        "proven_image_text": reference.shown_text,
        "telling_pictures": pictures,
        "notes": list(dict.fromkeys(reference.notes)),
        "sets": sets,
    }


def main() -> None:
    runtime.serve(handle)


if __name__ == "__main__":
    main()
