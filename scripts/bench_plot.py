# SPDX-License-Identifier: MIT
"""A sweep as an SVG plot: cost against size, both axes logarithmic, one line for each port."""
import math
import os

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 640, 400, 70, 40, 90, 50
LINE = 14  # of text
COLOURS = {"x86_64": "#1f5fa8", "arm64": "#b5541c", "riscv64": "#2f7d3b", "limit": "#888888"}


def ticks(least, most):
    """The powers of ten, with 2 and 5 times them where there is room, from least to most."""
    steps = (1, 2, 5) if most / least < 200 else (1,)
    low, high = math.floor(math.log10(least)), math.ceil(math.log10(most))
    return [s * 10 ** e for e in range(low, high + 1) for s in steps
            if least * 0.99 <= s * 10 ** e <= most * 1.01]


class Axis:
    def __init__(self, values, start, end):
        self.low, self.high = math.log(min(values)), math.log(max(values))
        if self.high - self.low < 0.7:  # a flat line shall look flat
            self.low, self.high = self.low - 0.5, self.high + 0.5
        self.start, self.end = start, end

    def at(self, value):
        part = (math.log(value) - self.low) / (self.high - self.low)
        return round(self.start + part * (self.end - self.start), 1)


def number(value):
    return f"{value:,.0f}" if value >= 10 else f"{value:g}"


def svg(title, lines):
    """lines: {name: [(x, y), ...]}, every number above 0."""
    xs = [x for points in lines.values() for x, _ in points]
    ys = [y for points in lines.values() for _, y in points]
    across = Axis(xs, LEFT, WIDTH - RIGHT)
    up = Axis(ys, HEIGHT - BOTTOM, TOP)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
           'font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
           f'<text x="{LEFT}" y="20" font-size="14">{title}</text>']
    for x in ticks(math.exp(across.low), math.exp(across.high)):
        out.append(f'<path d="M{across.at(x)} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>'
                   f'<text x="{across.at(x)}" y="{HEIGHT - BOTTOM + 18}" '
                   f'text-anchor="middle">{number(x)}</text>')
    for y in ticks(math.exp(up.low), math.exp(up.high)):
        out.append(f'<path d="M{LEFT} {up.at(y)}H{WIDTH - RIGHT}" stroke="#ddd"/>'
                   f'<text x="{LEFT - 6}" y="{up.at(y) + 4}" '
                   f'text-anchor="end">{number(y)}</text>')
    taken = []
    for name, points in lines.items():
        colour = COLOURS.get(name, "#000")
        path = "L".join(f"{across.at(x)} {up.at(y)}" for x, y in points)
        beside = up.at(points[-1][1]) + 4
        while any(abs(beside - other) < LINE for other in taken):  # lines that end together
            beside = round(beside + 1, 1)
        taken.append(beside)
        out.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
                   f'<text x="{WIDTH - RIGHT + 6}" y="{beside}" fill="{colour}">{name}</text>')
    return "\n".join(out + ["</svg>"]) + "\n"


def write(path, title, lines):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(svg(title, lines))
