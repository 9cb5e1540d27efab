"""What networks the field has, by the names of their modules below the layer number and beside the layers.

A word of a spec is a module (or a parameter by itself); `{q,k}_proj` stands for both, `name?` may be missing, `!name`
must be missing, and `name.bias` asks for that parameter. Modules beside the layers are given by the end of their path.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Literal

Family = Literal["vision", "language", "text", "audio", "connector"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of network; `layer` and `beside` are specs."""

    name: str
    family: Family
    layer: str
    beside: str = ""


@dataclass(frozen=True, slots=True)
class Spec:
    """A spec taken apart: module names."""

    needed: frozenset[str]
    optional: frozenset[str]
    banned: frozenset[str]


VIT_ATTENTION = "self_attn.{q,k,v,out}_proj layer_norm1 layer_norm2 mlp.fc1 mlp.fc2"
VIT_FUSED = "norm1 norm2 attn.qkv attn.proj mlp.fc1 mlp.fc2"
HF_VIT = "attention.attention.{query,key,value} attention.output.dense"
HF_EMBEDDINGS = "patch_embeddings.projection position_embeddings? cls_token? mask_token? register_tokens?"
SIGLIP_HEAD = "head.probe? head.attention.in_proj_weight? head.attention.in_proj_bias? head.attention.out_proj? \
head.layernorm? head.mlp.{fc1,fc2}?"
TIMM_HEAD = "attn_pool.latent? attn_pool.{q,kv,proj,norm}? attn_pool.mlp.{fc1,fc2}? fc_norm? head? norm?"
DAVIT = "*.{spatial,channel}_block.{conv1,conv2}.fn.dw *.{spatial,channel}_block.ffn.fn.net.{fc1,fc2}"
VISUAL_EXTRAS = "inv_freq? rotary_pos_emb.inv_freq? position_ids?"

