"""Scenes: a random choice of attributes and how they become one picture."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from PIL import Image

from .canvas import Canvas, MaskCanvas, Pen
from .captions import caption_for
from .lands import Backdrop
from .palette import COLOURS, MOODS, NEON, Tones
from .styles import STYLES, put_neon, put_paper
from .subjects import AFLOAT, POSABLE, SUBJECTS, WIDE

SKIES = ("day", "sunset", "night", "fog")
GROUNDS = ("sea", "meadow", "desert", "snow", "street")
FAR = ("none", "mountains", "hills", "city", "forest")
NATURAL = {
    "cat": ("orange", "grey", "black", "white", "brown"),
    "dog": ("brown", "white", "black", "orange", "grey"),
    "tree": ("green",),
    "battleship": ("grey", "blue"),
    "robot": ("grey", "teal"),
    "star": ("yellow",),
    "flower": ("red", "pink", "yellow", "purple"),
}
WEATHERS = ("clear", "rain", "snow", "clouds", "stars", "sun", "moon")


@dataclass
class Scene:
    """All that a caption can talk about."""

    subject: str | None = "cat"
    count: int = 1
    colour: str = "orange"
    pose: str = "standing"
    on_sofa: bool = False
    sofa_colour: str = "red"
    sky: str = "day"
    far: str = "none"
    ground: str = "meadow"
    weather: str = "clear"
    neon: bool = False


def _pick(rng: np.random.Generator, options, weights=None):
    p = None if weights is None else np.asarray(weights, float) / np.sum(weights)
    return options[int(rng.choice(len(options), p=p))]


def random_scene(rng: np.random.Generator) -> Scene:
    """A sensible random scene: ships float, sofas are mostly indoors, and so on."""
    s = Scene()
    names = list(SUBJECTS)
    weights = [{"cat": 2.2, "dog": 2.2, "battleship": 1.6}.get(n, 1.0) for n in names]
    s.subject = _pick(rng, names, weights) if rng.random() < 0.82 else None
    s.neon = rng.random() < (0.24 if s.subject == "battleship" else 0.12)
    s.sky = _pick(rng, SKIES, (5, 3, 3, 1))
    s.ground = _pick(rng, GROUNDS, (3, 3, 1.5, 1.5, 1.5))
    s.far = _pick(rng, FAR, (2, 3.5, 2, 1.5, 1.5))
    natural = NATURAL.get(s.subject or "")
    s.colour = _pick(rng, natural) if natural and rng.random() < 0.55 else _pick(rng, list(COLOURS))
    s.sofa_colour = _pick(rng, list(COLOURS))
    _place_subject(s, rng)
    space = 0.5 if s.subject in ("rocket", "star", "robot") else 0.05
    if rng.random() < space and s.subject not in AFLOAT and not s.neon and s.ground != "room":
        s.sky, s.ground = "space", "moon"
    _tidy(s, rng)
    return s


def _place_subject(s: Scene, rng: np.random.Generator) -> None:
    """Count, pose and where the subject belongs."""
    if s.subject is None:
        return
    s.count = 2 if rng.random() < 0.22 else 1
    if s.subject in POSABLE:
        s.pose = _pick(rng, ("standing", "sitting", "dancing"), (3, 3, 3))
        s.on_sofa = s.pose == "sitting" and s.subject != "bird" and rng.random() < 0.55
    if s.subject == "sofa":
        s.count, s.ground = 1, "room" if rng.random() < 0.85 else s.ground
    if s.on_sofa:
        s.count = 2 if rng.random() < 0.5 else 1
        s.ground = "room" if rng.random() < 0.9 else s.ground
    elif s.subject in ("cat", "dog", "robot", "ball", "flower") and rng.random() < 0.08:
        s.ground = "room"
    if s.subject in AFLOAT:
        s.ground = "sea"
    elif s.ground == "sea" and s.subject in ("house", "tree", "car", "flower"):
        s.ground = "meadow"
    if s.subject == "car" and rng.random() < 0.5:
        s.ground = "street"


def _tidy(s: Scene, rng: np.random.Generator) -> None:
    """Make the attributes agree with one another."""
    if s.neon:
        s.sky = "night"
        if s.ground not in ("sea", "room"):
            s.ground = "street"
        s.far = _pick(rng, ("city", "mountains"), (4, 1))
    if s.ground == "street" and rng.random() < 0.8:
        s.far = "city"
    if s.subject is None and s.far == "none":
        s.far = _pick(rng, FAR[1:])
    weights = {
        "day": (2, 2, 1, 2, 0, 2, 0),
        "sunset": (2, 1, 0.5, 1.5, 0, 3, 0),
        "night": (1, 2, 1, 0.7, 2, 0, 2),
        "space": (0, 0, 0, 0, 3, 0, 0),
        "fog": (3, 1, 1, 0, 0, 0, 0),
    }[s.sky]
    s.weather = _pick(rng, WEATHERS, weights)
    if s.ground == "room":
        s.far, s.weather = "none", "clear"
    if s.ground == "moon":
        s.far = _pick(rng, ("none", "mountains"), (2, 1))
    if s.pose == "dancing" and s.ground != "room" and s.sky != "space" and rng.random() < 0.3:
        s.weather = "rain"


class _Stage:
    """Draws one scene on one canvas."""

    def __init__(self, s: Scene, canvas: Canvas, rng: np.random.Generator, style: str) -> None:
        self.s, self.c, self.rng = s, canvas, rng
        self.style = STYLES[style]
        self.mood = _pick(rng, MOODS["neon" if s.neon else s.sky])
        self.back = Backdrop(canvas, self.mood, rng, s.sky, s.neon)
        self.horizon = float(rng.uniform(0.54, 0.62)) if s.ground != "room" else float(rng.uniform(0.66, 0.72))

    def behind(self) -> None:
        """Sky, far layer and ground."""
        s, b = self.s, self.back
        if s.ground == "room":
            return b.room(self.horizon)
        b.paint_sky()
        if s.weather in ("stars", "moon") or s.sky == "space":
            b.stars()
        if s.weather == "sun":
            b.sun()
        if s.weather == "moon":
            b.moon()
        if s.weather in ("clouds", "rain", "snow"):
            b.clouds(max(2, round((5 if s.weather == "rain" else 4) * self.c.aspect)))
        if s.far != "none":
            getattr(b, s.far)(self.horizon)
        if s.ground == "sea" and s.subject and s.subject not in AFLOAT:
            b.sea(self.horizon)
            return b.beach(self.horizon)
        {"moon": b.moonland}.get(s.ground, getattr(b, s.ground, None))(self.horizon)

    def subject(self) -> None:
        """The subject or pair of subjects, on a sofa if they sit on one."""
        s = self.s
        if s.subject is None:
            return
        a = self.c.aspect
        fit = min(1.0, a)
        size = float(self.rng.uniform(0.52, 0.62)) * fit
        if s.subject in WIDE:
            size *= 0.92
        base = 0.9 - 0.04 * float(self.rng.random())
        if s.subject in AFLOAT:
            base = 0.84
        x0 = 0.5 * a + float(self.rng.uniform(-0.06, 0.06)) * fit
        if s.on_sofa:
            self._put("sofa", s.sofa_colour, 0.5 * a, 0.93, 0.66 * fit, False)
            base, size, x0 = 0.76, size * (0.8 if s.count == 2 else 0.9), 0.5 * a
        gap = {"battleship": 0.25}.get(s.subject, 0.2 if s.on_sofa else 0.24)
        if s.count == 2:
            size *= 0.62 if s.subject in WIDE else 0.78 if not s.on_sofa else 0.92
            self._put(s.subject, s.colour, x0 - gap * fit, base - 0.03, size, False)
            self._put(s.subject, s.colour, x0 + gap * fit, base, size, s.subject not in ("cat", "dog") or s.pose != "standing")
        else:
            self._put(s.subject, s.colour, x0, base, size, bool(self.rng.random() < 0.5))

    def _tones(self, colour: str) -> Tones:
        table = COLOURS
        accents = [k for k in ("red", "yellow", "teal", "white", "orange", "blue") if k != colour]
        return Tones.of(table[colour], table[_pick(self.rng, accents)])

    def _put(self, name: str, colour: str, x: float, y: float, size: float, flip: bool) -> None:
        s = self.s
        pen = Pen()
        tones = self._tones(colour)
        pose = s.pose if name in POSABLE else "standing"
        SUBJECTS[name](pen, tones, pose)
        turn = float(self.rng.uniform(-0.06, 0.06)) if name in ("boat", "battleship", "star", "rocket", "ball") else 0.0
        if pose == "dancing":
            turn = float(self.rng.uniform(-0.14, 0.14))
        if name in ("fish", "star"):
            y -= 0.06
        floats = name in AFLOAT and s.ground == "sea"
        if not floats and name not in ("star", "fish") and not (s.on_sofa and name != "sofa"):
            self.c.oval(x + 0.01, y, size * 0.5, size * 0.06, (20, 16, 40), 70)
        shapes = pen.placed(x, y, size, turn, flip)
        if s.neon:
            second = NEON["yellow" if colour in ("teal", "blue", "pink", "purple") else "teal"]
            put_neon(self.c, shapes, NEON[colour], second)
        else:
            put_paper(self.c, shapes, self.style, self.mood.tint, min(0.26, self.mood.strength * 0.5))
        if pose == "dancing":
            hue = NEON["yellow"] if s.neon or s.sky in ("night", "space") else (70, 48, 96)
            self.back.notes(x, y - size * 0.75, hue)

    def front(self) -> None:
        """What lies over the subject: near waves, fog, rain, snow."""
        s, b = self.s, self.back
        if s.ground == "sea" and (s.subject is None or s.subject in AFLOAT):
            b.sea(self.horizon, front=True)
        if s.ground == "room":
            return
        if s.sky == "fog":
            b.mist()
        if s.weather == "rain":
            b.rain()
        if s.weather == "snow":
            b.snowfall()


def draw_scene(scene: Scene, rng: np.random.Generator, width: int = 128, height: int = 128, style: str = "paper", oversample: int = 2) -> Image.Image:
    """Draw a scene at any size."""
    canvas = Canvas(width, height, oversample)
    stage = _Stage(scene, canvas, rng, style)
    stage.behind()
    stage.subject()
    stage.front()
    finish = STYLES[style].finish
    return canvas.finish(finish and (lambda image: finish(image, rng)))


def draw_mask(scene: Scene, rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Where ``draw_scene`` would draw the subject, with the same random numbers."""
    canvas = MaskCanvas(width, height)
    stage = _Stage(scene, canvas, rng, "paper")
    stage.behind()
    canvas.on = True
    stage.subject()
    return canvas.image


def sample(seed: int, size: int = 128, style: str = "paper") -> tuple[Image.Image, str, dict]:
    """The picture, caption and attributes that belong to a seed."""
    rng = np.random.default_rng(seed)
    scene = random_scene(rng)
    caption = caption_for(scene, rng)
    return draw_scene(scene, rng, size, size, style), caption, asdict(scene)
