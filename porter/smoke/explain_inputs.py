"""Errors of prompts, images and configs."""

from __future__ import annotations

from porter.smoke.explain_shape import Shape

TOKENS: tuple[Shape, ...] = (
    Shape(
        "token-count",
        r"Attempted to assign .*?(?P<given>\d+) multimodal tokens to (?P<expected>\d+) placeholders",
        "the model made {given} rows of features for {expected} placeholder tokens",
        "count in get_num_image_tokens and _get_prompt_updates what embed_multimodal returns: class token, "
        "thumbnail, "
        "pixel shuffle, separators between rows or tiles",
        "tokens",
        ("#19070", "#15764", "#18572", "#11792", "#7996", "#15185"),
    ),
    Shape(
        "prompt-without-placeholder",
        r"Expected there to be (?P<items>\d+) prompt (?:updates|placeholders) corresponding to \d+ (?P<modality>\w+) "
        r"items, but instead found (?P<found>\d+)|Failed to apply prompt replacement for mm_items",
        "vLLM found no placeholder in the prompt where an image belongs",
        "let `target` in _get_prompt_updates and get_placeholder_str be the very text or token that stands in "
        "the prompt "
        "(image_context_token), and apply the chat template before generate()",
        "tokens",
        ("#25762", "#30963", "#15338", "ascend#7876"),
    ),
    Shape(
        "placeholder-not-in-vocabulary",
        r"(?:token|placeholder) .{0,80}(?:not in (?:the )?vocab|encodes? to \d+ tokens)",
        "the placeholder is not one token of this tokenizer",
        "use the token that the repo's tokenizer has (added_tokens.json, tokenizer_config.json): `porter "
        "inspect` shows it",
        "tokens",
        ("#30963", "#15338"),
    ),
    Shape(
        "placeholder-not-in-vocabulary",
        r"Could not infer dtype of NoneType|'NoneType' object",
        "the placeholder is not one token of this tokenizer",
        "use the token that the repo's tokenizer has (added_tokens.json): `porter inspect` shows image_context_token",
        "tokens",
        ("#30963", "#15338"),
        frame=r"token_id",
    ),
    Shape(
        "processor-token-mismatch",
        r"Mismatch in `?\w+`? token count between text and `?input_ids|[Ii]mage features and image tokens do not "
        r"match",
        "the HF processor counted other image tokens than the prompt holds",
        "give the processor the same sizes and limits as the model (mm_processor_kwargs, min and max pixels or tiles)",
        "tokens",
        ("EasyR1#83", "R1-V#73", "mlx-vlm#1922"),
    ),
    Shape(
        "fields-config",
        r"Expected there to be \d+ \w+ items in keyword arguments",
        "_get_mm_fields_config splits the processor's tensors into another number of items than there are images",
        "batched() for one row per image, flat_from_sizes() where an image has several tiles",
        "processor",
        ("#25762", "#24544"),
    ),
    Shape(
        "tensor-schema",
        r"has rank \d+ but expected \d+|dim\[\d+\] expected .*?, got|contains inconsistent shapes",
        "the tensors that reach the model have another shape than its TensorSchema says",
        "correct the schema or the field config; images of several sizes need a list, not one tensor",
        "tokens",
        ("#24544",),
    ),
    Shape(
        "embed-output",
        r"incorrect implementation of the model's `?(?:embed_multimodal|get_multimodal_embeddings)",
        "embed_multimodal returned something else than one 2-D tensor per image",
        "return a list or tuple of (tokens, hidden_size), one per image, tiles of an image joined",
        "image",
        ("#30963", "vllm-gaudi#561"),
    ),
    Shape(
        "image-limit",
        r"At most (?P<limit>\d+) (?P<modality>\w+)\(?s?\)? may be provided in one prompt",
        "the prompt holds more than {limit} items of {modality}",
        "--limit-mm-per-prompt, or get_supported_mm_limits of the port where it says less than the model can do",
        "batch",
        ("#11842",),
    ),
    Shape(
        "no-processor",
        r"has no registered multimodal processor|is not a multimodal model|_processor_factory",
        "the class is registered as a model, but no processor is registered on it",
        "decorate the class with @MULTIMODAL_REGISTRY.register_processor(...) and let it inherit SupportsMultiModal; "
        "a subclass needs a decorator of its own",
        "processor",
        ("#18740",),
    ),
    Shape(
        "token-out-of-vocabulary",
        r"Token id (?P<id>-?\d+) is out of vocabulary",
        "token {id} is beyond the embedding table",
        "take image_context_token_id from the tokenizer, and vocab_size from the text config",
        "tokens",
    ),
    Shape(
        "index-out-of-bounds",
        r"device-side assert triggered|srcIndex < srcSelectDimSize|index out of (?:range in self|bounds)",
        "a token id or a position is beyond its table: often the image token's id, or positions past the trained "
        "length",
        "check image_context_token_id against vocab_size, and position tables against the largest image; "
        "CUDA_LAUNCH_BLOCKING=1 shows the line",
        "tokens",
        ("#21731", "#11958"),
        rank="vague",
    ),
)

