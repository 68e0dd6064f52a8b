"""From an episode to frames: which renderer draws an environment, and the line under each frame.

A renderer is a function of a `Moment` that returns a frame, uint8 [H, W, 3], of the same size
throughout an episode. There are two ways to give an environment one:

- `register_renderer(pattern, draw)`, where `pattern` is an id, or has * and ?;
- a method `render(state, params) -> uint8 [H, W, 3]` of the environment, pure JAX, unbatched.

What is registered later comes first, then the environment's method, then those of this package;
every other environment gets `jaxrl.rendering.generic`. Brax has pages, not frames
(`jaxrl.rendering.brax`).
"""

import dataclasses
import fnmatch
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, overload

import jax
import numpy as np

from jaxrl.registry import load
from jaxrl.rendering.draw import Frame, enlarged, widened, with_bar
from jaxrl.rendering.episode import Episode, on_host

# Small pictures are enlarged up to this size; the line under them needs as much.
_SMALL = 320


class RenderError(ValueError):
    """What was asked for cannot be drawn or written; the message is one line."""


@dataclasses.dataclass(frozen=True)
class Moment:
    """A state of an episode.

    Attributes:
        env: the environment.
        params: its parameters.
        name: its id.
        episode: the episode.
        index: of the state, 0..T.
    """

    env: Any
    params: Any
    name: str
    episode: Episode
    index: int

    @property
    def state(self) -> Any:
        """The environment's state, unbatched."""
        return jax.tree.map(lambda x: x[self.index], self.episode.states)

    @property
    def observation(self) -> Any:
        """The observation of the state, unbatched."""
        return jax.tree.map(lambda x: x[self.index], self.episode.observations)


Draw = Callable[[Moment], Frame]


class Renderer(NamedTuple):
    """How an environment is drawn.

    Attributes:
        draw: gives the frame of a moment.
        fps: frames a second at which an episode is pleasant to watch.
    """

    draw: Draw
    fps: int = 30


_BUILT_IN: dict[str, tuple[str, int]] = {
    **{
        name: (f"jaxrl.rendering.classic:{function}", 30)
        for name, function in (
            ("CartPole-v1", "cartpole"),
            ("Acrobot-v1", "acrobot"),
            ("Pendulum-v1", "pendulum"),
            ("MountainCar-v0", "mountain_car"),
            ("MountainCarContinuous-v0", "mountain_car"),
        )
    },
    "*-MinAtar": ("jaxrl.rendering.minatar:board", 12),
    "CrafterOO-*": ("jaxrl.rendering.crafter_oo:picture", 10),
    "ARCLE-*": ("jaxrl.rendering.arcle:picture", 5),
    "GatherTradeBuild-*": ("jaxrl.rendering.economy:picture", 12),
    "OneStepEconomy-*": ("jaxrl.rendering.economy:one_step", 1),
}
_GENERIC = ("jaxrl.rendering.generic:picture", 12)
_PAGES = "brax/*"
_registered: list[tuple[str, Renderer]] = []


def register_renderer(pattern: str, draw: Draw, fps: int = 30) -> None:
    """Draws every environment whose id matches `pattern` with `draw`.

    Raises:
        ValueError: the pattern is empty, `draw` cannot be called, or `fps` is not positive.
    """
    if not pattern or not callable(draw) or fps < 1:
        raise ValueError(
            f"need a pattern, a function and fps >= 1, got {pattern!r}, {draw!r}, {fps}"
        )
    _registered.insert(0, (pattern, Renderer(draw, fps)))


def find_renderer(env: Any, name: str | None = None) -> Renderer:
    """The renderer of an environment; `name` is its id, by default its own name.

    Raises:
        RenderError: it has none, which is so for Brax.
    """
    name = env.name if name is None else name
    for pattern, renderer in _registered:
        if fnmatch.fnmatchcase(name, pattern):
            return renderer
    method = _method(env) or _method(getattr(env, "unwrapped", None))
    if method is not None:
        return Renderer(_from_method(method, name))
    for pattern, (target, fps) in _BUILT_IN.items():
        if fnmatch.fnmatchcase(name, pattern):
            return Renderer(load(target), fps)
    if has_page(name):
        raise RenderError(f"{name} is drawn as a page, so it needs a file that ends in .html")
    target, fps = _GENERIC
    return Renderer(load(target), fps)


def _method(env: Any) -> Callable[..., Any] | None:
    """The environment's `render`, unless it is gymnax's or Brax's own, which give no pixels."""
    method = getattr(env, "render", None)
    foreign = (getattr(method, "__module__", None) or "").partition(".")[0] in ("gymnax", "brax")
    return method if callable(method) and not foreign else None


def _from_method(method: Callable[..., Any], name: str) -> Draw:
    compiled = jax.jit(method)

    def draw(moment: Moment) -> Frame:
        try:
            return np.asarray(compiled(moment.state, moment.params))
        except (TypeError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise RenderError(
                f"render(state, params) of {name} does not give uint8[H, W, 3]: {reason}"
            ) from error

    return draw


def has_page(name: str) -> bool:
    """Whether the environment is shown by a page."""
    return fnmatch.fnmatchcase(name, _PAGES)


class Frames(Sequence[Frame]):
    """The T + 1 frames of an episode, drawn when they are asked for.

    A frame is uint8 [H, W, 3]: the renderer's picture, and under it a line with the id, the step
    and the return, which says how the episode ended.
    """

    def __init__(self, env: Any, params: Any, episode: Episode, name: str | None = None) -> None:
        """Raises RenderError where the environment has no frames."""
        self._name = env.name if name is None else name
        self._renderer = find_renderer(env, self._name)
        self._moment = Moment(env, on_host(params), self._name, episode, 0)

    def __len__(self) -> int:
        return self._moment.episode.length + 1

    @overload
    def __getitem__(self, index: int) -> Frame: ...

    @overload
    def __getitem__(self, index: slice) -> list[Frame]: ...

    def __getitem__(self, index: int | slice) -> Frame | list[Frame]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        picture = enlarged(self.picture(index), _SMALL)
        return with_bar(widened(picture, _SMALL), self._name, *self._captions(index))

    def picture(self, index: int) -> Frame:
        """The renderer's picture alone.

        Raises:
            RenderError: it is not uint8 [H, W, 3].
        """
        picture = np.asarray(self._renderer.draw(dataclasses.replace(self._moment, index=index)))
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise RenderError(
                f"the renderer of {self._name} gave {picture.dtype}{list(picture.shape)},"
                " it must give uint8[H, W, 3]"
            )
        return picture

    def _captions(self, index: int) -> tuple[str, str]:
        episode = self._moment.episode
        step = f"step {episode.first_step + index}"
        if index == episode.length and episode.terminated:
            step += ", terminated"
        elif index == episode.length and episode.truncated:
            step += ", truncated"
        return step, f"return {_number(float(episode.returns[index]))}"


def _number(value: float) -> str:
    return f"{value:.0f}" if value == round(value) else f"{value:.2f}"
