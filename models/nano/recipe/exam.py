"""What held-out items are asked, and the items as files for the program. Needs numpy and Pillow alone."""
import dataclasses
import json

from . import items, prompts, seeds
from .driving import words
from .film import film

KEEPS = (1.0, .5, .25, .1)
# Task, whether its things are held out.
PARTS = (("driving", False), ("photos", False), ("photos", True), ("pages", False))
VIEWS = (1, 1, 6)     # of driving items, in turn


def asked(item, random, questions=None):
    """What an item is asked in evaluation: the detailed or short caption, its assessment, and its questions (at most so many, drawn)."""
    turns = prompts.turns_of(item, random)
    captions = [turn for turn in turns if turn.kind in ("caption detailed", "caption short")][-1:]
    always = captions + [turn for turn in turns if turn.kind in ("assess", "speech")]
    others = [turn for turn in turns if not turn.kind.startswith("caption") and turn.kind not in ("assess", "speech")]
    kept = range(len(others)) if questions is None else sorted(random.permutation(len(others))[:questions])
    return always + [others[i] for i in kept]


def record(item, turn, got, keep, held_out):
    """One line: what was asked, what was said, what is true."""
    line = {"id": f"{item.task}/{item.seed}", "task": item.task, "held_out": held_out, "keep": keep, "views": len(item.views), "kind": turn.kind,
            "question": turn.question, "text": got["text"], "box": got["box"], "answer": turn.answer, "accepted": turn.accepted,
            "evidence": [dataclasses.asdict(each) for each in turn.evidence]}
    if turn.kind == "assess":
        line["risk"] = dataclasses.asdict(item.risk)
    if turn.kind == "caption detailed" and item.task == "driving":
        line["true"] = sorted(words.true_facts(item.facts, item.agents))
        line["needed"] = sorted(words.true_facts(item.facts, item.agents[:3]))
    return line


def sample_of(assets, task, held_out, views, seed, questions=None):
    """(sample, turns) of an evaluation item."""
    sample = items.made(task, seed, views, assets, held_out)
    return sample, asked(sample[1], seeds.generator(seed, "asked"), questions)


def jobs(count, first_seed, tasks=("driving", "photos", "pages"), views=VIEWS, questions=None):
    """(task, held_out, views, seed, questions) of `count` items a part."""
    return [(task, held_out, views[i % len(views)] if task == "driving" else 1, first_seed + i, questions)
            for i in range(count) for task, held_out in PARTS if task in tasks]


def draw(assets, out, first_seed, count, questions=None, tasks=("driving", "photos", "pages"), views=VIEWS):
    """Writes held-out items for the program to answer: OUT/items.jsonl, a line each, and films. Gives how many.

    A line has "films" and "views" (a film each), "times", "transcript", "cells" (text, box and row of what a page says) and "lines": those of
    predict() without keep, text and box."""
    seeds.evaluation_seed(first_seed)
    out.mkdir(parents=True, exist_ok=True)
    drawn = 0
    with open(out / "items.jsonl", "w", encoding="utf-8") as file:
        for task, held_out, view_count, seed, most in jobs(count, first_seed, tasks, views, questions):
            (pictures, item, _), turns = sample_of(assets, task, held_out, view_count, seed, most)
            names = [f"{drawn:04d}-{view}.png" for view in range(len(pictures))]
            for name, shown in zip(names, pictures):
                (out / name).write_bytes(film(shown, item.times))
            rows = item.facts.get("rows", [])
            line = {"films": names, "views": item.views, "times": item.times, "transcript": item.transcript,
                    "cells": [{"text": cell.text, "box": cell.box, "row": row} for cell, row in zip(item.lines, rows)],
                    "lines": [record(item, turn, {"text": "", "box": []}, 0, held_out) for turn in turns]}
            print(json.dumps(line, ensure_ascii=False), file=file)
            drawn += 1
    return drawn
