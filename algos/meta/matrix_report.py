"""From finished cells to tables: who is better than PPO, where, and how sure.

A cell is the mean over seeds of the final policy's mean return, with a 95% percentile bootstrap
interval over seeds. Its score is (return - random) / (PPO's return - random), PPO's of the same
column. It is a win over PPO where its interval lies above PPO's, a loss where it lies below, and
else a tie; with fewer than 5 seeds there is no verdict, because a bootstrap of so few is far too
narrow. A seed that diverged counts with the random policy's return; how many did is shown.

An objective's cell is held in where it was trained on that environment with that budget, another
horizon where it was trained there with other budgets, and else held out.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxrl.algos.meta import symbolic
from jaxrl.algos.meta.contenders import HELD_IN, HELD_OUT, OTHER_HORIZON, Contender
from jaxrl.algos.meta.matrix import RESULT, TABLE, Column, Plan, read_cells, read_random
from jaxrl.algos.meta.tasks import BASELINE
from jaxrl.config import encode
from jaxrl.run_folder import write_json, write_whole
from jaxrl.statistics import bootstrap_interval
from jaxrl.summary import commit, device, versions

WIN, TIE, LOSS = "win", "tie", "loss"
OTHER_ACTIONS, DIVERGED = "^", "!"
# How a cell is marked by what it is for its objective, and how that is called.
_PLACES = {
    HELD_IN: ("*", "held in"),
    OTHER_HORIZON: ("~", "other horizon"),
    HELD_OUT: ("", "held out"),
}
# Percentile bootstrap intervals of fewer are so narrow that noise would win and lose.
VERDICT_SEEDS = 5
# Horizons side by side in 100 columns.
_SIDE_BY_SIDE = 2
_NAME, _CELL = 21, 39


class Cell(NamedTuple):
    """A finished cell.

    Attributes:
        mean: over seeds.
        low: lower end of the interval.
        high: upper end.
        score: see the module's docstring; None where PPO is not finished, or its interval does not
            lie above the random policy: a score would be noise over noise.
        verdict: win, tie or loss against PPO; None for PPO itself, where that is not finished, and
            with fewer than `VERDICT_SEEDS` seeds.
        diverged: seeds that did.
        place: held_in, other_horizon or held_out, see `Contender.place`.
        other_actions: whether it was trained on the other kind of actions.
        record: what its file says.
    """

    mean: float
    low: float
    high: float
    score: float | None
    verdict: str | None
    diverged: int
    place: str
    other_actions: bool
    record: Mapping[str, Any]

    @property
    def marks(self) -> str:
        """`*` held in, `~` other horizon, `^` trained on other actions, `!` seeds diverged."""
        shown = ((OTHER_ACTIONS, self.other_actions), (DIVERGED, self.diverged))
        return _PLACES[self.place][0] + "".join(mark for mark, given in shown if given)


class Matrix(NamedTuple):
    """A matrix, as far as it is finished.

    Attributes:
        plan: what is compared.
        cells: by (column, row).
        random: the random policy's return by environment.
        fits: the nearest DPO of each learnt network, by name.
    """

    plan: Plan
    cells: Mapping[tuple[int, int], Cell]
    random: Mapping[str, float]
    fits: Mapping[str, Sequence[symbolic.Fit]]


def gather(folder: Path, plan: Plan) -> Matrix:
    """What is finished of a matrix in its folder."""
    records, random = read_cells(folder, plan), read_random(folder, plan)
    cells: dict[tuple[int, int], Cell] = {}
    for (index, row), record in sorted(records.items()):
        column, contender = plan.columns[index], plan.contenders[row]
        if column.env in random:
            ppo = cells.get((index, 0))
            cells[index, row] = _cell(column, contender, record, random[column.env], ppo)
    return Matrix(plan, cells, random, _fits(plan))


def tally(matrix: Matrix) -> dict[str, dict[str, dict[str, int]]]:
    """Wins, ties and losses against PPO by objective: held in, other horizons, held out apart."""
    counts: dict[str, dict[str, dict[str, int]]] = {}
    for row, contender in enumerate(matrix.plan.contenders):
        if contender.name == BASELINE:
            continue
        places = {place: {WIN: 0, TIE: 0, LOSS: 0} for place in _PLACES}
        for (_, r), cell in matrix.cells.items():
            if r == row and cell.verdict is not None:
                places[cell.place][cell.verdict] += 1
        counts[contender.name] = places
    return counts


def lines(matrix: Matrix) -> Iterator[str]:
    """The matrix for a reader, at most 100 characters wide where names are not long."""
    plan = matrix.plan
    first, last = plan.seeds.start, plan.seeds.stop - 1
    yield (
        f"final return, mean of {len(plan.seeds)} seeds ({first} to {last}) x {plan.episodes}"
        " episodes, 95% interval over seeds;"
    )
    yield "score: 0 is the random policy, 1 is PPO; win, loss: the interval lies outside PPO's"
    for env in plan.envs:
        columns = [i for i, column in enumerate(plan.columns) if column.env == env]
        yield ""
        yield _env_line(matrix, env)
        for start in range(0, len(columns), _SIDE_BY_SIDE):
            yield from _block(matrix, columns[start : start + _SIDE_BY_SIDE])
    yield ""
    yield from _tally_lines(matrix)
    yield from _notes(matrix)
    for name, fits in matrix.fits.items():
        yield ""
        yield from symbolic.describe(name, fits)


def markdown(matrix: Matrix) -> str:
    """The matrix as Markdown: scores of all columns, then every environment's returns."""
    plan = matrix.plan
    heads = [f"{column.env} x{column.multiple:g}" for column in plan.columns]
    text = [
        "# Meta-generalisation matrix",
        "",
        "Score (0 is the random policy, 1 is PPO) and whether the 95% interval of the return lies"
        " above (win), below (loss) or across (tie) PPO's.",
        "",
        _md_row(["objective", "trained on", *heads]),
        _md_row(["---"] * (2 + len(heads))),
    ]
    for row, contender in enumerate(plan.contenders):
        found = [matrix.cells.get((i, row)) for i in range(len(plan.columns))]
        cells = ["" if cell is None else _short(cell) for cell in found]
        text.append(_md_row([contender.name, ", ".join(contender.trained_on) or "-", *cells]))
    for index, column in enumerate(plan.columns):
        text += ["", f"## {heads[index]}: {_steps(matrix, index)}", ""]
        text += [f"{_env_line(matrix, column.env)}.", ""]
        text += [_md_row(["objective", "return", "95% interval", "score", "PPO", "diverged"])]
        text += [_md_row(["---"] * 6)]
        for row, contender in enumerate(plan.contenders):
            cell = matrix.cells.get((index, row))
            if cell is not None:
                interval = f"{_number(cell.low)} to {_number(cell.high)}"
                values = [_number(cell.mean), interval, _score(cell), cell.verdict or "-"]
                text.append(_md_row([contender.name + cell.marks, *values, str(cell.diverged)]))
    text += ["", "```", *_tally_lines(matrix), *_notes(matrix)]
    for name, fits in matrix.fits.items():
        text += ["", *symbolic.describe(name, fits)]
    return "\n".join([*text, "```", ""])


