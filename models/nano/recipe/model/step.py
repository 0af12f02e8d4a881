"""What a micro-batch costs: answers, evidence, relevance. Nothing between look() and losses() waits for the device."""
import dataclasses

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence

from .. import prompts
from .evidence import IGNORED, MOST
from .nano import answer_loss

BLIND = .4            # share of photographs whose features are ignored, so that the classes are believed
UNNAMED = .3          # share of prompts without the classifier's names
POINTER, RELEVANCE = .2, .1
COVERED = .15         # of a box of evidence: cells that hold less of it are not pointed at


def overlap(box, rows, columns):
    """[R, C] share of the box (x0 y0 x1 y1 in fractions) in each cell of a grid."""
    x0, y0, x1, y1 = box
    across = [max(0.0, min(x1, (c + 1) / columns) - max(x0, c / columns)) for c in range(columns)]
    down = [max(0.0, min(y1, (r + 1) / rows) - max(y0, r / rows)) for r in range(rows)]
    area = max((x1 - x0) * (y1 - y0), 1e-9)
    return torch.tensor(down)[:, None] * torch.tensor(across) / area


def covered(item, evidence, grid):
    """[V T R C] share of each evidence's box that lies in each cell, at the time nearest to where it ends."""
    rows, columns = grid
    shares = torch.zeros(len(item.views), len(item.times), rows, columns)
    for each in evidence:
        at = min(range(len(item.times)), key=lambda i: abs(item.times[i] - each.end))
        if each.view in item.views:
            shares[item.views.index(each.view), at] += overlap(each.box, rows, columns)
    return shares.flatten()


def pointed(shares, row_of, count):
    """Of items whose evidence lies in cells by shares [N, cells], the rows of visual tokens that hold most of it, best first, at most MOST, and the end
    behind: [N, MOST + 1] as the pointer's loss takes them; row_of [N, cells]."""
    there = torch.where(row_of >= 0, shares, 0.0)
    best, rows = torch.zeros(len(shares), count, device=shares.device).scatter_add_(1, row_of.clamp(min=0), there).topk(min(MOST, count))
    number = (best >= COVERED).sum(1, keepdim=True)
    place = torch.arange(best.shape[1] + 1, device=shares.device)
    found = torch.cat([rows + 1, rows[:, :1] * 0], 1)
    return torch.where(place < number, found, torch.where((place == number) & (number > 0), 0, IGNORED))


def invented_shares(batch, grid, random):
    """[B, V, T, R, C, 1000] of classes and [B T, 1000]: each item's class in a blob along its path, others elsewhere."""
    rows, columns = grid
    y = (torch.arange(rows) + .5)[:, None] / rows
    x = (torch.arange(columns) + .5) / columns
    cells, wholes = [], []
    for number, path in batch.classes:
        path = torch.as_tensor(path, dtype=torch.float32)
        near = torch.exp(-((x - path[:, 0, None, None]) ** 2 + (y - path[:, 1, None, None]) ** 2) / (path[:, 2, None, None] * .45) ** 2)
        strength = .25 + .7 * torch.rand(1, generator=random)
        own = (near * strength)[..., None]
        other = torch.zeros(1000)
        other[torch.randint(1000, (4,), generator=random)] += .2
        share = (1 - own) * other * torch.rand(1, generator=random)
        share[..., number] += own[..., 0]
        cells.append(share)
        whole = other * .2
        whole[number] += strength[0] * .8
        wholes.append(whole.expand(len(path), -1))
    return torch.stack(cells)[:, None], torch.stack(wholes)


def onto(x, device):
    """A host's tensor on the device, without waiting for it."""
    return x.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else x


def padded(rows, device):
    """[B, L] ids, zeros behind; and the lengths."""
    return onto(pad_sequence([torch.tensor(row) for row in rows], batch_first=True), device), [len(row) for row in rows]


def embedded_questions(model, ids):
    """[B, L, D] embeddings of all questions of each item, zeros behind; ids [B] lists."""
    table = model.language.embedding
    ids, lengths = padded(ids, table.device)
    there = torch.arange(ids.shape[1])[None] < torch.tensor(lengths)[:, None]
    return table[ids] * onto(there[..., None], table.device)


def padded_questions(model, turns):
    return embedded_questions(model, [question_ids(model.tokenizer, own) for own in turns])


