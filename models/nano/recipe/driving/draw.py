"""A scene as its cameras see it: polygons painted far to near, each twice, once with its colour and once with whose it is."""
import dataclasses

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from ..seeds import choose
from . import shapes
from .traffic import LANE_METRES

SIDE = 224          # of the square pictures: a camera's whole view, squeezed, nothing cut off
FINER = 2           # pictures are painted this much larger
NEAR_METRES = 0.35
LIGHT_OWNER, PARKED_OWNER = 255, 254   # of the traffic light and parked cars, in the pictures of owners
VIEWS = {"front": 0, "front left": 55, "front right": -55, "rear": 180, "rear left": 112, "rear right": -112}   # degrees to the left


@dataclasses.dataclass
class Camera:
    """One of the rig. `focal` is (across, down) in widths and heights of the picture."""
    yaw: float
    pitch: float
    height: float
    focal: tuple
    ahead: float


def rig(random, views):
    """The cameras of a car: one height and bent for all, each its own direction."""
    height, field = random.uniform(1.3, 2.0), random.uniform(52, 68)
    pitch = np.radians(random.uniform(-1.5, 4.0))
    cameras = []
    for view in views:
        wide = np.radians(field + (18 if view == "rear" else 0)) / 2
        across = .5 / np.tan(wide)
        yaw = np.radians(VIEWS[view] + random.uniform(-2, 2))
        ahead = {"front": 1.4, "rear": -1.8}.get(view, 1.0 if "front" in view else -.4)
        cameras.append(Camera(yaw, pitch + random.uniform(-.01, .01), height, (across, across * random.choice([4 / 3, 16 / 9])), ahead))
    return cameras


def on_road(scene, s, d):
    """World x, y and the road's direction at road coordinates (arrays or numbers)."""
    s = np.asarray(s, float)
    if abs(scene.curvature) < 1e-9:
        return s, d + 0 * s, 0 * s
    angle = s * scene.curvature
    radius = 1 / scene.curvature
    return np.sin(angle) * (radius - d), radius - np.cos(angle) * (radius - d), angle


def ribbon(scene, s0, s1, d0, d1, color, step=4.0):
    """Ground along the road between two s and two d."""
    s = np.linspace(s0, s1, max(int(np.ceil((s1 - s0) / step)), 1) + 1)
    left, right = np.stack(on_road(scene, s, d1)[:2], 1), np.stack(on_road(scene, s, d0)[:2], 1)
    count = len(s) - 1
    points = np.zeros((count, shapes.CORNERS, 3), np.float32)
    points[:, 0, :2], points[:, 1, :2], points[:, 2, :2], points[:, 3:, :2] = right[:-1], right[1:], left[1:], left[:-1, None]
    return shapes.Mesh(points, np.tile(np.float32(color), (count, 1)), np.zeros(count, bool), np.zeros((count, 3), np.float32),
                       np.zeros(count, int), np.zeros(count, bool))


