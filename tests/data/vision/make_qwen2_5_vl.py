"""Writes qwen2_5_vl.safetensors and qwen2_5_vl.json: a tiny random vision transformer of Qwen2.5-VL,
pixels, and what transformers makes of them; and the sizes that its image processor chooses.

Run with transformers 5.17 and torch: make_qwen2_5_vl.py.
"""
import json
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VisionTransformerPretrainedModel
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

CONFIG = dict(depth=3, hidden_size=16, intermediate_size=24, num_heads=2, patch_size=4, spatial_merge_size=2,
              temporal_patch_size=2, window_size=16, out_hidden_size=12, fullatt_block_indexes=[1],
              hidden_act="silu", in_channels=3)
SIZES = [(97, 160), (480, 640), (30, 31), (1080, 1920), (20, 3000), (42, 70), (1, 1), (3000, 2000)]


def patches_of(pixels):
    """[P, 3, H, W] to the flat patches that the reference takes, each picture as two equal frames."""
    side, merge = CONFIG["patch_size"], CONFIG["spatial_merge_size"]
    count, channels, height, width = pixels.shape
    rows, columns = height // side, width // side
    x = pixels.view(count, channels, rows // merge, merge, side, columns // merge, merge, side)
    x = x.permute(0, 2, 5, 3, 6, 1, 4, 7).unsqueeze(6).expand(-1, -1, -1, -1, -1, -1, 2, -1, -1)
    return x.reshape(count * rows * columns, -1), torch.tensor([[1, rows, columns]] * count)


def main():
    torch.manual_seed(3)
    config = transformers.models.qwen2_5_vl.configuration_qwen2_5_vl.Qwen2_5_VLVisionConfig(**CONFIG)
    model = Qwen2_5_VisionTransformerPretrainedModel(config).eval()
    for parameter in model.parameters():
        parameter.data = torch.randn_like(parameter) * 0.3
    pixels = torch.randn(2, 3, 40, 24)   # 10 x 6 patches: whole windows, and parts at two edges
    with torch.inference_mode():
        flat, grid = patches_of(pixels)
        features = model(flat, grid_thw=grid).pooler_output.view(2, 15, -1)
    tensors = {f"model.{name}": value.contiguous() for name, value in model.state_dict().items()}
    save_file({**tensors, "pixels": pixels, "features": features.contiguous()},
              Path(__file__).with_name("qwen2_5_vl.safetensors"))
    sizes = [[*size, *smart_resize(*size, factor=28, min_pixels=3136, max_pixels=1003520)] for size in SIZES]
    Path(__file__).with_name("qwen2_5_vl.json").write_text(json.dumps(
        dict(made_by=f"transformers {transformers.__version__}", config=dict(
            CONFIG, architectures=["Qwen2_5_VLVisionModel"]), sizes=sizes)) + "\n")


main()
