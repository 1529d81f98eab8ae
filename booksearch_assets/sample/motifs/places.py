"""Motifs that stand or grow: buildings, plants, worlds."""

from __future__ import annotations

from booksearch_assets.sample.motifs.sketch import Sketch, Tone

FILL, LIGHT, SHADE, INK = Tone.FILL, Tone.LIGHT, Tone.SHADE, Tone.INK
PAPER, GLOW, LEAF, WOOD, HOLE = Tone.PAPER, Tone.GLOW, Tone.LEAF, Tone.WOOD, Tone.HOLE


def castle(s: Sketch) -> None:
    def battlement(left: float, right: float, y: float, tone: Tone) -> None:
        step = (right - left) / 5
        for k in (0, 2, 4):
            s.box(left + k * step, y - 6, left + (k + 1) * step, y + 1, tone)

    s.box(36, 30, 64, 96, SHADE)
    battlement(34, 66, 30, SHADE)
    s.box(34, 29, 66, 34, SHADE)
    s.box(22, 56, 78, 96, FILL)
    for x in (24, 36, 48, 60, 72):
        s.box(x - 2, 51, x + 5, 57, FILL)
    for left in (4, 74):
        s.box(left, 40, left + 22, 96, FILL)
        s.box(left - 2, 38, left + 24, 44, FILL)
        battlement(left - 2, left + 24, 38, FILL)
        s.box(left + 3, 44, left + 7, 96, LIGHT)
        s.shape(f"{left + 8},66! {left + 8},56 {left + 11},52 {left + 14},56 {left + 14},66!", INK)
    s.line("50,24 50,12 50,2", 1.8, INK)
    s.shape("50,2! 68,7! 50,12!", FILL)
    s.shape("46,48! 46,40 50,36 54,40 54,48!", GLOW)
    s.shape("40,96! 40,78 44,70 50,68 56,70 60,78 60,96!", INK)
    for x in (45, 50, 55):
        s.line(f"{x},70 {x},84 {x},96", 1.2, LIGHT)


def lighthouse(s: Sketch) -> None:
    s.shape("40,20! 2,6! 2,30! 40,24!", GLOW)
    s.shape("60,20! 98,6! 98,30! 60,24!", GLOW)
    s.shape("14,98! 20,88 32,84 50,82 68,84 80,88 88,98!", WOOD)
    s.shape("40,32! 60,32! 68,90! 32,90!", FILL)
    s.shape("38.6,42! 61.4,42! 63,54! 37,54!", PAPER)
    s.shape("35.2,66! 64.8,66! 66.4,78! 33.6,78!", PAPER)
    s.shape("56,32! 60,32! 68,90! 60,90!", SHADE)
    s.box(34, 29, 66, 34, INK)
    s.box(40, 15, 60, 29, GLOW)
    s.line("46,15 46,22 46,29", 1.6, INK)
    s.line("54,15 54,22 54,29", 1.6, INK)
    s.shape("36,16! 42,8 50,3! 58,8 64,16!", FILL)
    s.shape("45,90! 45,80 50,77 55,80 55,90!", INK)
    s.box(48, 57, 52, 63, INK)


def city(s: Sketch) -> None:
    for left, top, right in ((0, 52, 16), (30, 34, 46), (56, 46, 72), (84, 50, 100)):
        s.box(left, top, right, 97, SHADE)
    for left, top, right in ((12, 28, 32), (42, 18, 60), (68, 30, 88)):
        s.box(left, top, right, 97, FILL)
    s.shape("42,18! 51,8! 60,18!", FILL)
    s.line("51,10 51,4 51,0", 1.8, FILL)
    s.box(16, 22, 28, 28, FILL)
    s.shape("68,30! 88,18! 88,30!", LIGHT)
    s.box(12, 28, 15, 97, LIGHT)
    s.box(42, 18, 45, 97, LIGHT)
    for left, top, columns in ((17, 34, 3), (47, 24, 3), (73, 36, 3)):
        for row in range(9):
            for column in range(columns):
                y = top + row * 7
                if y < 90 and (row * 5 + column * 3 + left) % 4:
                    s.box(left + column * 4.6, y, left + column * 4.6 + 2.6, y + 3.6, GLOW)
    for left, top in ((4, 58), (35, 42), (63, 54), (92, 58)):
        for row in range(5):
            s.box(left, top + row * 8, left + 3, top + row * 8 + 3.6, PAPER)