def ground(random, scene):
    """Road, pavements, marks. Painted in this order, before all that stands."""
    lanes, place = scene.lanes, scene.place
    right = -LANE_METRES / 2 - (2.4 if scene.parked or place == "highway" else .4)
    left = LANE_METRES * (2 * lanes - .5) + (.4 if place != "highway" else 1.5)
    tarmac = np.array(choose(random, [(74, 74, 78), (92, 92, 94), (62, 64, 70)]), float)
    white = (222, 222, 218)
    end, begin = float(scene.ours.s[-1]) + 130, -60.0
    meshes = []
    if place in ("city street", "suburban street"):
        pavement = choose(random, [(150, 148, 144), (132, 130, 130), (160, 152, 140)])
        grass = place == "suburban street"
        for d0, d1 in ((right - 3.2, right), (left, left + 3.2)):
            meshes.append(ribbon(scene, begin, end, d0, d1, pavement))
        if not grass:
            meshes.insert(0, ribbon(scene, begin, end, right - 14, right - 3, (136, 132, 128), 12))
            meshes.insert(0, ribbon(scene, begin, end, left + 3, left + 14, (136, 132, 128), 12))
    meshes.append(ribbon(scene, begin, end, right, left, tarmac))
    side_lines = place in ("country road", "highway")
    if side_lines:
        for d in (-LANE_METRES / 2 - .1, left - .5):
            meshes.append(ribbon(scene, begin, end, d - .08, d + .08, white))
    middle = LANE_METRES * (lanes - .5)
    yellow = random.random() < .3
    gap = None if scene.junction is None else (scene.junction - 6, scene.junction + 6)
    for k in range(1, 2 * lanes):
        d = LANE_METRES * (k - .5)
        centre = abs(d - middle) < .1
        color = (214, 176, 60) if centre and yellow else white
        if centre and (lanes > 1 or place == "highway"):
            pieces = [(begin, end)]
            offsets = (-.15, .15)
        else:
            pieces = [(s, s + 3) for s in np.arange(begin, end, 9)]
            offsets = (0,)
        for s0, s1 in pieces:
            for s_from, s_to in ([(s0, s1)] if gap is None else [(s0, min(s1, gap[0])), (max(s0, gap[1]), s1)]):
                if s_to > s_from:
                    meshes += [ribbon(scene, s_from, s_to, d + o - .07, d + o + .07, color) for o in offsets]
    if scene.junction is not None:
        for d0, d1 in ((right - 60, right), (left, left + 60)):
            meshes.append(ribbon(scene, scene.junction - 4, scene.junction + 4, d0, d1, tarmac, 8))
        meshes.append(ribbon(scene, scene.junction - 8.6, scene.junction - 8.2, -LANE_METRES / 2, middle, white))
    if scene.crossing is not None:
        for d in np.arange(right + .4, left - .5, 1.0):
            meshes.append(ribbon(scene, scene.crossing - 1.5, scene.crossing + 1.5, d, d + .5, (232, 232, 228)))
    return shapes.Mesh.join(meshes), right, left


def placed(scene, mesh, s, d, turn=0.0, owner=0):
    """A mesh at road coordinates, turned against the road."""
    x, y, angle = on_road(scene, s, d)
    return mesh.placed(float(x), float(y), float(angle) + turn, owner)


def surroundings(random, scene, right, left):
    """What stands beside the road and does not move."""
    meshes, place, lit = [], scene.place, scene.time_of_day != "day"
    end = float(scene.ours.s[-1]) + 80

    def free(s, half=6.0):
        return scene.junction is None or abs(s - scene.junction) > 4.5 + half
    for side, edge in ((-1, right), (1, left)):
        turn = 0.0 if side > 0 else np.pi
        setback = {"city street": 3.4, "suburban street": 8.0}.get(place, 0)
        if place == "city street":
            s, run = -45.0, 0
            while s < end:
                if run <= 0:
                    run = int(random.integers(2, 4))
                    wall = choose(random, [(168, 150, 132), (186, 178, 164), (146, 96, 78), (120, 122, 128), (202, 190, 160), (150, 160, 168)])
                    floors = int(random.integers(2, 7))
                if free(s, 5):
                    shine = int(random.integers(50)) if lit else -1
                    mesh = shapes.building(10, floors * 3.2, wall, floors, shine)
                    meshes.append(placed(scene, mesh, s, edge + side * setback, turn))
                s, run = s + 10, run - 1
        elif place == "suburban street":
            for s in np.arange(-40, end, 17) + random.uniform(0, 6):
                if free(s, 7) and random.random() < .85:
                    mesh = shapes.house(float(random.integers(8, 12)), 4.0, choose(random, [(214, 202, 180), (190, 150, 130), (222, 222, 216), (170, 182, 190)]),
                                        choose(random, [(140, 66, 48), (88, 80, 78), (110, 90, 74)]))
                    meshes.append(placed(scene, mesh, s, edge + side * (setback + random.uniform(0, 3)), turn))
        spacing = {"city street": 30, "suburban street": 16, "country road": 13, "highway": 26}[place]
        for s in np.arange(-40, end, spacing) + random.uniform(0, spacing):
            if free(s, 7) and random.random() < .75:
                away = {"city street": 1.1, "suburban street": 4.6}.get(place, 4) + random.uniform(0, 0 if place == "city street" else 9)
                mesh = shapes.tree(round(random.uniform(4.5, 8), 0), int(random.integers(3)))
                meshes.append(placed(scene, mesh, s, edge + side * away))
        if place in ("city street", "suburban street", "highway"):
            for s in np.arange(-30, end, 30) + random.uniform(0, 20):
                if free(s, 1):
                    meshes.append(placed(scene, shapes.lamp_post(lit), s, edge + side * .6, 0.0 if side > 0 else np.pi))
    if scene.light:
        meshes.append(placed(scene, shapes.traffic_light(scene.light), scene.junction - 7.5, right - .6, 0.0, LIGHT_OWNER))
    for name, color, s in scene.parked:
        meshes.append(placed(scene, shapes.vehicle(name, color, False, False), s, -2.9, 0.0, PARKED_OWNER))
    return shapes.Mesh.join(meshes) if meshes else None


