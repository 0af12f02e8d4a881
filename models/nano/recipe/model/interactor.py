"""Chooses the tokens of each view that the question is about, and lets them read all others.

Reference: World knowledge-enhanced driving reasoning, AAAI 2025 (arXiv 2412.06324). Differs: a decoder of width 192 between two projections whose
result is added to the chosen tokens, so that nothing changes before it is trained; relevance is also trained by the boxes of the evidence."""
import torch
import torch.nn.functional as F
from torch import nn

WIDTH, HEADS, LAYERS, HIDDEN = 192, 8, 2, 768


def relevance(tokens, question):
    """[B, V, M] the largest cosine of each visual token [B, V, M, D] with a token of the question [B, L, D]; those of length zero get -1.
    Question rows of zeros are padding and never count."""
    lost = tokens.float().norm(dim=-1) < 1e-12
    with torch.autocast(tokens.device.type, enabled=False):
        cosine = torch.einsum("bvmd,bld->bvml", F.normalize(tokens.float(), dim=-1), F.normalize(question.float(), dim=-1))
    cosine = cosine.masked_fill((question.float().norm(dim=-1) < 1e-12)[:, None, None], -1)
    return cosine.max(-1).values.masked_fill(lost, -1)


def best(scores, count):
    """[B, V, count] places of the largest scores of each view, in reading order; ties keep the lower place."""
    count = min(count, scores.shape[-1])
    return scores.argsort(dim=-1, descending=True, stable=True)[..., :count].sort(-1).values


class Interactor(nn.Module):
    """[B, V, M, D] and the question's embeddings -> [B, V k, D]."""

    def __init__(self, width):
        super().__init__()
        self.into, self.out = nn.Linear(width, WIDTH), nn.Linear(WIDTH, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        layer = nn.TransformerDecoderLayer(WIDTH, HEADS, HIDDEN, dropout=0.1, batch_first=True)
        self.decoder = nn.TransformerDecoder(layer, LAYERS)
        self.slope, self.offset = nn.Parameter(torch.tensor(10.0)), nn.Parameter(torch.tensor(-3.0))

    def forward(self, tokens, question, count):
        """Also gives the places chosen [B, V, k] and the relevance of all [B, V, M]."""
        scores = relevance(tokens, question)
        places = best(scores.detach(), count)
        chosen = tokens.gather(2, places[..., None].expand(*places.shape, tokens.shape[-1])).flatten(1, 2)
        all_tokens = self.into(tokens.flatten(1, 2))
        return chosen + self.out(self.decoder(self.into(chosen), all_tokens)), places, scores

    def relevance_loss(self, scores, wanted):
        """How well scores [B, V, M] tell which tokens lie in a box of the evidence, wanted [B, V, M] of 0 and 1."""
        logits = self.slope * scores + self.offset
        weight = torch.where(wanted > 0, 10.0, 1.0)
        return F.binary_cross_entropy_with_logits(logits, wanted, weight)
