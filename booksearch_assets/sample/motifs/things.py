"""Motifs that a hand can hold, wear or read by, and the emblems drawn of them."""

from __future__ import annotations

import math

from booksearch_assets.sample.motifs.sketch import Sketch, Tone, mirrored

FILL, LIGHT, SHADE, INK = Tone.FILL, Tone.LIGHT, Tone.SHADE, Tone.INK
PAPER, GLOW, WOOD, HOLE = Tone.PAPER, Tone.GLOW, Tone.WOOD, Tone.HOLE


def crown(s: Sketch) -> None:
    s.shape("12,82! 4,28! 26,54! 36,16! 44,40! 50,10! 56,40! 64,16! 74,54! 96,28! 88,82!")
    s.shape("12,82! 4,28! 14,44! 22,82!", LIGHT)
    s.shape("11,74! 50,78 89,74! 88,92! 50,96 12,92!", SHADE)
    for x, y in ((4, 26), (36, 14), (50, 8), (64, 14), (96, 26)):
        s.ellipse(x, y, 4.4, tone=LIGHT)
    for x, tone in ((24, PAPER), (50, GLOW), (76, PAPER)):
        s.shape(f"{x - 6},84! {x},79! {x + 6},84! {x},90!", tone)
    for x in (37, 63):
        s.ellipse(x, 85, 2.6, tone=PAPER)
    s.shape("50,48! 56,58! 50,68! 44,58!", PAPER)


def sword(s: Sketch) -> None:
    s.shape("50,0! 58,10! 57,66! 43,66! 42,10!", FILL)
    s.shape("50,0! 58,10! 57,66! 50,66!", LIGHT)
    s.line("50,12 50,40 50,58", 2.4, SHADE)
    s.shape("18,60 26,66 50,64 74,66 82,60 84,70 74,76 50,73 26,76 16,70", SHADE)
    s.ellipse(22, 68, 4.4, tone=GLOW)
    s.ellipse(78, 68, 4.4, tone=GLOW)
    s.box(46, 72, 54, 90, WOOD)
    for y in (75, 80, 85):
        s.line(f"46,{y + 2} 50,{y + 1} 54,{y}", 1.6, INK)
    s.ellipse(50, 94, 6, tone=FILL)
    s.ellipse(50, 94, 2.6, tone=GLOW)


def candle(s: Sketch) -> None:
    s.ellipse(50, 18, 19, 19, PAPER)
    s.shape("50,0! 58,12 60,22 56,30 50,33 44,30 40,22 43,12", GLOW)
    s.shape("50,14! 54,22 53,29 50,31 47,29 46,22", PAPER)
    s.line("50,38 50,34 50,28", 1.8, INK)
    s.box(38, 40, 62, 82, FILL)
    s.ellipse(50, 40, 12, 3.6, LIGHT)
    s.shape("38,40! 46,42! 46,54 43,58 41,54! 41,66 38,68!", LIGHT)
    s.box(56, 42, 62, 82, SHADE)
    s.shape("14,80! 86,80! 80,90 66,94 34,94 20,90", WOOD)
    s.arc(86, 84, 8, -120, 120, 4, WOOD)
    s.ellipse(50, 80, 30, 3.6, SHADE)
    s.box(38, 70, 62, 81, FILL)
    s.box(56, 70, 62, 81, SHADE)
    s.box(30, 93, 70, 98, WOOD)


def key(s: Sketch) -> None:
    s.ring(50, 20, 15, 8)
    s.ellipse(50, 2.5, 4)
    s.pair("32,14 22,20 32,26")
    s.box(44, 36, 56, 42, SHADE)
    s.box(45.5, 38, 54.5, 96)
    s.box(42, 46, 58, 50, SHADE)
    s.box(54, 74, 74, 81)
    s.box(54, 87, 78, 94)
    s.box(68, 71, 74, 83)
    s.box(71, 84, 78, 97)
    s.box(46.5, 50, 49, 94, LIGHT)
    s.arc(50, 20, 15, 150, 290, 2.6, LIGHT)


def book(s: Sketch) -> None:
    """An open book, seen from the front."""
    s.shape("50,30! 30,16 2,20! 2,86! 30,84 50,94! 70,84 98,86! 98,20! 70,16", FILL)
    s.shape("50,34! 30,20 7,22! 7,80! 30,78 50,88! 70,78 93,80! 93,22! 70,20", SHADE)
    s.shape("50,32! 32,18 10,20! 10,76! 32,75 50,84!", PAPER)
    s.shape("50,32! 68,18 90,20! 90,76! 68,75 50,84!", PAPER)
    s.line("50,32 50,60 50,84", 2, INK)
    for k in range(5):
        y = 30 + k * 9
        for path in (f"17,{y} 30,{y - 1} 43,{y + 7}",):
            s.line(path, 2.2, FILL)
            s.line(mirrored(path), 2.2, FILL)
    s.shape("60,82! 60,98! 64,93! 68,98! 68,78!", FILL)


