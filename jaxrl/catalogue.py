"""The README's tables: environments and algorithms of the registry, quirks of rules.

`python -m jaxrl.catalogue README.md` writes them between their marks; a test says when it is due.
"""

import fnmatch
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from jaxrl import registry
from jaxrl.run_folder import write_whole

# Family -> patterns of its ids; an id belongs to the first family that matches.
_FAMILIES = {
    "Classic control (gymnax)": ("CartPole-*", "Acrobot-*", "MountainCar*", "Pendulum-*"),
    "MinAtar (gymnax)": ("*-MinAtar",),
    "Behaviour suite (gymnax)": ("*-bsuite",),
    "Brax": ("brax/*",),
    "Crafter-OO": ("CrafterOO-*",),
    "ARCLE": ("ARCLE-*",),
    "Economies": ("GatherTradeBuild-*", "OneStepEconomy-*"),
    "Probes with known optima": ("Probe-*",),
    "Others (gymnax)": ("*",),
}


def environments_table() -> str:
    """Every registered environment, by family, as a Markdown table."""
    members: dict[str, list[str]] = {family: [] for family in _FAMILIES}
    for env_id in registry.environments():
        members[_family(env_id)].append(f"`{env_id}`")
    rows = [(family, ", ".join(ids)) for family, ids in members.items() if ids]
    return _table(("family", "environments"), rows)


def algorithms_table() -> str:
    """Every registered algorithm as a Markdown table."""
    rows = [(f"`{name}`", registry.algorithm(name).summary) for name in registry.algorithms()]
    return _table(("algorithm", "what it is"), rows)


def quirks_table() -> str:
    """What the two presets of Crafter's rules differ in, as a Markdown table."""
    return _quirks("jaxrl.envs.crafter_oo.rules:QUIRKS", "crafter")


def arcle_quirks_table() -> str:
    """What the two presets of ARCLE's rules differ in, as a Markdown table."""
    return _quirks("jaxrl.envs.arcle.rules:QUIRKS", "reference")


def _quirks(target: str, reference: str) -> str:
    """The quirks that `target` names; `reference` is the preset that keeps them."""
    quirks: dict[str, str] = registry.load(target)
    rows = []
    for name, text in quirks.items():
        kept, _, mended = text.partition(" Fixed: ")
        rows.append((f"`rules.quirks.{name}`", kept, mended[:1].upper() + mended[1:]))
    return _table(("quirk", f"`{reference}`, as in the package", "`fixed`"), rows)


def filled_in(text: str) -> str:
    """`text` with what is between `<!-- name -->` and `<!-- end name -->` made anew.

    Raises:
        ValueError: a pair of marks is missing.
    """
    tables = {
        "environments": environments_table(),
        "algorithms": algorithms_table(),
        "quirks": quirks_table(),
        "arcle-quirks": arcle_quirks_table(),
    }
    for name, table in tables.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end {name} -->"
        if begin not in text or end not in text:
            raise ValueError(f"the marks {begin.strip()} and {end} are missing")
        before, _, rest = text.partition(begin)
        text = before + begin + table + end + rest.partition(end)[2]
    return text


def _family(env_id: str) -> str:
    return next(
        family
        for family, patterns in _FAMILIES.items()
        if any(fnmatch.fnmatchcase(env_id, pattern) for pattern in patterns)
    )


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    def lines() -> Iterator[str]:
        yield f"| {' | '.join(head)} |"
        yield "|" + "---|" * len(head)
        for row in rows:
            yield f"| {' | '.join(row)} |"

    return "\n".join(lines()) + "\n"


if __name__ == "__main__":
    readme = Path(sys.argv[1])
    write_whole(readme, filled_in(readme.read_text()))
