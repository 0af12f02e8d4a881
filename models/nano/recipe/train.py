"""Training, in pieces that go on where the last one stopped, and a smoke run that learns eight items by heart."""
import contextlib
import json
import math
import time
from pathlib import Path

import torch

from . import batches, prompts, seeds
from .model import gguf_file, step
from .model.nano import Nano
from .read import answers

RATE, EYES_RATE = 1e-3, 4e-4
BETAS, DECAY, CLIP = (.9, .98), .01, 1.0
WARM_UP, FALLING = 60, .3       # steps, and the share of the whole time over which the rate falls to zero
SAVED_SECONDS = 100             # between copies of the weights


def optimizer_of(model):
    """AdamW with a rate of its own for the eyes; "share" scales both along the schedule."""
    eyes = [x for name, x in model.trained().items() if name.startswith("eyes.")]
    rest = [x for name, x in model.trained().items() if not name.startswith("eyes.")]
    groups = [{"params": rest, "lr": RATE, "full": RATE}, {"params": eyes, "lr": EYES_RATE, "full": EYES_RATE}]
    return torch.optim.AdamW(groups, betas=BETAS, weight_decay=DECAY, fused=torch.cuda.is_available())


def rate_share(at, left, warm_up=WARM_UP):
    """Of the full rate, `at` steps after a start with fresh moments, with the share `left` of the whole training still to come: rises over
    `warm_up` steps, stays, falls to zero at the end."""
    return min((at + 1) / warm_up, 1.0, max(left / FALLING, 0.0))


