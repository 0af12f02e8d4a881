"""EfficientNet-Lite0 with its batch norms folded in, and its maps of three resolutions.

Reference: Tan and Le, EfficientNet, ICML 2019; tensorflow/tpu, models/official/efficientnet/lite."""
import torch
import torch.nn.functional as F
from torch import nn

# Repeats, kernel, stride, expansion, output channels of each stage.
STAGES = ((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320))
EPSILON = 1e-3
FINE, MIDDLE = 40, 112   # channels of the maps at an eighth and a sixteenth of the side
TAPS = (4, 10, 15)       # the blocks behind which they, and the last map, leave
COARSE, WIDTH = 320, 1280


class FoldedConv(nn.Module):
    """A convolution with bias that pads like TensorFlow's SAME, and ReLU6 if asked."""

    def __init__(self, weight, bias, stride, relu):
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)
        self.stride, self.relu = stride, relu
        self.groups = weight.shape[0] if weight.shape[1] == 1 and weight.shape[2] > 1 else 1

    def forward(self, x):
        kernel, pads = self.weight.shape[-1], []
        for length in (x.shape[3], x.shape[2]):
            total = max((-(-length // self.stride) - 1) * self.stride + kernel - length, 0)
            pads += [total // 2, total - total // 2]
        x = F.conv2d(F.pad(x, pads) if any(pads) else x, self.weight, self.bias, self.stride, 0, 1, self.groups)
        return F.relu6(x) if self.relu else x


def folded(tensors, conv, norm, stride, relu):
    """A FoldedConv of the checkpoint's `conv` and the batch norm behind it."""
    get = {key: tensors[f"{norm}.{key}"].double() for key in ("weight", "bias", "running_mean", "running_var")}
    scale = get["weight"] / (get["running_var"] + EPSILON).sqrt()
    weight = tensors[f"{conv}.weight"].double() * scale.view(-1, 1, 1, 1)
    return FoldedConv(weight.float(), (get["bias"] - get["running_mean"] * scale).float(), stride, relu)


class Block(nn.Module):
    """Widens, filters each channel, narrows; adds its input where the shape stays."""

    def __init__(self, layers, adds):
        super().__init__()
        self.layers, self.adds = nn.Sequential(*layers), adds

    def forward(self, x):
        y = self.layers(x)
        return x + y if self.adds else y


class EfficientNetLite0(nn.Module):
    """uint8 pictures [P, 3, H, W], sides multiples of 32, to maps; `class_logits` names what a map shows."""

    def __init__(self, tensors):
        super().__init__()
        self.stem = folded(tensors, "_conv_stem", "_bn0", 2, True)
        blocks, width = [], 32
        for repeats, kernel, stride, expansion, channels in STAGES:
            for i in range(repeats):
                base, step = f"_blocks.{len(blocks)}.", stride if i == 0 else 1
                layers = [folded(tensors, base + "_expand_conv", base + "_bn0", 1, True)] if expansion != 1 else []
                layers += [folded(tensors, base + "_depthwise_conv", base + "_bn1", step, True),
                           folded(tensors, base + "_project_conv", base + "_bn2", 1, False)]
                blocks.append(Block(layers, step == 1 and width == channels))
                width = channels
        self.blocks = nn.ModuleList(blocks)
        self.head = folded(tensors, "_conv_head", "_bn1", 1, True)
        self.fc = nn.Linear(WIDTH, 1000)
        self.fc.load_state_dict({"weight": tensors["_fc.weight"], "bias": tensors["_fc.bias"]})

    def maps(self, pictures):
        """[P, 40, H/8, W/8], [P, 112, H/16, W/16], [P, 320, H/32, W/32]."""
        kind = self.stem.weight.dtype
        x = ((pictures.to(kind) - 127) / 128).contiguous(memory_format=torch.channels_last)
        x, kept = self.stem(x), []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in TAPS:
                kept.append(x)
        return kept

    def class_logits(self, coarse):
        """The last map to logits of each cell [P, cells, 1000] and of the whole picture [P, 1000]."""
        top = self.head(coarse).flatten(2).transpose(1, 2)
        return self.fc(top), self.fc(top.mean(1))


def cells_of(maps):
    """What lies in each place of the last map, from all three: [P, rows, columns, 320 + 4 * 112 + 16 * 40]."""
    fine, middle, coarse = maps
    return torch.cat([coarse, F.pixel_unshuffle(middle, 2), F.pixel_unshuffle(fine, 4)], 1).permute(0, 2, 3, 1)


CELL_WIDTH = COARSE + 4 * MIDDLE + 16 * FINE