def shadows(scene, track, at):
    """A dark patch under an actor."""
    along, across = track.reach(at)
    builder = shapes.Builder()
    x, y = along * 1.05, across * 1.1
    builder.face([(-x, -y, .01), (x, -y, .01), (x, y, .01), (-x, y, .01)], (40, 40, 44), solid=False)
    return placed(scene, builder.mesh(), track.s[at], track.d[at])


# Ambient light and the colours of the sky, at the horizon and above, by time of day.
SKIES = {"day": (1.0, (206, 222, 238), (112, 160, 220)), "dusk": (.58, (240, 168, 110), (84, 84, 130)), "night": (.42, (40, 42, 60), (12, 14, 28))}


class Air:
    """Light and weather: what they do to colours at a distance."""

    def __init__(self, random, scene):
        ambient, horizon, zenith = SKIES[scene.time_of_day]
        self.ambient, self.horizon, self.zenith = ambient * random.uniform(.9, 1.1), np.array(horizon, float), np.array(zenith, float)
        self.sight = np.inf       # metres after which a third is left to be seen
        self.night = scene.time_of_day == "night"
        if scene.weather == "rain":
            grey = self.horizon.mean() * .82
            self.horizon, self.zenith = np.full(3, grey), np.full(3, grey * .75)
            self.ambient, self.sight = self.ambient * .8, 130.0
        if scene.weather == "fog":
            grey = self.horizon.mean() * (.95 if not self.night else 1.2)
            self.horizon, self.zenith = np.full(3, grey), np.full(3, grey * .95)
            self.sight = random.uniform(30, 48)
        self.tint = np.array({"dusk": (1.06, .96, .9), "night": (.92, .96, 1.1)}.get(scene.time_of_day, (1, 1, 1)))
        self.street_lit = self.night and scene.place in ("city street", "suburban street")

    def colors(self, mesh, middle, ours):
        """[P, 3]: the mesh's colours as they look from our car at (x, y, heading); middle [P, 3] of the polygons."""
        away = middle[:, :2] - np.array(ours[:2])
        distance = np.linalg.norm(away, axis=1)
        light = np.full(len(distance), self.ambient)
        if self.street_lit:
            light += .16
        if self.night:
            bearing = np.arctan2(away[:, 1], away[:, 0]) - ours[2]
            cone = np.exp(-(np.sin(bearing) / .42) ** 2) * (np.cos(bearing) > 0)
            light += .75 * cone * np.exp(-distance / 40) * np.exp(-np.maximum(middle[:, 2] - 1.2, 0) / 2)
        light = np.where(mesh.glow, 1.0, light)[:, None]
        color = mesh.colors * light * np.where(mesh.glow[:, None], 1.0, self.tint)
        if np.isfinite(self.sight):
            left = np.exp(-distance / self.sight)[:, None]
            left = np.where(mesh.glow[:, None], np.sqrt(left), left)
            color = color * left + self.horizon * (1 - left)
        return np.clip(color, 0, 255)


