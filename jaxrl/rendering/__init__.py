"""Pictures of episodes: GIF and MP4 for most environments, an HTML page for Brax.

    env, params = jaxrl.make("CartPole-v1")
    frames = render_episode(env, params, random_act(env, params), jax.random.key(0))
    save(frames, "cartpole.gif", fps=30)

How an environment of one's own is drawn: see `jaxrl.rendering.frames`.
"""

from typing import Any

import jax
import numpy as np

from jaxrl.rendering.episode import Act, Episode, collect
from jaxrl.rendering.files import save
from jaxrl.rendering.frames import (
    Frames,
    Moment,
    Renderer,
    RenderError,
    find_renderer,
    register_renderer,
)

__all__ = [
    "Episode",
    "Frames",
    "Moment",
    "RenderError",
    "Renderer",
    "collect",
    "find_renderer",
    "register_renderer",
    "render_episode",
    "save",
]


def render_episode(
    env: Any,
    env_params: Any,
    act: Act,
    key: jax.Array,
    *,
    policy: Any = None,
    max_steps: int = 1000,
    greedy: bool = False,
    carry: Any = (),
) -> np.ndarray[Any, Any]:
    """The frames of one episode, uint8 [T + 1, H, W, 3]; T is its length.

    Long episodes take memory: `Frames(env, env_params, collect(...))` draws a frame at a time.

    Args:
        env: an environment as of `jaxrl.make`.
        env_params: its parameters.
        act: an algorithm's `act`, or `jaxrl.evaluation.random_act(env, env_params)`.
        key: the same key gives the same episode.
        policy: an algorithm state's `policy`.
        max_steps: a bound.
        greedy: the likeliest action instead of a draw.
        carry: the first carry of `act`, for a batch of one.

    Raises:
        RenderError: the environment has no frames (Brax has pages).
    """
    find_renderer(env)
    episode = collect(env, env_params, act, policy, key, max_steps, greedy, carry)
    return np.stack(list(Frames(env, env_params, episode)))
