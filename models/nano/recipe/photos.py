"""Photographs with names: cut-outs on backgrounds, one or two at once, still, moving, growing or shrinking; and full frames of one thing."""
import numpy as np
from PIL import Image, ImageFilter

from . import seeds
from .seeds import choose
from .truth import Agent, Evidence, Item, Question, rounded

SIDE = 224
TIMES = 4
MOTIONS = {
    "stays still": ("stays still", "does not move"), "moves to the left": ("moves to the left", "goes to the left side"),
    "moves to the right": ("moves to the right", "goes to the right side"), "rises": ("rises", "moves upwards"),
    "sinks": ("sinks", "moves downwards"), "comes closer": ("comes closer", "grows larger"), "goes away": ("goes away", "becomes smaller"),
}
BACKGROUNDS = {
    "grass": ((70, 120, 50), (96, 140, 60)), "sky": ((120, 170, 230), (214, 230, 246)), "sand": ((214, 190, 140), (188, 160, 110)),
    "snow": ((236, 240, 246), (210, 220, 234)), "water": ((40, 90, 150), (90, 150, 190)), "a wall": ((150, 140, 130), (180, 172, 160)),
    "a dark background": ((18, 18, 22), (50, 50, 58)), "a white background": ((250, 250, 250), (236, 236, 236)),
    "leaves": ((40, 84, 36), (110, 140, 52)), "wood": ((120, 80, 46), (164, 118, 72)),
}
PROMPTS = {
    "short": ("Describe what is shown in one sentence.", "What happens?"), "main object": ("Describe the main object.", "What is most important here?"),
    "background": ("Describe the background.",), "detailed": ("Describe the clip in detail.", "Say all that can be seen."),
}
QUESTIONS = {"name": ("What is shown?", "What is this?", "Name the object."), "motion": ("How does it move?", "What does the {name} do?"),
             "side": ("On which side is the {name}?",), "count": ("How many things are shown?",)}


def article(name):
    head = name.split(" of ")[0]
    plural = head.endswith("s") and not head.endswith(("ss", "us", "is"))
    return name if plural else ("an " if name[0].lower() in "aeiou" else "a ") + name


def noise(random, side, octaves=4):
    """Smooth noise [side, side] of mean 0, about -1 to 1."""
    total = np.zeros((side, side), np.float32)
    for octave in range(octaves):
        cells = 3 * 2**octave
        grid = random.normal(0, 1, (cells, cells)).astype(np.float32)
        total += np.asarray(Image.fromarray(grid).resize((side, side), Image.BICUBIC)) / 1.7**octave
    return np.clip(total / 2, -1, 1)


