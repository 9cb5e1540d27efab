"""Errors of registration, memory, devices and processes."""

from __future__ import annotations

from porter.smoke.explain_shape import Shape

RUNNING: tuple[Shape, ...] = (
    Shape(
        "architecture-unknown",
        r"Model architectures? \[?(?P<names>[^\]]{0,80})\]? (?:is|are) not supported for now",
        "no class is registered for {names} in this process",
        "install the plugin (entry point group vllm.general_plugins), or add the registry line; VLLM_PLUGINS "
        "must not leave "
        "it out; `architectures` in config.json must be the registered name",
        "registry",
        ("#10065", "#18740", "#16228", "#27265"),
    ),
    Shape(
        "transformers-backend",
        r"Transformers implementation of '?(?P<name>\w+)'? is not compatible with vLLM|does not "
        r"support.{0,40}Transformers "
        r"(?:modeling )?backend|_supports_attention_backend",
        "vLLM has no class of its own and the repo's code does not meet the Transformers backend's conditions",
        "a native port: `porter new-model`; `porter inspect` shows which condition fails",
        "registry",
        ("#14115", "#28517", "#17634", "#53667"),
    ),
    Shape(
        "processor-type",
        r"Invalid type of HuggingFace processor\. Expected type: .*?, but found type: (?P<found><class '[\w.]+'>|\w+)",
        "AutoProcessor gives {found} for this repo: there is no processor class to take images",
        "a native port brings its own (`porter new-model`); is the port's plugin installed in this interpreter?",
        "processor",
        ("#34165", "transformers#27198"),
    ),
    Shape(
        "plugin-not-loaded",
        r"Failed to load plugin (?P<name>\S+)",
        "register() of plugin {name} raised, so its model is unknown to this process",
        "import nothing heavy in register(); name the class lazily as 'module:Class'",
        "registry",
        ("#18740", "#16228", "#11229", "#5657"),
    ),
    Shape(
        "package-missing",
        r"No module named '?(?P<name>[\w.]+)",
        "the code imports {name}, which this interpreter does not have",
        "install it, or use a native part instead of the repo's code (`porter inspect` lists python_dependencies)",
        "registry",
        ("llm-inference#87",),
        types=("ModuleNotFoundError", "ImportError"),
    ),
    Shape(
        "package-missing",
        r"following packages that were not found in your environment: (?P<names>[\w, -]+)",
        "the repo's code imports {names}, which this interpreter does not have",
        "install it, or use a native part instead of the repo's code (`porter inspect` lists python_dependencies)",
        "registry",
        ("llm-inference#87",),
    ),
    Shape(
        "vllm-name-moved",
        r"cannot import name '(?P<name>\w+)' from '(?P<module>vllm[\w.]*)",
        "this vLLM has no {name} in {module}: the port was written for another version",
        "generate the port against this tree (`porter update --tree`)",
        "registry",
        ("vllm-gaudi#561", "tpu-inference#951", "#42770", "#48972"),
    ),
    Shape(
        "not-picklable",
        r"[Cc]an(?:not|'t) pickle|Can't get local object|it's not the same object as|No module named "
        r"'transformers_modules",
        "a config or processor cannot travel to the engine's process",
        "no lambdas, locks or classes made at run time on the config; a config class of the port's own instead "
        "of remote code",
        "registry",
        ("#14925", "#11182", "#15033", "#6751"),
    ),
    Shape(
        "no-main-guard",
        r"An attempt has been made to start a new process before",
        "the script starts an engine at import, and spawned processes import it again",
        "put the call under `if __name__ == '__main__':`",
        "load",
    ),
    Shape(
        "no-gpu",
        r"No CUDA GPUs are available|Found no NVIDIA driver|CUDA driver version is insufficient|Failed to infer "
        r"device type",
        "there is no CUDA device that this vLLM can use",
        "--device cpu with a vLLM built for the CPU; `porter doctor` shows what there is",
        "load",
    ),
    Shape(
        "cache-too-small",
        r"To serve at least one request with the model.{0,4}max seq len \((?P<length>\d+)\), \((?P<needed>[\d.]+ "
        r"GiB) KV\s+"
        r"cache is needed.*?\((?P<free>[\d.]+ GiB)\)",
        "one request of {length} tokens needs {needed} of KV cache, {free} are left",
        "a smaller --max-model-len, more memory (--gpu-memory-utilization, VLLM_CPU_KVCACHE_SPACE), or --tp",
        "load",
        ("#2418", "#27508", "#34076"),
    ),
    Shape(
        "cache-too-small",
        r"max seq len \((?P<length>\d+)\) is larger than the maximum number of tokens that can be stored in KV cache "
        r"\((?P<room>\d+)\)",
        "one request of {length} tokens does not fit into the KV cache, which takes {room}",
        "a smaller --max-model-len, more memory (--gpu-memory-utilization), or --tp",
        "load",
        ("#2418",),
    ),
    Shape(
        "no-cache-memory",
        r"No available memory for the cache blocks",
        "weights and activations leave nothing for the KV cache",
        "--gpu-memory-utilization, --tp, fewer or smaller images per prompt; the dummy image may be larger than "
        "it can be",
        "load",
        ("#17250", "#22173", "#16017"),
    ),
    Shape(
        "device-in-use",
        r"Free memory on device .*?\((?P<free>[\d.]+)/(?P<total>[\d.]+) GiB\) on startup",
        "only {free} of {total} GiB were free when the engine started",
        "end the other process, or a smaller --gpu-memory-utilization",
        "load",
        ("#17250", "#36357"),
    ),
    Shape(
        "out-of-memory",
        r"CUDA out of memory|HIP out of memory|DefaultCPUAllocator: can't allocate memory|not enough memory: you "
        r"tried",
        "the device has not enough memory, often while the largest dummy images are profiled",
        "--limit-mm-per-prompt, a smaller --max-num-batched-tokens, --tp; prove that the dummy image is the true "
        "maximum",
        "load",
        ("#17250", "#22173", "#36357", "#16017"),
    ),
    Shape(
        "heads-over-tp",
        r"Total number of attention heads \((?P<heads>\d+)\) must be divisible by tensor parallel size "
        r"\((?P<tp>\d+)\)",
        "{heads} heads cannot be split over {tp} devices",
        "a --tp that divides the heads of the language model",
        "tp",
        ("#2652", "#11797"),
    ),
    Shape(
        "size-over-tp",
        r"(?P<size>\d+) is not divisible by (?P<tp>\d+)",
        "a size of {size} cannot be split over {tp} devices: often the heads of the vision tower",
        "run the tower data-parallel (mm_encoder_tp_mode=data), or pass num_heads so that the layer can fall back",
        "tp",
        ("#57119", "#55587", "#49479"),
        types=("AssertionError", "ValueError"),
    ),
    Shape(
        "no-pipeline",
        r"Pipeline parallelism is not supported for this model|does not support pipeline parallel",
        "the class does not say that it can be split by layers",
        "inherit SupportsPP, pass make_empty_intermediate_tensors on, take intermediate_tensors in forward; or --tp",
        "pp",
    ),
    Shape(
        "no-lora",
        r"does not support LoRA yet|has no attribute 'get_mm_mapping'|Got lora_request .* but LoRA is not enabled",
        "the class does not say how LoRA finds its parts",
        "inherit SupportsLoRA, give packed_modules_mapping and get_mm_mapping (language model, connector, tower)",
        "lora",
        ("#31479", "#31513", "#35147", "#53513"),
    ),
    Shape(
        "lora-target",
        r"is not (?:a |in )?supported (?:LoRA )?(?:target )?modules?|unexpected modules? in .*LoRA|LoRA rank \d+ "
        r"is greater",
        "the adapter touches modules that this engine has no LoRA layer for",
        "get_mm_mapping and the token-count hooks of the tree; --max-lora-rank for the rank",
        "lora",
        ("#23796", "#47036", "#42662"),
    ),
    Shape(
        "head-size",
        r"[Hh]ead[ _]size \(?(?P<size>\d+)?\)? ?(?:is )?not supported|Unsupported head size|No valid attention "
        r"backend found"
        r"|[Ii]nvalid head (?:dim|size)|Unsupported CPU attention configuration: head_dim",
        "no attention kernel of this device takes heads of this size",
        "another attention backend (--attention-backend); on the CPU a head size of 32, 64, 80, 96, 112, 128, "
        "160, 192, 224, "
        "256 or 512",
        "load",
        ("#17219", "#22193", "#3952"),
    ),
    Shape(
        "dtype",
        r"Bfloat16 is only supported on GPUs|Unknown dtype: |dtype .{0,20} is not supported",
        "the device cannot compute in this dtype",
        "--dtype float16 or float32",
        "load",
    ),
    Shape(
        "matmul",
        r"mat1 and mat2 shapes cannot be multiplied \((?P<left>\w+) and (?P<right>\w+)\)",
        "a matrix product of {left} by {right}: often the connector's input width, or features of the wrong layer",
        "check feature_layer, pixel shuffle and downsample_ratio; the row of sizes is in `porter inspect` under "
        "connector",
        "image",
        ("#20495", "#15536"),
        rank="vague",
    ),
    Shape(
        "broadcast",
        r"The size of tensor a \((?P<a>\d+)\) must match the size of tensor b \((?P<b>\d+)\)|cannot be broadcast to",
        "tensors of {a} and {b} rows meet: off by one is a class token, else patches against positions",
        "keep or drop the class token as the repo's code does; image_size and patch_size must be those of the "
        "checkpoint",
        "image",
        ("#19070",),
        rank="vague",
    ),
    Shape(
        "not-finite",
        r"a logprob is not a number|(?:inf|nan) or element < 0|probability tensor contains",
        "the model computes values that are not numbers",
        "float32 instead of float16 shows whether it is the dtype; else an eps or a scale is wrong",
        "text",
        ("#32385", "#12699"),
    ),
    Shape(
        "hub",
        r"couldn't connect to|LocalEntryNotFoundError|429 Client Error|Too Many Requests|gated repo|401 Client Error",
        "the engine asked the Hub and got no answer",
        "HF_HUB_OFFLINE=1 with a filled cache, or a local folder; HF_TOKEN for a gated repo",
        "config",
        ("#24541", "huggingface_hub#3619"),
    ),
    Shape(
        "crash",
        r"Fatal Python error: (?P<what>[\w ]+)",
        "native code ended the process: {what}",
        "the innermost line shows which call; rerun with enforce_eager and without compiled kernels",
        "load",
    ),
    Shape(
        "killed",
        r"killed by SIGKILL|exit code -9|signal 9|SIGKILL",
        "the process was killed from outside: mostly the system ran out of memory",
        "--weights tiny, a smaller --max-model-len or VLLM_CPU_KVCACHE_SPACE",
        "load",
        rank="vague",
    ),
    Shape(
        "plugin-not-loaded",
        r"(?P<what>[^\n]{0,80})",
        "register() of a plugin raised: {what}",
        "import nothing heavy in register(); name the class lazily as 'module:Class'",
        "registry",
        ("#18740", "#16228", "#11229", "#5657"),
        frame=r"^register ",
        rank="vague",
    ),
    Shape(
        "inspection-failed",
        r"Model architectures? .{0,80} failed to be inspected",
        "the model's module could not be imported; the reason stands above this line in the log",
        "give porter the whole log: `porter explain LOGFILE`",
        "registry",
        ("#10065", "#9713"),
        rank="consequence",
    ),
    Shape(
        "engine-died",
        r"Engine core initialization failed|EngineCore encountered an issue|EngineDeadError|WorkerProc "
        r"initialization failed"
        r"|died unexpectedly",
        "a child process of vLLM ended; the reason stands above this line in the log",
        "give porter the whole log: `porter explain LOGFILE`",
        "load",
        rank="consequence",
    ),
)