def backdrop(air, camera, ours, skyline, size, ground_color):
    """Sky, far skyline and bare ground. skyline [360] holds angles above the horizon, in radians."""
    horizon = .5 - np.tan(camera.pitch) * camera.focal[1]
    rows = (np.arange(size) + .5) / size
    up = np.clip((horizon - rows) / .55, 0, 1)[:, None]
    sky = air.horizon * (1 - up) + air.zenith * up
    down = np.clip((rows - horizon) / .5, 0, 1)[:, None]
    far = air.horizon if np.isfinite(air.sight) else air.horizon * .35 + ground_color * air.ambient * .65
    near = ground_color * air.ambient
    earth = far * (1 - np.sqrt(down)) + near * np.sqrt(down)
    picture = Image.fromarray(np.where(rows[:, None] < horizon, sky, earth)[:, None].astype(np.uint8)).resize((size, size), Image.NEAREST)
    if air.sight > 60:
        draw = ImageDraw.Draw(picture)
        color = tuple(int(x) for x in air.horizon * .5 + np.array([70, 84, 80]) * air.ambient * .5)
        across = np.linspace(0, 1, 60)
        bearing = ours[2] + camera.yaw - np.arctan((across - .5) / camera.focal[0])
        heights = skyline[np.degrees(bearing).astype(int) % 360]
        points = [(x * size, (horizon - np.tan(h) * camera.focal[1]) * size) for x, h in zip(across, heights)]
        draw.polygon([(0, horizon * size + 1)] + points + [(size, horizon * size + 1)], fill=color)
    return picture, ImageDraw.Draw(picture)


def projected(points, camera, ours):
    """[P, 8, 3] -> places [P, 8, 2] in fractions of the picture, cut off at the near plane, and depth [P, 8]."""
    x, y, heading = ours
    yaw = heading + camera.yaw
    at = np.array([x + camera.ahead * np.cos(heading), y + camera.ahead * np.sin(heading), camera.height])
    cosine, sine, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(camera.pitch), np.sin(camera.pitch)
    q = points - at
    forward = q[..., 0] * cosine + q[..., 1] * sine
    right = q[..., 0] * sine - q[..., 1] * cosine
    depth = forward * cp - q[..., 2] * sp      # bent down by the pitch
    up = q[..., 2] * cp + forward * sp
    by_corner = np.ascontiguousarray(depth.T)     # numpy is slow along short rows
    some = (by_corner.min(0) < NEAR_METRES) & (by_corner.max(0) >= NEAR_METRES)
    if some.any():
        right[some], up[some], depth[some] = cut(right[some], up[some], depth[some])
    safe = np.maximum(depth, 1e-3)
    return np.stack([.5 + camera.focal[0] * right / safe, .5 - camera.focal[1] * up / safe], -1), depth


def extent(scene, track, at, camera):
    """How many pixels the box around an actor takes of a camera's picture at a time index, whatever stands before it."""
    x, y, angle = on_road(scene, scene.ours.s[at], scene.ours.d[at])
    length, width, height = (v / 2 for v in shapes.SIZES[track.name])
    corners = np.array([[(a, b, c) for a in (-length, length) for b in (-width, width) for c in (0, 2 * height)]])
    mesh = shapes.Mesh(corners, *np.zeros((2, 1)), np.zeros((1, 3)), *np.zeros((2, 1)))
    points = placed(scene, mesh, track.s[at], track.d[at], float(track.heading[at])).points
    places, depth = projected(points, camera, (float(x), float(y), float(angle)))
    if depth.min() < NEAR_METRES:
        return SIDE * SIDE if depth.max() > NEAR_METRES else 0.0
    sides = np.clip(places[0], 0, 1)
    return float(np.prod(sides.max(0) - sides.min(0))) * SIDE * SIDE


def cut(right, up, depth):
    """Moves corners behind the near plane onto it, along the edge to the next corner before it (the previous, else)."""
    out = [right.copy(), up.copy(), depth.copy()]
    for row in range(len(depth)):
        before = depth[row] >= NEAR_METRES
        for i in np.flatnonzero(~before):
            for step in list(range(1, shapes.CORNERS)) + [-1]:
                j = (i + step) % shapes.CORNERS
                if before[j]:
                    break
            share = (NEAR_METRES - depth[row, i]) / (depth[row, j] - depth[row, i])
            for k, values in enumerate((right, up, depth)):
                out[k][row, i] = values[row, i] + share * (values[row, j] - values[row, i])
    return out


