"""What a micro-batch costs: answers, evidence, relevance."""
import torch
from torch.nn.utils.rnn import pad_sequence

from .. import prompts
from .evidence import MOST
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
    """Rows of visual tokens that hold most of the evidence, best first, at most four; shares and row_of [cells]."""
    found = torch.zeros(count).scatter_add_(0, row_of.clamp(min=0), torch.where(row_of >= 0, shares, 0.0))
    best = found.argsort(descending=True)[:MOST].tolist()
    return [i for i in best if found[i] >= COVERED]


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


def padded(rows, device):
    """[B, L] ids, zeros behind, in one copy; and the lengths."""
    ids = pad_sequence([torch.tensor(row) for row in rows], batch_first=True)
    return (ids.pin_memory() if device.type == "cuda" else ids).to(device, non_blocking=True), [len(row) for row in rows]


def padded_questions(model, turns):
    """[B, L, D] embeddings of all questions of each item, zeros behind."""
    table = model.language.embedding
    ids, lengths = padded([[i for turn in each for i in model.ids(turn.question)] for each in turns], table.device)
    there = torch.arange(ids.shape[1])[None] < torch.tensor(lengths)[:, None]
    return table[ids] * there[..., None].to(table.device)


def seen_tokens(model, batch, device, random=None):
    """(visual tokens [B, V, M, D], names of each item, grid). With `random` (training) some features and names are left out."""
    pictures = torch.as_tensor(batch.pictures).to(device, non_blocking=True).permute(0, 1, 2, 5, 3, 4)
    b, v, t = pictures.shape[:3]
    grid = tuple(side // 32 for side in pictures.shape[-2:])
    if batch.task == "naming":
        cells, wholes = (x.to(device) for x in invented_shares(batch, grid, random))
        seen = torch.zeros(b, device=device)
    else:
        cells, wholes = model.class_shares(pictures.flatten(0, 2))
        cells, wholes = cells.unflatten(0, (b, v, t)), wholes.unflatten(0, (b, v * t))
        seen = torch.ones(b, device=device)
        if random is not None and batch.task == "photos":
            seen = (torch.rand(b, generator=random) >= BLIND).float().to(device)
    tokens = model.look(pictures, batch.views.to(device), batch.times.to(device), cells, seen)
    names = [own if random is None or torch.rand(1, generator=random) >= UNNAMED else [] for own in model.names(wholes)]
    return tokens, names, grid


def assembled(model, visual, scripts):
    """([B, L, D] embeddings: opening, visual tokens, script, padded behind, which causal attention never sees; the opening's length; [B] lengths)."""
    table = model.language.embedding
    opening = table[torch.tensor(model.opening(), device=table.device)].expand(len(visual), -1, -1)
    ids, lengths = padded([script.ids for script in scripts], table.device)
    count = opening.shape[1]
    return torch.cat([opening, visual.to(table.dtype), table[ids]], 1), count, [count + visual.shape[1] + n for n in lengths]


def losses(model, batch, device, random):
    """{"answer", "pointer", "relevance"}: mean nats; those without anything to learn are absent. `random` is a torch generator on the CPU."""
    tokens, names, grid = seen_tokens(model, batch, device, random)
    visual, row_of, scores = model.fewer(tokens, batch.keep, padded_questions(model, batch.turns) if tokens.shape[1] > 1 else None)
    row_of = row_of.cpu()
    known = batch.scripts or [prompts.nameless(model.tokenizer, item, turns) for item, turns in zip(batch.items, batch.turns)]
    scripts = [prompts.named(model.tokenizer, own, script) for own, script in zip(names, known)]
    x, opening, _ = assembled(model, visual, scripts)
    hidden, middle, _ = model.language(x)
    base = opening + visual.shape[1]
    places = torch.tensor([(i, base + k - 1, script.ids[k]) for i, script in enumerate(scripts) for k in script.labelled])
    rows, columns, labels = (places.pin_memory() if device.type == "cuda" else places).to(device, non_blocking=True).unbind(1)
    found = {"answer": answer_loss(model.language, hidden[rows, columns], labels)}
    with torch.autocast(device.type, enabled=False):
        pointer = pointer_loss(model, batch, scripts, middle, row_of, opening, visual.shape[1], grid)
        if pointer is not None:
            found["pointer"] = pointer
        if scores is not None:
            wanted = torch.stack([covered(item, [e for turn in turns for e in turn.evidence], grid) for item, turns in zip(batch.items, batch.turns)])
            found["relevance"] = model.interactor.relevance_loss(scores, (wanted >= COVERED).float().view_as(scores).to(device))
    return found


def pointer_loss(model, batch, scripts, middle, row_of, opening, count, grid):
    """The mean over items of what their first answer that has evidence costs; None if no item has any."""
    found, rows, answers, targets = [], [], [], []
    for i, (item, script, turns) in enumerate(zip(batch.items, scripts, batch.turns)):
        for turn, span in zip(turns, script.answers):
            wanted = targets_of(item, turn, row_of[i], count, grid)
            if wanted:
                rows.append(i)
                targets.append(wanted)
                answers.append([span])
                break
    if not rows:
        return None
    base = opening + count
    states = middle[torch.tensor(rows, device=middle.device)].float()
    groups, counts = groups_of(states, [scripts[i] for i in rows], batch.items[rows[0]], opening, count)
    return model.pointer.loss(groups, counts, span_means(states, answers, base)[:, 0], targets).mean()


def span_means(states, spans, base):
    """[N, G, D] means of states [N, L, D] over spans, for each item a list of (from, to) behind `base`; zeros where one has fewer."""
    weights = torch.zeros(len(spans), max(len(own) for own in spans), states.shape[1] - base)
    for i, own in enumerate(spans):
        for g, (a, b) in enumerate(own):
            weights[i, g, a:max(b, a + 1)] = 1 / max(b - a, 1)
    return weights.to(states.device) @ states[:, base:]


def groups_of(states, scripts, item, opening, count):
    """([N, G, D] what can be pointed at, [N] how many): the lines of pages, the visual tokens of everything else; states [N, L, D] in float."""
    if item.lines:
        return (span_means(states, [script.lines for script in scripts], opening + count),
                torch.tensor([len(script.lines) for script in scripts], device=states.device))
    return states[:, opening:opening + count], torch.full((len(states),), count, device=states.device)


def targets_of(item, turn, row_of, count, grid):
    """Which groups an answer rests on, in order."""
    if not turn.evidence:
        return []
    if item.lines:
        boxes = [line.box for line in item.lines]
        return [boxes.index(turn.evidence[0].box)] if turn.evidence[0].box in boxes else []
    return pointed(covered(item, turn.evidence, grid), row_of, count)


def weighted(found):
    """The sum that is trained on."""
    return found["answer"] + POINTER * found.get("pointer", 0.0) + RELEVANCE * found.get("relevance", 0.0)
