"""Brax episodes as a page: Brax's own viewer with the trajectory inside.

The page loads the viewer's scripts from the network when it is opened, as Brax's do.
"""

import html
import types
from typing import Any

from jaxrl.adapters.brax_boundary import boundary, load_class
from jaxrl.rendering.episode import Episode

_CAPTION = (
    '<div style="position:fixed;left:0;bottom:0;right:0;padding:5px 12px;z-index:1;'
    'font:13px sans-serif;color:#eceff1;background:#22303c">{text}</div>'
)


def page(env: Any, episodes: list[Episode], name: str) -> str:
    """The HTML of one or more episodes of a Brax environment, one after the other.

    Args:
        env: a `jaxrl.adapters.brax.BraxAdapter`.
        episodes: of that environment.
        name: shown below the picture, with the lengths and the returns.
    """
    render = load_class("brax.io.html:render")
    base = load_class("brax.base:Transform")
    states = []
    for episode in episodes:
        where = episode.states.brax.pipeline_state.x
        states += [
            types.SimpleNamespace(x=base(pos=pos, rot=rot))
            for pos, rot in zip(where.pos, where.rot, strict=True)
        ]
    with boundary():
        system = env.unwrapped.sys.tree_replace({"opt.timestep": env.unwrapped.dt})
        text = str(render(system, states, height="100vh", colab=False))
    caption = html.escape(f"{name} ({env.backend}): " + "; ".join(map(_caption, episodes)))
    text = text.replace("<title>Brax visualizer</title>", f"<title>{caption}</title>")
    return text.replace("<body>", "<body>\n" + _CAPTION.format(text=caption), 1)


def _caption(episode: Episode) -> str:
    ending = {(True, False): ", terminated", (False, True): ", truncated"}.get(
        (episode.terminated, episode.truncated), ""
    )
    return f"{episode.length} steps{ending}, return {float(episode.returns[-1]):.1f}"
