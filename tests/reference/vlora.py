"""VLoRA put together from torch's and transformers' own modules: what Longview's is compared with.

As in the public code (FeipengMa6/VLoRA): generators are torch.nn.TransformerDecoderLayer with norms first; what a picture makes the
language model wear is added beside its modules by hooks; the picture's place in the ids is a token that nothing looks at; the
answer's positions count what is looked at, as transformers' generate() of that time made them."""
import json
from contextlib import contextmanager

import torch
from safetensors.torch import save_file

MODULES = dict(q="self_attn.q_proj", k="self_attn.k_proj", v="self_attn.v_proj", o="self_attn.o_proj", m="mlp")


class Generator(torch.nn.Module):
    def __init__(self, width, depth, matrices, numbers):
        super().__init__()
        self.queries = torch.nn.Parameter(torch.zeros(1, matrices, width))
        self.decoders = torch.nn.ModuleList(
            torch.nn.TransformerDecoderLayer(width, 16, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True)
            for _ in range(depth))
        self.norm = torch.nn.LayerNorm(width)
        self.weights_head = torch.nn.Linear(width, numbers)

    def forward(self, memory):
        x = self.queries
        for layer in self.decoders:
            x = layer(x, memory)
        return self.weights_head(self.norm(x))


class Vlora(torch.nn.Module):
    def __init__(self, width, depth, visual, places, llm, layers, rank, alpha, every, kinds="qkvom", separate=True):
        super().__init__()
        self.config = dict(vlora_dim=width, vlora_depth=depth, vlora_visual_dim=visual, vlora_pos_num=places, vlora_llm_dim=llm,
                           vlora_llm_depth=layers, vlora_rank=rank, vlora_alpha=alpha, vlora_type=kinds, weights_sep=separate,
                           skip_layers=every)
        self.shape = (len(kinds), layers // every, llm, rank)
        self.visual_proj = torch.nn.Linear(visual, width)
        self.pos_embed = torch.nn.Parameter(torch.zeros(1, places, width))
        slots = layers // every
        self.gen = (torch.nn.ModuleList(Generator(width, depth, slots, llm * rank) for _ in kinds) if separate
                    else Generator(width, depth, len(kinds) * slots, llm * rank))
        self.Bs = torch.nn.Parameter(torch.zeros(1, len(kinds) * slots, llm * rank))

    def seen(self, features):
        """Features [places, visual] to the factors that they decide, [kinds, slots, llm, rank]."""
        memory = self.visual_proj(features.unsqueeze(0)) + self.pos_embed
        parts = self.gen if self.config["weights_sep"] else [self.gen]
        return torch.cat([part(memory) for part in parts], 1).view(self.shape)

    def forward(self, features, kv_width):
        """{module: (A [llm, rank], B [out, rank])}"""
        seen, every = self.seen(features), self.config["skip_layers"]
        learned = self.Bs.view(self.shape) * self.config["vlora_alpha"] / self.config["vlora_rank"]
        return {f"model.layers.{layer}.{MODULES[kind]}":
                (seen[i, layer // every], learned[i, layer // every][:kv_width if kind in "kv" else None])
                for layer in range(every - 1, self.config["vlora_llm_depth"], every)
                for i, kind in enumerate(self.config["vlora_type"])}


@contextmanager
def wearing(model, worn):
    def beside(a, b):
        return lambda module, given, made: made + (given[0] @ a) @ b.T
    hooks = [model.get_submodule(name).register_forward_hook(beside(a, b)) for name, (a, b) in worn.items()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def read(model, ids, place, count, worn):
    """Logits of ids [n], whose picture is at `place`, without its row; then `count` greedy ids."""
    said, first = [], None
    with wearing(model, worn):
        for _ in range(count + 1):
            all_ids = torch.cat([ids, torch.tensor(said, dtype=torch.long)]).unsqueeze(0)
            mask, positions = torch.ones_like(all_ids), torch.arange(all_ids.shape[1])
            all_ids[0, place], mask[0, place] = 0, 0
            positions[len(ids):] -= 1
            logits = model(input_ids=all_ids, attention_mask=mask, position_ids=positions.unsqueeze(0)).logits
            first = logits if first is None else first
            said.append(logits[0, -1].argmax().item())
    kept = [i for i in range(len(ids)) if i != place]
    return first[:, kept], torch.tensor([said[:count]])


class Whole:
    """The parts, saved as people hold them: the image encoder in a folder of its own if `apart`, else among the weights."""

    def __init__(self, text, tower, vlora, processor, apart, stored=torch.float32, **keys):
        self.text, self.tower, self.vlora, self.processor, self.apart = text, tower, vlora, processor, apart
        self.stored, self.keys = stored, keys

    def save_pretrained(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        config = dict(self.text.config.to_dict(), **self.vlora.config, architectures=["LlavaLlamaVLoRAForCausalLM"],
                      model_type="llava_vlora", dtype=str(self.stored).removeprefix("torch."), mm_projector_type="vlora",
                      mm_vision_tower="made/tower", mm_vision_select_layer=-2, mm_vision_select_feature="patch", **self.keys)
        (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
        tensors = dict(self.text.state_dict())
        tensors.update({f"model.mm_projector.{name}": value for name, value in self.vlora.state_dict().items()})
        self.tower.to(self.stored).save_pretrained(folder / "vision_tower")
        self.processor.save_pretrained(folder / "vision_tower")
        if not self.apart:
            (folder / "vision_tower/model.safetensors").unlink()
            tensors.update({f"model.vision_tower.vision_tower.vision_model.{name.removeprefix('vision_model.')}": value
                            for name, value in self.tower.state_dict().items()})
        save_file({name: value.to(self.stored).clone().contiguous() for name, value in tensors.items()},
                  str(folder / "model.safetensors"), {"format": "pt"})
