"""Everything behind and around the subject: skies, far layers, ground, weather."""

from __future__ import annotations

import math

import numpy as np

from .canvas import Canvas, ellipse_points
from .palette import INK, NEON, RGB, WHITE, Mood, mix

Rng = np.random.Generator


class Backdrop:
    """Draws the parts of a scene that are not its subject."""

    def __init__(self, canvas: Canvas, mood: Mood, rng: Rng, sky: str, neon: bool) -> None:
        self.c, self.mood, self.rng = canvas, mood, rng
        self.sky, self.neon = sky, neon
        self.dark = neon or sky in ("night", "space")

    def tone(self, colour: RGB, extra: float = 0.0) -> RGB:
        """A colour as it looks in this light; ``extra`` is haze."""
        haze = mix(colour, self.mood.sky[1], extra)
        return mix(haze, self.mood.tint, self.mood.strength)

    def u(self, a: float, b: float) -> float:
        """A uniform random number."""
        return float(self.rng.uniform(a, b))

    # -- skies -----------------------------------------------------------
    def paint_sky(self) -> None:
        """The sky gradient, with nebulae in space and haze bands in fog."""
        self.c.backdrop(list(self.mood.sky))
        if self.sky == "space":
            for _ in range(3):
                x, y, r = self.u(0, self.c.aspect), self.u(0.1, 0.6), self.u(0.12, 0.25)
                hue = ((150, 70, 190), (70, 110, 210), (210, 80, 150))[self.rng.integers(3)]
                for k in range(5):
                    self.c.oval(x, y, r * (1.6 - k * 0.25), r * (0.9 - k * 0.14), hue, 16)
            x, y, r = self.u(0.1, 0.9) * self.c.aspect, self.u(0.1, 0.3), self.u(0.06, 0.1)
            hue = ((238, 168, 96), (120, 200, 200), (226, 120, 140))[self.rng.integers(3)]
            self.c.oval(x, y, r, r, mix(hue, INK, 0.3))
            self.c.oval(x - r * 0.12, y - r * 0.1, r * 0.86, r * 0.86, hue)
            self.c.stroke(ellipse_points(x, y, r * 1.8, r * 0.45, -0.35), mix(hue, WHITE, 0.5), 0.01)

    def sun(self) -> None:
        """A sun with soft rings."""
        x = self.u(0.12, 0.88) * self.c.aspect
        low = self.sky == "sunset"
        y, r = (self.u(0.34, 0.46), 0.12) if low else (self.u(0.12, 0.22), 0.09)
        hue = (255, 226, 130) if low else (255, 222, 92)
        for k in (2.2, 1.7, 1.3):
            self.c.oval(x, y, r * k, r * k, mix(hue, WHITE, 0.4), 46)
        self.c.oval(x, y, r, r, hue)
        self.c.oval(x - r * 0.15, y - r * 0.15, r * 0.72, r * 0.72, mix(hue, WHITE, 0.35))

    def moon(self) -> None:
        """A pale moon with craters, sometimes a crescent."""
        x, y, r = self.u(0.14, 0.86) * self.c.aspect, self.u(0.13, 0.24), self.u(0.075, 0.1)
        hue = (250, 242, 208)
        for k in (1.8, 1.4):
            self.c.oval(x, y, r * k, r * k, hue, 30)
        self.c.oval(x, y, r, r, hue)
        for dx, dy, k in ((-0.3, -0.2, 0.22), (0.3, 0.25, 0.17), (0.1, -0.5, 0.13)):
            self.c.oval(x + dx * r, y + dy * r, k * r, k * r, mix(hue, (150, 150, 170), 0.35))

    def stars(self) -> None:
        """Scattered stars of three sizes."""
        for _ in range(int(38 * self.c.aspect)):
            x, y = self.u(0, self.c.aspect), self.u(0, 0.6)
            r = (0.004, 0.006, 0.011)[min(2, int(self.rng.integers(5)) // 2)]
            self.c.oval(x, y, r, r, (255, 250, 226))

    def clouds(self, count: int = 4) -> None:
        """Puffy paper clouds with a shaded underside."""
        hue = self.tone((255, 255, 255))
        for k in range(count):
            x = (k + self.u(0.1, 0.9)) / count * self.c.aspect
            y, s = self.u(0.1, 0.34), self.u(0.75, 1.25)
            puffs = ((-0.1, 0.0, 0.06), (0.1, 0.005, 0.055), (-0.03, -0.035, 0.07), (0.05, -0.02, 0.06))
            for shift, tone in ((0.018, mix(hue, self.mood.sky[0], 0.45)), (0.0, hue)):
                for dx, dy, r in puffs:
                    self.c.oval(x + dx * s, y + dy * s + shift, r * s, r * s * 0.8, tone)
                self.c.oval(x, y + 0.025 * s + shift, 0.15 * s, 0.04 * s, tone)

    # -- far layers --------------------------------------------------------
    def _range(self, base: float, low: float, high: float, step: float) -> np.ndarray:
        """A jagged ridge across the picture, closed along ``base``."""
        xs = [-0.1]
        while xs[-1] < self.c.aspect + 0.1:
            xs.append(xs[-1] + self.u(0.7, 1.3) * step)
        ys = [base - (self.u(low, high) if k % 2 else self.u(low * 0.3, low)) for k in range(len(xs))]
        return np.array([(-0.2, base + 0.02), *zip(xs, ys), (self.c.aspect + 0.3, base + 0.02)])

    def mountains(self, horizon: float) -> None:
        """Two ridges with snow caps."""
        hue = ((112, 128, 176), (96, 132, 150), (136, 112, 158))[self.rng.integers(3)]
        for low, high, step, haze, dark in ((0.16, 0.36, 0.2, 0.5, 0.0), (0.08, 0.24, 0.17, 0.15, 0.15)):
            ridge = self._range(horizon, low, high, step)
            body = self.tone(mix(hue, INK, dark), haze)
            self.c.poly(ridge + (0.01, -0.012), mix(body, INK, 0.3), 60)
            self.c.gradient(ridge, mix(body, WHITE, 0.12), mix(body, self.mood.sky[2], 0.3))
            for k in range(2, len(ridge) - 2):
                (lx, ly), (x, y), (rx, ry) = ridge[k - 1], ridge[k], ridge[k + 1]
                if y < ly and y < ry:
                    shade = [(x, y), (x + (rx - x) * 0.98, y + (ry - y) * 0.98), (x + 0.01, min(ly, ry) + 0.06)]
                    self.c.poly(np.array(shade), INK, 36)
                    if horizon - y > 0.18:
                        a, b = 0.3, 0.3
                        cap = [(x, y), (x + (rx - x) * b, y + (ry - y) * b), (x + (rx - x) * 0.1, y + (ry - y) * 0.22),
                               (x, y + 0.06), (x + (lx - x) * 0.12, y + (ly - y) * 0.2), (x + (lx - x) * a, y + (ly - y) * a)]
                        self.c.poly(np.array(cap), self.tone((250, 250, 252)))

    def hills(self, horizon: float) -> None:
        """Rolling hills in two greens."""
        hue = ((122, 176, 104), (150, 178, 92), (96, 162, 120))[self.rng.integers(3)]
        xs = np.linspace(-0.05, self.c.aspect + 0.05, 40)
        for amp, lift, haze in ((0.06, 0.13, 0.4), (0.05, 0.06, 0.12)):
            ys = horizon - lift - amp * np.sin(xs * self.u(5, 8) + self.u(0, 6))
            line = np.concatenate([np.stack([xs, ys], 1), [(self.c.aspect + 0.1, horizon + 0.02), (-0.1, horizon + 0.02)]])
            body = self.tone(hue, haze)
            self.c.poly(line + (0.008, -0.012), INK, 26)
            self.c.gradient(line, mix(body, WHITE, 0.18), mix(body, INK, 0.12))

    def forest(self, horizon: float) -> None:
        """A row of fir trees."""
        for row, (haze, s) in enumerate(((0.4, 1.0), (0.1, 0.8))):
            x = -0.05
            while x < self.c.aspect + 0.1:
                h = self.u(0.16, 0.27) * s
                body = self.tone(mix((52, 118, 92), (88, 148, 84), self.u(0, 1)), haze)
                for k, w in ((0.0, 0.085), (0.3, 0.066), (0.6, 0.045)):
                    y = horizon + 0.01 - h * k
                    self.c.poly(np.array([(x - w * s, y), (x + w * s, y), (x, y - h * 0.55)]), mix(body, WHITE, k * 0.2))
                x += self.u(0.07, 0.12)

    def city(self, horizon: float) -> None:
        """Tower blocks with lit windows; neon signs in the neon mood."""
        lamps = [NEON[k] for k in ("pink", "teal", "yellow", "purple")] if self.neon else [(255, 226, 140)]
        for row, (haze, low, high) in enumerate(((0.45, 0.2, 0.42), (0.1, 0.1, 0.28))):
            x = -0.03
            while x < self.c.aspect + 0.02:
                w, h = self.u(0.09, 0.16), self.u(low, high)
                hue = ((104, 112, 150), (132, 120, 142), (92, 124, 142), (150, 126, 120))[self.rng.integers(4)]
                body = self.tone(hue, haze)
                block = np.array([(x, horizon + 0.02), (x, horizon - h), (x + w, horizon - h), (x + w, horizon + 0.02)])
                self.c.gradient(block, mix(body, WHITE, 0.1), mix(body, INK, 0.18))
                lamp = lamps[self.rng.integers(len(lamps))]
                if self.neon:
                    self.c.stroke(block[:3], lamp, 0.008, 255 if row else 120, closed=False)
                for wy in np.arange(horizon - h + 0.03, horizon - 0.02, 0.05):
                    for wx in np.arange(x + 0.02, x + w - 0.025, 0.036):
                        if self.u(0, 1) < (0.6 if self.dark else 0.75):
                            pane = lamp if self.dark or self.sky == "sunset" else mix(body, (226, 240, 250), 0.55)
                            self.c.poly(np.array([(wx, wy), (wx + 0.018, wy), (wx + 0.018, wy + 0.024), (wx, wy + 0.024)]), pane, 120 if row == 0 else 255)
                x += w + self.u(0.0, 0.02)

    # -- ground ------------------------------------------------------------
    def _floor(self, horizon: float, top: RGB, bottom: RGB) -> None:
        a = self.c.aspect
        self.c.gradient(np.array([(-0.1, horizon), (a + 0.1, horizon), (a + 0.1, 1.02), (-0.1, 1.02)]), top, bottom)

    def _wave(self, y: float, amp: float, freq: float) -> np.ndarray:
        xs = np.linspace(-0.05, self.c.aspect + 0.05, 60)
        ys = y + amp * np.sin(xs * freq + self.u(0, 6.28))
        return np.concatenate([np.stack([xs, ys], 1), [(self.c.aspect + 0.1, 1.05), (-0.1, 1.05)]])

    def sea(self, horizon: float, front: bool = False) -> None:
        """Bands of waves; ``front`` draws only the nearest, over the subject's keel."""
        hue = ((40, 128, 176), (36, 150, 168), (56, 106, 182))[self.tint_pick()]
        if not front:
            self._floor(horizon, self.tone(mix(hue, WHITE, 0.34)), self.tone(mix(hue, INK, 0.1)))
            bands = ((0.25, 0.2), (0.5, 0.04))
        else:
            bands = ((0.74, -0.14), (0.88, -0.3))
        for at, light in bands:
            y = horizon + (1 - horizon) * at
            line = self._wave(y, 0.009 + 0.009 * at, 24 - 10 * at)
            body = self.tone(mix(hue, WHITE, light) if light > 0 else mix(hue, INK, -light))
            self.c.poly(line + (0, -0.012), self.tone(mix(hue, WHITE, 0.62)))
            self.c.poly(line, body)
        if not front:
            for _ in range(int(10 * self.c.aspect)):
                x, y = self.u(0, self.c.aspect), self.u(horizon + 0.02, 0.98)
                w = 0.02 + 0.04 * (y - horizon)
                self.c.oval(x, y, w, 0.0035, self.tone(mix(hue, WHITE, 0.7)))

    def beach(self, horizon: float) -> None:
        """A strip of sand in front of the sea, for those who cannot float."""
        hue = (240, 212, 156)
        line = self._wave(horizon + (1 - horizon) * 0.52, 0.014, self.u(5, 9))
        self.c.poly(line + (0, -0.018), self.tone(WHITE))
        self.c.gradient(line, self.tone(mix(hue, INK, 0.08)), self.tone(mix(hue, WHITE, 0.15)))

    def tint_pick(self) -> int:
        """A per-scene choice that stays the same through the scene."""
        if not hasattr(self, "_pick"):
            self._pick = int(self.rng.integers(3))
        return self._pick

    def meadow(self, horizon: float) -> None:
        """Grass with tufts and small flowers."""
        hue = ((120, 184, 84), (100, 172, 96), (146, 190, 84))[self.tint_pick()]
        self._floor(horizon, self.tone(mix(hue, WHITE, 0.2)), self.tone(mix(hue, INK, 0.12)))
        for at, dark in ((0.3, 0.0), (0.65, 0.12)):
            line = self._wave(horizon + (1 - horizon) * at, 0.02, self.u(4, 8))
            self.c.poly(line + (0, -0.01), self.tone(mix(hue, WHITE, 0.36)))
            self.c.poly(line, self.tone(mix(hue, INK, dark)))
        dots = ((250, 240, 240), (250, 208, 80), (240, 120, 150))
        for _ in range(int(18 * self.c.aspect)):
            x, y = self.u(0, self.c.aspect), self.u(horizon + 0.03, 0.98)
            s = 0.5 + (y - horizon)
            if self.u(0, 1) < 0.5:
                self.c.oval(x, y, 0.012 * s, 0.012 * s, self.tone(dots[self.rng.integers(3)]))
            else:
                self.c.poly(np.array([(x - 0.012 * s, y), (x, y - 0.04 * s), (x + 0.012 * s, y)]), self.tone(mix(hue, INK, 0.3)))

    def desert(self, horizon: float) -> None:
        """Dunes and a cactus or two."""
        hue = ((234, 190, 120), (228, 170, 106), (240, 204, 142))[self.tint_pick()]
        self._floor(horizon, self.tone(mix(hue, WHITE, 0.2)), self.tone(hue))
        for at, dark in ((0.12, 0.04), (0.45, 0.1), (0.75, 0.17)):
            line = self._wave(horizon + (1 - horizon) * at, 0.03, self.u(4, 7))
            self.c.poly(line + (0, -0.01), self.tone(mix(hue, WHITE, 0.4)))
            self.c.poly(line, self.tone(mix(hue, (150, 84, 60), dark)))
        for _ in range(max(1, round(2 * self.c.aspect))):
            x, y, s = self.u(0.05, 0.95) * self.c.aspect, horizon + self.u(0.02, 0.08), self.u(0.12, 0.2)
            green = self.tone((84, 146, 92))
            for points, w in ((((0, 0), (0, -1)), 0.24), (((0, -0.4), (0.34, -0.44), (0.34, -0.8)), 0.16), (((0, -0.3), (-0.32, -0.34), (-0.32, -0.62)), 0.16)):
                line = np.array(points) * s + (x, y)
                self.c.stroke(line, green, w * s, closed=False)
                for px, py in line:
                    self.c.oval(px, py, w * s / 2, w * s / 2, green)

    def snow(self, horizon: float) -> None:
        """Snow drifts and a few fir trees."""
        hue = (236, 242, 250)
        shade = (170, 192, 224)
        self._floor(horizon, self.tone(mix(hue, shade, 0.25)), self.tone(hue))
        for _ in range(max(2, round(4 * self.c.aspect))):
            x, y, h = self.u(0, 1) * self.c.aspect, horizon + self.u(0.0, 0.06), self.u(0.14, 0.22)
            for k, w in ((0.0, 0.07), (0.3, 0.055), (0.6, 0.038)):
                self.c.poly(np.array([(x - w, y - h * k), (x + w, y - h * k), (x, y - h * (k + 0.5))]), self.tone((62, 122, 106)))
                self.c.poly(np.array([(x - w * 0.5, y - h * (k + 0.25)), (x + w * 0.5, y - h * (k + 0.25)), (x, y - h * (k + 0.5))]), self.tone(hue))
        for at, dark in ((0.2, 0.14), (0.5, 0.07), (0.78, 0.0)):
            line = self._wave(horizon + (1 - horizon) * at, 0.02, self.u(4, 7))
            self.c.poly(line + (0, -0.01), self.tone(mix(hue, shade, dark + 0.35)))
            self.c.poly(line, self.tone(mix(hue, shade, dark)))

    def moonland(self, horizon: float) -> None:
        """A grey cratered plain."""
        hue = ((150, 148, 172), (166, 150, 160), (136, 152, 176))[self.tint_pick()]
        line = self._wave(horizon, 0.015, self.u(4, 6))
        self.c.gradient(line, self.tone(mix(hue, WHITE, 0.3)), self.tone(mix(hue, INK, 0.2)))
        for _ in range(int(8 * self.c.aspect)):
            x, y = self.u(0, self.c.aspect), self.u(horizon + 0.05, 0.97)
            r = (0.02 + 0.09 * (y - horizon)) * self.u(0.6, 1.2)
            self.c.oval(x, y, r, r * 0.4, self.tone(mix(hue, WHITE, 0.4)))
            self.c.oval(x + r * 0.06, y + r * 0.06, r * 0.9, r * 0.34, self.tone(mix(hue, INK, 0.35)))

    def street(self, horizon: float) -> None:
        """Pavement, kerb and a dashed road; a glowing grid in the neon mood."""
        a = self.c.aspect
        if self.neon:
            self._floor(horizon, (34, 12, 66), (14, 6, 34))
            line = NEON[("pink", "teal", "purple")[self.tint_pick()]]
            for k in np.linspace(-1.6, 2.6, 15):
                self.c.stroke(np.array([((0.5 + (k - 0.5) * 0.45) * a, horizon), ((0.5 + (k - 0.5) * 1.5) * a, 1.0)]), line, 0.005, 150, closed=False)
            for k in range(6):
                y = horizon + (1 - horizon) * (k / 5.5) ** 1.7
                self.c.stroke(np.array([(0, y), (a, y)]), line, 0.005, 150, closed=False)
            return
        road = (92, 94, 108)
        self._floor(horizon, self.tone((186, 180, 174)), self.tone((160, 156, 156)))
        y0 = horizon + (1 - horizon) * 0.38
        self._floor(y0, self.tone(road), self.tone(mix(road, INK, 0.25)))
        self._floor_line(y0, 0.018, self.tone((224, 220, 210)))
        x = self.u(-0.2, 0.0)
        y1 = horizon + (1 - horizon) * 0.84
        while x < a:
            self.c.poly(np.array([(x, y1), (x + 0.12, y1), (x + 0.11, y1 + 0.022), (x - 0.01, y1 + 0.022)]), self.tone((248, 226, 140)))
            x += 0.22

    def _floor_line(self, y: float, h: float, hue: RGB) -> None:
        self.c.poly(np.array([(-0.1, y), (self.c.aspect + 0.1, y), (self.c.aspect + 0.1, y + h), (-0.1, y + h)]), hue)

    def room(self, horizon: float) -> None:
        """Indoors: a papered wall, a window on the sky, a picture, floorboards, a rug."""
        a = self.c.aspect
        walls = ((206, 226, 214), (244, 218, 190), (206, 214, 236), (240, 206, 206), (238, 228, 190))
        wall = walls[self.rng.integers(len(walls))]
        dim = (mix(wall, (44, 28, 84), 0.7) if self.neon else mix(wall, (64, 60, 112), 0.45) if self.dark else wall)
        self.c.gradient(np.array([(-0.1, -0.1), (a + 0.1, -0.1), (a + 0.1, horizon + 0.02), (-0.1, horizon + 0.02)]), mix(dim, WHITE, 0.12), mix(dim, INK, 0.06))
        for x in np.arange(self.u(0, 0.1), a, 0.12):
            self.c.poly(np.array([(x, -0.1), (x + 0.05, -0.1), (x + 0.05, horizon), (x, horizon)]), WHITE, 22)
        left = self.u(0, 1) < 0.5
        wx = (0.08 if left else 0.62) * a
        self._window(wx, 0.1, 0.3 * min(1.0, a), 0.3)
        px, hue = (0.64 if left else 0.14) * a, NEON["pink"] if self.neon else (236, 150, 92)
        self.c.poly(np.array([(px, 0.14), (px + 0.2, 0.14), (px + 0.2, 0.3), (px, 0.3)]), mix(dim, INK, 0.45))
        self.c.gradient(np.array([(px + 0.015, 0.155), (px + 0.185, 0.155), (px + 0.185, 0.285), (px + 0.015, 0.285)]), hue, mix(hue, WHITE, 0.5))
        wood = ((178, 128, 88), (150, 108, 82), (198, 154, 106))[self.tint_pick()]
        wood = mix(wood, (40, 24, 80), 0.6) if self.neon else mix(wood, (50, 44, 90), 0.4) if self.dark else wood
        self._floor(horizon, mix(wood, WHITE, 0.1), mix(wood, INK, 0.2))
        self._floor_line(horizon - 0.012, 0.024, mix(wood, WHITE, 0.5))
        for k in range(1, 5):
            self._floor_line(horizon + (1 - horizon) * (k / 5) ** 1.3, 0.005, mix(wood, INK, 0.3))
        rug = ((206, 92, 96), (84, 130, 170), (120, 152, 110))[self.rng.integers(3)]
        rug = mix(rug, dim, 0.4) if self.dark else rug
        self.c.oval(0.5 * a, horizon + (1 - horizon) * 0.62, 0.42 * min(1, a), 0.085, mix(rug, WHITE, 0.4))
        self.c.oval(0.5 * a, horizon + (1 - horizon) * 0.62, 0.37 * min(1, a), 0.068, rug)

    def _window(self, x: float, y: float, w: float, h: float) -> None:
        frame = (246, 242, 234) if not self.neon else NEON["teal"]
        pane = np.array([(x, y), (x + w, y), (x + w, y + h), (x, y + h)])
        self.c.poly(pane + (0.012, 0.014), INK, 50)
        self.c.gradient(pane, self.mood.sky[0], self.mood.sky[2])
        if self.dark:
            for _ in range(6):
                self.c.oval(x + self.u(0.1, 0.9) * w, y + self.u(0.1, 0.9) * h, 0.005, 0.005, (255, 250, 220))
        else:
            self.c.oval(x + w * 0.7, y + h * 0.3, 0.035, 0.035, (255, 226, 120))
        self.c.stroke(pane, frame, 0.02)
        self.c.stroke(np.array([(x + w / 2, y), (x + w / 2, y + h)]), frame, 0.014, closed=False)
        self.c.stroke(np.array([(x, y + h / 2), (x + w, y + h / 2)]), frame, 0.014, closed=False)

    # -- weather in front ----------------------------------------------------
    def rain(self) -> None:
        """Slanting streaks and splashes over everything."""
        hue = (214, 236, 255) if not self.neon else (140, 246, 250)
        for _ in range(int(64 * self.c.aspect)):
            x, y, n = self.u(-0.02, self.c.aspect + 0.05), self.u(-0.05, 0.95), self.u(0.05, 0.09)
            self.c.stroke(np.array([(x, y), (x - 0.3 * n, y + n)]), hue, 0.0078, 190, closed=False)
        for _ in range(int(8 * self.c.aspect)):
            x, y = self.u(0, self.c.aspect), self.u(0.82, 0.98)
            self.c.stroke(ellipse_points(x, y, 0.03, 0.01), hue, 0.0078, 170)

    def snowfall(self) -> None:
        """Falling flakes."""
        for _ in range(int(56 * self.c.aspect)):
            r = self.u(0.006, 0.014)
            self.c.oval(self.u(0, self.c.aspect), self.u(0, 1), r, r, (255, 255, 255), 235)

    def mist(self) -> None:
        """Bands of fog in front of the land."""
        for _ in range(5):
            x, y = self.u(0, self.c.aspect), self.u(0.3, 0.9)
            self.c.oval(x, y, self.u(0.3, 0.6), self.u(0.02, 0.05), (236, 240, 240), 90)

    def notes(self, x: float, y: float, hue: RGB) -> None:
        """Music notes beside a dancer."""
        for dx, dy, s in ((-0.34, -0.1, 1.0), (0.34, -0.02, 0.8), (0.28, -0.24, 1.0)):
            px, py = x + dx, y + dy
            self.c.oval(px, py, 0.022 * s, 0.017 * s, hue)
            self.c.stroke(np.array([(px + 0.017 * s, py), (px + 0.017 * s, py - 0.085 * s), (px + 0.05 * s, py - 0.065 * s)]), hue, 0.013 * s, closed=False)