def write(folder: Path, matrix: Matrix, command: str) -> None:
    """Writes matrix.json and matrix.md."""
    plan = matrix.plan
    missing = [
        {"env": column.env, "multiple": column.multiple, "objective": contender.name}
        for i, column in enumerate(plan.columns)
        for j, contender in enumerate(plan.contenders)
        if (i, j) not in matrix.cells
    ]
    record = {
        "command": command,
        "seeds": list(plan.seeds),
        "episodes_per_seed": plan.episodes,
        "return_is": "mean over seeds of the mean return of the final policy's episodes, sampled"
        " actions; a seed that diverged counts with the random policy's return",
        "interval": "95% percentile bootstrap of the mean over seeds",
        "verdicts_need_seeds": VERDICT_SEEDS,
        "place_is": "held_in: trained on this environment with this budget; other_horizon: there"
        " with other budgets; held_out: not there",
        "score_is": "(return - random) / (PPO's return - random)",
        "objectives": [_objective(contender) for contender in plan.contenders],
        "environments": {env: _environment(matrix, env) for env in plan.envs},
        "cells": [_cell_json(cell) for _, cell in sorted(matrix.cells.items())],
        "unfinished": missing,
        "against_ppo": tally(matrix),
        "nearest_dpo": {name: [f.to_json() for f in fits] for name, fits in matrix.fits.items()},
        "commit": commit(),
        "device": device(),
        "versions": versions(),
    }
    write_json(folder / RESULT, record)
    write_whole(folder / TABLE, markdown(matrix))


def _cell(
    column: Column,
    contender: Contender,
    record: Mapping[str, Any],
    random: float,
    ppo: Cell | None,
) -> Cell:
    returns = [random if value is None else value for value in record["returns"]]
    mean = float(np.mean(returns))
    low, high = bootstrap_interval(np.array(returns), lambda values: float(np.mean(values)))
    score = verdict = None
    base = (mean, low) if contender.name == BASELINE else ppo and (ppo.mean, ppo.low)
    if base is not None and base[1] > random:
        score = (mean - random) / (base[0] - random)
    if ppo is not None and len(returns) >= VERDICT_SEEDS:
        verdict = WIN if low > ppo.high else LOSS if high < ppo.low else TIE
    kind = contender.provenance.get("action_kind")
    return Cell(
        mean,
        low,
        high,
        score,
        verdict,
        sum(value is None for value in record["returns"]),
        contender.place(column.env, column.run.total_steps),
        kind is not None and kind != column.kind,
        record,
    )


def _fits(plan: Plan) -> dict[str, list[symbolic.Fit]]:
    """Of learnt networks; a learnt DPO is its own summary."""
    return {
        contender.name: symbolic.summarise(contender.learnt, contender.phi)
        for contender in plan.contenders
        if contender.learnt is not None and hasattr(contender.phi, "hidden")
    }


