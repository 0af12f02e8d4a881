"""Things of a street as flat polygons in space: x ahead, y left, z up, metres."""
import dataclasses
import functools

import numpy as np

from .scene import COLORS
from .traffic import SIZES

CORNERS = 8   # of each polygon; those with fewer repeat the last one
GLASS, TYRE, SKIN = (44, 52, 64), (24, 24, 26), (222, 178, 150)


@dataclasses.dataclass
class Mesh:
    """Polygons [P, 8, 3] with their colours [P, 3]. `glow` [P] shines by itself, `anchor` [P, 3] is the middle of the thing, by which it
    is sorted, `owner` [P] the number of an actor or 0, `solid` [P] hides its back."""
    points: np.ndarray
    colors: np.ndarray
    glow: np.ndarray
    anchor: np.ndarray
    owner: np.ndarray
    solid: np.ndarray

    @staticmethod
    def join(meshes):
        return Mesh(*(np.concatenate([getattr(mesh, field.name) for mesh in meshes]) for field in dataclasses.fields(Mesh)))

    def placed(self, x, y, heading, owner=0, z=0.0):
        """Turned about the vertical axis and moved."""
        cosine, sine = np.cos(heading), np.sin(heading)
        turn = np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]], np.float32)
        move = np.array([x, y, z], np.float32)
        return Mesh(self.points @ turn + move, self.colors, self.glow, self.anchor @ turn + move,
                    np.full(len(self.points), owner), self.solid)


class Builder:
    """Collects the polygons of one thing around the origin."""

    def __init__(self):
        self.points, self.colors, self.glow, self.solid = [], [], [], []

    def face(self, corners, color, glow=False, solid=True):
        corners = np.asarray(corners, np.float32)
        self.points.append(np.concatenate([corners, np.repeat(corners[-1:], CORNERS - len(corners), 0)]))
        self.colors.append(color)
        self.glow.append(glow)
        self.solid.append(solid)

    def box(self, x, y, z, color, taper=0.0, bottom=False):
        """x, y, z are (from, to); the top is drawn in by `taper` at both ends of x. Sides get darker than the top."""
        (x0, x1), (y0, y1), (z0, z1) = x, y, z
        low = [(x0, y0, z0), (x1, y0, z0), (x1, y1, z0), (x0, y1, z0)]
        high = [(x0 + taper, y0 + taper * .2, z1), (x1 - taper, y0 + taper * .2, z1), (x1 - taper, y1 - taper * .2, z1),
                (x0 + taper, y1 - taper * .2, z1)]
        color = np.array(color, float)
        for i, shade in enumerate((.78, .88, .78, .88)):
            j = (i + 1) % 4
            self.face([low[i], low[j], high[j], high[i]], color * shade)
        self.face(high, np.minimum(color * 1.12, 255))
        if bottom:
            self.face(low[::-1], color * .5)

    def disc(self, x, y, z, radius, color, axis="y", glow=False):
        """An octagon that faces along an axis, seen from both sides."""
        angle = np.arange(8) * np.pi / 4
        a, b = radius * np.cos(angle), radius * np.sin(angle)
        flat = {"y": lambda: (x + a, y + 0 * a, z + b), "x": lambda: (x + 0 * a, y + a, z + b)}[axis]()
        self.face(np.stack(flat, 1), color, glow, solid=False)

    def bar(self, start, end, width, color):
        """A flat strip between two points of the plane y = start's, seen from both sides, and as wide seen from ahead."""
        a, b = np.asarray(start, float), np.asarray(end, float)
        along = (b - a) / np.linalg.norm(b - a)
        side = np.array([-along[2], 0, along[0]]) * width / 2
        self.face([a - side, b - side, b + side, a + side], color, solid=False)
        across = np.array([0, width / 2, 0])
        self.face([a - across, b - across, b + across, a + across], color, solid=False)

    def mesh(self):
        count = len(self.points)
        return Mesh(np.stack(self.points), np.array(self.colors, np.float32), np.array(self.glow), np.zeros((count, 3), np.float32),
                    np.zeros(count, int), np.array(self.solid))


