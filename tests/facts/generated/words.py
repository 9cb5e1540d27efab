"""Names that no list knows: words from syllables, drawn from a seeded source."""

from __future__ import annotations

from random import Random

HEADS = ("bra", "cli", "dov", "fen", "gri", "hul", "jor", "kel", "lum", "mir", "nox", "ost", "pel", "qui", "rav", "sol")
TAILS = ("da", "gen", "lith", "mo", "na", "quel", "rix", "sen", "ta", "vor", "wick", "zel")
ROLES = {
    "vision_key": ("ocular", "glimpse", "optic_cfg", "seer", "retina_args", "eye"),
    "text_key": ("brain", "speaker", "verbal", "tongue_cfg", "cortex", "wordsmith"),
    "tower": ("eye", "optics", "seer", "lens", "camera", "peeper"),
    "connector": ("bridge", "funnel", "handover", "transit", "junction", "gangway"),
    "llm": ("speaker", "voice", "talker", "brain", "mouth", "decoder_stack"),
    "layer": ("tap", "depth_pick", "which_state", "peek_at", "strata"),
    "ratio": ("squash", "fold", "shrink_by", "condense", "cram"),
    "image_size": ("n_px", "canvas", "side_px", "frame_edge", "pic_side"),
    "context_id": ("pix_slot", "slot_id", "hole_index", "filler_idx", "dot_id"),
    "min_tiles": ("fewest_panes", "lo_panes", "pane_floor"),
    "max_tiles": ("most_panes", "hi_panes", "pane_cap"),
    "thumbnail": ("with_overview", "glance", "bird_view"),
    "mid": ("bridge_width", "funnel_dim", "gap_width"),
    "queries": ("n_probes", "askers", "q_count"),
    "width": ("breadth", "span", "girth"),
    "depth": ("storeys", "n_floors", "rounds"),
    "heads": ("n_ears", "strands", "lanes"),
    "mlp": ("belly", "wide", "inner_span"),
    "patch": ("tile_px", "cell", "bite"),
    "image": ("n_px", "field", "pic_edge"),
    "encode": ("look", "see", "perceive", "picture_rows", "ingest_pixels"),
}
USUAL = {
    "vision_key": ("vision_config", "vision_cfg", "visual"),
    "text_key": ("text_config", "llm_config", "language_config"),
    "tower": ("vision_tower", "vision_model", "visual", "vit"),
    "connector": ("multi_modal_projector", "mlp1", "mm_projector", "aligner", "projector"),
    "llm": ("language_model", "llm", "lm"),
    "layer": ("vision_feature_layer", "select_layer", "mm_vision_select_layer"),
    "ratio": ("downsample_ratio", "scale_factor", "pixel_shuffle_factor", "spatial_merge_size"),
    "image_size": ("force_image_size", "image_size", "img_size"),
    "context_id": ("image_token_id", "image_token_index", "img_context_token_id"),
    "min_tiles": ("min_dynamic_patch", "min_num", "min_tiles"),
    "max_tiles": ("max_dynamic_patch", "max_num", "max_tiles"),
    "thumbnail": ("use_thumbnail", "add_thumbnail"),
    "mid": ("projector_hidden_size", "projection_dim", "mm_hidden"),
    "queries": ("num_queries", "query_num", "num_latents"),
    "width": ("hidden_size", "embed_dim", "width"),
    "depth": ("num_hidden_layers", "depth", "layers"),
    "heads": ("num_attention_heads", "num_heads", "heads"),
    "mlp": ("intermediate_size", "mlp_dim", "ffn_dim"),
    "patch": ("patch_size",),
    "image": ("image_size", "img_size"),
    "encode": ("get_image_features", "extract_feature", "encode_images", "forward_vision"),
}


def invented(rng: Random) -> str:
    return rng.choice(HEADS) + rng.choice(TAILS)


def names_of(rng: Random, share: float) -> dict[str, str]:
    """Role -> name; `share` of them invented, all different among the keys of one config and one module."""
    while True:
        names = {role: rng.choice((ROLES if rng.random() < share else USUAL)[role]) for role in ROLES}
        groups = (
            ("vision_key", "text_key", "layer", "ratio", "image_size", "context_id", "min_tiles", "max_tiles", "mid"),
            ("tower", "connector", "llm", "encode"),
            ("width", "depth", "heads", "mlp", "patch", "image"),
            ("queries", "mid", "ratio", "layer", "patch", "image_size"),
        )
        if all(len({names[role] for role in group}) == len(group) for group in groups):
            return names
