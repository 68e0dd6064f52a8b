"""What `jaxrl render` does: episodes of a run, or of an environment, into one file."""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax

from jaxrl import checkpoint, registry, run_folder
from jaxrl.config import check_seeds, parse_overrides
from jaxrl.evaluation import random_act
from jaxrl.rendering.episode import Act, Episode, collect
from jaxrl.rendering.files import SUFFIXES, check_fps, check_path, save
from jaxrl.rendering.frames import Frame, Frames, RenderError, find_renderer, has_page

_PAGE = ".html"


@dataclasses.dataclass(frozen=True)
class Request:
    """What to draw.

    Attributes:
        target: a run folder, or an environment id.
        out: the file; its ending says what is written. Chosen if None.
        overwrite: replace an earlier file.
        policy: "trained" or "random"; by default "trained" for a run.
        which_seed: seed of the run whose policy plays, the first if None.
        best: the checkpoint with the highest training return instead of the newest good one.
        greedy: the likeliest action instead of a draw.
        seed: of the episodes.
        episodes: how many, one after the other.
        max_steps: of each episode.
        fps: frames a second; the environment's own if None.
        env_overrides: NAME=VALUE, where the target is an id.
    """

    target: str
    out: Path | None = None
    overwrite: bool = False
    policy: str | None = None
    which_seed: int | None = None
    best: bool = False
    greedy: bool = False
    seed: int = 0
    episodes: int = 1
    max_steps: int = 1000
    fps: float | None = None
    env_overrides: tuple[str, ...] = ()


class Player(NamedTuple):
    """An algorithm's `act` with a policy and the first carry."""

    act: Act
    policy: Any
    carry: Any


class Scene(NamedTuple):
    """Who plays where.

    Attributes:
        name: id of the environment.
        env: the environment.
        params: its parameters.
        player: gives `act`, the policy and the first carry; reads the checkpoint of a run.
        label: the name of the player.
        folder: the run folder, if there is one.
    """

    name: str
    env: Any
    params: Any
    player: Callable[[], Player]
    label: str
    folder: Path | None


class Rendered(NamedTuple):
    """A file that was written.

    Attributes:
        path: where.
        name: id of the environment.
        label: who played.
        episodes: what is in it.
    """

    path: Path
    name: str
    label: str
    episodes: Sequence[Episode]


def render(request: Request, say: Callable[[str], None] = print) -> Rendered:
    """Plays and writes what is asked for; every check comes before anything is computed.

    Args:
        request: what to draw.
        say: takes a line for each damaged checkpoint passed over.

    Raises:
        ValueError: in one line, whatever of the request cannot be done.
    """
    for name in ("episodes", "max_steps"):
        if getattr(request, name) < 1:
            raise RenderError(f"{name} must be at least 1, got {getattr(request, name)}")
    check_seeds(request.seed, name="seed")
    scene = _scene(request, say)
    path = _path(request, scene)
    page = path.suffix.lower() == _PAGE
    fps = 0.0
    if not page:
        renderer = find_renderer(scene.env, scene.name)
        fps = renderer.fps if request.fps is None else request.fps
        check_fps(path, fps)
    elif request.fps is not None:
        raise RenderError("a page plays at the speed of the simulation, so it takes no --fps")
    act, policy, carry = scene.player()
    base = jax.random.key(request.seed)
    episodes = [
        collect(
            scene.env,
            scene.params,
            act,
            policy,
            jax.random.fold_in(base, i),
            request.max_steps,
            request.greedy,
            carry,
        )
        for i in range(request.episodes)
    ]
    if page:
        from jaxrl.rendering.brax import page as html_page

        run_folder.write_whole(path, html_page(scene.env, episodes, scene.name))
    else:
        save(_Reel(scene, episodes), path, fps)
    return Rendered(path, scene.name, scene.label, episodes)


class _Reel(Sequence[Frame]):
    """The frames of several episodes."""

    def __init__(self, scene: Scene, episodes: Sequence[Episode]) -> None:
        self._parts = [Frames(scene.env, scene.params, one, scene.name) for one in episodes]
        self._where = [(part, i) for part in self._parts for i in range(len(part))]

    def __len__(self) -> int:
        return len(self._where)

    def __getitem__(self, index: Any) -> Any:
        part, i = self._where[index]
        return part[i]


def _scene(request: Request, say: Callable[[str], None]) -> Scene:
    folder = Path(request.target)
    if (folder / run_folder.CONFIG).is_file():
        return _of_run(request, folder, say)
    if request.target not in registry.environments():
        if folder.exists():
            raise RenderError(
                f"{folder} is neither a run folder (it has no {run_folder.CONFIG})"
                " nor the id of an environment"
            )
        try:
            registry.make(request.target)
        except registry.UnknownIdError as error:
            raise registry.UnknownIdError(f"{error} (nor is there a run folder)") from None
    return _of_environment(request)


def _of_environment(request: Request) -> Scene:
    if request.policy == "trained":
        raise RenderError(f"{request.target} is an environment: only a run has a trained policy")
    overrides = dict(parse_overrides(request.env_overrides))
    env, params = registry.make(request.target, **overrides)
    player = _random(request, env, params)
    return Scene(request.target, env, params, player, "random actions", None)


def _of_run(request: Request, folder: Path, say: Callable[[str], None]) -> Scene:
    from jaxrl import driver

    if request.env_overrides:
        raise RenderError("a run has the parameters it was trained with; use the environment's id")
    setup = driver.load(folder)
    seeds = setup.run.seed_numbers
    number = seeds[0] if request.which_seed is None else request.which_seed
    if number not in seeds:
        raise RenderError(f"{folder} has the seeds {seeds[0]}..{seeds[-1]}, not {number}")
    if request.policy == "random":
        player = _random(request, setup.env, setup.env_params)
        return Scene(setup.run.env, setup.env, setup.env_params, player, "random actions", folder)
    checkpoints = folder / run_folder.CHECKPOINTS
    good = checkpoint.best_good if request.best else partial(checkpoint.latest_good, warn=say)
    chosen, _ = good(checkpoints)

    def trained() -> Player:
        states, _ = driver.restore(setup, chosen)
        policy = jax.tree.map(lambda x: x[seeds.index(number)], states.policy)
        return Player(setup.algorithm.act, policy, setup.algorithm.initial_carry(1))

    label = f"{setup.run.algorithm}, seed {number}, checkpoint {chosen.name}"
    return Scene(setup.run.env, setup.env, setup.env_params, trained, label, folder)


def _random(request: Request, env: Any, params: Any) -> Callable[[], Player]:
    """The player that draws actions, checked against what only a trained one can do."""
    if request.greedy:
        raise RenderError("random actions have no greedy form")
    if request.which_seed is not None or request.best:
        raise RenderError("random actions belong to no seed and no checkpoint of a run")
    return lambda: Player(random_act(env, params), None, ())


def _path(request: Request, scene: Scene) -> Path:
    """Where to write, checked."""
    page = has_page(scene.name)
    path = request.out
    if path is None:
        ending = _PAGE if page else SUFFIXES[0]
        path = Path(f"{run_folder.as_name(scene.name)}{ending}")
        if scene.folder is not None:
            path = scene.folder / f"{run_folder.FILM}{ending}"
    suffix = path.suffix.lower()
    if page and suffix in SUFFIXES:
        find_renderer(scene.env, scene.name)  # raises, unless one was registered
    if not page and suffix == _PAGE:
        raise RenderError(f"only Brax has a page; {path} must end in {' or '.join(SUFFIXES)}")
    check_path(path, (*SUFFIXES, _PAGE) if page else SUFFIXES, request.overwrite)
    return path