def question_ids(tokenizer, turns):
    return [i for turn in turns for i in tokenizer.encode(turn.question).ids]


@dataclasses.dataclass
class Look:
    """What a micro-batch's pictures [B, V, T, 3, H, W] are before anything trained sees them: classes of cells [B, V, T, R, C, 1000], whether features are
    believed [B], the best classes of each item and their shares [B, n] (on the host as soon as the device is done)."""
    pictures: torch.Tensor
    cells: torch.Tensor
    seen: torch.Tensor
    best: torch.Tensor
    classes: torch.Tensor
    grid: tuple


@torch.no_grad()
def look(model, batch, device, random=None):
    """With `random`, a torch generator on the CPU (training), some features are left out."""
    pictures = torch.as_tensor(batch.pictures).to(device, non_blocking=True).permute(0, 1, 2, 5, 3, 4)
    b, v, t = pictures.shape[:3]
    grid = tuple(side // 32 for side in pictures.shape[-2:])
    seen = torch.ones(b)
    if batch.task == "naming":
        cells, wholes = (onto(x, device) for x in invented_shares(batch, grid, random))
        seen = torch.zeros(b)
    else:
        cells, wholes = model.class_shares(pictures.flatten(0, 2))
        cells, wholes = cells.unflatten(0, (b, v, t)), wholes.unflatten(0, (b, v * t))
        if random is not None and batch.task == "photos":
            seen = (torch.rand(b, generator=random) >= BLIND).float()
    best, classes = (x.to("cpu", non_blocking=True) for x in model.best(wholes))
    return Look(pictures, cells, onto(seen, device), best, classes, grid)


def names_of(model, look, random=None):
    """Of each item, for its prompt; with `random`, some without. The host must have `look.best`."""
    return [own if random is None or torch.rand(1, generator=random) >= UNNAMED else [] for own in model.names(look.best, look.classes)]


def tokens_of(model, batch, look):
    device = look.pictures.device
    return model.look(look.pictures, onto(batch.views, device), onto(batch.times, device), look.cells, look.seen)


def seen_tokens(model, batch, device, random=None):
    """(visual tokens [B, V, M, D], names of each item, grid). With `random` (training) some features and names are left out."""
    found = look(model, batch, device, random)
    if device.type == "cuda":
        torch.cuda.current_stream().synchronize()
    return tokens_of(model, batch, found), names_of(model, found, random), found.grid


def assembled(model, visual, scripts):
    """([B, L, D] embeddings: opening, visual tokens, script, padded behind, which causal attention never sees; the opening's length; [B] lengths)."""
    table = model.language.embedding
    opening = table[onto(torch.tensor(model.opening()), table.device)].expand(len(visual), -1, -1)
    ids, lengths = padded([script.ids for script in scripts], table.device)
    count = opening.shape[1]
    return torch.cat([opening, visual.to(table.dtype), table[ids]], 1), count, [count + visual.shape[1] + n for n in lengths]


@dataclasses.dataclass
class Lesson:
    """What is taught in a micro-batch, apart from its pictures. Of each item its script without names and the ids of its questions. Of those `pointing`
    that have an answer with evidence, that answer's place, and where its evidence lies: shares [N, cells], or the number of a line of a page.
    `wanted` [B, cells]: what all evidence of an item covers, of several views."""
    scripts: list
    questions: list
    pointing: list
    spans: list
    shares: torch.Tensor
    lines: list
    wanted: torch.Tensor | None


def lesson(tokenizer, items, turns, grid):
    """Needs no model, so that workers make it."""
    scripts = [prompts.nameless(tokenizer, item, own) for item, own in zip(items, turns)]
    made = Lesson(scripts, [], [], [], torch.zeros(0), [], None)
    shares = []
    for i, (item, script, own) in enumerate(zip(items, scripts, turns)):
        for turn, span in zip(own, script.answers):
            line = line_of(item, turn) if item.lines else None
            if turn.evidence and (line is not None or not item.lines):
                made.pointing.append(i)
                made.spans.append([span])
                made.lines.append(line)
                shares.append(covered(item, turn.evidence, grid) if line is None else torch.zeros(0))
                break
    made.shares = torch.stack(shares) if shares else made.shares
    if len(items[0].views) > 1:
        made.questions = [question_ids(tokenizer, own) for own in turns]
        made.wanted = torch.stack([covered(item, [e for turn in own for e in turn.evidence], grid) for item, own in zip(items, turns)])
    return made


def line_of(item, turn):
    """The number of the line of a page that an answer rests on, or None."""
    boxes = [line.box for line in item.lines]
    return boxes.index(turn.evidence[0].box) if turn.evidence and turn.evidence[0].box in boxes else None


def losses(model, batch, found, names):
    """{"answer", "pointer", "relevance"}: mean nats; those without anything to learn are absent. `found` is what look() gives, `names` names_of()."""
    device, taught = found.pictures.device, batch.lesson or lesson(model.tokenizer, batch.items, batch.turns, found.grid)
    tokens = tokens_of(model, batch, found)
    visual, row_of, scores = model.fewer(tokens, batch.keep, embedded_questions(model, taught.questions) if taught.questions else None)
    scripts = [prompts.named(model.tokenizer, own, script) for own, script in zip(names, taught.scripts)]
    x, opening, _ = assembled(model, visual, scripts)
    with torch.autocast(device.type, enabled=False):
        hidden, middle, _ = model.language(x)
        base, length = opening + visual.shape[1], x.shape[1]
        before = np.concatenate([np.asarray(script.labelled) + (i * length + base - 1) for i, script in enumerate(scripts)])
        labels = np.concatenate([np.asarray(script.ids)[script.labelled] for script in scripts])
        weights = np.concatenate([np.asarray(script.weights, np.float32) for script in scripts])
        before, labels, weights = (onto(torch.from_numpy(each), device) for each in (before, labels, weights))
        lost = {"answer": answer_loss(model.language, hidden.flatten(0, 1).index_select(0, before), labels, weights)}
        if taught.pointing:
            lost["pointer"] = pointer_loss(model, taught, scripts, middle, row_of, opening, visual.shape[1])
        if scores is not None:
            lost["relevance"] = model.interactor.relevance_loss(scores, onto((taught.wanted >= COVERED).float(), device).view_as(scores))
    return lost


def pointer_loss(model, taught, scripts, middle, row_of, opening, count):
    """The mean over items of what their first answer that has evidence costs."""
    device = middle.device
    rows, own = onto(torch.tensor(taught.pointing), device), [scripts[i] for i in taught.pointing]
    shift = [len(script.ids) - len(taught.scripts[i].ids) for i, script in zip(taught.pointing, own)]     # by the names before it
    spans = [[(a + n, b + n) for a, b in spans] for n, spans in zip(shift, taught.spans)]
    states = middle.index_select(0, rows).float()
    groups, counts = groups_of(states, own, taught.lines[0] is not None, opening, count)
    if taught.lines[0] is None:
        wanted = pointed(onto(taught.shares, device), row_of.index_select(0, rows), count)
    else:
        wanted = onto(torch.tensor([[line + 1, 0] for line in taught.lines]), device)
    return model.pointer.loss(groups, counts, span_means(states, spans, opening + count)[:, 0], wanted)


def span_means(states, spans, base):
    """[N, G, D] means of states [N, L, D] over spans, for each item a list of (from, to) behind `base`; zeros where one has fewer."""
    ends = np.zeros((2, len(spans), max(len(own) for own in spans)), np.int64)
    for i, own in enumerate(spans):
        ends[0, i, :len(own)], ends[1, i, :len(own)] = [a for a, _ in own], [max(b, a + 1) for a, b in own]
    first, last = onto(torch.from_numpy(ends), states.device)[..., None]
    place = torch.arange(states.shape[1] - base, device=states.device)
    return ((place >= first) & (place < last)) / (last - first).clamp(min=1) @ states[:, base:]


def groups_of(states, scripts, lines, opening, count):
    """([N, G, D] what can be pointed at, [N] how many): the lines of pages, or the visual tokens; states [N, L, D] in float."""
    if lines:
        return (span_means(states, [script.lines for script in scripts], opening + count),
                onto(torch.tensor([len(script.lines) for script in scripts]), states.device))
    return states[:, opening:opening + count], torch.full((len(states),), count, device=states.device)


def weighted(found):
    """The sum that is trained on."""
    return found["answer"] + POINTER * found.get("pointer", 0.0) + RELEVANCE * found.get("relevance", 0.0)
