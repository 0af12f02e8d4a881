"""Predictions on held-out seeds as JSON lines, and scores of such lines. Scoring needs no model: the lines hold what was true."""
import collections
import dataclasses
import json
import math
import time

import torch

from . import batches, metrics, prompts, read, seeds
from .driving import words
from .driving.risk import LEVELS

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


TOGETHER = 4   # items answered at once


def sample_of(assets, task, held_out, views, seed, questions=None):
    """(sample, turns) of an evaluation item."""
    sample = batches.made(task, seed, views, assets, held_out)
    return sample, asked(sample[1], seeds.generator(seed, "asked"), questions)


def predict(model, assets, device, items, first_seed, keeps=KEEPS, workers=0, until=math.inf, tasks=("driving", "photos", "pages"), views=VIEWS,
            questions=None):
    """Yields lines for `items` items a part, of seeds from `first_seed` on; begins no more answers after time.monotonic() passes `until`."""
    seeds.evaluation_seed(first_seed)
    jobs = [(task, held_out, views[i % len(views)] if task == "driving" else 1, first_seed + i, questions)
            for i in range(items) for task, held_out in PARTS if task in tasks]
    options = {"multiprocessing_context": "fork", "prefetch_factor": 4} if workers else {}
    source = torch.utils.data.DataLoader(Samples(assets, jobs), batch_size=None, num_workers=workers, collate_fn=as_it_is, **options)
    waiting = {}
    with model.language.settled():
        for job, sample in zip(jobs, source):
            waiting.setdefault(job[:3], []).append(sample)
            for part, samples in waiting.items():
                if len(samples) == TOGETHER or samples and job == jobs[-1]:
                    if time.monotonic() > until:
                        return
                    yield from answered(model, device, samples, part, keeps)
                    samples.clear()


def as_it_is(sample):
    return sample


class Samples(torch.utils.data.Dataset):
    """What jobs (task, held_out, views, seed, questions) give, pictures as arrays: they are few."""

    def __init__(self, assets, jobs):
        self.assets, self.jobs = assets, jobs

    def __len__(self):
        return len(self.jobs)

    def __getitem__(self, index):
        task, held_out, views, seed, questions = self.jobs[index]
        return sample_of(self.assets, task, held_out, views, seed, questions)


def answered(model, device, samples, part, keeps):
    """Lines of (sample, turns) of one shape, at each ratio."""
    task, held_out = part[:2]
    rows = [(sample[1], turn) for sample, turns in samples for turn in turns]
    for keep in keeps:
        batch = batches.batch(task, keep, [sample for sample, _ in samples], [turns for _, turns in samples])
        for (item, turn), got in zip(rows, read.answers(model, batch, device)):
            yield record(item, turn, got, keep, held_out)


def guesses(model, assets, lines):
    """Lines of what needs no training, to compare with: to each question of predicted `lines` the answer that is most often true of its kind in these very
    lines, and for names the classifier's best class. Captions are left out."""
    counts, asked_once = {}, {}
    for line in lines:
        if not line["kind"].startswith("caption"):
            asked_once.setdefault((line["id"], line["held_out"], line["views"], line["kind"], line["question"]), line)
    for line in asked_once.values():
        counts.setdefault((line["task"], line["kind"]), collections.Counter())[line["answer"]] += 1
    best = {}
    for line in asked_once.values():
        text, key = counts[line["task"], line["kind"]].most_common(1)[0][0], (line["id"], line["held_out"])
        if line["kind"] == "name":
            if key not in best:
                pictures = torch.from_numpy(batches.made("photos", int(line["id"].split("/")[1]), 1, assets, line["held_out"])[0])
                best[key] = int(model.class_shares(pictures.flatten(0, 1).permute(0, 3, 1, 2))[1].amax(0).argmax())
            text = model.classes[best[key]]
        yield {**line, "text": text, "box": [], "keep": "guessed"}


def by_item(lines):
    """Lines in groups, one an item, so that resampling draws items and not questions."""
    groups = {}
    for line in lines:
        groups.setdefault(line["id"], []).append(line)
    return list(groups.values())


def rate(groups, right):
    """The mean of right(line) over all lines, drawn by items."""
    return metrics.bootstrap([[right(line) for line in group] for group in groups], lambda drawn: metrics.mean(x for group in drawn for x in group))


def correct(line):
    return metrics.same(line["text"], [line["answer"], *line["accepted"]])


