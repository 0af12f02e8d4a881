"""SmolLM2 (a Llama) with low-rank adapters, for training and greedy reading."""
import contextlib

import torch
import torch.nn.functional as F
from torch import nn

# What is multiplied at once, in this order of rows.
GROUPS = {"qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"), "o": ("self_attn.o_proj",),
          "gate_up": ("mlp.gate_proj", "mlp.up_proj"), "down": ("mlp.down_proj",)}


def short(name):
    return name.split(".")[1]


class Adapter(nn.Module):
    """What is added to a frozen weight: up down, zero at the start. Reference: Hu et al., LoRA, ICLR 2022, with alpha = rank."""

    def __init__(self, shape, rank):
        super().__init__()
        self.down = nn.Parameter(torch.randn(rank, shape[1]) / shape[1] ** .5)
        self.up = nn.Parameter(torch.zeros(shape[0], rank))


class Layer(nn.Module):
    """The adapters and norms of one layer."""

    def __init__(self, tensors, rank):
        super().__init__()
        self.parts = nn.ModuleDict({short(name): Adapter(tensors[name + ".weight"].shape, rank) for names in GROUPS.values() for name in names})
        for name in ("input_layernorm", "post_attention_layernorm"):
            self.register_buffer(name, tensors[name + ".weight"])


def rms_norm(x, weight, epsilon):
    return F.rms_norm(x.float(), (x.shape[-1],), None, epsilon).to(x.dtype) * weight


def rotated(x, turn):
    """Reference: Su et al., RoFormer; halves as Llama has them."""
    first, second = x.chunk(2, -1)
    return x * turn[0] + torch.cat([-second, first], -1) * turn[1]


def layer_of(x, turn, norms, weights, heads, epsilon, past=None, mask=None):
    """Attention with rotated positions and fewer heads of keys than of queries, then a gated MLP: x [B, L, D], turn = (cos, sin) of the new positions,
    weights of each of GROUPS; past (keys, values) is read and the longer one returned. `mask` [B, 1, L, all] says what is seen; causal without."""
    batch, length, width = x.shape
    size = width // heads
    qkv = F.linear(rms_norm(x, norms[0], epsilon), weights[0]).view(batch, length, -1, size).transpose(1, 2)
    key_heads = (qkv.shape[1] - heads) // 2
    q, k, v = qkv.split([heads, key_heads, key_heads], 1)
    q, k = rotated(q, turn), rotated(k, turn)
    if past is not None:
        k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
    mixed = F.scaled_dot_product_attention(q, k, v, mask, is_causal=mask is None and length > 1, enable_gqa=True)
    x = x + F.linear(mixed.transpose(1, 2).reshape(batch, length, width), weights[1])
    gate, up = F.linear(rms_norm(x, norms[1], epsilon), weights[2]).chunk(2, -1)
    return x + F.linear(F.silu(gate) * up, weights[3]), (k, v)


class LanguageModel(nn.Module):
    """Reads embeddings [B, L, D]. `middle` is the layer whose output the evidence head reads."""

    def __init__(self, metadata, tensors, rank, dtype):
        super().__init__()
        tensors = {name: torch.from_numpy(values).to(dtype) for name, values in tensors.items()}
        self.register_buffer("embedding", tensors["embed_tokens.weight"])
        self.register_buffer("norm", tensors["norm.weight"])
        self.epsilon, self.base = metadata["llama.attention.layer_norm_rms_epsilon"], metadata["llama.rope.freq_base"]
        heads = metadata["llama.attention.head_count"]
        self.head_width = self.embedding.shape[1] // heads
        count = metadata["llama.block_count"]
        self.middle = count // 2
        self.heads, self.layer_of = heads, layer_of
        self.layers = nn.ModuleList(
            Layer({name.split(".", 2)[2]: x for name, x in tensors.items() if name.startswith(f"layers.{i}.")}, rank) for i in range(count))
        for group, names in GROUPS.items():     # of all layers, [layers, rows, columns]
            self.register_buffer(group, torch.stack([torch.cat([tensors[f"layers.{i}.{name}.weight"] for name in names]) for i in range(count)]))
        self.added = None     # sums of weights and adapters, kept while they do not change

    def turn(self, places):
        """cos and sin of positions [...], each [..., width of a head]."""
        speeds = self.base ** (-torch.arange(0, self.head_width, 2, device=places.device).float() / self.head_width)
        angles = places.float()[..., None] * speeds
        angles = torch.cat([angles, angles], -1)
        return angles.cos().to(self.embedding.dtype), angles.sin().to(self.embedding.dtype)

    def sums(self):
        """Weights and adapters together, for each of GROUPS [layers, rows, columns]."""
        def added(name):
            parts = [layer.parts[short(name)] for layer in self.layers]
            return torch.bmm(torch.stack([part.up for part in parts]), torch.stack([part.down for part in parts]))
        return [weights[:len(self.layers)] + torch.cat([added(name) for name in names], 1).to(weights.dtype)
                for weights, names in ((getattr(self, group), names) for group, names in GROUPS.items())]

    def forward(self, x, pasts=None, places=None, mask=None):
        """(last hidden states, those of the middle layer, keys and values of all layers). `places` [B, L] are positions where they are not those
        behind `pasts`; `mask` as a layer takes it."""
        start = pasts[0][0].shape[2] if pasts else 0
        turn = self.turn(torch.arange(start, start + x.shape[1], device=x.device) if places is None else places[:, None])
        weights = [each.unbind(0) for each in (self.sums() if self.added is None else self.added)]
        kept, middle = [], None
        for i, layer in enumerate(self.layers):
            norms = (layer.input_layernorm, layer.post_attention_layernorm)
            x, past = self.layer_of(x, turn, norms, [each[i] for each in weights], self.heads, self.epsilon, pasts[i] if pasts else None, mask)
            kept.append(past)
            if i + 1 == self.middle:
                middle = x
        return rms_norm(x, self.norm, self.epsilon), middle, kept

    def logits(self, hidden):
        return F.linear(hidden, self.embedding)

    @contextlib.contextmanager
    def settled(self):
        """Within, weights and adapters are added once and not at each use. May be entered again within itself."""
        before = self.added
        try:
            if before is None:
                with torch.no_grad():
                    self.added = self.sums()
            yield
        finally:
            self.added = before

    @contextlib.contextmanager
    def added_once(self):
        """The same with gradients: within, any number of backward passes; behind, the adapters have theirs."""
        sums = self.sums()
        self.added = [each.detach().requires_grad_() for each in sums]
        try:
            yield
            torch.autograd.backward(sums, [each.grad for each in self.added])
        finally:
            self.added = None