def clock(s: Sketch) -> None:
    """A pocket watch with its bow and crown."""
    s.ring(50, 8, 7, 3.4, SHADE)
    s.box(45, 13, 55, 22, SHADE)
    s.ellipse(50, 59, 40)
    s.arc(50, 59, 36, 170, 300, 3, LIGHT)
    s.ellipse(50, 59, 32, tone=SHADE)
    s.ellipse(50, 59, 30, tone=PAPER)
    for hour in range(12):
        angle = math.radians(30 * hour)
        x, y = math.sin(angle), -math.cos(angle)
        inner = 22 if hour % 3 == 0 else 25
        s.line(
            f"{50 + inner * x},{59 + inner * y} {50 + 26 * x},{59 + 26 * y} {50 + 28 * x},{59 + 28 * y}",
            2.6 if hour % 3 == 0 else 1.6,
            SHADE,
        )
    s.line("50,59 44,49 40,43", 3.6, FILL)
    s.line("50,59 60,49 68,41", 2.6, FILL)
    s.ellipse(50, 59, 3.6, tone=FILL)


def hourglass(s: Sketch) -> None:
    s.shape(
        "26,12! 26,30 44,46 46,50! 44,54 26,70 26,88! 74,88! 74,70 56,54 54,50! 56,46 74,30 74,12!", PAPER
    )
    s.shape("31,28! 69,28! 66,34 54,45 50,48 46,45 34,34", FILL)
    s.box(49, 46, 51, 84, FILL)
    s.shape("28,88! 30,80 42,74 50,66! 58,74 70,80 72,88!", FILL)
    for y in (2, 87):
        s.box(14, y, 86, y + 11, FILL)
        s.box(14, y + 7, 86, y + 11, SHADE)
        s.box(14, y, 86, y + 2.5, LIGHT)
    for x in (17, 77):
        s.box(x, 13, x + 6, 87, FILL)
        s.box(x, 46, x + 6, 54, SHADE)
    s.line("30,18 31,26 36,34", 2, LIGHT)


def umbrella(s: Sketch) -> None:
    s.line("50,4 50,2 50,0", 3, SHADE)
    s.line("50,10 50,60 50,84", 3.6, WOOD)
    s.arc(57, 85, 7, 0, 180, 4, WOOD)
    s.shape("2,54! 8,26 28,8 50,4 72,8 92,26 98,54! 90,48 80,48 72,55! 62,48 50,46 38,48 28,55! 20,48 10,48")
    s.shape("28,55! 30,30 40,12 50,4! 60,12 70,30 72,55! 62,48 50,46 38,48", LIGHT)
    s.shape("50,4! 72,8 92,26 98,54! 90,48 80,48 72,55! 70,30 60,12", SHADE)
    for rib in ("50,4 34,22 28,54", "50,4 66,22 72,54"):
        s.line(rib, 1.6, INK)


def lantern(s: Sketch) -> None:
    s.ring(50, 11, 9, 3.4, SHADE)
    s.shape("40,18! 60,18! 76,32! 24,32!", FILL)
    s.box(22, 31, 78, 37, SHADE)
    s.shape("28,37! 72,37! 68,84! 32,84!", PAPER)
    s.ellipse(50, 62, 15, 18, GLOW)
    s.shape("50,46! 56,58 56,68 50,72 44,68 44,58", FILL)
    s.box(45, 72, 55, 84, SHADE)
    s.shape("26,37! 33,37! 38,84! 31,84!", FILL)
    s.shape("74,37! 67,37! 62,84! 69,84!", FILL)
    s.shape("48.4,37! 51.6,37! 51.6,46! 48.4,46!", FILL)
    s.box(24, 83, 76, 91, FILL)
    s.box(18, 90, 82, 98, SHADE)
    s.shape("42,20! 47,20! 36,30! 29,30!", LIGHT)


def anchor(s: Sketch) -> None:
    s.ring(50, 10, 7.5, 4.4)
    s.box(45, 16, 55, 92)
    s.box(24, 26, 76, 34)
    s.ellipse(24, 30, 5)
    s.ellipse(76, 30, 5)
    s.line("10,62 18,80 34,90 50,93 66,90 82,80 90,62", 9)
    s.pair("2,72! 9,50! 24,66!")
    s.shape("44,90! 50,99! 56,90!")
    s.box(46.5, 18, 49, 88, LIGHT)
    s.line("18,78 34,88 50,91 66,88 82,78", 2, SHADE)
    s.line("52,12 64,22 58,38 40,48 44,64 62,70 60,82", 2.6, WOOD)