def background(random, kind):
    """A picture of a background, with light that falls off to one side."""
    first, second = (np.array(color, np.float32) for color in BACKGROUNDS[kind])
    octaves = {"sky": 2, "a white background": 1, "a dark background": 2}.get(kind, 4)
    mix = .5 + .5 * noise(random, SIDE, octaves)
    if kind == "wood":
        mix = np.abs(np.sin(mix * 6 + np.linspace(0, random.uniform(20, 60), SIDE)[:, None]))
    if kind == "a wall" and random.random() < .5:
        y, x = np.mgrid[:SIDE, :SIDE]
        mix = mix * .6 + .4 * (((y % 22) > 2) & (((x + 22 * ((y // 22) % 2)) % 44) > 2))
    slope = np.linspace(-1, 1, SIDE).reshape((1, SIDE) if random.random() < .5 else (SIDE, 1))
    light = 1 + random.uniform(-.25, .25) * slope
    values = (first + (second - first) * mix[..., None]) * light[..., None]
    return Image.fromarray(np.clip(values + random.normal(0, 3, (SIDE, SIDE, 1)), 0, 255).astype(np.uint8))


def path(random, motion, slots, slot, times=TIMES):
    """Where a thing's middle is and how large it is, [times, 3] fractions (x, y, side), for one of `slots` columns."""
    x, y = (slot + .5) / slots + random.uniform(-.04, .04), random.uniform(.42, .58)
    size = random.uniform(.42, .6) if slots == 2 else random.uniform(.45, .8)
    at = np.repeat([[x, y, size]], times, 0)
    move = np.linspace(-.5, .5, times)
    reach = random.uniform(.22, .4) / slots
    at[:, 0] += {"moves to the left": -1, "moves to the right": 1}.get(motion, 0) * move * reach * 1.6
    at[:, 1] += {"rises": -1, "sinks": 1}.get(motion, 0) * move * random.uniform(.25, .45)
    at[:, 2] *= np.exp({"comes closer": 1, "goes away": -1}.get(motion, 0) * move * random.uniform(.5, .9))
    return at


def pasted(frame, stamp, x, y, side):
    """Pastes a stamp and returns its box in fractions."""
    scale = side * SIDE / max(stamp.size)
    small = stamp.resize((max(int(stamp.width * scale), 4), max(int(stamp.height * scale), 4)), Image.BILINEAR)
    left, top = int(x * SIDE - small.width / 2), int(y * SIDE - small.height / 2)
    frame.paste(small, (left, top), small)
    return rounded((left / SIDE, top / SIDE, (left + small.width) / SIDE, (top + small.height) / SIDE))


def lit(random, stamp):
    """A stamp mirrored, turned a little, and in another light."""
    if random.random() < .5:
        stamp = stamp.transpose(Image.FLIP_LEFT_RIGHT)
    if random.random() < .5:
        stamp = stamp.rotate(random.uniform(-12, 12), Image.BICUBIC, expand=True)
    red, green, blue, alpha = stamp.split()
    gain = random.uniform(.8, 1.15)
    return Image.merge("RGBA", [band.point(lambda v, k=gain * random.uniform(.95, 1.05): min(int(v * k), 255)) for band in (red, green, blue)] + [alpha])


def framed(random, stamp, base, motion, times):
    """Pictures and boxes of one thing that fills the frame, as photographs do: the camera is what moves, if anything."""
    at = path(random, motion, 1, 0, times)
    at[:, 2] *= random.uniform(1.3, 1.7)
    pictures, boxes = [], []
    for x, y, side in at:
        picture = base.copy()
        boxes.append([pasted(picture, stamp, x, y, side)])
        pictures.append(picture)
    return pictures, boxes


def grained(random, pictures):
    """[T, SIDE, SIDE, 3] with the blur, the light and the noise of a sensor, which differ from picture to picture."""
    blur = random.uniform(.2, .8) if random.random() < .3 else 0
    grain = random.uniform(0, 6) if random.random() < .7 else 0
    out = np.stack([np.asarray(each.filter(ImageFilter.BoxBlur(blur)) if blur else each) for each in pictures])
    if not grain:
        return out
    noise = random.normal(0, grain, (len(out), SIDE, SIDE, 1)).astype(np.float32) + random.normal(0, grain / 4, (len(out), 1, 1, 1)).astype(np.float32)
    return np.clip(out + noise, 0, 255).astype(np.uint8)


def sample(seed, assets, held_out=False, times=TIMES):
    """Pictures uint8 [1, times, 224, 224, 3] and the Item. Shows only stamps that are held out, or only those that are not."""
    random = seeds.generator(seed, "photos")
    pool = [stamp for stamp in assets.stamps if stamp["held_out"] == held_out]
    count = 1 if random.random() < .65 else 2
    full = count == 1 and random.random() < .5
    still = times == 1 or random.random() < (.5 if full else .1)     # nothing moves
    kind = choose(random, tuple(BACKGROUNDS))
    base = background(random, kind)
    things = []
    for slot in range(count):
        stamp = choose(random, pool)
        while any(stamp["name"] == other["name"] for other, *_ in things):
            stamp = choose(random, pool)
        motion = "stays still" if still else choose(random, tuple(MOTIONS))
        things.append((stamp, motion, path(random, motion, count, slot, times), lit(random, assets.stamp(stamp["file"]))))
    if full:
        (stamp, motion, _, picture), = things
        frames, boxes = framed(random, picture, base, motion, times)
    else:
        frames, boxes = [base.copy() for _ in range(times)], []
        for t, frame in enumerate(frames):
            boxes.append([pasted(frame, picture, *at[t]) for _, _, at, picture in things])
    seconds = [round(t * .5, 2) for t in range(times)]
    agents = [Agent(stamp["name"], "", motion, "front", boxes[-1][i], 0.0, seconds[-1]) for i, (stamp, motion, *_) in enumerate(things)]
    return grained(random, frames)[None], Item("photos", seed, ["front"], seconds, captions(random, agents, kind),
                                               {"background": kind, "held out": held_out}, agents, questions=questions(random, agents))


def captions(random, agents, kind, variants=2):
    """{kind: [texts]}."""
    made = {key: [] for key in PROMPTS}
    for _ in range(variants):
        sides = [" on the left", " on the right"] if len(agents) == 2 else [""]
        told = [f"{article(a.name)}{side} {choose(random, MOTIONS[a.motion])}" for a, side in zip(agents, sides)]
        place = choose(random, (f"in front of {kind}", f"before {kind}"))
        short = " and ".join(told)
        made["short"].append(short[0].upper() + short[1:] + ".")
        made["main object"].append(told[0][0].upper() + told[0][1:] + ".")
        made["background"].append(f"The background is {kind}.")
        made["detailed"].append(" ".join(x[0].upper() + x[1:] + "." for x in told) + f" All of this is {place}.")
    return made


def questions(random, agents):
    made = []
    for agent, side in zip(agents, ("left", "right")):
        seen = [Evidence(agent.box, agent.view, agent.start, agent.end)]
        if len(agents) == 1:
            made.append(Question("name", choose(random, QUESTIONS["name"]), article(agent.name), [agent.name], seen))
            made.append(Question("motion", choose(random, QUESTIONS["motion"]).format(name=agent.name), f"it {agent.motion}", [agent.motion], seen))
        else:
            made.append(Question("name", f"What is on the {side}?", article(agent.name), [agent.name], seen))
            made.append(Question("motion", f"What does the {agent.name} do?", f"it {agent.motion}", [agent.motion], seen))
            made.append(Question("side", choose(random, QUESTIONS["side"]).format(name=agent.name), side, [], seen))
    made.append(Question("count", QUESTIONS["count"][0], str(len(agents))))
    return made
