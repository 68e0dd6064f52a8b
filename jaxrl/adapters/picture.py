"""The picture of the moment in which an environment on the host is."""

from typing import Any, Protocol

import gymnasium

from jaxrl.rendering.episode import moment_only
from jaxrl.rendering.frames import Frames


class Shown(Protocol):
    """What an adapter with `render` has: its environment, and where the episode is."""

    render_mode: Any
    _env: Any
    _params: Any
    _id: str
    _state: Any
    _obs: Any
    _time: int
    _return: float


def current_picture(adapter: Shown) -> Any:
    """The frame of the current state, uint8 [H, W, 3]; None, with a warning, without a mode.

    Raises:
        gymnasium.error.ResetNeeded: no episode has begun.
    """
    if adapter.render_mode is None:
        gymnasium.logger.warn("render() needs render_mode='rgb_array' at construction")
        return None
    if adapter._state is None:
        raise gymnasium.error.ResetNeeded("call reset before render")
    moment = moment_only(adapter._state, adapter._obs, adapter._time, adapter._return)
    return Frames(adapter._env, adapter._params, moment, adapter._id)[0]
