"""Pictures of worlds, against the reference's renderer."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance

from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo import pixels, rules
from jaxrl.envs.crafter_oo.daylight import exact_daylight
from jaxrl.envs.crafter_oo.reference import from_reference
from jaxrl.envs.crafter_oo.view import semantic
from tests.unoptimised import jit

crafter = pytest.importorskip("crafter")
from crafter import objects as ref  # noqa: E402

RULES = rules.crafter()
CAPACITY = 64
NIGHT = 210  # the darkest step of a day


class Noise:
    """Stands for the world's stream of random numbers and keeps what it gave."""

    def __init__(self, seed):
        self.generator, self.drawn = np.random.default_rng(seed), None

    def uniform(self, low, high, shape):
        self.drawn = self.generator.uniform(low, high, shape)
        return self.drawn


def random_env(seed, step, sleeping=False, position=None, size=64):
    """A reference environment in which everything is random: materials, objects, inventory."""
    rng = np.random.default_rng(seed)
    env = crafter.Env(seed=0, size=(size, size))
    world = env._world
    world.reset(seed=0)
    world._mat_map[:] = rng.integers(1, len(c.MATERIALS), world.area)
    position = rng.integers(0, 64, 2) if position is None else position
    env._player = player = ref.Player(world, position)
    world.add(player)
    player.sleeping = sleeping
    player.facing = tuple(c.DIRECTIONS[rng.integers(4)].tolist())
    player.inventory = {name: int(rng.integers(0, 10)) for name in c.ITEMS}
    for _ in range(40):
        cell = np.clip(player.pos + rng.integers(-5, 6, 2), 0, 63)
        if world[cell][1] is None:
            world.add(random_object(rng, world, cell, player))
    env._step = step
    env._update_time()
    return env


def random_object(rng, world, cell, player):
    kind = rng.integers(6)
    if kind < 4:
        return (
            ref.Cow(world, cell),
            ref.Zombie(world, cell, player),
            ref.Skeleton(world, cell, player),
            ref.Arrow(world, cell, c.DIRECTIONS[rng.integers(4)]),
        )[kind]
    plant = ref.Plant(world, cell)
    plant.grown = (300, 301)[kind - 4]  # the last step at which it is unripe, the first ripe one
    return plant


@functools.cache
def tiles(source="reference", size=64):
    return pixels.make_tiles(source, size)


def draw(key, state):
    return pixels.render(key, state, RULES, tiles())


@functools.cache
def renderer(source="reference", size=64):
    made = tiles(source, size)
    return jit(lambda key, state: pixels.render(key, state, RULES, made))


@functools.cache
def noisy_renderer():
    return jit(lambda noise, state: pixels.render_with_noise(noise, state, RULES, tiles()))


def picture(env, size=64):
    return np.asarray(renderer("reference", size)(jax.random.key(0), from_reference(env, CAPACITY)))


def test_by_day_every_pixel_is_the_reference_s():
    rng = np.random.default_rng(0)
    light = np.flatnonzero(exact_daylight(np.arange(10_001)) >= 0.5)
    steps = rng.choice(light, 60, replace=False).tolist()
    # Steps at which daylight is a ratio of small numbers, and a pixel's last bit decides.
    steps += [0, 10, 60, 110, 147, 273, 8759, 10_000, 310, 2110]
    for seed, step in enumerate(steps):
        env = random_env(seed, step, sleeping=seed % 3 == 0)
        np.testing.assert_array_equal(picture(env), env.render(), err_msg=f"step {step}")


@pytest.mark.parametrize("corner", [(0, 0), (63, 63), (0, 63), (63, 0), (3, 61), (60, 2)])
def test_the_map_s_edges_are_the_reference_s(corner):
    env = random_env(1, 50, position=corner)
    np.testing.assert_array_equal(picture(env), env.render())


def test_an_empty_and_a_full_inventory_are_the_reference_s():
    env = random_env(2, 50)
    for amount in (0, 9):
        env._player.inventory = dict.fromkeys(c.ITEMS, amount)
        np.testing.assert_array_equal(picture(env), env.render())


def test_more_than_nine_of_an_item_is_unknown_as_in_the_reference():
    env = random_env(2, 50)
    env._player.inventory["wood"] = 12
    np.testing.assert_array_equal(picture(env), env.render())


def test_another_size_has_the_reference_s_border():
    env = random_env(3, 80, size=49)  # units of 5 pixels and a border of 2
    np.testing.assert_array_equal(picture(env, 49), env.render())


@pytest.mark.parametrize("sleeping", [False, True])
def test_at_night_the_same_noise_gives_the_reference_s_pixels(sleeping):
    different = total = 0
    for seed, step in enumerate((148, 180, NIGHT, 250, 272, 9790)):
        env = random_env(seed, step, sleeping)
        env._world.random = noise = Noise(seed)
        expected = env.render().astype(int)
        given = jnp.asarray(noise.drawn, jnp.float32)
        got = np.asarray(noisy_renderer()(given, from_reference(env, CAPACITY))).astype(int)
        assert abs(got - expected).max() <= 1
        different, total = different + (got != expected).sum(), total + got.size
    assert different / total < 1e-3  # float32 before a cut to whole numbers


