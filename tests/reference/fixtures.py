"""What the generators of parity fixtures here share: seeded weights, the folder that `longview parity` reads, the command line."""
import argparse
import json
import random
import shutil
from pathlib import Path

import torch
import transformers as tf
from safetensors.torch import save_file

RANDOM = random.Random()
TOLERANCE = 2e-4


def draw(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(RANDOM.randrange(2**31)))


def draw_ids(least, below, *shape):
    generator = torch.Generator().manual_seed(RANDOM.randrange(2**31))
    return torch.randint(least, below, shape, generator=generator)


def give_weights(model):
    """Norms near one, biases that matter, and matrices that keep logits lively; rounded to the type they are stored in."""
    stored = RANDOM.choice([torch.float32, torch.bfloat16, torch.float16])
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1:
                weight.copy_(draw(*weight.shape) * 1.2 / weight[0].numel() ** 0.5)
            else:
                weight.copy_(("norm" in name) + (0.2 if "norm" in name else 0.1) * draw(*weight.shape))
    return model.to(stored).float().eval(), stored


def relative_error(got, expected):
    """The largest difference divided by the largest of what is expected."""
    return ((got.double() - expected.double()).abs().max() / expected.double().abs().max()).item()


def write(folder, family, parts, inputs, outputs, narrow={}):
    """`parts` are saved to model/. `narrow`: outputs of the reference itself in bfloat16, where its type alone can make much of a
    difference; `longview parity` in bfloat16 allows for it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for part in parts:
        part.save_pretrained(folder / "model")
    outputs = {name: value.float().contiguous() for name, value in outputs.items()}
    save_file(inputs, str(folder / "inputs.safetensors"))
    save_file(outputs, str(folder / "expected.safetensors"))
    about = dict(family=family, inputs={k: list(v.shape) for k, v in inputs.items()},
                 outputs={k: list(v.shape) for k, v in outputs.items()}, tolerance=TOLERANCE,
                 reference=f"transformers {tf.__version__}, torch {torch.__version__}, CPU float32")
    if narrow:
        about["bfloat16_errors"] = {name: relative_error(value, outputs[name]) for name, value in narrow.items()}
    (folder / "about.json").write_text(json.dumps(about, indent=1) + "\n")


def main(fixtures, text):
    """`fixtures`: name to function of a folder."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=sorted(fixtures), default=list(fixtures))
    options = parser.parse_args()
    tf.utils.logging.set_verbosity_error()
    tf.utils.logging.disable_progress_bar()
    for name in options.only:
        RANDOM.seed(f"{options.seed}/{name}")
        torch.manual_seed(options.seed)
        fixtures[name](options.out / name)
        print(name)