def house(s: Sketch) -> None:
    s.box(66, 10, 78, 36, WOOD)
    s.box(64, 8, 80, 13, INK)
    s.box(16, 46, 84, 96, FILL)
    s.box(16, 86, 84, 96, SHADE)
    s.shape("2,52! 50,6! 98,52! 90,56! 50,18! 10,56!", INK)
    s.shape("16,50! 50,17! 84,50! 84,52! 16,52!", LIGHT)
    s.shape("42,96! 42,70 50,64 58,70 58,96!", WOOD)
    s.ellipse(54.5, 82, 1.5, tone=GLOW)
    for x in (22, 64):
        s.box(x, 60, x + 14, 78, PAPER)
        s.box(x + 1.5, 61.5, x + 12.5, 76.5, GLOW)
        s.line(f"{x + 7},60 {x + 7},68 {x + 7},78", 1.6, INK)
        s.line(f"{x},69 {x + 7},69 {x + 14},69", 1.6, INK)
    s.ellipse(50, 40, 6, tone=PAPER)
    s.line("50,34 50,40 50,46", 1.4, INK)
    s.line("44,40 50,40 56,40", 1.4, INK)


def bridge(s: Sketch) -> None:
    s.shape("0,44! 26,32 50,28 74,32 100,44! 100,84! 0,84!", FILL)
    s.shape("0,38! 26,26 50,22 74,26 100,38! 100,45! 74,33 50,29 26,33 0,45!", SHADE)
    s.pair("5,85! 6,64 18,51 30,64 31,85!", LIGHT)
    s.pair("8,86! 9,66 18,55 27,66 28,86!", HOLE)
    s.shape("34,85! 35,57 50,42 65,57 66,85!", LIGHT)
    s.shape("37,86! 38,59 50,46 62,59 63,86!", HOLE)
    for x, y in ((6, 36), (28, 26), (72, 26), (94, 36)):
        s.box(x - 2, y - 12, x + 2, y + 2, SHADE)
        s.ellipse(x, y - 13, 3.4, tone=GLOW)
    for y in (88, 94):
        s.line(f"2,{y} 14,{y + 2} 28,{y - 1} 44,{y + 2} 60,{y - 1} 76,{y + 2} 98,{y}", 2.6, LIGHT)


def door(s: Sketch) -> None:
    s.shape("18,98! 18,34 28,12 50,4 72,12 82,34 82,98!", SHADE)
    s.shape("24,98! 24,36 32,18 50,10 68,18 76,36 76,98!", FILL)
    s.shape("36,38! 36,30 42,22 50,20 58,22 64,30 64,38!", GLOW)
    s.line("50,20 50,30 50,38", 2, INK)
    for left in (31, 53):
        s.box(left, 46, left + 16, 66, SHADE)
        s.box(left + 2, 48, left + 16, 66, LIGHT)
        s.box(left, 76, left + 16, 92, SHADE)
        s.box(left + 2, 78, left + 16, 92, LIGHT)
    s.ellipse(70, 71, 3.2, tone=GLOW)
    s.ellipse(70, 71, 1.4, tone=INK)
    s.box(10, 95, 90, 99, INK)


def planet(s: Sketch) -> None:
    s.ellipse(50, 50, 49, 13, LIGHT, -18)
    s.ellipse(50, 50, 42, 9, HOLE, -18)
    s.ellipse(50, 50, 30)
    s.shape("24,38 40,34 60,26 70,30 62,36 40,42 22,46", LIGHT)
    s.shape("21,58 40,58 62,50 80,44 79,54 60,62 40,68 26,68", SHADE)
    s.ellipse(42, 74, 4, 2.4, LIGHT, -18)
    s.line("3.5,65 14,68 34,68 58,62 80,51 95,39", 5, LIGHT, 5)
    s.line("4,66 20,69 50,65 80,51 95,38", 1.2, INK)
    for x, y in ((12, 18), (88, 84), (84, 14)):
        s.shape(f"{x},{y - 5}! {x + 1.4},{y}! {x},{y + 5}! {x - 1.4},{y}!", PAPER)
        s.shape(f"{x - 5},{y}! {x},{y - 1.4}! {x + 5},{y}! {x},{y + 1.4}!", PAPER)