def test_in_float64_the_same_noise_gives_exactly_the_reference_s_pixels():
    with jax.enable_x64(True):
        for seed, step in enumerate((148, NIGHT, 9790)):
            env = random_env(seed, step, sleeping=seed == 1)
            env._world.random = noise = Noise(seed)
            expected = env.render()
            state = from_reference(env, CAPACITY)
            got = pixels.render_with_noise(jnp.asarray(noise.drawn), state, RULES, tiles())
            np.testing.assert_array_equal(got, expected)


def test_grey_and_pale_are_pillow_s():
    colours = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    colours[0, :256] = np.arange(256)[:, None]
    image = Image.fromarray(colours)
    channels = np.moveaxis(colours.astype(np.int32), -1, 0)
    np.testing.assert_array_equal(pixels._grey(channels), np.asarray(image.convert("L")))
    expected = np.asarray(ImageEnhance.Color(image).enhance(0.4))
    np.testing.assert_array_equal(np.stack(pixels._pale(channels), -1), expected)


def test_every_pair_of_grey_and_colour_is_mixed_as_pillow_does():
    grey, value = np.meshgrid(np.arange(256), np.arange(256))
    images = [Image.fromarray(part.astype(np.uint8)) for part in (grey, value)]
    expected = np.asarray(Image.blend(*images, 0.4))
    np.testing.assert_array_equal(((3 * grey + 2 * value) * 52429) >> 18, expected)


def test_a_batch_has_the_pictures_of_its_members_by_day_and_by_night(monkeypatch):
    steps = (10, NIGHT, 40, 160, 250, 100, 299)
    states = [from_reference(random_env(i, step), CAPACITY) for i, step in enumerate(steps)]
    keys = jax.random.split(jax.random.key(1), len(states))
    alone = [renderer()(key, state) for key, state in zip(keys, states, strict=True)]
    batch = jax.tree.map(lambda *x: jnp.stack(x), *states)
    together = jit(jax.vmap(draw))(keys, batch)
    np.testing.assert_array_equal(together, np.stack(alone))
    pairs = jax.tree.map(lambda x: x[:6].reshape(2, 3, *x.shape[1:]), (keys, batch))
    nested = jit(jax.vmap(jax.vmap(draw)))(*pairs)
    np.testing.assert_array_equal(nested.reshape(6, 64, 64, 3), np.stack(alone[:6]))
    # What a GPU does: all are computed.
    monkeypatch.setattr(pixels, "_few_nights", jax.vmap(pixels._night_or_day, (None, *[0] * 5)))
    everywhere = jit(jax.vmap(lambda key, state: draw(key, state)))
    np.testing.assert_array_equal(everywhere(keys, batch), np.stack(alone))
    monkeypatch.undo()
    same_state = jit(jax.vmap(draw, in_axes=(0, None)))(keys, states[1])
    np.testing.assert_array_equal(same_state[1], alone[1])


def test_the_key_matters_at_night_only():
    day, night = (from_reference(random_env(4, step), CAPACITY) for step in (30, NIGHT))
    one, two = (jax.random.key(seed) for seed in (1, 2))
    np.testing.assert_array_equal(renderer()(one, day), renderer()(two, day))
    assert np.any(renderer()(one, night) != renderer()(two, night))


def test_noise_is_uniform_from_32_to_127():
    noise = np.asarray(pixels._noise(jax.random.key(0), (300, 301))).ravel()
    assert noise.min() == 32 and noise.max() == pytest.approx(127 - 95 / 256)
    assert len(np.unique(noise)) == 256
    counts = np.bincount(((noise - 32) * 256 / 95).round().astype(int))
    assert counts.min() > 353 - 6 * 353**0.5 and counts.max() < 353 + 6 * 353**0.5
    assert abs(np.corrcoef(noise[:-1], noise[1:])[0, 1]) < 0.02
    # A drawn word is spread over four parts, which must not repeat each other.
    quarters = np.corrcoef(noise.reshape(4, -1)) - np.eye(4)
    assert abs(quarters).max() < 0.03


def test_a_large_picture_is_the_small_one_enlarged():
    env = random_env(5, 20)
    state = from_reference(env, CAPACITY)
    large = np.asarray(renderer("reference", 288)(jax.random.key(0), state)).astype(int)
    env._size = np.asarray((288, 288))
    assert tiles("reference", 288).light_row.size == 0  # computed, not looked up
    expected = env.render().astype(int)
    assert abs(large - expected).max() <= 1
    assert np.mean(large != expected) < 1e-3


@pytest.mark.parametrize(
    ("options", "message"),
    [({"size": 44}, "at least 45 pixels a side, got size=44"), ({"textures": "x"}, "textures 'x'")],
)
def test_what_cannot_be_drawn_is_said(options, message):
    with pytest.raises(ValueError, match=message):
        pixels.make_tiles(**options)


def test_the_semantic_view_is_the_reference_s():
    for seed in range(3):
        env = random_env(seed, 0)
        got = semantic(from_reference(env, CAPACITY))
        assert got.dtype == jnp.uint8
        np.testing.assert_array_equal(got, env._sem_view())
