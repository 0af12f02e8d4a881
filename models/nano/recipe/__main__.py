"""python -m recipe COMMAND, from models/nano. `python -m recipe COMMAND --help` lists what each takes."""
import argparse
import json
import sys
import time
from pathlib import Path

try:
    from . import assets, seeds
except ModuleNotFoundError as missing:
    sys.exit(f"recipe: Python's {missing.name} is missing; as an administrator run: apt-get install -y python3-numpy python3-pil")


def prepare(given):
    rows = assets.prepare(given.assets, given.models)
    print(f"{len(rows)} photographs, {sum(row['held_out'] for row in rows)} held out")


def record(given):
    from .driving import sumo
    print(sumo.record(given.assets / assets.TRAFFIC, given.runs))


def pack(given):
    print(f"{len(assets.pack(given.assets, given.pieces))} pieces")


def unpack(given):
    assets.unpack(given.pieces, given.assets)


def preview(given):
    from . import items, preview as sheets
    views = given.views if given.task == "driving" else 1
    held = assets.Assets(given.assets)
    sheets.sheet([items.made(given.task, given.seed + i, views, held, given.held_out)[:2] for i in range(given.items)], given.out)


def truth(given):
    from . import items
    held = assets.Assets(given.assets)
    for i in range(given.items):
        print(items.made(given.task, given.seed + i, given.views if given.task == "driving" else 1, held, given.held_out)[1].json())


def train(given):
    from . import train as training
    if given.smoke:
        wrong = training.smoke(assets.Assets(given.assets), given.out, given.steps)
        sys.exit(f"{wrong} answers differ from what was taught" if wrong else 0)
    print(f"step {training.train(assets.Assets(given.assets), given.out, given.minutes, given.more, given.workers, compiled=given.compile)}")


def loaded(given):
    """(assets, the trained model, its device)."""
    import torch

    from .model.nano import Nano
    held = assets.Assets(given.assets)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = Nano(held, dtype=torch.bfloat16 if device.type == "cuda" else torch.float32)
    model.load(given.weights)
    return held, model.to(device).eval(), device


def draw(given):
    from .exam import draw as files
    print(files(assets.Assets(given.assets), given.out, given.seed, given.items, given.questions, given.tasks, given.views))


def predict(given):
    from .evaluate import predict as lines
    held, model, device = loaded(given)
    with open(given.out, "w", encoding="utf-8") as file:
        until = time.monotonic() + given.seconds
        for line in lines(model, held, device, given.items, given.seed, given.keep, given.workers, until, given.tasks, given.views, given.questions):
            print(json.dumps(line, ensure_ascii=False), file=file, flush=True)


def guess(given):
    from .evaluate import guesses
    from .scores import read_lines
    held, model, _ = loaded(given)
    lines = [line for path in given.predictions for line in read_lines(path)]
    with open(given.out, "w", encoding="utf-8") as file:
        for line in guesses(model.to("cpu"), held, lines):
            print(json.dumps(line, ensure_ascii=False), file=file)


def see(given):
    from . import see as seeing
    _, model, device = loaded(given)
    for path in given.files:
        names, texts = seeing.asked(model, device, path, given.questions, given.at, given.step, given.times, given.keep)
        print(json.dumps({"file": path.name, "at": given.at, "classifier": names, "answers": dict(zip(given.questions, texts))}, ensure_ascii=False), flush=True)


def examples(given):
    from .examples import write
    from .scores import read_lines
    lines = [line for path in given.predictions for line in read_lines(path)]
    print(write(assets.Assets(given.assets), lines, given.page, given.seed, given.items))


def fixture(given):
    from .fixture import write
    held, model, _ = loaded(given)
    print(write(model, held, given.out, given.task, given.seed, given.views, given.keep)["text"])


def score(given):
    from .scores import read_lines, table
    print(json.dumps(table([line for path in given.predictions for line in read_lines(path)]), indent=1))


def curve(given):
    from .curve import draw
    draw(given.losses, given.out)


