"""How many objects a world holds at once, and how many are near the player, at most.

    python experiments/crafter_oo/capacity.py

Players that cannot die (health, food and drink are filled up after every step) live through whole
episodes of 10,000 steps, in worlds of the reference, under several policies: random actions, walks
that keep their direction for a while and so open many chunks, standing still, sleeping whenever
possible, and a farmer that plants a sapling wherever it can. Counted are the objects alive, the
highest slot in use, the objects within the update distance (of which `near` of `transition` is the
limit), and in how many episodes `overflow` was set.
"""

import argparse
import sys
from pathlib import Path

import crafter
import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.benchmark import write_record
from jaxrl.envs.crafter_oo import constants as c
from jaxrl.envs.crafter_oo import rules as rule_sets
from jaxrl.envs.crafter_oo.draws import KeyDraws
from jaxrl.envs.crafter_oo.reference import from_reference
from jaxrl.envs.crafter_oo.tape import no_rendering
from jaxrl.envs.crafter_oo.transition import CAPACITY, NEAR, transition

EPISODE = 10_000
FILLED_UP = 3  # health, food and drink
KEEP_WALKING = 0.95
DO, PLANT, SLEEP = c.action("do"), c.action("place_plant"), c.action("sleep")


def act_randomly(key, last):
    """Any action."""
    return jax.random.randint(key, (), 0, len(c.ACTIONS), jnp.int32)


def walk(key, last):
    """Walks on in one direction for 20 steps on average, and hits what is in the way."""
    key_turn, key_way = jax.random.split(key)
    uniform = jax.random.uniform(key_turn, (), jnp.float32)
    way = jax.random.randint(key_way, (), 1, 5, jnp.int32)
    way = jnp.where((uniform < KEEP_WALKING) & (last > 0) & (last < 5), last, way)
    return jnp.where(uniform < 0.3, jnp.int32(DO), way)


def stand_still(key, last):
    """Nothing."""
    return jnp.int32(0)


def sleep(key, last):
    """Sleeps whenever it is tired."""
    return jnp.int32(SLEEP)


def farm(key, last):
    """Collects, plants and moves, a third each."""
    key_what, key_way = jax.random.split(key)
    what = jax.random.randint(key_what, (), 0, 3, jnp.int32)
    way = jax.random.randint(key_way, (), 1, 5, jnp.int32)
    return jnp.asarray([DO, PLANT, 0], jnp.int32)[what] + jnp.where(what == 2, way, 0)


POLICIES = {
    "random": act_randomly,
    "walk": walk,
    "still": stand_still,
    "sleep": sleep,
    "farm": farm,
}


def measure(before, after, reach):
    """Objects alive, highest slot in use, objects near the player, plants, arrows: int32 [5]."""
    alive = after.objects.kind != 0
    slots = jnp.arange(1, alive.size + 1, dtype=jnp.int32)
    distance = jnp.abs(after.player.x - before.objects.x)
    distance += jnp.abs(after.player.y - before.objects.y)
    near = (before.objects.kind != 0) & (distance <= reach)
    counts = [jnp.sum(mask, dtype=jnp.int32) for mask in (near, after.plants.alive)]
    return jnp.stack(
        [
            jnp.sum(alive, dtype=jnp.int32),
            jnp.max(jnp.where(alive, slots, 0)),
            *counts,
            jnp.sum(after.arrows.alive, dtype=jnp.int32),
        ]
    )


def episode(policy, steps, near, rules, state, key):
    """Maxima of what is measured over an episode, int32 [5], and whether anything was lost."""

    def body(carry, key):
        state, walking, maxima = carry
        key_act, key_step = jax.random.split(key)
        action = policy(key_act, walking)
        walking = jnp.where((action > 0) & (action < 5), action, walking)
        after = transition(KeyDraws(key_step), state, action, rules, near)
        now = measure(state, after, rules.creatures.update_distance)
        items = after.player.items.at[:FILLED_UP].set(9)
        after = after.replace(player=after.player.replace(items=items))
        return (after, walking, jnp.maximum(maxima, now)), None

    start = (state, jnp.int32(1), jnp.zeros(5, jnp.int32))
    (state, _, maxima), _ = jax.lax.scan(body, start, jax.random.split(key, steps))
    return maxima, state.overflow


def worlds(num, capacity):
    """States of `num` new worlds of the reference, stacked."""
    states = []
    for seed in range(num):
        env = crafter.Env(seed=seed)
        no_rendering(env)
        env.reset()
        states.append(from_reference(env, capacity))
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)


def main():
    """Measures and writes results/capacity_<slots>.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=24, help="of each policy")
    parser.add_argument("--steps", type=int, default=EPISODE, help="of each episode")
    parser.add_argument("--capacity", type=int, default=CAPACITY, help="object slots")
    parser.add_argument("--near", type=int, default=NEAR, help="as of `transition`")
    args = parser.parse_args()
    states, rules = worlds(args.episodes, args.capacity), rule_sets.crafter()
    names = ("alive", "highest_slot", "near", "plants", "arrows")
    results = {}
    for number, (name, policy) in enumerate(POLICIES.items()):
        keys = jax.random.split(jax.random.key(number), args.episodes)
        run = jax.jit(jax.vmap(lambda *a, p=policy: episode(p, args.steps, args.near, rules, *a)))
        maxima, overflow = run(states, keys)
        maxima = np.asarray(maxima)
        results[name] = {
            "environment_steps": args.episodes * args.steps,
            "episodes_with_overflow": int(overflow.sum()),
            "maximum": dict(zip(names, maxima.max(0).tolist(), strict=True)),
            "mean_of_maxima": dict(zip(names, maxima.mean(0).round(1).tolist(), strict=True)),
        }
        print(name, results[name], flush=True)
    path = Path(__file__).parent / "results" / f"capacity_{args.capacity}.json"
    command = "python experiments/crafter_oo/capacity.py " + " ".join(sys.argv[1:])
    settings = {"capacity": args.capacity, "near": args.near, "episode": args.steps}
    write_record(path, command.strip(), results, **settings)


if __name__ == "__main__":
    main()