def tree(s: Sketch) -> None:
    s.shape("44,50! 45,76 38,90 28,98! 72,98! 62,90 55,76 56,50!", WOOD)
    s.line("50,66 40,58 32,50", 4, WOOD)
    s.line("51,62 60,56 68,48", 4, WOOD)
    for x, y, r in ((24, 44, 19), (76, 44, 19), (50, 50, 18), (34, 26, 20), (66, 26, 20), (50, 18, 17)):
        s.ellipse(x, y, r)
    for x, y, r in ((28, 22, 10), (46, 12, 9), (18, 40, 9), (62, 20, 8)):
        s.ellipse(x, y, r, tone=LIGHT)
    for path in ("34,60 50,66 64,60 76,62 88,56", "40,42 48,46 56,42", "66,40 74,44 82,38"):
        s.line(path, 2.6, SHADE)
    s.line("48,72 49,82 46,92", 1.4, INK)


def mushroom(s: Sketch) -> None:
    s.shape("40,52! 41,76 34,96! 66,96! 59,76 60,52!", PAPER)
    s.shape("54,56! 54,76 56,96! 66,96! 59,76 60,54!", Tone.GLOW)
    s.shape("4,54! 8,26 28,6 50,3 72,6 92,26 96,54! 74,62 50,64 26,62")
    s.shape("4,54! 26,50 50,49 74,50 96,54! 74,62 50,64 26,62", SHADE)
    for x, y, rx, ry in (
        (50, 20, 9, 7),
        (26, 32, 7, 8),
        (74, 32, 7, 8),
        (50, 40, 5, 4),
        (34, 14, 3.5, 3),
        (66, 14, 3.5, 3),
    ):
        s.ellipse(x, y, rx, ry, PAPER)
    s.shape("36,66! 44,62 56,62 64,66! 60,72 50,70 40,72", LIGHT)
    for blade in ("22,98 24,90 18,84", "28,98 28,90 30,84", "72,98 72,90 70,84", "78,98 76,90 82,86"):
        s.line(blade, 2.6, LEAF, 1)


def rose(s: Sketch) -> None:
    s.line("50,56 52,76 48,98", 4.4, LEAF)
    s.shape("50,82! 62,66 82,64 90,70! 78,82 62,84", LEAF)
    s.shape("50,90! 40,76 24,72 12,78! 22,90 38,92", LEAF)
    s.pair("50,62! 40,64 30,60 24,50! 38,50", LEAF)
    s.shape("50,58 34,58 20,46 18,30 26,16 40,8 50,4 62,8 76,16 82,30 80,46 66,58", SHADE)
    s.shape("50,58 32,56 22,42 22,28! 34,34 46,46", FILL)
    s.shape("50,58 68,56 78,42 78,28! 66,34 54,46", FILL)
    s.shape("28,26 36,12 50,8 64,12 72,26 66,42 50,48 34,42", FILL)
    s.shape("50,58 40,50 28,36! 44,40 60,38 72,34! 64,48", LIGHT)
    s.ellipse(50, 25, 14, 11, SHADE)
    s.ellipse(51, 26, 10, 8, LIGHT)
    s.line("45,28 48,21 56,22 57,28 50,31", 2.4, SHADE)


def apple(s: Sketch) -> None:
    s.line("50,28 51,16 58,4", 5, WOOD)
    s.shape("54,20! 62,6 80,2 92,6! 84,20 68,26", LEAF)
    s.line("56,19 70,14 88,7", 1.4, INK)
    s.shape("50,26 36,20 18,26 8,48 16,78 34,97 50,92 66,97 84,78 92,48 82,26 64,20")
    s.shape("66,97 84,78 92,48 82,26 84,50 76,76 60,90", SHADE)
    s.shape("18,54 20,38 30,28 34,32 26,42 24,58", LIGHT)
    s.line("42,26 50,31 58,26", 2.4, SHADE)


DRAWN = (castle, lighthouse, city, house, bridge, door, planet, tree, mushroom, rose, apple)