def compass(s: Sketch) -> None:
    """A compass rose: eight points and a ring."""
    s.ring(50, 50, 31, 4, SHADE)
    for turn in (45, 135, 225, 315):
        _ray(s, turn, 36, 9, LIGHT, SHADE)
    for turn in (0, 90, 180, 270):
        _ray(s, turn, 49, 11, FILL, SHADE)
    s.ellipse(50, 50, 6.5, tone=PAPER)
    s.ellipse(50, 50, 3, tone=INK)


def _ray(s: Sketch, turn: float, length: float, half: float, left: Tone, right: Tone) -> None:
    angle = math.radians(turn)
    tip = (50 + length * math.sin(angle), 50 - length * math.cos(angle))
    for side, tone in ((-1, left), (1, right)):
        a = angle + side * math.radians(45)
        s.shape(f"50,50! {50 + half * math.sin(a)},{50 - half * math.cos(a)}! {tip[0]},{tip[1]}!", tone)


def mask(s: Sketch) -> None:
    """A carnival half mask with feathers."""
    for path, tone in (("44,34 38,16 26,4", LIGHT), ("47,32 44,14 38,2", SHADE)):
        s.line(path, 3, tone, 9)
        s.line(mirrored(path), 3, tone, 9)
    s.line("50,34 50,18 50,6", 3, FILL, 10)
    s.shape("50,36 34,30 16,30 2,22! 2,46 12,66 28,76 42,70 50,60 58,70 72,76 88,66 98,46 98,22! 84,30 66,30")
    s.pair("6,28! 18,35 32,36 46,40! 32,42 14,42", LIGHT)
    s.pair("14,52 24,44 38,48 42,56 30,62 20,60", INK)
    s.pair("12,66 28,76 42,70 50,60! 42,66 28,70", SHADE)
    s.shape("50,38! 55,46! 50,54! 45,46!", GLOW)
    for x in (10, 90):
        s.line(f"{x},62 {x},80 {x + (4 if x < 50 else -4)},98", 2.4, SHADE)


def heart(s: Sketch) -> None:
    s.shape("50,22! 42,8 26,4 10,12 3,30 10,54 28,76 50,96! 72,76 90,54 97,30 90,12 74,4 58,8")
    s.shape("50,96! 72,76 90,54 97,30 90,12 90,34 78,60", SHADE)
    s.shape("14,36 14,22 24,13 34,14 24,22 20,38", LIGHT)


def eye(s: Sketch) -> None:
    for path in ("24,28 18,18 14,10", "38,20 35,10 34,2", "50,18 50,8 50,0"):
        s.line(path, 4, FILL, 2)
        s.line(mirrored(path), 4, FILL, 2)
    s.shape("0,54! 18,32 36,20 50,18 64,20 82,32 100,54! 82,74 64,84 50,86 36,84 18,74", FILL)
    s.shape("8,54! 24,38 38,30 50,28 62,30 76,38 92,54! 76,68 62,75 50,77 38,75 24,68", PAPER)
    s.ellipse(50, 52, 22.5, tone=SHADE)
    s.ellipse(50, 52, 20, tone=FILL)
    for k in range(12):
        a = math.tau * k / 12
        x, y = math.cos(a), math.sin(a)
        s.line(
            f"{50 + 11 * x},{52 + 11 * y} {50 + 14 * x},{52 + 14 * y} {50 + 18 * x},{52 + 18 * y}", 1.6, LIGHT
        )
    s.ellipse(50, 52, 9.5, tone=INK)
    s.ellipse(56, 45, 4, tone=PAPER)


def teapot(s: Sketch) -> None:
    s.shape("70,66! 84,60 86,44 100,32! 94,28! 80,34 74,46 66,50!", FILL)
    s.arc(20, 58, 16, 70, 290, 6.5, FILL)
    s.shape("18,60 22,42 36,34 50,32 64,34 78,42 82,60 74,82 62,92! 38,92! 26,82")
    s.shape("30,38! 34,26 50,22 66,26 70,38! 50,41", SHADE)
    s.ellipse(50, 18, 5.5, 5)
    s.shape("74,82 62,92! 38,92! 56,86 70,72 76,50 82,60", SHADE)
    s.shape("28,60 30,48 38,42 40,46 34,54 33,64", LIGHT)
    s.box(34, 90, 66, 96, SHADE)
    s.shape("50,54! 58,64! 50,74! 42,64!", PAPER)
    for x, y in ((94, 16), (98, 6)):
        s.line(f"{x},{y + 8} {x - 3},{y + 3} {x},{y - 3}", 2, PAPER)