def painted(picture_draw, mask_draw, mesh, colors, camera, ours, size, ordered):
    """Paints a mesh onto the picture and, if it stands, onto the mask of owners."""
    places, depth = projected(mesh.points, camera, ours)
    across, down = np.ascontiguousarray(places.transpose(2, 1, 0))     # [8, P], as numpy is slow along short rows
    seen = np.ascontiguousarray(depth.T).min(0) > NEAR_METRES - 1e-3
    (left, right), (top, bottom) = ((x.min(0), x.max(0)) for x in (across, down))
    seen &= (right > 0) & (bottom > 0) & (left < 1) & (top < 1) & (np.maximum(right - left, bottom - top) * size > 1)
    area = (across * np.roll(down, -1, 0) - np.roll(across, -1, 0) * down).sum(0)
    seen &= ~mesh.solid | (area < 0)
    index = np.flatnonzero(seen)
    if ordered:
        eye = np.array(ours[:2])
        far = np.linalg.norm(mesh.anchor[index, :2] - eye, axis=1)
        index = index[np.lexsort((-depth[index].mean(1), -np.round(far, 2)))]
    flat = (np.clip(places[index], -4, 5) * size).reshape(len(index), 2 * shapes.CORNERS)
    small = (flat / FINER).tolist()
    fills = colors[index].astype(int).tolist()
    owners = mesh.owner[index].tolist()
    for corners, fewer, fill, owner in zip(flat.tolist(), small, fills, owners):
        picture_draw.polygon(corners, fill=tuple(fill))
        if mask_draw:
            mask_draw.polygon(fewer, fill=owner)


def weathered(random, picture, scene, air):
    """A camera's blur and noise, rain on top. [size, size, 3] uint8."""
    if scene.weather == "rain":
        draw = ImageDraw.Draw(picture)
        tone = tuple(int(x) for x in np.minimum(air.horizon * 1.15 + 22, 255))
        for x, y, length in random.uniform(0, 1, (90, 3)):
            side = picture.width
            draw.line((x * side, y * side, x * side - 2, y * side + 5 + length * 14), fill=tone)
    picture = picture.reduce(FINER)
    if random.random() < .5:
        picture = picture.filter(ImageFilter.BoxBlur(random.uniform(.1, .6)))
    values = np.asarray(picture, np.float32)
    grain = random.normal(0, 1, (SIDE // 2, SIDE // 2, 1)).astype(np.float32).repeat(2, 0).repeat(2, 1)
    return np.clip(values + grain * (5.0 if air.night else 2.5), 0, 255).astype(np.uint8)


def render(random, scene, cameras):
    """Pictures uint8 [views, times, SIDE, SIDE, 3] and owners uint8 [views, times, SIDE, SIDE]: 1 + index of the actor seen there,
    LIGHT_OWNER the traffic light, PARKED_OWNER parked cars."""
    count = len(scene.times)
    lit = scene.time_of_day != "day" or scene.weather != "clear"
    air = Air(random, scene)
    flat, right, left = ground(random, scene)
    still = surroundings(random, scene, right, left)
    rough = {"city street": 1.0, "suburban street": .6}.get(scene.place, .35)
    skyline = np.repeat(random.uniform(.01, .12 * rough, 120), 3)
    earth = np.array(choose(random, [(84, 110, 62), (104, 116, 70), (120, 112, 84)]) if scene.place != "city street" else (128, 126, 122), float)
    pictures = np.zeros((len(cameras), count, SIDE, SIDE, 3), np.uint8)
    owners = np.zeros((len(cameras), count, SIDE, SIDE), np.uint8)
    size = SIDE * FINER
    for at in range(count):
        x, y, angle = on_road(scene, scene.ours.s[at], scene.ours.d[at])
        ours = (float(x), float(y), float(angle))
        under = [shadows(scene, track, at) for track in scene.actors] if not air.night else []
        things = [placed(scene, shapes.actor(track, at, scene.times[at] + i, lit), track.s[at], track.d[at], float(track.heading[at]), i + 1)
                  for i, track in enumerate(scene.actors)]
        standing = shapes.Mesh.join(([still] if still is not None else []) + things) if things or still is not None else None
        layers = [(shapes.Mesh.join([flat] + under), False)] + ([(standing, True)] if standing is not None else [])
        layers = [(mesh, air.colors(mesh, np.einsum("pck->pk", mesh.points) / shapes.CORNERS, ours), ordered) for mesh, ordered in layers]
        for v, camera in enumerate(cameras):
            picture, draw = backdrop(air, camera, ours, skyline, size, earth)
            mask = Image.new("L", (SIDE, SIDE))
            for mesh, colors, ordered in layers:
                painted(draw, ImageDraw.Draw(mask) if ordered else None, mesh, colors, camera, ours, size, ordered)
            pictures[v, at] = weathered(random, picture, scene, air)
            owners[v, at] = np.asarray(mask)
    return pictures, owners
