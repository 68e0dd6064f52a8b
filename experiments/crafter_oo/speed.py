"""How fast Crafter is here, in Craftax-Classic and in `crafter`, side by side in one run.

    python -m venv /tmp/peers && /tmp/peers/bin/pip install craftax==1.6.1 crafter==1.8.3
    python experiments/crafter_oo/speed.py --peer /tmp/peers/bin/python

Every measurement is a process of its own, on all cores of the machine, without a compile cache; the
sides take turns. Ours is `jaxrl bench env`: random actions, resets and the first worlds included.
The machine should do nothing else.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
OURS = {
    "symbolic": ["CrafterOO-Symbolic-v1", "--batch", "1024", "--steps", "1000"],
    "pixels": ["CrafterOO-Pixels-v1", "--batch", "512", "--steps", "500"],
}
PEERS = ["craftax", "crafter", "craftax-worlds", "craftax-pixels", "craftax-128"]
# (numerator, denominator, target of their ratio)
RATIOS = {
    "symbolic / craftax, raw steps": ("symbolic", "craftax", 5),
    "symbolic / craftax-128, raw steps": ("symbolic", "craftax-128", 5),
    "symbolic / crafter, with resets": ("symbolic", "crafter", 500),
    "pixels / craftax-pixels, raw steps": ("pixels", "craftax-pixels", 5),
    "craftax-worlds / worlds, milliseconds": ("craftax-worlds", "worlds", 20),
}


def main() -> None:
    """Measures in turns and writes results/speed.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", type=Path, required=True, help="Python with craftax and crafter")
    parser.add_argument("--rounds", type=int, default=3, help="turns of all measurements")
    parser.add_argument("--peers", nargs="+", default=PEERS, choices=PEERS)
    parser.add_argument("--worlds", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "speed.json")
    args = parser.parse_args()
    if args.worlds:
        print(json.dumps(worlds()))
        return
    from jaxrl import peers
    from jaxrl.benchmark import write_record

    ours = [sys.executable, "-m", "jaxrl", "bench", "env"]
    commands = {
        name: [*ours, *words, "--repeats", "3", "--no-cache"] for name, words in OURS.items()
    }
    commands["worlds"] = [sys.executable, __file__, "--peer", "-", "--worlds"]
    commands |= {name: [str(args.peer), str(HERE / "peer.py"), name] for name in args.peers}
    found = peers.in_turns(commands, args.rounds)
    medians = peers.medians(found)
    ratios = {
        what: {"ratio": medians[over] / medians[under], "target": target}
        for what, (over, under, target) in RATIOS.items()
        if over in medians and under in medians
    }
    chosen = f"--rounds {args.rounds} --peers {' '.join(args.peers)}"
    command = f"python experiments/crafter_oo/speed.py --peer PEER {chosen}"
    results = {"ratios": ratios, "medians": medians}
    write_record(args.out, command, results, rounds=args.rounds, measurements=found)


def worlds(batch: int = 1024) -> dict[str, Any]:
    """Milliseconds a world, vmapped, on all cores."""
    from jaxrl.parallel import use_cpu_cores

    use_cpu_cores()
    import jax

    import jaxrl

    env, params = jaxrl.make("CrafterOO-Symbolic-v1")
    devices = jax.device_count()
    mesh = jax.make_mesh((devices,), ("device",), axis_types=(jax.sharding.AxisType.Auto,))
    rows = jax.sharding.PartitionSpec("device")
    reset = jax.jit(
        jax.shard_map(
            lambda keys: jax.vmap(env.reset_env, in_axes=(0, None))(keys, params),
            mesh=mesh,
            in_specs=rows,
            out_specs=rows,
            check_vma=False,
        )
    )
    took = []
    for repeat in range(4):
        keys = jax.random.split(jax.random.key(repeat), batch)
        started = time.perf_counter()
        jax.block_until_ready(reset(keys))
        took.append(1e3 * (time.perf_counter() - started) / batch)
    return {"median": statistics.median(took[1:]), "all": took[1:]}


if __name__ == "__main__":
    main()