class Ahead:
    """The steps' micro-batches with what step.look() finds in them. On a GPU it looks at those of the next step while the last one is still learnt from."""

    def __init__(self, model, source, device, seed, half):
        self.model, self.source, self.device, self.seed, self.half = model, source, device, seed, half
        self.stream = torch.cuda.Stream() if device.type == "cuda" else None
        self.waited = 0.0

    def look(self, number):
        random, begin = torch.Generator().manual_seed(self.seed * 1_000_003 + number), time.monotonic()
        micro = next(self.source)
        self.waited = time.monotonic() - begin
        with torch.cuda.stream(self.stream) if self.stream else contextlib.nullcontext(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            found = [step.look(self.model, batch, self.device, random) for batch in micro]
        return micro, found, random, self.stream.record_event() if self.stream else None

    def seen(self, looked):
        """[(micro-batch, Look, names)] of a step that was looked at."""
        micro, found, random, done = looked
        if done:
            done.synchronize()
            here = torch.cuda.current_stream()
            here.wait_event(done)
            for each in found:
                for x in (each.pictures, each.cells, each.seen):
                    x.record_stream(here)
        return [(batch, each, step.names_of(self.model, each, random)) for batch, each in zip(micro, found)]


def one_step(model, optimizer, seen, device, share, half):
    """Accumulates the gradients of micro-batches [(batch, Look, names)] and moves. Gives what was lost in each: numbers on the device. Waits
    for nothing."""
    for group in optimizer.param_groups:
        group["lr"] = group["full"] * share
    optimizer.zero_grad(set_to_none=True)
    lost = []
    with model.language.added_once():
        for batch, look, names in seen:
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                found = step.losses(model, batch, look, names)
            (step.weighted(found) * batches.WEIGHTS[batch.task] / len(seen)).backward()
            lost.append({"task": batch.task, "views": batch.pictures.shape[1], "keep": batch.keep, **{key: x.detach() for key, x in found.items()}})
    norm = torch.nn.utils.clip_grad_norm_([x for group in optimizer.param_groups for x in group["params"]], CLIP)
    optimizer.step()
    lost[0]["norm"] = norm.detach()
    return lost


class Told:
    """What one_step gave, on its way into plain numbers."""

    def __init__(self, lost):
        self.lost = lost
        numbers = torch.stack([x.float() for each in lost for x in each.values() if torch.is_tensor(x)])
        self.numbers = numbers.to("cpu", non_blocking=True)
        self.done = torch.cuda.current_stream().record_event() if numbers.is_cuda else None

    def read(self):
        """Waits for the device to have come so far."""
        if self.done:
            self.done.synchronize()
        numbers = iter(self.numbers.tolist())
        return [{key: round(next(numbers), 4) if torch.is_tensor(x) else x for key, x in each.items()} for each in self.lost]


class Run:
    """A training in a folder: state.pt (to go on from exactly), nano.safetensors and step.json (small enough to travel; moments start anew),
    losses.jsonl. `small` divides micro-batches, for tests; `half` forces autocast on or off."""

    def __init__(self, assets, out, workers, seed=1, small=1, compiled=False, half=None):
        self.out, self.seed = Path(out), seed
        self.out.mkdir(parents=True, exist_ok=True)
        self.done, self.seconds, state = 0, 0.0, None
        if (self.out / "state.pt").exists():
            state = torch.load(self.out / "state.pt", map_location="cpu", weights_only=True)
        elif (self.out / "nano.safetensors").exists():
            state = json.loads((self.out / "step.json").read_text())
        if state:
            self.done, self.seconds = state["step"], state["seconds"]
        self.fresh = 0 if state and "optimizer" in state else self.done     # the step at which moments began
        # Workers are forked before anything is on the GPU, and draw while the model is read.
        tokens = gguf_file.tokenizer(gguf_file.header(assets.folder / "smollm2.gguf"))
        self.source = iter(batches.loader(assets, tokens, self.done // batches.ECHOES, MOST_STEPS, workers, small))
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        torch.set_float32_matmul_precision("high")
        torch.manual_seed(seed)
        self.model = Nano(assets, dtype=torch.bfloat16 if self.device.type == "cuda" else torch.float32).to(self.device).train()
        self.half = self.device.type == "cuda" if half is None else half
        if compiled:
            self.model.language.layer_of = torch.compile(self.model.language.layer_of, dynamic=True)
        self.optimizer = optimizer_of(self.model)
        if self.fresh:
            self.model.load(self.out / "nano.safetensors")
        elif state:
            with torch.no_grad():
                for name, x in self.model.trained().items():
                    x.copy_(state["weights"][name])
            self.optimizer.load_state_dict(state["optimizer"])
        self.ahead, self.looked, self.started = Ahead(self.model, self.source, self.device, seed, self.half), None, None
        self.last = time.monotonic()

    def step(self, left):
        """Starts one step with the share `left` of the whole training to come; gives the record of the one before, or None: so the device never waits."""
        share = rate_share(self.done - self.fresh, left)
        if self.looked is None:
            self.looked = self.ahead.look(self.done)
        seen, waited = self.ahead.seen(self.looked), self.ahead.waited
        lost = one_step(self.model, self.optimizer, seen, self.device, share, self.half)
        self.done += 1
        started = (Told(lost), {"step": self.done, "share": round(share, 4)}, waited)
        self.looked = self.ahead.look(self.done)
        before, self.started = self.record(), started
        return before

    def record(self):
        """Of the step that was started last, when it is done; None if there is none."""
        if self.started is None:
            return None
        (told, about, waited), self.started = self.started, None
        micro, now = told.read(), time.monotonic()
        took, self.last = now - self.last, now
        self.seconds += took
        return {**about, "seconds": round(self.seconds, 2), "took": round(took, 3), "waited": round(waited, 3), "micro": micro}

    def save(self, everything=True):
        """Each file is whole at any time."""
        about = {"step": self.done, "seconds": self.seconds}
        self.model.save(self.out / "new.safetensors")
        (self.out / "new.safetensors").rename(self.out / "nano.safetensors")
        (self.out / "step.json").write_text(json.dumps({**about, "seed": self.seed}))
        if everything:
            torch.save({"weights": self.model.trained(), "optimizer": self.optimizer.state_dict(), **about}, self.out / "new.pt")
            (self.out / "new.pt").rename(self.out / "state.pt")


MOST_STEPS = 150_000     # their seeds stay below those of evaluation


def train(assets, out, minutes, more=0.0, workers=14, steps=MOST_STEPS, **options):
    """Trains for `minutes` in all, loading included, or until `steps` are done; the rate falls to zero towards the end of `more` further minutes, of
    pieces to come. Gives the steps done."""
    if minutes <= 0 or more < 0 or steps < 1:
        raise ValueError(f"minutes, more, steps: expected positive, none or positive, and at least 1, got {minutes}, {more}, {steps}")
    begin = time.monotonic()
    run = Run(assets, out, workers, **options)
    print(f"step {run.done}, {run.seconds:.0f} s of training so far, ready after {time.monotonic() - begin:.1f} s", flush=True)
    saved = time.monotonic()
    with open(run.out / "losses.jsonl", "a") as log:
        def keep(line):
            if line:
                log.write(json.dumps(line) + "\n")
                log.flush()
                if not all(math.isfinite(each["answer"]) for each in line["micro"]):
                    raise ValueError(f"step {line['step']}: expected finite losses, got {line['micro']}")

        while run.done < steps and (left := begin + minutes * 60 - time.monotonic()) > 0:
            left += more * 60
            keep(run.step(left / (run.seconds + left)))
            if time.monotonic() - saved > SAVED_SECONDS:
                run.save(everything=False)
                saved = time.monotonic()
        keep(run.record())
    run.save()
    return run.done


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
            ahead = Ahead(model, iter([micro]), torch.device("cpu"), 0, False)
            lost = Told(one_step(model, optimizer, ahead.seen(ahead.look(0)), torch.device("cpu"), rate_share(done, 1 - done / steps, 5), False)).read()
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