VISION: tuple[Kind, ...] = (
    Kind("clip", "vision", VIT_ATTENTION, "class_embedding patch_embedding position_embedding pre_layrnorm "
         "post_layernorm? position_ids? visual_projection?"),
    Kind("clip", "vision", "self_attn.qkv_proj self_attn.out_proj layer_norm1 layer_norm2 mlp.fc1 mlp.fc2",
         "class_embedding patch_embedding position_embedding pre_layrnorm post_layernorm? position_ids?"),
    Kind("clip", "vision", "attention.{wq,wk,wv,wo} attention_norm ffn_norm feed_forward.{w1,w2}",
         "class_embedding patch_embedding positional_embedding pre_ln"),
    Kind("open_clip", "vision", "attn.in_proj attn.out_proj ln_1 ln_2 mlp.c_fc mlp.c_proj",
         "conv1 positional_embedding ln_pre class_embedding? ln_post? proj?"),
    Kind("open_clip", "vision", "attn.in_proj_weight attn.in_proj_bias attn.out_proj ln_1 ln_2 mlp.c_fc mlp.c_proj "
         "ls_1.gamma? ls_2.gamma?", "conv1 positional_embedding? ln_pre? class_embedding? ln_post? proj? "
         "attn_pool.{query,probe}? attn_pool.attn.in_proj_{weight,bias}? attn_pool.attn.out_proj? attn_pool.ln? "
         "attn_pool.layernorm? attn_pool.mlp.c_{fc,proj}?"),
    Kind("siglip", "vision", VIT_ATTENTION, f"patch_embedding position_embedding post_layernorm? {SIGLIP_HEAD} "
         "position_ids? packing_position_embedding? !class_embedding !pre_layrnorm"),
    Kind("siglip_navit", "vision", VIT_ATTENTION, "patch_embedding post_layernorm? !position_embedding "
         f"!class_embedding !pre_layrnorm {VISUAL_EXTRAS}"),
    Kind("janus_vit", "vision", "self_attn.{q,k,v}_proj self_attn.projection_layer layer_norm1 layer_norm2 mlp.{fc1,"
         "fc2}", "patch_embedding position_embedding post_layernorm?"),
    Kind("blip_vit", "vision", "self_attn.qkv self_attn.projection layer_norm1 layer_norm2 mlp.fc1 mlp.fc2",
         "class_embedding position_embedding patch_embedding post_layernorm?"),
    Kind("intern_vit", "vision", "attn.qkv attn.proj ls1 ls2 norm1 norm2 mlp.fc1 mlp.fc2 attn.q_norm? attn.k_norm?",
         "class_embedding patch_embedding position_embedding"),
    Kind("intern_vit", "vision", "attention.{q,k,v}_proj attention.projection_layer lambda_1 lambda_2 "
         "layernorm_before layernorm_after mlp.fc1 mlp.fc2 attention.q_norm? attention.k_norm?",
         f"{HF_EMBEDDINGS} layernorm?"),
    Kind("timm_vit", "vision", f"{VIT_FUSED} !attn.rel_pos_h !ls1.gamma", f"patch_embed.proj pos_embed cls_token? "
         f"reg_token? norm_pre? {TIMM_HEAD}"),
    Kind("dinov2", "vision", f"{VIT_FUSED} ls1.gamma ls2.gamma mlp.w12? mlp.w3?", "patch_embed.proj pos_embed "
         f"cls_token? mask_token? register_tokens? reg_token? {TIMM_HEAD}"),
    Kind("dinov2", "vision", f"norm1 norm2 {HF_VIT} mlp.{{fc1,fc2}}? mlp.weights_{{in,out}}? layer_scale1.lambda1 "
         "layer_scale2.lambda1", f"{HF_EMBEDDINGS} layernorm?"),
    Kind("dinov2", "vision", "norm1 norm2 attention.{q,k,v,o}_proj mlp.{fc1,fc2}? mlp.weights_{in,out}? "
         "layer_scale1.lambda1 layer_scale2.lambda1", f"{HF_EMBEDDINGS} layernorm?"),
    Kind("dinov3", "vision", "norm1 norm2 attention.{q,k,v,o}_proj mlp.{up,down}_proj mlp.gate_proj? "
         "layer_scale1.lambda1 layer_scale2.lambda1", "patch_embeddings cls_token? mask_token? register_tokens? norm?"),
    Kind("dinov3", "vision", f"{VIT_FUSED} ls1.gamma ls2.gamma attn.qkv.bias_mask?", "patch_embed.proj cls_token "
         "storage_tokens? mask_token? rope_embed.periods? norm? !pos_embed"),
    Kind("radio", "vision", VIT_FUSED, "patch_generator.embedder patch_generator.pos_embed? patch_generator.cls_token."
         "token? patch_generator.video_embedder? input_conditioner.norm_mean? input_conditioner.norm_std? "
         "summary_idxs? norm? feature_normalizer.mean? feature_normalizer.tx?"),
    Kind("radio", "vision", "norm1 norm2 attention.{q,k,v,o}_proj mlp.{fc1,fc2} layer_scale1.lambda1? "
         "layer_scale2.lambda1?", "patch_projection position_embedding? cls_register_token? norm_mean? norm_std? "
         "summary_idxs?"),
    Kind("sam", "vision", "norm1 norm2 attn.qkv attn.proj attn.rel_pos_h attn.rel_pos_w mlp.lin1 mlp.lin2",
         "patch_embed.proj pos_embed? neck.*? net_2? net_3? neck_hd.*? hd_alpha_downsamples?"),
    Kind("sam", "vision", "layer_norm1 layer_norm2 attn.qkv attn.proj attn.rel_pos_h attn.rel_pos_w mlp.lin1 mlp.lin2",
         "patch_embed.projection pos_embed? neck.{conv1,conv2,layer_norm1,layer_norm2}? net_2? net_3?"),
    Kind("moonvit", "vision", "wqkv wo norm0 norm1 mlp.fc0 mlp.fc1", "patch_embed.proj pos_emb? final_layernorm?"),
    Kind("aimv2", "vision", "attention.{q,k,v}_proj attention.out_proj ffn.{gate,up,down}_proj rms_norm1 rms_norm2",
         "patch_embed|patch_embedding position_embedding? rms_norm head.cls_token? head.{k,v,output}_proj? head_linear?"
         " head_norm?"),
    Kind("aimv2", "vision", "attn.qkv attn.proj mlp.{fc1,fc2,fc3} norm_1 norm_2", "patchifier.proj patchifier.norm? "
         "pos_embed? post_trunk_norm? rms_norm? norm?"),
    Kind("eva", "vision", "norm1 norm2 attn.{q,k,v}_proj attn.proj mlp.{w1,w2,w3} attn.q_bias? attn.v_bias? "
         "mlp.ffn_ln? attn.inner_attn_ln? attn.rope.freqs_{cos,sin}?", "patch_embed.proj pos_embed cls_token? norm? "
         "head? rope.freqs_{cos,sin}?"),
    Kind("eva", "vision", f"{VIT_FUSED} attn.q_bias attn.v_bias", f"patch_embed.proj pos_embed cls_token? {TIMM_HEAD}"),
    Kind("eva", "vision", "norm1 norm2 attn.{q,k,v}_proj? attn.qkv? attn.proj attn.q_bias? attn.v_bias? attn.norm? "
         "mlp.fc1_g mlp.fc1_x mlp.fc2 mlp.norm?", f"patch_embed.proj pos_embed? cls_token? {TIMM_HEAD}"),
    Kind("eva", "vision", "attention.query_key_value attention.dense input_layernorm post_attention_layernorm "
         "mlp.fc1 mlp.fc2", "patch_embedding.proj patch_embedding.cls_embedding? patch_embedding.position_embedding?"),
    Kind("qwen2_vl", "vision", f"{VIT_FUSED} norm1.bias", f"patch_embed.proj !pos_embed !cls_token {VISUAL_EXTRAS}"),
    Kind("qwen2_5_vl", "vision", "norm1 norm2 attn.qkv attn.proj mlp.{gate,up,down}_proj",
         f"patch_embed.proj !position_embedding !pos_embed {VISUAL_EXTRAS}"),
    Kind("qwen3_vl", "vision", "norm1 norm2 attn.qkv attn.proj mlp.linear_fc1 mlp.linear_fc2",
         f"patch_embed.proj pos_embed {VISUAL_EXTRAS}"),
    Kind("glm4v", "vision", "norm1 norm2 attn.qkv attn.proj mlp.{gate,up,down}_proj attn.{q,k}_norm?",
         f"patch_embed.proj position_embedding? post_conv_layernorm? post_layernorm? downsample {VISUAL_EXTRAS}"),
    Kind("dots_vit", "vision", "norm1 norm2 attn.qkv attn.proj mlp.{fc1,fc2,fc3}", "patchifier.proj|patchifier.norm|"
         f"patch_embed.patchifier.proj patch_embed.patchifier.norm? post_trunk_norm? {VISUAL_EXTRAS}"),
    Kind("pixtral", "vision", "attention.{q,k,v,o}_proj attention_norm ffn_norm feed_forward.{gate,up,down}_proj",
         "patch_conv ln_pre"),
    Kind("pixtral", "vision", "attention.{wq,wk,wv,wo} attention_norm ffn_norm feed_forward.{w1,w2,w3}",
         "patch_conv ln_pre"),
    Kind("mllama_vit", "vision", "self_attn.{q,k,v,o}_proj mlp.{fc1,fc2} input_layernorm post_attention_layernorm",
         "class_embedding patch_embedding layernorm_pre layernorm_post gated_positional_embedding.gate "
         "gated_positional_embedding.embedding? gated_positional_embedding.tile_embedding? "
         "{pre,post}_tile_positional_embedding.{gate,embedding}? global_transformer.layers.*?"),
    Kind("llama4_vit", "vision", "self_attn.{q,k,v,o}_proj mlp.{fc1,fc2} input_layernorm post_attention_layernorm",
         "class_embedding positional_embedding_vlm patch_embedding.linear layernorm_pre layernorm_post"),
    Kind("vit", "vision", f"{HF_VIT} intermediate.dense output.dense layernorm_before layernorm_after",
         f"{HF_EMBEDDINGS} layernorm? pooler.dense?"),
    Kind("vit", "vision", "attention.{q,k,v,o}_proj layernorm_before layernorm_after mlp.fc1 mlp.fc2 !lambda_1",
         f"{HF_EMBEDDINGS} layernorm? pooler.dense?"),
    Kind("beit", "vision", f"{HF_VIT} intermediate.dense output.dense layernorm_before layernorm_after lambda_1 "
         "lambda_2", f"{HF_EMBEDDINGS} pooler.layernorm? layernorm?"),
    Kind("swin", "vision", "blocks.*.attention.self.{query,key,value} blocks.*.attention.output.dense "
         "blocks.*.attention.self.relative_position_bias_table "
         "blocks.*.attention.self.relative_position_index? blocks.*.layernorm_before"
         " blocks.*.layernorm_after blocks.*.intermediate.dense blocks.*.output.dense downsample.reduction? downsample."
         "norm?", "patch_embeddings.projection embeddings.norm? layernorm?"),
    Kind("swin", "vision", "blocks.*.attn.qkv blocks.*.attn.proj blocks.*.attn.relative_position_bias_table "
         "blocks.*.attn.relative_position_index? blocks.*.norm1 blocks.*.norm2 blocks.*.mlp.fc1 blocks.*.mlp.fc2 "
         "blocks.*.attn_mask? downsample.reduction? downsample.norm?", "patch_embed.proj patch_embed.norm? norm?"),
    Kind("convnext", "vision", "blocks.*.conv_dw blocks.*.norm blocks.*.mlp.fc1 blocks.*.mlp.fc2 blocks.*? "
         "blocks.*.gamma? blocks.*.mlp.grn? downsample.*?", "stem.* head.norm? head.fc? norm_pre?"),
    Kind("convnext", "vision", "layers.*.dwconv layers.*.layernorm layers.*.pwconv1 layers.*.pwconv2 layers.*."
         "layer_scale_parameter? layers.*.grn? downsampling_layer.*?",
         "patch_embeddings embeddings.layernorm? layernorm?"),
    Kind("convnext", "vision", "*.dwconv *.norm *.pwconv1 *.pwconv2 *.gamma? *.grn.gamma? *.grn.beta?",
         "downsample_layers.*.*? stages? norm? head?"),
    Kind("davit", "vision", f"{DAVIT} *.spatial_block.window_attn.norm? *.channel_block.channel_attn.norm? "
         "*.spatial_block.window_attn.fn.{qkv,proj} *.channel_block.channel_attn.fn.{qkv,proj} "
         "*.{spatial,channel}_block.ffn.norm?", "convs.*.proj convs.*.norm? head? norms?"),
    Kind("davit", "vision", "*.{spatial,channel}_block.{conv1,conv2} *.{spatial,channel}_block.{norm1,norm2} "
         "*.{spatial,channel}_block.ffn.{fc1,fc2} *.spatial_block.window_attn.{qkv,proj} "
         "*.channel_block.channel_attn.{qkv,proj}", "convs.*.conv convs.*.norm?"),
    Kind("hiera", "vision", "layers.*.layernorm_before layers.*.layernorm_after layers.*.attn.{qkv,proj} "
         "layers.*.mlp.{fc1,fc2} layers.*.proj?", "patch_embeddings.projection position_embeddings? "
         "pooler.layernorm?"),
    Kind("vitdet", "vision", "norm1 norm2 attention.{qkv,proj} mlp.{fc1,fc2}", "embeddings.projection "
         "position_embeddings?"),
)  # fmt: skip