def lamps(builder, half_length, half_width, height, braking, lit):
    """Headlights ahead, tail lights behind."""
    for side in (-1, 1):
        y = side * half_width * .74
        front = (255, 250, 220) if lit else (214, 216, 214)
        builder.face([(half_length + .02, y - .17, height - .1), (half_length + .02, y + .17, height - .1),
                      (half_length + .02, y + .17, height + .1), (half_length + .02, y - .17, height + .1)], front, lit)
        back = (255, 28, 24) if braking else (206, 16, 20) if lit else (134, 16, 20)
        grow = .2 if braking else .13
        builder.face([(-half_length - .02, y + .18, height - grow), (-half_length - .02, y - .18, height - grow),
                      (-half_length - .02, y - .18, height + grow), (-half_length - .02, y + .18, height + grow)], back, braking or lit)


def windows_along(builder, x0, x1, half_width, z0, z1, count):
    """Side windows of both sides."""
    step = (x1 - x0) / count
    for i in range(count):
        a, b = x0 + i * step + step * .08, x0 + (i + 1) * step - step * .08
        builder.face([(a, -half_width - .02, z0), (b, -half_width - .02, z0), (b, -half_width - .02, z1), (a, -half_width - .02, z1)], GLASS)
        builder.face([(b, half_width + .02, z0), (a, half_width + .02, z0), (a, half_width + .02, z1), (b, half_width + .02, z1)], GLASS)


def pane(builder, x, half_width, z0, z1, ahead):
    """A windscreen (ahead) or rear window."""
    y0, y1 = (-half_width, half_width) if ahead else (half_width, -half_width)
    builder.face([(x, y0, z0), (x, y1, z0), (x, y1, z1), (x, y0, z1)], GLASS)


@functools.lru_cache(512)
def vehicle(name, color, braking, lit):
    """A car, van, truck or bus that looks along x, its wheels on z = 0."""
    length, width, height = SIZES[name]
    b, l, w = Builder(), length / 2, width / 2
    paint = COLORS[color]
    wheel = .34 if name in ("car", "van") else .5
    if name == "car":
        b.box((-l, l), (-w, w), (.28, .85), paint, taper=.06)
        b.box((-l * .8, l * .42), (-w * .93, w * .93), (.85, height), paint, taper=.42)
        windows_along(b, -l * .62, l * .2, w * .93 - .02, .9, height - .12, 2)
        pane(b, l * .42 - .12, w * .76, .9, height - .12, True)
        pane(b, -l * .8 + .12, w * .76, .9, height - .12, False)
        lamps(b, l, w, .66, braking, lit)
        plate = .5
    elif name == "van":
        b.box((-l, l), (-w, w), (.3, 1.15), paint, taper=.04)
        b.box((-l, l * .72), (-w, w), (1.15, height), paint, taper=.16)
        windows_along(b, l * .2, l * .62, w, 1.2, height - .3, 1)
        pane(b, l * .72 - .05, w * .86, 1.2, height - .3, True)
        pane(b, -l + .06, w * .8, 1.3, height - .35, False)
        lamps(b, l, w, .8, braking, lit)
        plate = .6
    elif name == "truck":
        cargo = tuple(int(30 + x * .85) for x in paint)
        b.box((l - 2.1, l), (-w * .96, w * .96), (.5, 2.7), paint, taper=.06)
        b.box((-l, l - 2.4), (-w, w), (.9, height), cargo)
        b.box((-l, l - 2.2), (-w * .8, w * .8), (.5, .9), (48, 48, 50))
        pane(b, l + .02, w * .84, 1.55, 2.45, True)
        windows_along(b, l - 1.6, l - .5, w * .96, 1.6, 2.3, 1)
        lamps(b, l, w, .8, braking, lit)
        plate = .7
    else:
        b.box((-l, l), (-w, w), (.35, height), paint, taper=.03)
        windows_along(b, -l * .95, l * .95, w, 1.35, height - .6, 7)
        pane(b, l + .02, w * .9, 1.1, height - .5, True)
        pane(b, -l - .02, w * .8, 1.5, height - .6, False)
        lamps(b, l, w, .75, braking, lit)
        plate = .7
    for y in (-w - .03, w + .03):
        for x in (-l * .62, l * .62):
            b.disc(x, y, wheel, wheel, TYRE)
            b.disc(x, y * 1.01, wheel, wheel * .5, (128, 130, 134))
    b.face([(-l - .03, .26, plate - .07), (-l - .03, -.26, plate - .07), (-l - .03, -.26, plate + .07), (-l - .03, .26, plate + .07)],
           (236, 232, 196))
    return b.mesh()