def level_f1(groups):
    """Macro-F1 of the levels; an answer that does not parse is wrong."""
    pairs = [[(words.read_assessment(line["text"])["level"], line["risk"]["level"]) for line in group] for group in groups]
    return metrics.bootstrap(pairs, lambda drawn: metrics.macro_f1([pair for group in drawn for pair in group], LEVELS))


def told_object(line):
    """Whether the assessment names the class of what endangers, and nothing where nothing does."""
    said, true = words.read_assessment(line["text"])["object"], line["risk"]["object"]
    return metrics.any_word(said, "none") if not true else said.split(" in ")[0].split(" ")[-1:] == true.split(" in ")[0].split(" ")[-1:]


def facts(groups, which):
    """Recall (which = 0) or precision (1) of what captions claim."""
    told = [[(words.facts_in(line["text"]), set(map(tuple, line["true"])), set(map(tuple, line["needed"]))) for line in group] for group in groups]
    return metrics.bootstrap(told, lambda drawn: metrics.recall_and_precision([each for group in drawn for each in group])[which])


def caption_scores(lines):
    """CIDEr-D of each caption line against all its wordings; document frequencies are of all captions scored."""
    return metrics.cider([line["text"] for line in lines], [line["accepted"] for line in lines])


def scores(lines):
    """{name: {"value", "low", "high", "n"}} of the lines of one keep ratio."""
    def part(task, *kinds, held_out=False, only=lambda line: True):
        return by_item(line for line in lines if line["task"] == task and line["held_out"] == held_out and (not kinds or line["kind"] in kinds)
                       and only(line))

    assess = part("driving", "assess")
    clear = part("driving", "assess", only=lambda line: not line["risk"]["near"])
    endangered = part("driving", "assess", only=lambda line: line["risk"]["object"])
    captioned = [line for line in lines if line["kind"].startswith("caption")]
    cider = by_item([{"id": line["id"], "score": score} for line, score in zip(captioned, caption_scores(captioned))])
    told = part("driving", "caption detailed")
    boxed = part("pages", only=lambda line: line["evidence"])
    answered = part("pages", *(kind for kind in {line["kind"] for line in lines if line["task"] == "pages"} if not kind.startswith("caption")))
    viewed = part("driving", "assess", only=lambda line: line["risk"]["object"] and line["views"] > 1)
    spoken = by_item(line for line in lines if line["kind"] == "speech")
    return {
        "driving.risk_macro_f1": level_f1(clear),
        "driving.risk_macro_f1_with_near": level_f1(assess),
        "driving.risk_parsed": rate(assess, lambda line: words.read_assessment(line["text"])["level"] != "unknown"),
        "driving.object_accuracy": rate(assess, told_object),
        "driving.view_accuracy": rate(viewed, lambda line: words.read_assessment(line["text"])["view"] == line["risk"]["view"]),
        "driving.evidence_iou": rate(endangered, lambda line: metrics.box_iou(line["box"], line["risk"]["box"])),
        "driving.question_accuracy": rate(part("driving", *words.QUESTIONS), correct),
        "driving.fact_recall": facts(told, 0),
        "driving.fact_precision": facts(told, 1),
        "photos.name_accuracy": rate(part("photos", "name"), correct),
        "photos.heldout_name_accuracy": rate(part("photos", "name", held_out=True), lambda line: metrics.any_word(line["text"], line["answer"])),
        "photos.motion_accuracy": rate(part("photos", "motion"), correct),
        "documents.anls": rate(answered, lambda line: metrics.anls(line["text"], [line["answer"]])),
        "documents.box_iou": rate(boxed, lambda line: metrics.box_iou(line["box"], line["evidence"][0]["box"]) >= .5),
        "captions.cider": rate(cider, lambda line: line["score"]),
        "speech.word_error_rate": metrics.bootstrap(spoken, lambda drawn: metrics.word_error_rate(
            [(line["text"], line["answer"]) for group in drawn for line in group])),
    }


def read_lines(path):
    """The lines of a predictions file. Throws ValueError that names the line that is none."""
    lines = []
    with open(path, encoding="utf-8") as file:
        for number, text in enumerate(file, 1):
            try:
                lines.append(json.loads(text))
            except json.JSONDecodeError as problem:
                raise ValueError(f"{path}:{number}: expected a JSON object, got {text[:40]!r}") from problem
    return lines


def table(lines):
    """{keep: scores} of all lines."""
    return {str(keep): scores([line for line in lines if line["keep"] == keep]) for keep in sorted({line["keep"] for line in lines}, key=str, reverse=True)}
