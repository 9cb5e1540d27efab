"""A plugin as porter writes them, by hand: InternVL's parts under other names, with a config class of its own."""


def register() -> None:
    from fixture_port.configuration import FixtureConfig
    from transformers import AutoConfig
    from vllm import ModelRegistry

    AutoConfig.register("fixture_vl", FixtureConfig, exist_ok=True)
    ModelRegistry.register_model("FixtureVLModel", "fixture_port.modeling:FixtureVLModel")
    ModelRegistry.register_model("FixtureSplitVLModel", "fixture_port.modeling:FixtureSplitVLModel")
    ModelRegistry.register_model("FixtureMisnamedVLModel", "fixture_port.modeling:FixtureMisnamedVLModel")
    ModelRegistry.register_model("FixtureTyingVLModel", "fixture_port.modeling:FixtureTyingVLModel")