@functools.lru_cache(512)
def two_wheeler(name, color, phase, lit, braking):
    """A bicycle or motorcycle with its rider; `phase` of 4 moves the legs."""
    b = Builder()
    heavy = name == "motorcycle"
    radius, reach = (.32, .7) if heavy else (.35, .55)
    frame = COLORS[color] if heavy else (58, 58, 66)
    for x in (-reach, reach):
        b.disc(x, 0, radius, radius, TYRE)
        if not heavy:
            b.disc(x, .01, radius, radius * .8, (150, 152, 156))
        b.box((x - radius, x + radius), (-.05, .05), (0, radius * 2), TYRE)
    b.bar((-reach, 0, radius), (0, 0, .85), .07, frame)
    b.bar((reach, 0, radius), (.45, 0, 1.0), .07, frame)
    b.bar((-.15, 0, .8), (.45, 0, .9), .07, frame)
    if heavy:
        b.box((-.75, .6), (-.2, .2), (.4, .85), frame, taper=.15)
    b.bar((.45, -.3, 1.02), (.45, -.3, 1.06), .06, TYRE)
    b.box((.42, .5), (-.3, .3), (1.0, 1.06), TYRE)
    coat = COLORS[color]
    swing = (0.0, .12, 0.0, -.12)[phase]
    for side, move in ((-.14, swing), (.14, -swing)):
        b.box((-.2 + move * .3, .12 + move * .3), (side - .08, side + .08), (.3 + abs(move), .9), (50, 54, 76))
    b.box((-.25, .12), (-.22, .22), (.85, 1.42), coat, taper=.05)
    b.box((.0, .45), (-.27, -.18), (1.02, 1.3), coat)
    b.box((.0, .45), (.18, .27), (1.02, 1.3), coat)
    head(b, .04, 1.42, .15, COLORS[color] if heavy else (60, 60, 64))
    if lit or braking:
        b.disc(-reach - .2, 0, .75, .09, (255, 30, 26), "x", True)
        b.disc(reach + .1, 0, .9, .09, (255, 250, 224), "x", True)
    return b.mesh()


def head(builder, x, z, radius, hair):
    """A head of that radius whose chin is at z."""
    builder.box((x - radius, x + radius), (-radius * .9, radius * .9), (z, z + radius * 1.3), SKIN, taper=.02)
    builder.box((x - radius * 1.06, x + radius * .9), (-radius * .96, radius * .96), (z + radius, z + radius * 2.1), hair, taper=.05)


@functools.lru_cache(512)
def walker(color, phase, trousers):
    """Someone on foot who looks along x; `phase` of 4 moves the legs, `trousers` picks their colour."""
    b = Builder()
    stride = (0.0, .26, 0.0, -.26)[phase]
    legs = ((46, 52, 84), (38, 38, 42), (110, 96, 78))[trousers]
    for side, move in ((-.12, stride), (.12, -stride)):
        b.box((move - .1, move + .1), (side - .09, side + .09), (.0, .45), legs)
        b.box((move * .5 - .1, move * .5 + .1), (side - .1, side + .1), (.42, .88), legs)
        b.box((-move * .8 - .07, -move * .8 + .07), (side * 2.3 - .07, side * 2.3 + .07), (.8, 1.36), COLORS[color])
    b.box((-.14, .14), (-.24, .24), (.82, 1.45), COLORS[color], taper=.03)
    head(b, 0, 1.46, .14, ((62, 44, 32), (28, 26, 26), (196, 164, 104))[trousers])
    return b.mesh()


