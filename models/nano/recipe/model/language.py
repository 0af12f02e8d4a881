"""SmolLM2 (a Llama) with low-rank adapters, for training and greedy reading."""
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

    def forward(self, x):
        return F.linear(x, self.weight + (self.up @ self.down).to(self.weight.dtype))


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

    def forward(self, x, turn, past=None):
        """x [B, L, D], turn = (cos, sin) of the new positions; past (keys, values) is read and the longer one returned."""
        batch, length, _ = x.shape
        y = rms_norm(x, self.input_layernorm, self.epsilon)
        q, k, v = (self.parts[name](y).view(batch, length, -1, x.shape[2] // self.heads).transpose(1, 2)
                   for name in ("q_proj", "k_proj", "v_proj"))
        q, k = rotated(q, turn), rotated(k, turn)
        if past is not None:
            k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=length > 1, enable_gqa=True)
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

    def turn(self, start, end):
        device, kind = self.embedding.device, self.embedding.dtype
        speeds = self.base ** (-torch.arange(0, self.head_width, 2, device=device).float() / self.head_width)
        angles = torch.arange(start, end, device=device).float()[:, None] * speeds
        angles = torch.cat([angles, angles], 1)
        return angles.cos().to(kind), angles.sin().to(kind)

    def forward(self, x, pasts=None):
        """(last hidden states, those of the middle layer, keys and values of all layers)."""
        start = pasts[0][0].shape[2] if pasts else 0
        turn, kept, middle = self.turn(start, start + x.shape[1]), [], None
        for i, layer in enumerate(self.layers):
            x, past = layer(x, turn, pasts[i] if pasts else None)
            kept.append(past)
            if i + 1 == self.middle:
                middle = x
        return rms_norm(x, self.norm, self.epsilon), middle, kept

    def logits(self, hidden):
        return F.linear(hidden, self.embedding)
