"""SmolLM2 (a Llama) with low-rank adapters, for training and greedy reading."""
import contextlib

import torch
import torch.nn.functional as F
from torch import nn

PROJECTIONS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")


class AdaptedLinear(nn.Module):
    """x (W + up down)^T with a frozen W; up starts at zero. Reference: Hu et al., LoRA, ICLR 2022, with alpha = rank."""

    def __init__(self, weight, rank):
        super().__init__()
        self.register_buffer("weight", weight)
        self.down = nn.Parameter(torch.randn(rank, weight.shape[1]) / weight.shape[1] ** .5)
        self.up = nn.Parameter(torch.zeros(weight.shape[0], rank))
        self.merged = None     # kept while nothing is trained

    def forward(self, x):
        return F.linear(x, self.sum() if self.merged is None else self.merged)

    def sum(self):
        return self.weight + (self.up @ self.down).to(self.weight.dtype)


def rms_norm(x, weight, epsilon):
    return F.rms_norm(x.float(), (x.shape[-1],), None, epsilon).to(x.dtype) * weight


class Layer(nn.Module):
    """Attention with rotated positions and fewer heads of keys than of queries, then a gated MLP."""

    def __init__(self, tensors, heads, key_heads, rank, epsilon):
        super().__init__()
        self.heads, self.key_heads, self.epsilon = heads, key_heads, epsilon
        self.parts = nn.ModuleDict({name.split(".")[1]: AdaptedLinear(tensors[name + ".weight"], rank) for name in PROJECTIONS})
        for name in ("input_layernorm", "post_attention_layernorm"):
            self.register_buffer(name, tensors[name + ".weight"])

    def forward(self, x, turn, past=None, mask=None):
        """x [B, L, D], turn = (cos, sin) of the new positions; past (keys, values) is read and the longer one returned. `mask` [B, 1, L, all]
        says what is seen; causal without."""
        batch, length, _ = x.shape
        y = rms_norm(x, self.input_layernorm, self.epsilon)
        q, k, v = (self.parts[name](y).view(batch, length, -1, x.shape[2] // self.heads).transpose(1, 2)
                   for name in ("q_proj", "k_proj", "v_proj"))
        q, k = rotated(q, turn), rotated(k, turn)
        if past is not None:
            k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
        mixed = F.scaled_dot_product_attention(q, k, v, mask, is_causal=mask is None and length > 1, enable_gqa=True)
        x = x + self.parts["o_proj"](mixed.transpose(1, 2).reshape(batch, length, -1))
        y = rms_norm(x, self.post_attention_layernorm, self.epsilon)
        x = x + self.parts["down_proj"](F.silu(self.parts["gate_proj"](y)) * self.parts["up_proj"](y))
        return x, (k, v)


def rotated(x, turn):
    """Reference: Su et al., RoFormer; halves as Llama has them."""
    first, second = x.chunk(2, -1)
    return x * turn[0] + torch.cat([-second, first], -1) * turn[1]


class LanguageModel(nn.Module):
    """Reads embeddings [B, L, D]. `middle` is the layer whose output the evidence head reads."""

    def __init__(self, metadata, tensors, rank, dtype):
        super().__init__()
        tensors = {name: torch.from_numpy(values).to(dtype) for name, values in tensors.items()}
        self.register_buffer("embedding", tensors["embed_tokens.weight"])
        self.register_buffer("norm", tensors["norm.weight"])
        self.epsilon, self.base = metadata["llama.attention.layer_norm_rms_epsilon"], metadata["llama.rope.freq_base"]
        heads, key_heads = metadata["llama.attention.head_count"], metadata["llama.attention.head_count_kv"]
        self.head_width = self.embedding.shape[1] // heads
        count = metadata["llama.block_count"]
        self.middle = count // 2
        self.layers = nn.ModuleList(
            Layer({name.split(".", 2)[2]: x for name, x in tensors.items() if name.startswith(f"layers.{i}.")}, heads, key_heads, rank, self.epsilon)
            for i in range(count))

    def turn(self, places):
        """cos and sin of positions [...], each [..., width of a head]."""
        speeds = self.base ** (-torch.arange(0, self.head_width, 2, device=places.device).float() / self.head_width)
        angles = places.float()[..., None] * speeds
        angles = torch.cat([angles, angles], -1)
        return angles.cos().to(self.embedding.dtype), angles.sin().to(self.embedding.dtype)

    def forward(self, x, pasts=None, places=None, mask=None):
        """(last hidden states, those of the middle layer, keys and values of all layers). `places` [B, L] are positions where they are not those
        behind `pasts`; `mask` as a layer takes it."""
        start = pasts[0][0].shape[2] if pasts else 0
        turn = self.turn(torch.arange(start, start + x.shape[1], device=x.device) if places is None else places[:, None])
        kept, middle = [], None
        for i, layer in enumerate(self.layers):
            x, past = layer(x, turn, pasts[i] if pasts else None, mask)
            kept.append(past)
            if i + 1 == self.middle:
                middle = x
        return rms_norm(x, self.norm, self.epsilon), middle, kept

    def logits(self, hidden):
        return F.linear(hidden, self.embedding)

    @contextlib.contextmanager
    def settled(self):
        """Within, weights and adapters are added once and not at each use. May be entered again within itself."""
        linears = [module for module in self.modules() if isinstance(module, AdaptedLinear) and module.merged is None]
        try:
            with torch.no_grad():
                for linear in linears:
                    linear.merged = linear.sum()
            yield
        finally:
            for linear in linears:
                linear.merged = None
