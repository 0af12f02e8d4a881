"""What the model says of films and pictures that nobody made for it. Needs PyAV for films."""
import numpy as np
from PIL import Image

from . import batches, prompts, read
from .model import step as step_of
from .truth import Item

SIDE = 224


def squeezed(picture):
    """A whole picture in a square, as the recipe's own are: uint8 [224, 224, 3]."""
    return np.asarray(picture.convert("RGB").resize((SIDE, SIDE), Image.BILINEAR, reducing_gap=2.0))


def frames(path, times):
    """A film's pictures at seconds `times`, the nearest before each; of a file that is a picture, that one each time. Throws ValueError beyond its end."""
    if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"):
        with Image.open(path) as picture:
            return [squeezed(picture)] * len(times)
    import av
    found = []
    with av.open(str(path)) as film:
        for frame in film.decode(video=0):
            while len(found) < len(times) and frame.time >= times[len(found)] - 1e-3:
                found.append(squeezed(frame.to_image()))
            if len(found) == len(times):
                return found
    raise ValueError(f"{path}: expected a film of more than {times[-1]} s, got its end behind {len(found)} of {len(times)} pictures")


def asked(model, device, path, questions, at, step, count, keep):
    """(the classifier's names, the answers to `questions`) about `count` pictures, `step` seconds apart from second `at` on."""
    times = [round(i * step, 3) for i in range(count)]
    pictures = np.stack(frames(path, [at + t for t in times]))[None]
    item = Item("photos", 0, ["front"], times, {}, {})
    turns = [prompts.Turn("asked", question, "") for question in questions]
    batch = batches.batch("photos", keep, [(pictures, item, None)], [turns])
    names = step_of.seen_tokens(model, batch, device)[1][0]
    return names, [got["text"] for got in read.answers(model, batch, device)]
