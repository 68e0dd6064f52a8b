"""The classic control tasks, drawn from state and parameters.

Conventions of direction are gymnasium's: a positive pole angle leans to the right, a positive
pendulum angle to the left, and the acrobot's angles are counted from hanging down. One unit of
length is the same number of pixels everywhere in a picture.
"""

import math
from typing import Any

import numpy as np

from jaxrl.rendering.draw import (
    BLUE,
    GREEN,
    GROUND,
    INK,
    MUTED,
    ORANGE,
    PAPER,
    RED,
    Canvas,
    Frame,
    Point,
)
from jaxrl.rendering.frames import Moment

WIDTH, HEIGHT = 480, 300
_TRACK_Y = 225.0
_CART = (56.0, 30.0)


def cartpole(moment: Moment) -> Frame:
    """The cart on its track, which ends (ticks) where the episode does."""
    state, params = moment.state, moment.params
    limit, pole = float(params.x_threshold), 2 * float(params.length)
    scale = min(WIDTH / (2.25 * limit), 170 / pole)
    canvas = Canvas(WIDTH, HEIGHT)
    canvas.box(0, _TRACK_Y, WIDTH, HEIGHT, GROUND)
    canvas.line([(0, _TRACK_Y), (WIDTH, _TRACK_Y)], MUTED, 2)
    for side in (-1, 1):
        x = WIDTH / 2 + side * limit * scale
        canvas.line([(x, _TRACK_Y - 7), (x, _TRACK_Y + 7)], RED, 2)
    x = WIDTH / 2 + float(state.x) * scale
    wide, high = _CART
    for side in (-1, 1):
        canvas.disc((x + side * wide / 3.4, _TRACK_Y - 7), 7, INK)
    axle = (x, _TRACK_Y - 10 - high / 2)
    canvas.box(x - wide / 2, axle[1] - high / 2, x + wide / 2, axle[1] + high / 2, BLUE, 5)
    theta = float(state.theta)
    tip = (axle[0] + pole * scale * math.sin(theta), axle[1] - pole * scale * math.cos(theta))
    canvas.line([axle, tip], ORANGE, 9)
    canvas.disc(axle, 5, PAPER)
    return canvas.pixels()


def acrobot(moment: Moment) -> Frame:
    """Two links from a fixed pivot, and the height that the end has to pass."""
    state, params = moment.state, moment.params
    first, second = float(params.link_length_1), float(params.link_length_2)
    scale = 0.45 * HEIGHT / (first + second)
    pivot = (WIDTH / 2, HEIGHT / 2)
    angle_1 = float(state.joint_angle1)
    angle_2 = angle_1 + float(state.joint_angle2)
    elbow = _hanging(pivot, first * scale, angle_1)
    end = _hanging(elbow, second * scale, angle_2)
    canvas = Canvas(WIDTH, HEIGHT)
    # gymnax ends the episode above 1, whatever the lengths.
    goal = pivot[1] - 1.0 * scale
    for x in range(40, WIDTH - 40, 16):
        canvas.line([(x, goal), (x + 8, goal)], GREEN, 2)
    canvas.line([pivot, elbow], BLUE, 11)
    canvas.line([elbow, end], ORANGE, 11)
    for joint in (pivot, elbow):
        canvas.disc(joint, 8, INK)
        canvas.disc(joint, 4, PAPER)
    return canvas.pixels()


def _hanging(origin: Point, length: float, angle: float) -> Point:
    return (origin[0] + length * math.sin(angle), origin[1] + length * math.cos(angle))


def pendulum(moment: Moment) -> Frame:
    """A rod from a fixed pivot, and a gauge of the torque."""
    state, params = moment.state, moment.params
    length = float(params.l)
    scale = min(105.0, 115 / length)
    pivot = (WIDTH / 2, HEIGHT / 2 - 12)
    theta = float(state.theta)
    end = (
        pivot[0] - length * scale * math.sin(theta),
        pivot[1] - length * scale * math.cos(theta),
    )
    canvas = Canvas(WIDTH, HEIGHT)
    canvas.disc(pivot, length * scale + 2, GROUND)
    canvas.disc(pivot, length * scale, PAPER)
    canvas.line([pivot, end], ORANGE, 15)
    canvas.disc(pivot, 9, INK)
    canvas.disc(pivot, 4, PAPER)
    _gauge(canvas, float(state.last_u) / float(params.max_torque))
    return canvas.pixels()


def _gauge(canvas: Canvas, part: float) -> None:
    """The torque, -1..1 of the largest, to the left and right of the middle."""
    middle, top, reach = WIDTH / 2, HEIGHT - 22.0, 110.0
    part = min(1.0, max(-1.0, part))
    canvas.box(middle - reach, top, middle + reach, top + 8, GROUND, 4)
    # Positive torque turns to the left, as positive angles do.
    ends = sorted((middle, middle - part * reach))
    canvas.box(ends[0], top, ends[1], top + 8, BLUE, 4 if abs(part) > 0.1 else 0)
    canvas.line([(middle, top - 3), (middle, top + 11)], INK, 1.5)
    canvas.text((middle - reach - 10, top + 4), "torque", 12, INK, "rm")


def mountain_car(moment: Moment) -> Frame:
    """A car in its valley and the flag it has to reach, for both kinds of actions."""
    state, params = moment.state, moment.params
    low, high = float(params.min_position), float(params.max_position)
    scale = WIDTH / (high - low)
    # The hills are between 0.1 and 1 high; they are drawn lower than wide.
    lift = 215.0

    def at(position: float) -> Point:
        return ((position - low) * scale, HEIGHT - 20 - lift * _height(position))

    canvas = Canvas(WIDTH, HEIGHT)
    hills = [at(position) for position in np.linspace(low, high, 121).tolist()]
    canvas.polygon([(0, HEIGHT), *hills, (WIDTH, HEIGHT)], GROUND)
    canvas.line(hills, MUTED, 2.5)
    foot = at(float(params.goal_position))
    canvas.line([foot, (foot[0], foot[1] - 42)], INK, 2.5)
    x, y = foot[0], foot[1] - 42
    canvas.polygon([(x, y), (x - 24, y + 8), (x, y + 16)], GREEN)
    position = float(state.position)
    slope = math.atan2(lift * 0.45 * 3 * math.cos(3 * position), scale)
    _car(canvas, at(position), slope)
    return canvas.pixels()


def _height(position: float) -> float:
    """Of the hills, as in gymnasium's picture: its slope is the gravity of the dynamics."""
    return 0.45 * math.sin(3 * position) + 0.55


def _car(canvas: Canvas, foot: Point, slope: float) -> None:
    along, up = (math.cos(slope), -math.sin(slope)), (-math.sin(slope), -math.cos(slope))

    def place(right: float, above: float) -> Point:
        return (
            foot[0] + right * along[0] + above * up[0],
            foot[1] + right * along[1] + above * up[1],
        )

    body = [(-21, 7), (21, 7), (21, 17), (11, 19), (6, 27), (-10, 27), (-17, 19), (-21, 17)]
    canvas.polygon([place(*corner) for corner in body], BLUE)
    for side in (-12, 12):
        canvas.disc(place(side, 6), 6, INK)
        canvas.disc(place(side, 6), 2.2, PAPER)


RENDERERS: dict[str, Any] = {
    "CartPole-v1": cartpole,
    "Acrobot-v1": acrobot,
    "Pendulum-v1": pendulum,
    "MountainCar-v0": mountain_car,
    "MountainCarContinuous-v0": mountain_car,
}