LLAMA_MLP = "mlp.{gate,up,down}_proj"
LLAMA_NORMS = "input_layernorm post_attention_layernorm"
ATTENTION = "self_attn.{q,k,v,o}_proj"
ROTARY = "self_attn.rotary_emb.inv_freq?"
EXPERTS = "mlp.experts.*.{gate,up,down}_proj"

LANGUAGE: tuple[Kind, ...] = (
    Kind("llama", "language", f"{ATTENTION} {LLAMA_MLP} {LLAMA_NORMS} {ROTARY} !self_attn.q_proj.bias "
         "!self_attn.q_norm"),
    Kind("llama_biased", "language", f"{ATTENTION} {LLAMA_MLP} {LLAMA_NORMS} {ROTARY} self_attn.q_proj.bias "
         "self_attn.o_proj.bias"),
    Kind("qwen2", "language", f"{ATTENTION} {LLAMA_MLP} {LLAMA_NORMS} {ROTARY} self_attn.q_proj.bias "
         "self_attn.k_proj.bias self_attn.v_proj.bias !self_attn.o_proj.bias"),
    Kind("qwen3", "language", f"{ATTENTION} {LLAMA_MLP} {LLAMA_NORMS} self_attn.q_norm self_attn.k_norm "
         "!self_attn.q_proj.bias"),
    Kind("qwen2_moe", "language", f"{ATTENTION} {LLAMA_NORMS} {EXPERTS} mlp.gate "
         "mlp.shared_expert.{gate,up,down}_proj mlp.shared_expert_gate mlp.{gate,up,down}_proj?"),
    Kind("qwen3_moe", "language", f"{ATTENTION} {LLAMA_NORMS} {EXPERTS} mlp.gate self_attn.q_norm self_attn.k_norm "
         "mlp.{gate,up,down}_proj?"),
    Kind("mixtral", "language", f"{ATTENTION} {LLAMA_NORMS} block_sparse_moe.gate "
         "block_sparse_moe.experts.*.{w1,w2,w3}"),
    Kind("deepseek", "language", f"{ATTENTION} {LLAMA_NORMS} {EXPERTS} mlp.gate "
         "mlp.shared_experts.{gate,up,down}_proj mlp.{gate,up,down}_proj? !self_attn.kv_a_proj_with_mqa"),
    Kind("deepseek_mla", "language", "self_attn.kv_a_proj_with_mqa self_attn.kv_a_layernorm self_attn.kv_b_proj "
         f"self_attn.o_proj self_attn.q_proj? self_attn.q_{{a,b}}_proj? self_attn.q_a_layernorm? {LLAMA_NORMS} "
         "mlp.{gate,up,down}_proj? mlp.experts.*.{gate,up,down}_proj? mlp.gate? mlp.gate.e_score_correction_bias? "
         "mlp.shared_experts.{gate,up,down}_proj?"),
    Kind("phi3", "language", f"self_attn.qkv_proj self_attn.o_proj mlp.gate_up_proj mlp.down_proj {LLAMA_NORMS} "
         f"{ROTARY}"),
    Kind("internlm2", "language", "attention.wqkv attention.wo feed_forward.{w1,w2,w3} attention_norm ffn_norm"),
    Kind("mistral_original", "language", "attention.{wq,wk,wv,wo} feed_forward.{w1,w2,w3} attention_norm ffn_norm"),
    Kind("gemma2", "language", f"{ATTENTION} {LLAMA_MLP} {LLAMA_NORMS} pre_feedforward_layernorm "
         "post_feedforward_layernorm !self_attn.q_norm"),
    Kind("gemma3", "language", f"{ATTENTION} {LLAMA_MLP} {LLAMA_NORMS} pre_feedforward_layernorm "
         "post_feedforward_layernorm self_attn.q_norm self_attn.k_norm"),
    Kind("glm4", "language", f"{ATTENTION} mlp.gate_up_proj mlp.down_proj {LLAMA_NORMS} post_self_attn_layernorm? "
         "post_mlp_layernorm?"),
    Kind("chatglm", "language", "self_attention.query_key_value self_attention.dense mlp.dense_h_to_4h "
         "mlp.dense_4h_to_h input_layernorm post_attention_layernorm"),
    Kind("olmo_original", "language", "att_proj attn_out ff_proj ff_out attn_norm? ff_norm? q_norm? k_norm?"),
    Kind("olmo2", "language", f"{ATTENTION} {LLAMA_MLP} post_attention_layernorm post_feedforward_layernorm "
         "self_attn.q_norm self_attn.k_norm !input_layernorm"),
    Kind("qwen", "language", "attn.c_attn attn.c_proj ln_1 ln_2 mlp.{w1,w2} mlp.c_proj attn.rotary_emb.inv_freq?"),
    Kind("gpt2", "language", "attn.c_attn attn.c_proj ln_1 ln_2 mlp.c_fc mlp.c_proj attn.bias? attn.masked_bias?"),
    Kind("phi", "language", "self_attn.{q,k,v}_proj self_attn.dense mlp.fc1 mlp.fc2 input_layernorm"),
    Kind("phi_moe", "language", f"{ATTENTION} {LLAMA_NORMS} block_sparse_moe.gate self_attn.q_proj.bias "
         "block_sparse_moe.experts.*.{w1,w2,w3}"),
    Kind("gpt_neox", "language", "attention.query_key_value attention.dense mlp.dense_h_to_4h mlp.dense_4h_to_h "
         "input_layernorm post_attention_layernorm attention.rotary_emb.inv_freq? attention.bias?"),
    Kind("mpt", "language", "attn.Wqkv attn.out_proj norm_1 norm_2 ffn.up_proj ffn.down_proj"),
    Kind("persimmon", "language", "self_attn.query_key_value self_attn.dense input_layernorm post_attention_layernorm "
         "mlp.dense_h_to_4h mlp.dense_4h_to_h self_attn.{q,k}_layernorm?"),
    Kind("baichuan", "language", f"self_attn.W_pack self_attn.o_proj {LLAMA_MLP} {LLAMA_NORMS} {ROTARY}"),
    Kind("hunyuan", "language", f"{ATTENTION} {LLAMA_MLP} {LLAMA_NORMS} self_attn.query_layernorm "
         "self_attn.key_layernorm"),
    Kind("cohere", "language", f"{ATTENTION} {LLAMA_MLP} input_layernorm !post_attention_layernorm "
         "self_attn.{q,k}_norm?"),
    Kind("llama4", "language", f"{ATTENTION} {LLAMA_NORMS} feed_forward.router feed_forward.shared_expert.{{gate,up,"
         "down}_proj feed_forward.experts.gate_up_proj? feed_forward.experts.down_proj? "
         "feed_forward.{gate,up,down}_proj?"),
    Kind("gpt_oss", "language", f"{ATTENTION} {LLAMA_NORMS} self_attn.sinks mlp.router mlp.experts.gate_up_proj? "
         "mlp.experts.down_proj? mlp.experts.gate_up_proj_bias? mlp.experts.down_proj_bias?"),
    Kind("qwen3_next", "language", f"{LLAMA_NORMS} linear_attn.out_proj linear_attn.conv1d linear_attn.A_log "
         "linear_attn.dt_bias linear_attn.norm linear_attn.in_proj_{qkvz,ba,qkv,z,b,a}? self_attn.{q,k,v,o}_proj? "
         "self_attn.{q,k}_norm? mlp.{gate,up,down}_proj? mlp.gate? mlp.experts.*.{gate,up,down}_proj? "
         "mlp.shared_expert.{gate,up,down}_proj? mlp.shared_expert_gate? mlp.experts.{gate_up_proj,down_proj}?"),
    Kind("cogvlm", "language", "self_attn.vision_expert_query_key_value self_attn.vision_expert_dense "
         "self_attn.language_expert_query_key_value self_attn.language_expert_dense mlp.{vision,language}_mlp."
         f"{{gate,up,down}}_proj {LLAMA_NORMS} {ROTARY}"),
    Kind("bart_decoder", "language", "self_attn.{q,k,v,out}_proj encoder_attn.{q,k,v,out}_proj self_attn_layer_norm "
         "encoder_attn_layer_norm fc1 fc2 final_layer_norm"),
    Kind("opt", "language", "self_attn.{q,k,v,out}_proj self_attn_layer_norm fc1 fc2 final_layer_norm", "!conv1"),
    Kind("t5", "language", "layer.*.SelfAttention.{q,k,v,o} layer.*.layer_norm layer.*.SelfAttention."
         "relative_attention_bias? layer.*.EncDecAttention.{q,k,v,o}? layer.*.DenseReluDense.{wi,wi_0,wi_1,wo}?"),
)  # fmt: skip

