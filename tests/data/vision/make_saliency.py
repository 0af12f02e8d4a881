"""Writes saliency.safetensors: what small CLIP and SigLIP encoders of transformers attend to: make_saliency.py

transformers 5.17, torch 2.11, safetensors. Weights and pixels are those of layer_merging_test.cpp. "clip" is what the
class token attends to in the last layer, "siglip" what all places attend to; means over heads, and over the places.
"""
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModel, SiglipVisionConfig, SiglipVisionModel

sys.path.append(str(Path(__file__).parents[2] / "reference"))
from lcg import lcg  # noqa: E402

SHAPE = dict(hidden_size=64, num_attention_heads=4, intermediate_size=96, image_size=16, num_hidden_layers=4,
             patch_size=2, hidden_act="gelu", attn_implementation="eager")


def drawn(model, clip):
    """Matrices are drawn in this order, norms are ones, biases zeros."""
    names = ["embeddings.patch_embedding", "embeddings.position_embedding"]
    names += ["embeddings.class_embedding"] if clip else []
    for i in range(SHAPE["num_hidden_layers"]):
        names += [f"encoder.layers.{i}.self_attn.{part}_proj" for part in ("q", "k", "v", "out")]
        names += [f"encoder.layers.{i}.mlp.fc{n}" for n in (1, 2)]
    state = {name.removeprefix("vision_model."): value for name, value in model.named_parameters()}
    with torch.no_grad():
        for name, value in state.items():
            value.fill_(1.0 if "norm" in name and name.endswith("weight") else 0.0)
        for seed, name in enumerate(names, 1):
            value = state.get(name + ".weight", state.get(name))
            value.copy_(lcg(seed, *value.shape) * 0.3)
    return model.eval()


def attended(model, pixels):
    with torch.no_grad():
        return model(pixels, output_attentions=True).attentions[-1]


def main():
    pixels = lcg(99, 2, 3, 16, 16)
    clip = attended(drawn(CLIPVisionModel(CLIPVisionConfig(**SHAPE)), True), pixels)
    siglip = attended(drawn(SiglipVisionModel(SiglipVisionConfig(**SHAPE, vision_use_head=False)), False), pixels)
    save_file(dict(clip=clip[:, :, 0, 1:].mean(1).contiguous(), siglip=siglip.mean((1, 2)).contiguous()),
              Path(__file__).with_name("saliency.safetensors"))


main()
