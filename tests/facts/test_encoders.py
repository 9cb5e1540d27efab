"""What a tower of the repo's own computes: one other operator is seen, another spelling of the same is not one."""

from __future__ import annotations

from pathlib import Path

import pytest

from porter.facts.code import read_code
from porter.facts.configs import Configs
from porter.facts.encoders import Encoder, read_encoder
from porter.facts.reading import feature_path
from porter.hub import snapshot_of
from tests.variants import variant

BLOCK = "        x = x + self.attn(self.norm1(x))\n        return x + self.mlp(self.norm2(x))\n"
ATTENTION = "q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)"
CORE = "F.scaled_dot_product_attention(q, k, v)"
MERGED = f"{CORE}.transpose(1, 2).reshape(b, n, d)"
CUT = "permute(0, 2, 4, 1, 3, 5)"
START = "return self.cls_token(self.embedder(x) + self.pos_embed)"
LOOP = "        for block in self.blocks:\n            x = block(x)\n        return x\n"
BY_HAND = "(((q * (d // self.heads) ** -0.5) @ k.transpose(-2, -1)).softmax(-1) @ v)"
PARTS = """q, k, v = self.qkv(x).chunk(3, -1)
        q = q.view(b, n, self.heads, -1).transpose(1, 2)
        k = k.view(b, n, self.heads, -1).transpose(1, 2)
        v = v.view(b, n, self.heads, -1).transpose(1, 2)"""
OTHER_HEADS = "q, k, v = self.qkv(x).reshape(b, n, 3, -1, self.heads).permute(2, 0, 4, 1, 3)"
ROWS = "[self.token.unsqueeze(0).expand(x.shape[0], -1, -1), x]"

FOUND = Encoder(
    {
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 128,
        "layer_norm_eps": 1e-6,
        "hidden_act": "gelu",
        "qkv_bias": True,
        "norm_type": "layer_norm",
        "qk_normalization": False,
        "initializer_factor": 1.0,
    },
    rows=4,
)


def encoder(folder: Path, *changes: tuple[str, str]) -> Encoder:
    """The tower of a made repo, with places of its file written otherwise."""
    repo = variant("as-nemotron-nano-vl").build(folder / "repo")
    file = next(repo.glob("vision_*.py"))
    text = file.read_text(encoding="utf-8")
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")
    snapshot = snapshot_of(str(repo), revision=None, offline=True)
    configs = Configs(snapshot, read_code(snapshot))
    assert feature_path(configs) is not None
    return read_encoder(configs, 56)


def test_a_tower_is_read(tmp_path: Path) -> None:
    assert encoder(tmp_path) == FOUND


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (CORE, BY_HAND),
        (CORE, "torch.matmul(F.softmax(torch.matmul(q, k.transpose(2, 3)) / math.sqrt(d // self.heads), -1), v)"),
        (CORE, "F.scaled_dot_product_attention(q, k, v, dropout_p=0.0, scale=(d // self.heads) ** -0.5)"),
        (ATTENTION, "q, k, v = self.qkv(x).view(b, n, 3, self.heads, -1).transpose(1, 3).unbind(2)"),
        (ATTENTION, "q, k, v = rearrange(self.qkv(x), 'b n (three h c) -> three b h n c', three=3, h=self.heads)"),
        (ATTENTION, PARTS),
        (f"{CORE}.transpose(1, 2).reshape(b, n, d)", f"{CORE}.permute(0, 2, 1, 3).flatten(2)"),
        (BLOCK, "        y = self.attn(self.norm1(x)) + x\n        y += self.mlp(self.norm2(y))\n        return y\n"),
        ("self.token.unsqueeze(0).expand(x.shape[0], -1, -1)", "self.token[None].repeat(x.shape[0], 1, 1)"),
        ("self.fc2(F.gelu(self.fc1(x)))", "self.fc2(F.dropout(F.gelu(self.fc1(x)), 0.1, self.training))"),
    ],
)  # fmt: skip
def test_another_spelling_is_the_same(old: str, new: str, tmp_path: Path) -> None:
    assert encoder(tmp_path, (old, new)) == FOUND