OTHERS: tuple[Kind, ...] = (
    Kind("clip_text", "text", VIT_ATTENTION, "token_embedding position_embedding? final_layer_norm? position_ids?"),
    Kind("open_clip_text", "text", "attn.in_proj_weight attn.in_proj_bias attn.out_proj ln_1 ln_2 mlp.c_fc mlp.c_proj",
         "token_embedding ln_final? positional_embedding?"),
    Kind("bert", "text", "attention.self.{query,key,value} attention.output.dense attention.output.LayerNorm "
         "intermediate.dense output.dense output.LayerNorm", "word_embeddings? LayerNorm? pooler.dense? "
         "position_embeddings? token_type_embeddings? position_ids?"),
    Kind("whisper", "audio", "self_attn.{q,k,v,out}_proj self_attn_layer_norm fc1 fc2 final_layer_norm",
         "conv1 conv2 embed_positions? layer_norm? ln_post? proj? conv_out? conv2d*? positional_embedding?"),
    Kind("conformer", "audio", "feed_forward_in.net.*? feed_forward_out.net.*? conv.*? self_attn.linear_{q,k,v,out}? "
         "self_attn.{linear_pos,pos_bias_u,pos_bias_v}? norm_self_att? norm_conv norm_out? "
         "feed_forward1.linear{1,2}? feed_forward2.linear{1,2}? norm_feed_forward{1,2}?"),
    Kind("perceiver", "connector", "self_attn.{q,k,v,o}_proj input_latents_norm input_context_norm mlp.{gate,up,down}"
         "_proj post_attention_layernorm", "latents norm?"),
    Kind("qformer", "connector", "attention.attention.{query,key,value} attention.output.dense attention.output."
         "LayerNorm crossattention.attention.{query,key,value}? crossattention.output.{dense,LayerNorm}? "
         "intermediate_query.dense output_query.dense output_query.LayerNorm", "query_tokens? layernorm? LayerNorm?"),
)  # fmt: skip


@cache
def spec_of(text: str) -> Spec:
    needed, optional, banned = set[str](), set[str](), set[str]()
    for word in text.split():
        place = optional if word.endswith("?") else banned if word.startswith("!") else needed
        place.update(_expand(word.strip("!?")))
    return Spec(frozenset(needed), frozenset(optional), frozenset(banned))


def _expand(word: str) -> list[str]:
    """`{a,b}_{c,d}` as its four words."""
    pieces: list[list[str]] = []
    for index, part in enumerate(word.replace("{", "\0").replace("}", "\0").split("\0")):
        pieces.append(part.split(",") if index % 2 else [part])
    return ["".join(choice) for choice in product(*pieces)]