def main():
    parser = argparse.ArgumentParser(prog="recipe", description=__doc__)
    commands = parser.add_subparsers(required=True)

    def command(run, text, *options):
        made = commands.add_parser(run.__name__, help=text)
        for names, settings in options:
            made.add_argument(*names.split(), **settings)
        made.set_defaults(run=run)

    folder = ("--assets", {"type": Path, "default": Path("../../.deps/nano-recipe"), "help": "the folder that `prepare` makes"})
    pieces = ("--pieces", {"type": Path, "default": Path("../../.deps/nano-pieces")})
    items = [("task", {"choices": ["driving", "photos", "pages", "naming"]}), ("--seed", {"type": int, "default": 0}),
             ("--items", {"type": int, "default": 8}), ("--views", {"type": int, "choices": [1, 2, 3, 6], "default": 1, "help": "cameras, of driving"}),
             ("--held-out", {"action": "store_true", "help": "photographs that training never sees"}), folder]
    command(prepare, "fetches photographs, fonts and weights", folder,
            ("--models", {"type": Path, "default": Path("../../.deps/models"), "help": "where ./longview keeps its models"}))
    command(record, "simulates traffic with SUMO and keeps pieces of it", folder, ("--runs", {"type": int, "default": 12}))
    command(pack, "cuts the assets into pieces of at most 56 MiB", folder, pieces)
    command(unpack, "joins the pieces", folder, pieces)
    command(preview, "writes a contact sheet with captions", *items, ("--out", {"type": Path, "default": Path("preview.png")}))
    command(truth, "prints what is true of items, one JSON record a line", *items)
    command(train, "trains, from where the last piece stopped", folder, ("--out", {"type": Path, "required": True}),
            ("--minutes", {"type": float, "default": 18, "help": "of this piece, loading included"}),
            ("--more", {"type": float, "default": 0, "help": "minutes of pieces to come, at whose end the rate is zero"}),
            ("--workers", {"type": int, "default": 14}), ("--compile", {"action": "store_true", "help": "the layers of the language model"}),
            ("--steps", {"type": int, "default": 100, "help": "of the smoke run"}), ("--smoke", {"action": "store_true", "help": "learns eight items by heart instead"}))
    held_out = [folder, ("--seed", {"type": int, "default": seeds.EVALUATION_FROM}), ("--items", {"type": int, "default": 128, "help": "a part"}),
                ("--tasks", {"nargs": "+", "choices": ["driving", "photos", "pages"], "default": ["driving", "photos", "pages"]}),
                ("--views", {"type": int, "nargs": "+", "choices": [1, 2, 3, 6], "default": [1, 1, 6], "help": "cameras of driving items, in turn"}),
                ("--questions", {"type": int, "help": "of each item besides caption and assessment; all without"}), ("--out", {"type": Path, "required": True})]
    command(draw, "writes held-out items as films and JSON lines, for the program to answer", *held_out)
    command(predict, "answers held-out items, as JSON lines", *held_out, ("--weights", {"type": Path, "required": True}),
            ("--workers", {"type": int, "default": 0}), ("--seconds", {"type": float, "default": 1e9, "help": "after which no more is asked"}),
            ("--keep", {"type": float, "nargs": "+", "default": [1.0, .5, .25, .1]}))
    command(guess, "answers what was predicted by what needs no training: the most frequent answers, and the classifier's best class", folder,
            ("predictions", {"type": Path, "nargs": "+"}), ("--weights", {"type": Path, "required": True}), ("--out", {"type": Path, "required": True}))
    command(see, "what the model says of films (needs PyAV) and pictures, a JSON line each", folder, ("files", {"type": Path, "nargs": "+"}),
            ("--weights", {"type": Path, "required": True}), ("--at", {"type": float, "default": 0.0, "help": "second of the first picture"}),
            ("--step", {"type": float, "default": .5, "help": "seconds between pictures"}), ("--times", {"type": int, "default": 4, "help": "pictures"}),
            ("--keep", {"type": float, "default": 1.0}), ("--questions", {"nargs": "+", "default": ["Describe what is shown in one sentence.", "What is shown?"]}))
    command(examples, "writes the first held-out items with what was said and what is true into a page", folder, ("predictions", {"type": Path, "nargs": "+"}),
            ("--page", {"type": Path, "default": Path("../../docs/nano.md"), "help": "has <!-- examples --> and <!-- end of examples -->"}),
            ("--seed", {"type": int, "default": seeds.EVALUATION_FROM}), ("--items", {"type": int, "default": 12}))
    command(fixture, "writes what the model computes for one held-out item", folder, ("--weights", {"type": Path, "required": True}),
            ("task", {"choices": ["driving", "photos", "pages"]}), ("--seed", {"type": int, "default": seeds.EVALUATION_FROM}),
            ("--views", {"type": int, "choices": [1, 2, 3, 6], "default": 1}), ("--keep", {"type": float, "default": .5}),
            ("--out", {"type": Path, "required": True}))
    command(score, "scores predictions", ("predictions", {"type": Path, "nargs": "+"}))
    command(curve, "draws the losses of a training", ("losses", {"type": Path}), ("--out", {"type": Path, "default": Path("../../docs/nano-training.svg")}))
    given = parser.parse_args()
    try:
        given.run(given)
    except (ValueError, OSError) as problem:
        sys.exit(f"recipe: {problem}")


if __name__ == "__main__":
    main()
