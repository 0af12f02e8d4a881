"""Predictions of held-out items as JSON lines, by the model or by guessing."""
import collections
import math
import time

import torch

from . import batches, read, seeds
from .exam import KEEPS, VIEWS, jobs, record, sample_of
from .items import made

TOGETHER = 4   # items answered at once


def predict(model, assets, device, items, first_seed, keeps=KEEPS, workers=0, until=math.inf, tasks=("driving", "photos", "pages"), views=VIEWS,
            questions=None):
    """Yields lines for `items` items a part, of seeds from `first_seed` on; begins no more answers after time.monotonic() passes `until`."""
    seeds.evaluation_seed(first_seed)
    asked = jobs(items, first_seed, tasks, views, questions)
    options = {"multiprocessing_context": "fork", "prefetch_factor": 4} if workers else {}
    source = torch.utils.data.DataLoader(Samples(assets, asked), batch_size=None, num_workers=workers, collate_fn=as_it_is, **options)
    waiting = {}
    with model.language.settled():
        for job, sample in zip(asked, source):
            waiting.setdefault(job[:3], []).append(sample)
            for part, samples in waiting.items():
                if len(samples) == TOGETHER or samples and job == asked[-1]:
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
                pictures = torch.from_numpy(made("photos", int(line["id"].split("/")[1]), 1, assets, line["held_out"])[0])
                best[key] = int(model.class_shares(pictures.flatten(0, 1).permute(0, 3, 1, 2))[1].amax(0).argmax())
            text = model.classes[best[key]]
        yield {**line, "text": text, "box": [], "keep": "guessed"}