@pytest.mark.parametrize(
    ("old", "new", "name", "value"),
    [
        ("F.gelu(self.fc1(x))", "F.gelu(self.fc1(x), approximate='tanh')", "hidden_act", "gelu_pytorch_tanh"),
        ("F.gelu(self.fc1(x))", "F.silu(self.fc1(x))", "hidden_act", "silu"),
        ("nn.Linear(width, 3 * width)", "nn.Linear(width, 3 * width, bias=False)", "qkv_bias", False),
        ("Attention(width, cfg.num_attention_heads)", "Attention(width, 4)", "num_attention_heads", 4),
        ("Mlp(width, cfg.intermediate_size)", "Mlp(width, 3 * width)", "intermediate_size", 192),
    ],
)
def test_what_the_code_says_is_settled(old: str, new: str, name: str, value: object, tmp_path: Path) -> None:
    assert encoder(tmp_path, (old, new)).settings[name] == value


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (BLOCK, "        x = self.norm1(x + self.attn(x))\n        return self.norm2(x + self.mlp(x))\n"),
        (BLOCK, "        return x + self.attn(self.norm1(x)) + self.mlp(self.norm2(x))\n"),
        (BLOCK, "        x = x + self.attn(self.norm2(x))\n        return x + self.mlp(self.norm1(x))\n"),
        (BLOCK, "        x = x + 0.5 * self.attn(self.norm1(x))\n        return x + self.mlp(self.norm2(x))\n"),
        (BLOCK, "        x = x + self.mlp(self.norm2(x))\n        return x + self.attn(self.norm1(x))\n"),
        (BLOCK, "        x = self.norm1(x) + self.attn(self.norm1(x))\n        return x + self.mlp(self.norm2(x))\n"),
        ("F.gelu(self.fc1(x))", "F.softplus(self.fc1(x))"),
        ("F.gelu(self.fc1(x))", "F.gelu(self.fc1(x)) ** 2"),
        ("F.gelu(self.fc1(x))", "F.gelu(x + self.fc1(x).mean())"),
        ("self.fc2(F.gelu(self.fc1(x)))", "F.gelu(self.fc2(self.fc1(x)))"),
        (CORE, "F.scaled_dot_product_attention(q, k, v, scale=1.0)"),
        (CORE, "F.scaled_dot_product_attention(q, k, v, is_causal=True)"),
        (CORE, "F.scaled_dot_product_attention(k, q, v)"),
        (CORE, "F.scaled_dot_product_attention(q, k, v) if q.dtype == torch.float32 else v"),
        (CORE, "F.scaled_dot_product_attention(q, k, v) if n < 20 else v.flip(2)"),
        (CORE, "F.scaled_dot_product_attention(q * self.qkv.weight, k, v)"),
        (CORE, "F.scaled_dot_product_attention(F.normalize(q, dim=-1), k, v)"),
        (CORE, BY_HAND.replace("softmax(-1)", "softmax(-2)")),
        (CORE, BY_HAND.replace(" @ v", " @ k")),
        (ATTENTION, ATTENTION.replace("n, 3, self.heads, -1", "n, self.heads, 3, -1").replace("2, 0, 3", "3, 0, 2")),
        (ATTENTION, OTHER_HEADS),
        (MERGED, f"{CORE}.reshape(b, n, d)"),
        (CUT, "permute(0, 2, 4, 3, 5, 1)"),
        (CUT, "permute(0, 4, 2, 1, 3, 5)"),
        (START, "return self.cls_token(self.embedder(x))"),
        (START, "return self.cls_token(self.embedder(x) * self.pos_embed)"),
        (START, "return self.cls_token(self.embedder(x)) + self.pos_embed"),
        (ROWS, "[x, self.token.unsqueeze(0).expand(x.shape[0], -1, -1)]"),
        (LOOP, LOOP.replace("in self.blocks", "in reversed(self.blocks)")),
        (LOOP, LOOP.replace("in self.blocks", "in self.blocks[:1]")),
        (LOOP, LOOP.replace("x = block(x)", "x = block(block(x))")),
        (LOOP, LOOP.replace("return x\n", "return x + x\n")),
        (LOOP, LOOP.replace("return x\n", "return F.layer_norm(x, x.shape[-1:])\n")),
        (LOOP, "        return self.blocks[1](self.blocks[0](self.blocks[1](x)))\n"),
        (LOOP, "        return self.blocks[0](self.blocks[1](x))\n"),
        ("self.proj = nn.Linear(width, width)", "self.proj = nn.Linear(width, width, bias=False)"),
        ("nn.Linear(3 * self.side**2, width, bias=False)", "nn.Linear(3 * self.side**2, width)"),
        ("self.norm2 = nn.LayerNorm(width, eps=cfg.layer_norm_eps)", "self.norm2 = nn.LayerNorm(width, eps=1e-3)"),
        ("self.norm2 = nn.LayerNorm(", "self.norm2 = nn.RMSNorm("),
    ],
)  # fmt: skip
def test_one_other_operator_is_seen(old: str, new: str, tmp_path: Path) -> None:
    found = encoder(tmp_path, (old, new))
    assert found.unclear and not found.settings