def violin(s: Sketch) -> None:
    s.box(46.5, 6, 53.5, 50, INK)
    s.shape("44,12! 44,4 50,0 56,4 56,12!", SHADE)
    for y in (6, 10):
        s.line(f"40,{y} 50,{y} 60,{y}", 2.4, SHADE)
    s.shape(
        "50,36 40,36 31,42 31,52 37,59 37,65 30,70 26,80 30,92 42,98 58,98 70,92 74,80 70,70 63,65 63,59 "
        "69,52 69,42 60,36"
    )
    s.shape(
        "60,36 69,42 69,52 63,59 63,65 70,70 74,80 70,92 58,98 66,88 67,78 58,68 58,57 64,50 64,42", SHADE
    )
    s.shape("36,44 41,40 44,41 38,46 36,52", LIGHT)
    s.shape("31,84 32,76 37,72 36,80", LIGHT)
    s.shape("46.5,36! 53.5,36! 54,62! 46,62!", INK)
    s.shape("45,84! 55,84! 53,95! 47,95!", INK)
    s.box(42, 72, 58, 75, PAPER)
    for x in (48.6, 51.4):
        s.line(f"{x},12 {x},50 {x},86", 0.9, PAPER)
    s.line("41,66 39,72 41,80", 1.8, INK)
    s.line("59,66 61,72 59,80", 1.8, INK)
    s.line("90,14 84,54 78,94", 2.4, WOOD)
    s.line("93,16 87,54 80,94", 1, PAPER)


def revolver(s: Sketch) -> None:
    s.shape("32,28! 98,28! 98,42! 60,42! 58,46! 32,46!", FILL)
    s.shape("90,28! 90,22! 95,22! 97,28!", SHADE)
    s.box(60, 30, 98, 33, LIGHT)
    s.box(62, 42, 92, 46, SHADE)
    s.shape("16,34! 18,28 32,26! 58,28! 58,52! 36,56! 24,44!", FILL)
    s.shape("14,24! 10,18! 16,16! 26,28! 20,32!", SHADE)
    s.arc(48, 56, 9, -20, 180, 3, FILL)
    s.line("47,52 46,57 49,61", 2.6, SHADE)
    s.shape("16,34! 34,46! 32,62 28,78 32,90! 10,94! 4,84 8,70 16,54!", WOOD)
    s.line("16,60 14,72 14,86", 1.6, INK)
    s.line("24,58 21,72 22,86", 1.6, INK)
    s.ellipse(18, 78, 2.6, tone=GLOW)
    s.box(36, 28, 58, 52, SHADE)
    for y in (31, 38, 45):
        s.box(38, y, 56, y + 4, LIGHT)


def ring(s: Sketch) -> None:
    s.ring(50, 66, 28, 9)
    s.arc(50, 66, 29.5, 120, 235, 2.6, LIGHT)
    s.arc(50, 66, 29.5, -40, 70, 2.6, SHADE)
    s.shape("38,34! 62,34! 58,42! 42,42!", SHADE)
    s.shape("34,2! 66,2! 78,14! 50,38! 22,14!", FILL)
    s.shape("34,2! 40,14! 22,14!", LIGHT)
    s.shape("66,2! 60,14! 78,14!", SHADE)
    s.shape("40,14! 50,2! 60,14!", PAPER)
    s.shape("22,14! 40,14! 50,38!", SHADE)
    s.shape("40,14! 60,14! 50,38!", LIGHT)


def feather(s: Sketch) -> None:
    """A quill, its vane split here and there."""
    s.shape(
        "94,2! 90,24 84,40! 78,36! 80,46 72,58! 64,52! 66,62 56,72! 48,66! 50,74 42,80 32,82! "
        "24,80 22,66 28,54! 36,58! 32,48 40,36! 48,40! 46,28 60,16! 66,20! 68,10 80,4"
    )
    s.shape(
        "94,2! 90,24 84,40! 78,36! 80,46 72,58! 64,52! 66,62 56,72! 48,66! 50,74 42,80 32,82! 58,48 76,24",
        SHADE,
    )
    for barb in ("76,20 68,20 62,24", "64,34 56,34 50,37", "52,48 44,48 38,52", "42,60 35,61 29,65"):
        s.line(barb, 1.4, LIGHT)
    s.line("94,2 76,24 58,48 32,82", 2.4, PAPER)
    s.line("33,80 20,92 8,99", 4, INK, 1.2)


DRAWN = (
    crown,
    sword,
    candle,
    key,
    book,
    clock,
    hourglass,
    umbrella,
    lantern,
    anchor,
    compass,
    mask,
    heart,
    eye,
    teapot,
    violin,
    revolver,
    ring,
    feather,
)
