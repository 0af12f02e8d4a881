"""Training, in pieces that go on where the last one stopped, and a smoke run that learns eight items by heart."""
import json
import time
from pathlib import Path

import torch

from . import batches, prompts, seeds
from .model import step
from .model.nano import Nano
from .read import answers

RATE, EYES_RATE = 1e-3, 4e-4
BETAS, DECAY, CLIP = (.9, .98), .01, 1.0
WARM_UP, FALLING = 60, .25      # steps, and the share of all steps over which the rate falls to zero


def optimizer_of(model):
    """AdamW with a rate of its own for the eyes; "share" scales both along the schedule."""
    eyes = [x for name, x in model.trained().items() if name.startswith("eyes.")]
    rest = [x for name, x in model.trained().items() if not name.startswith("eyes.")]
    groups = [{"params": rest, "lr": RATE, "full": RATE}, {"params": eyes, "lr": EYES_RATE, "full": EYES_RATE}]
    return torch.optim.AdamW(groups, betas=BETAS, weight_decay=DECAY, fused=torch.cuda.is_available())


def rate_share(at, steps, warm_up=WARM_UP):
    """Of the full rate at a step: rises over `warm_up` steps, stays, falls to zero at the end."""
    return min((at + 1) / warm_up, 1.0, max((steps - at) / (FALLING * steps), 0.0))


def one_step(model, optimizer, micro, device, random, share):
    """Accumulates the gradients of micro-batches and moves. Gives what was lost in each."""
    for group in optimizer.param_groups:
        group["lr"] = group["full"] * share
    optimizer.zero_grad(set_to_none=True)
    lost = []
    for batch in micro:
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            found = step.losses(model, batch, device, random)
        (step.weighted(found) / len(micro)).backward()
        lost.append({"task": batch.task, "views": batch.pictures.shape[1], "keep": batch.keep, **{key: round(x.item(), 4) for key, x in found.items()}})
    torch.nn.utils.clip_grad_norm_([x for group in optimizer.param_groups for x in group["params"]], CLIP)
    optimizer.step()
    return lost


def train(assets, out, steps, minutes, workers, seed=1):
    """Trains until `steps` in all are done or `minutes` are over; `out` holds state.pt (to go on from), nano.safetensors and losses.jsonl. Where only
    nano.safetensors and its step are there, goes on from these with fresh moments."""
    if steps < 1:
        raise ValueError(f"steps: expected at least 1, got {steps}")
    begin, out = time.monotonic(), Path(out)
    out.mkdir(parents=True, exist_ok=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(seed)
    model = Nano(assets, dtype=torch.bfloat16 if device.type == "cuda" else torch.float32).to(device).train()
    optimizer, done = optimizer_of(model), 0
    if (out / "state.pt").exists():
        state = torch.load(out / "state.pt", map_location=device, weights_only=True)
        with torch.no_grad():
            for name, x in model.trained().items():
                x.copy_(state["weights"][name])
        optimizer.load_state_dict(state["optimizer"])
        done = state["step"]
    elif (out / "nano.safetensors").exists():
        model.load(out / "nano.safetensors")
        done = json.loads((out / "step.json").read_text())["step"]
    fresh, count = done, len(batches.STEP)
    source = iter(batches.loader(assets, done * count, (steps - done) * count, workers))
    with open(out / "losses.jsonl", "a") as log:
        while done < steps and time.monotonic() - begin < minutes * 60:
            random = torch.Generator().manual_seed(seed * 1_000_003 + done)
            share = min(rate_share(done, steps), (done - fresh + 1) / WARM_UP)
            waited = time.monotonic()
            micro = [next(source) for _ in range(count)]
            waited = time.monotonic() - waited
            lost = one_step(model, optimizer, micro, device, random, share)
            done += 1
            log.write(json.dumps({"step": done, "share": round(share, 4), "seconds": round(time.monotonic() - begin, 2), "waited": round(waited, 3),
                                  "micro": lost}) + "\n")
            log.flush()
    model.save(out / "nano.safetensors")
    (out / "step.json").write_text(json.dumps({"step": done, "of": steps, "seed": seed}))
    torch.save({"weights": model.trained(), "optimizer": optimizer.state_dict(), "step": done}, out / "state.pt")
    return done


SMOKE_ITEMS = (("driving", 1), ("driving", 1), ("driving", 2), ("photos", 1), ("photos", 1), ("naming", 1), ("pages", 1), ("pages", 1))
SMOKE_KEEP, SMOKE_LAYERS, SMOKE_TIMES = .1, 4, 2


def smoke(assets, out, steps, seed=1):
    """Learns two questions each of eight items by heart with the first layers of the language model, from two pictures of each view, on the CPU. Prints the loss and the greedy
    answers; returns how many of these are not word for word what was taught."""
    torch.manual_seed(seed)
    model = Nano(assets).train()
    del model.language.layers[SMOKE_LAYERS:]
    model.language.middle = SMOKE_LAYERS // 2
    random, micro = seeds.generator(seed, "smoke"), []
    for i, (task, views) in enumerate(SMOKE_ITEMS):
        pictures, item, invented = batches.made(task, seeds.training_seed(seed * 100 + i), views, assets)
        if invented is None:
            pictures, item.times = pictures[:, :SMOKE_TIMES], item.times[:SMOKE_TIMES]
        asked = [turn for turn in prompts.turns_of(item, random) if len(turn.answer) < 60]
        micro.append(batches.batch(task, SMOKE_KEEP, [(pictures, item, invented)], [asked[-2:]]))
    optimizer = optimizer_of(model)
    out.mkdir(parents=True, exist_ok=True)
    with open(out / "smoke.jsonl", "w") as log:
        for done in range(steps):
            lost = one_step(model, optimizer, micro, torch.device("cpu"), torch.Generator().manual_seed(0), rate_share(done, steps, 5))
            mean = sum(each["answer"] for each in lost) / len(lost)
            log.write(json.dumps({"step": done + 1, "answer": round(mean, 4), "micro": lost}) + "\n")
            print(f"step {done + 1}: {mean:.4f}", flush=True)
    model.save(out / "smoke.safetensors")
    wrong = 0
    for batch in micro:
        first = batches.batch(batch.task, batch.keep, [(batch.pictures[0].numpy(), batch.items[0], batch.classes[0])], [batch.turns[0][:1]])
        (got,) = answers(model, first, torch.device("cpu"), torch.Generator().manual_seed(0) if batch.task == "naming" else None)
        wrong += got["text"] != batch.turns[0][0].answer
        print(f"{batch.task}: {batch.turns[0][0].question} -> {got['text']!r}, taught {batch.turns[0][0].answer!r}")
    return wrong
