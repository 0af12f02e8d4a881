"""Makes visual tokens fewer, as the program's `tome` does on finished tokens (vision/compressors/tome.cpp), over a batch at once.

Reference: Bolya et al., Token Merging, ICLR 2023, section 3. Differs: no class token; reading order restored."""
import math

import torch
import torch.nn.functional as F

ROUNDS = 8


def merged(x, keep, rounds=ROUNDS):
    """x [B, n, D] -> ([B, n', D] size-weighted means, row_of [B, n]: the row each token went to), n' = floor(keep n), at least 1.

    Which tokens join is decided without gradient; their means carry one."""
    batch, count, width = x.shape
    budget = max(math.floor(keep * count + 1e-9), 1)
    row_of = torch.arange(count, device=x.device).expand(batch, count)
    with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
        rows, sizes, places = x.detach().float(), torch.ones(batch, count, device=x.device), row_of
        each = -(-(count - budget) // rounds)
        while rows.shape[1] > budget:
            order, joined = pairs(rows, min(each, rows.shape[1] - budget, rows.shape[1] // 2))
            new = torch.empty_like(places).scatter_(1, order, torch.arange(rows.shape[1], device=x.device).expand(batch, -1))
            left = rows.shape[1] - joined.shape[1]
            new = torch.where(new < left, new, joined.gather(1, (new - left).clamp(min=0)))
            rows, sizes = means(rows, new, left, sizes)
            places = places.gather(1, order[:, :left])
            row_of = new.gather(1, row_of)
        rank = places.argsort(1).argsort(1)   # reading order of the first token of each row
        row_of = rank.gather(1, row_of)
    return means(x, row_of, places.shape[1], torch.ones(batch, count, device=x.device))[0], row_of


def pairs(rows, count):
    """Which `count` even rows join which odd ones: (order [B, n]: even rows that stay, odd ones, even rows that go; joined [B, count]: the place
    in that order of the row that each one that goes joins). Ties keep the lower index."""
    unit = F.normalize(rows, dim=2, eps=1e-30)
    best, to = (unit[:, ::2] @ unit[:, 1::2].transpose(1, 2)).max(2)
    ranked = best.argsort(dim=1, descending=True, stable=True)
    going, staying = ranked[:, :count], ranked[:, count:]
    odd = torch.arange(1, rows.shape[1], 2, device=rows.device).expand(len(rows), -1)
    order = torch.cat([staying * 2, odd, going * 2], 1)
    return order, to.gather(1, going) + staying.shape[1]


def means(x, row_of, count, sizes):
    """Size-weighted means of the tokens that went to each of `count` rows, and the sizes of these."""
    total = torch.zeros(len(x), count, device=x.device).scatter_add_(1, row_of, sizes)
    weighted = (x.float() * sizes[..., None])
    sums = torch.zeros(len(x), count, x.shape[2], device=x.device).scatter_add_(1, row_of[..., None].expand_as(weighted), weighted)
    return (sums / total[..., None]).to(x.dtype), total