def actor(track, at, seconds, lit):
    """The mesh of a track's actor at a time index, around the origin."""
    moving = abs(track.speed_s[at]) + abs(track.speed_d[at]) > 0.3
    if track.name == "pedestrian":
        return walker(track.color, int(seconds * 5) % 4 if moving else 0, len(track.color) % 3)
    if track.name in ("cyclist", "motorcycle"):
        phase = int(seconds * 4) % 4 if moving and track.name == "cyclist" else 0
        return two_wheeler(track.name, track.color, phase, lit, bool(track.braking[at]))
    return vehicle(track.name, track.color, bool(track.braking[at]), lit)


@functools.lru_cache(256)
def building(width, height, color, floors, lit):
    """A stretch of houses that looks along -y with its front on y = 0; `lit` seeds which windows shine, -1 none."""
    b = Builder()
    shine = np.random.default_rng(max(lit, 0)).random((floors, 4)) < .35
    b.box((-width / 2, width / 2), (0, 9), (0, height), color)
    step, floor = width / 4, height / floors
    for row in range(floors):
        for column in range(4):
            x, z = -width / 2 + (column + .25) * step, row * floor + floor * .3
            on = lit >= 0 and shine[row, column]
            b.face([(x, -.03, z), (x + step * .5, -.03, z), (x + step * .5, -.03, z + floor * .48), (x, -.03, z + floor * .48)],
                   (252, 214, 130) if on else (70, 82, 98), on)
    return b.mesh()


@functools.lru_cache(64)
def house(width, height, color, roof):
    """A detached house with a gable roof."""
    b = Builder()
    half = width / 2
    b.box((-half, half), (0, 8), (0, height), color)
    top = height + 2.6
    b.face([(-half - .4, -.4, height), (half + .4, -.4, height), (half + .4, 4, top), (-half - .4, 4, top)], roof, solid=False)
    b.face([(-half - .4, 8.4, height), (half + .4, 8.4, height), (half + .4, 4, top), (-half - .4, 4, top)], roof, solid=False)
    for side in (-half, half):
        b.face([(side, 0, height), (side, 8, height), (side, 4, top)], np.array(color) * .8, solid=False)
    for x in (-half * .6, half * .25):
        b.face([(x, -.03, 1.0), (x + 1.3, -.03, 1.0), (x + 1.3, -.03, 2.3), (x, -.03, 2.3)], (84, 98, 116))
    return b.mesh()


@functools.lru_cache(64)
def tree(height, tone):
    """A trunk and a crown of discs."""
    b = Builder()
    b.box((-.16, .16), (-.16, .16), (0, height * .45), (92, 70, 50))
    green = np.array(((58, 96, 46), (80, 112, 48), (44, 84, 58))[tone])
    for x, z, radius, shade in ((-.5, .55, .2, .8), (.5, .58, .2, .9), (0, .7, .27, 1.0), (.15, .85, .17, 1.12)):
        b.disc(x, 0, height * z, height * radius, green * shade, "x")
        b.disc(0, x, height * z, height * radius, green * shade * .95, "y")
    return b.mesh()


@functools.lru_cache(8)
def lamp_post(lit):
    """A street lamp whose arm reaches over -y."""
    b = Builder()
    b.box((-.08, .08), (-.08, .08), (0, 6.4), (88, 90, 92))
    b.box((-.06, .06), (-1.6, 0), (6.3, 6.42), (88, 90, 92))
    b.box((-.22, .22), (-1.9, -1.3), (6.2, 6.34), (255, 226, 160) if lit else (150, 152, 150), bottom=True)
    if lit:
        b.disc(0, -1.6, 6.2, .32, (255, 230, 170), "x", True)
    return b.mesh()


@functools.lru_cache(8)
def traffic_light(state):
    """A signal that looks along -x on a post with an arm."""
    b = Builder()
    b.box((-.08, .08), (-.08, .08), (0, 4.9), (64, 66, 66))
    b.box((-.22, .22), (-.42, .42), (2.7, 5.2), (30, 32, 32))
    for name, z, on, off in (("red", 4.75, (255, 36, 28), (72, 22, 22)), ("yellow", 3.95, (255, 206, 40), (72, 62, 22)),
                             ("green", 3.15, (44, 255, 120), (18, 62, 34))):
        b.disc(-.24, 0, z, .34, on if name == state else off, "x", name == state)
    return b.mesh()
