"""Writes parity.safetensors and parity.json: what the recipe's model computes for two clips of coloured squares: make_parity.py ASSETS

Run from the repository's root with what models/nano/recipe needs; ASSETS is the folder that its `prepare` makes. Pictures and all that
training changes are numbers of the golden tests' generator (tests/support/close_to.h), scaled, each tensor with a seed of its own, so that
no training alters the files. Of tensors with many rows every STEPth is kept.
"""
import json
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

sys.path += ["models/nano", "tests/reference"]
from lcg import lcg  # noqa: E402
from recipe import batches, prompts, read  # noqa: E402
from recipe.assets import Assets  # noqa: E402
from recipe.model import step  # noqa: E402
from recipe.model.nano import Nano  # noqa: E402
from recipe.truth import Item  # noqa: E402

STEP, LOGIT_STEP = 42, 64
SQUARE, SIDE = 8, 28          # pixels of a square, squares along a side
SEED = 16                     # of the films' squares: settled() holds for both
NOISE = 1e-5                  # share of the largest feature by which processors' arithmetic may differ
CASES = {"one": (["front"], "What happens?", "Mind the step.", .5), "three": (["front", "front left", "rear"], "Assess the risk.", "", .25)}
CELLS = {"What happens?": ["Mind the", "step.", "What", "happens?"], "Assess the risk.": ["Assess", "the", "risk."]}
read.MOST_TOKENS = 24


def scale_of(name, x):
    """Of the numbers that a tensor gets, so that no signal dies on its way."""
    if name.endswith(".up"):
        return .003
    if name.endswith(("rows", "columns")):
        return 1   # places tell tokens apart: without, which of them merge is decided by rounding
    return round(float((3 / (x.numel() / len(x))) ** .5), 4) if x.dim() > 1 and not name.endswith("views") else .1


def fill(model):
    """[[name, shape, scale, what is added]] of all that training changes, in the order of their names."""
    filled = []
    for seed, (name, x) in enumerate(sorted(model.trained().items()), 1000):
        norm = "norm" in name and name.endswith("weight")
        scale, base = scale_of(name, x), 1 if norm else 0
        x.copy_(base + np.float32(scale) * lcg(seed, *x.shape))
        filled.append([name, list(x.shape), scale, base])
    return filled


def pictures(views, times):
    squares = ((lcg(SEED, views, times, SIDE, SIDE, 3) + 1) * 127).byte().numpy()
    return squares.repeat(SQUARE, 2).repeat(SQUARE, 3)


def cells_of(model, item, question, script):
    """Where the words of a text stand, in pairs of them: (from, to) behind the visual tokens."""
    text = prompts.context(item, [])[0] + "\n" + question
    whole = model.tokenizer.encode(text + prompts.ANSWER)
    names = len(script.ids) - len(whole.ids)
    places = [(text.index(pair), text.index(pair) + len(pair)) for pair in CELLS[question]]
    inside = [[i for i, (a, b) in enumerate(whole.offsets) if b > start and a < end] for start, end in places]
    return [(own[0] + names, own[-1] + 1 + names) for own in inside]


def spaced(x, every):
    return x.reshape(-1, x.shape[-1])[::every].float().contiguous()


def settled(model, tokens, keep, question, row_of):
    """Whether tokens that differ by noise are grouped alike: else a near-tie would decide, and each processor could decide it its own way."""
    for seed in range(8):
        noise = torch.randn(tokens.shape, generator=torch.Generator().manual_seed(seed))
        if not torch.equal(model.fewer(tokens + NOISE * tokens.abs().max() * noise, keep, question)[1], row_of):
            return False
    return True


@torch.no_grad()
def main():
    model = Nano(Assets(sys.argv[1]))
    about = {"trained": fill(model), "seed": SEED}
    model.eval()
    tensors = {}
    for name, (views, question, transcript, keep) in CASES.items():
        times = [.4 * t for t in range(4)]
        item = Item("driving", 0, views, times, {}, {}, [])
        item.transcript = transcript
        asked = [prompts.Turn("", question, "")]
        batch = batches.batch("driving", keep, [(pictures(len(views), len(times)), item, None)], [asked])
        tokens, names, _ = step.seen_tokens(model, batch, torch.device("cpu"))
        question_rows = step.padded_questions(model, batch.turns) if len(views) > 1 else None
        visual, row_of, _ = model.fewer(tokens, keep, question_rows)
        if not settled(model, tokens, keep, question_rows, row_of):
            raise SystemExit(f"{name}: a near-tie decides what merges; take another SEED")
        script = prompts.script(model.tokenizer, item, names[0], asked)
        x, _, lengths = step.assembled(model, visual, [script])
        with model.language.settled():
            hidden, _, _ = model.language(x)
        (text,), states, (said,) = read.continued(model, x, lengths, [1])
        opening, count = len(model.opening()), visual.shape[1]
        pointed, sure = model.pointer.point(states[0, opening:opening + count].float(), said.float().mean(0))
        cells = step.span_means(states.float(), [cells_of(model, item, question, script)], opening + count)[0]
        told, sure_of_told = model.pointer.point(cells, said.float().mean(0))
        tensors |= {f"{name}.tokens": spaced(tokens, STEP), f"{name}.left": spaced(visual, STEP),
                    f"{name}.logits": model.language.logits(hidden[0, -1])[::LOGIT_STEP].float().contiguous(),
                    f"{name}.ids": torch.tensor(model.opening() + script.ids)}
        about[name] = {"names": names[0], "text": text, "pointed": pointed, "sure": float(f"{sure:.4g}"), "cells": CELLS[question], "cells_pointed": told,
                       "sure_of_cells": float(f"{sure_of_told:.4g}")}
    folder = Path(__file__).parent
    save_file(tensors, str(folder / "parity.safetensors"))
    (folder / "parity.json").write_text(json.dumps(about, ensure_ascii=False, separators=(",", ":")).replace("],[", "],\n[") + "\n")


main()