def _env_line(matrix: Matrix, env: str) -> str:
    random = matrix.random.get(env)
    column = next(column for column in matrix.plan.columns if column.env == env)
    shown = "-" if random is None else _number(random)
    return f"{env} (random policy {shown}; settings: {column.settings})"


def _block(matrix: Matrix, columns: Sequence[int]) -> Iterator[str]:
    """Some horizons of an environment side by side; objectives by what they were trained on."""
    heads = [
        f"x{matrix.plan.columns[i].multiple:g}: {_steps(matrix, i)}".center(_CELL) for i in columns
    ]
    yield " " * _NAME + " ".join(heads).rstrip()
    group: tuple[str, ...] = ()
    for row, contender in enumerate(matrix.plan.contenders):
        if contender.trained_on != group:
            group = contender.trained_on
            yield f"  trained on {', '.join(group) or 'what its file does not say'}:"
        indent = "    " if contender.trained_on else "  "
        cells = [matrix.cells.get((i, row)) for i in columns]
        name = f"{indent}{contender.name} ".ljust(_NAME)
        yield (name + " ".join(_wide(cell) for cell in cells)).rstrip()


def _wide(cell: Cell | None) -> str:
    """A cell in `_CELL` characters."""
    if cell is None:
        return "-".center(_CELL)
    interval = f"({_number(cell.low)} to {_number(cell.high)})"
    verdict = (cell.verdict or "-") + cell.marks
    return f"{_number(cell.mean):>6} {interval:18} {_score(cell):>5} {verdict:7}"


def _steps(matrix: Matrix, index: int) -> str:
    found = [cell.record for (i, _), cell in matrix.cells.items() if i == index]
    if found:
        return f"{found[0]['env_steps_per_seed']:,} steps"
    return f"up to {matrix.plan.columns[index].run.total_steps:,} steps"


def _tally_lines(matrix: Matrix) -> Iterator[str]:
    yield "columns against PPO, wins - ties - losses:"
    for name, places in tally(matrix).items():
        shown = [f"{_PLACES[place][1]} {_counts(counts):11}" for place, counts in places.items()]
        yield f"  {name:20} {'  '.join(shown)}".rstrip()


def _counts(counts: Mapping[str, int]) -> str:
    return (
        " - ".join(str(counts[kind]) for kind in (WIN, TIE, LOSS)) if any(counts.values()) else "-"
    )


def _notes(matrix: Matrix) -> Iterator[str]:
    if len(matrix.plan.seeds) < VERDICT_SEEDS:
        yield f"- no verdict: win, tie and loss need at least {VERDICT_SEEDS} seeds (--seeds)"
    texts = {
        _PLACES[HELD_IN][0]: "held in: it was trained on this environment with this budget",
        _PLACES[OTHER_HORIZON][0]: "it was trained on this environment, with another budget",
        OTHER_ACTIONS: "it was trained on the other kind of actions (discrete, continuous)",
        DIVERGED: "seeds diverged, and count with the random policy's return",
    }
    shown = "".join(cell.marks for cell in matrix.cells.values())
    yield from (f"{mark} {text}" for mark, text in texts.items() if mark in shown)


def _short(cell: Cell) -> str:
    return f"{_score(cell)} {cell.verdict or '-'}{cell.marks}"


def _md_row(values: Sequence[str]) -> str:
    return "| " + " | ".join(re.sub(r"([*~])", r"\\\1", value) for value in values) + " |"


def _objective(contender: Contender) -> dict[str, Any]:
    return {
        "name": contender.name,
        "algorithm": contender.algorithm,
        "file": contender.file,
        "sha256": contender.digest,
        "trained_on": list(contender.trained_on),
        "action_kind": contender.provenance.get("action_kind"),
    }


def _environment(matrix: Matrix, env: str) -> dict[str, Any]:
    columns = [column for column in matrix.plan.columns if column.env == env]
    run = columns[0].run
    hp = {k: v for k, v in run.to_json()["hp"].items() if k != "objective"}
    return {
        "random": matrix.random.get(env),
        "action_kind": columns[0].kind,
        "settings_are": columns[0].settings,
        "env_overrides": dict(run.env_overrides),
        "config": encode(run.config),
        "hp": {**hp, "horizon": "every run's own number of updates"}
        if math.isinf(run.hp.horizon)
        else hp,
        "total_steps": {f"{c.multiple:g}": c.run.total_steps for c in columns},
    }


def _cell_json(cell: Cell) -> dict[str, Any]:
    return {
        **cell.record,
        "mean": cell.mean,
        "mean_95": [cell.low, cell.high],
        "score": cell.score,
        "against_ppo": cell.verdict,
        "diverged": cell.diverged,
        "place": cell.place,
        "other_action_kind": cell.other_actions,
    }


def _score(cell: Cell) -> str:
    return "-" if cell.score is None else f"{cell.score:.2f}"


def _number(value: float) -> str:
    """Three significant digits or all of a whole part: 0.123, 1.23, 21.9, 499, 12345."""
    size = abs(value)
    return f"{value:.{0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3}f}"