CONFIG: tuple[Shape, ...] = (
    Shape(
        "trust-needed",
        r"custom model (?:that is )?not yet available|requires you to execute|contains custom code which must be "
        r"executed"
        r"|set(?:ting)? (?:the option )?`?trust_remote_code=True",
        "vLLM has no config class for this model_type and must not run the repo's",
        "let the port bring a config class (new-model --own-config), or pass --trust-remote-code",
        "config",
        ("#14925",),
    ),
    Shape(
        "model-type-unknown",
        r"checkpoint you are trying to load has model type `?(?P<type>[\w.-]+)|[Uu]nrecognized (?:configuration "
        r"class|model) "
        r"|Should have a `model_type` key",
        "transformers knows no config class for this model_type",
        "register the port's config class in register(), or update transformers; check that the plugin is installed",
        "config",
        ("transformers#46258", "#41073"),
    ),
    Shape(
        "config-clash",
        r"'(?P<name>[\w.-]+)' is already used by a Transformers config",
        "transformers itself has a config named {name}",
        "AutoConfig.register(..., exist_ok=True), or no config class of your own where transformers has one",
        "config",
        ("#22178", "ascend#2046"),
    ),
    Shape(
        "config-clash",
        r"`model_type` attribute that is not consistent .*?config has (?P<said>\S+) and you passed (?P<name>[\w-]+)",
        "the config class says model_type {said} and is registered as {name}",
        "one model_type, that of the repo's config.json, on the class and in AutoConfig.register",
        "config",
        ("#22178",),
    ),
    Shape(
        "processor-lacks-token-count",
        r"has no attribute '_get_num_multimodal_tokens'",
        "the Transformers backend asks the processor for token counts, and this one cannot tell",
        "a native port (`porter new-model`), or a processor with _get_num_multimodal_tokens",
        "processor",
        ("transformers#41749", "#34165", "#23714"),
    ),
    Shape(
        "transformers-drift",
        r"cannot import name '(?P<name>\w+)' from '?transformers|has no attribute '(?:all_tied_weights_keys|post_init"
        r"|_tied_weights_keys|_supports_sdpa|get_usable_length|seen_tokens|get_max_length)'"
        r"|'?tie_weights\(\) got an unexpected keyword|KeyError: 'type'",
        "the repo's code was written for another version of transformers",
        "`porter inspect` shows transformers_range; use a native tower instead of the repo's code, or pin transformers",
        "config",
        ("#51451", "#55845", "transformers#44561", "transformers#46258", "#39768"),
    ),
    Shape(
        "config-attribute",
        r"'(?P<cls>\w*Config)' object has no attribute '(?P<name>\w+)'",
        "{cls} has no {name}: the base class reads a key that this repo spells or nests otherwise",
        "map it in the port's config (attribute_map or __init__); `porter inspect` shows config_map with what "
        "was not found",
        "build",
        ("#19360", "#14687", "#39017", "#11043", "#14105"),
    ),
    Shape(
        "chat-template",
        r"default chat template is no longer allowed|tokenizer\.chat_template is not set|no chat template (?:is "
        r")?found",
        "the repo has no chat template, or not where vLLM looks for it",
        "pass --chat-template FILE, or put chat_template.jinja beside the tokenizer",
        "serve",
        ("#39279", "#15125", "ERNIE#1377"),
    ),
    Shape(
        "tokenizer",
        r"Couldn't instantiate the backend tokenizer|[Cc]an't load tokenizer|Tokenizer class \w+ does not exist"
        r"|Unrecognized processing class|Can't load (?:image|feature) processor|does not appear to have a file "
        r"named pre",
        "the tokenizer or processor files are missing, or need the repo's code",
        "copy tokenizer.json, tokenizer_config.json and preprocessor_config.json beside config.json; "
        "--trust-remote-code "
        "where the tokenizer is code",
        "processor",
    ),
    Shape(
        "max-model-len",
        r"User-specified max_model_len \((?P<asked>\d+)\) is greater than the derived max_model_len",
        "max_model_len {asked} is more than the config's positions",
        "a smaller --max-model-len; or the positions are read from the wrong level of the config: check config_map",
        "config",
        ("#3676", "#7080"),
    ),
    Shape(
        "prompt-too-long",
        r"prompt \(length (?P<length>\d+)\)(?: plus .*)? is longer than the maximum model length of (?P<limit>\d+)"
        r"|maximum context length is (?P<context>\d+) tokens",
        "the prompt with its image tokens is longer than max_model_len",
        "a larger --max-model-len, fewer images, or fewer tiles (max_dynamic_patch, max_pixels in mm_processor_kwargs)",
        "image",
        ("#36357", "#17250"),
    ),
    Shape(
        "item-over-budget",
        r"max_tokens_per_mm_item \((?P<item>\d+)\) is larger than max_num_batched_tokens\s*\((?P<budget>\d+)\)",
        "one image takes {item} tokens, a step only {budget}",
        "--max-num-batched-tokens of at least the largest image, or let images be split (no disable_chunked_mm_input)",
        "load",
        ("#16447", "#10891"),
    ),
)
