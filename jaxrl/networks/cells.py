"""A transformer over the cells of grids: policy and value for agents that edit coloured grids.

An observation is a Dict with grids of colours [H, W] of one canvas. There is a token for each
position of the canvas, which holds what all grids have there, and one for the state. Blocks of self
attention over these come first; in the last block only the state's token and a token for each
operation (the first choice of the action) read the others. H W + 1 tokens instead of one for each
cell of each grid, and a cheap last block: the same information at a fraction of the cost.

Two ways to see colours:

- *embedded*: every colour of every grid has its own embedding, every operation too; the logits of
  the operations come from the state's token.
- *equivariant*: no weight belongs to a colour. Tokens know which grids agree at their position, and
  attention knows which tokens share a colour: its logits get the bilinear form
  sum_{s,t} b_st <z_s(query), z_t(key)> of the one-hot colours z, with learnt b for each head. An
  operation that paints has the colour it paints, and shares all else with its kind; its logit is
  the same function of its token for all. Permuting the colours (of all grids and operations)
  therefore permutes the logits of the operations, and what is chosen given them, exactly.

After Lee et al. 2024 (arXiv 2407.20806), which has a token for each cell of each grid, and colours
in embeddings also where the heads are shared.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.grids import inside as inside_of
from jaxrl.networks.attention import Block
from jaxrl.networks.cell_predictions import CellPredictions
from jaxrl.networks.torsos import dense


@dataclasses.dataclass(frozen=True)
class Grid:
    """A grid of an observation.

    Attributes:
        name: its key, colours 0 to C - 1 [H, W].
        size: key of its number of rows and columns [2]; cells beyond have no influence. Without
            one the grid fills the canvas.
    """

    name: str
    size: str = ""


@dataclasses.dataclass(frozen=True)
class Operation:
    """What an equivariant network knows of an operation.

    Attributes:
        kind: operations of one kind differ in their colour alone; 0 to the number of kinds - 1.
        color: the colour that it is about, -1 for none.
    """

    kind: int
    color: int = -1


class Canvas(NamedTuple):
    """What the grids of an observation have at P = H W positions.

    Attributes:
        colors: one-hot, 0 outside a grid, float32 [B, P, G, C].
        inside: float32 [B, P, G].
        marks: float32 [B, P, M].
    """

    colors: jax.Array
    inside: jax.Array
    marks: jax.Array


class Embedded(NamedTuple):
    """Tokens before the first block, and colours for the bilinear form, if there is one.

    Attributes:
        cells: float32 [B, P, D].
        operations: float32 [O, D].
        colors: of the cells, float32 [B, P, G, C], or None.
        operation_colors: float32 [O, C], or None.
    """

    cells: jax.Array
    operations: jax.Array
    colors: jax.Array | None = None
    operation_colors: jax.Array | None = None


class CellActorCritic(nn.Module):
    """The pair (policy outputs, values) for a MultiDiscrete action: an operation, then the rest.

    Attributes:
        choices: sizes of the choices, `MultiDiscrete.nvec`; O is the first of them.
        grids: those of the observation.
        conditional: outputs for `conditional_head`, the rest given the operation, read from its
            token; otherwise for `independent_head`, all from the token of the state.
        equivariant: see the module's docstring; otherwise colours are embedded.
        operations: what the operations are, O of them; needed by an equivariant network.
        marks: keys of grids of flags or small numbers [H, W], such as a selection.
        features: keys of anything else that the token of the state is to know; flattened.
        predicts: what `predict` predicts, of `jaxrl.networks.cell_predictions.PREDICTIONS`.
        num_colors: C.
        dim: width D of the tokens.
        layers: blocks, the last of which is read by state and operations alone; at least 1.
        heads: of the attention; divides `dim`.
        widening: hidden width of the blocks' MLPs in units of `dim`.
    """

    choices: tuple[int, ...]
    grids: tuple[Grid, ...]
    conditional: bool = True
    equivariant: bool = False
    operations: tuple[Operation, ...] = ()
    marks: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    predicts: tuple[str, ...] = ()
    num_colors: int = 10
    dim: int = 64
    layers: int = 2
    heads: int = 4
    widening: int = 2

    def setup(self) -> None:
        """Raises ValueError for sizes that cannot be built."""
        _check(self)
        embedding: Any = _EmbeddedColors(self.choices[0], self.dim)
        if self.equivariant:
            embedding = _RelatedColors(self.operations, self.num_colors, self.dim)
        self.embedding = embedding
        self.positions = _Positions(self.dim)
        self.state = _State(self.dim)
        self.blocks = [Block(self.heads, self.widening) for _ in range(self.layers)]
        self.relations = [_Relation(self.heads) for _ in range(self.layers)]
        self.cell_norm = nn.LayerNorm()
        self.read_norm = nn.LayerNorm()
        self.value = dense(1, 1.0)
        self.first = dense(1 if self.equivariant else self.choices[0], 0.01)
        self.rest = dense((len(self.choices) - 1) * max(self.choices[1:]), 0.01)
        kinds = [operation.kind for operation in self.operations] if self.equivariant else ()
        self.predictions = CellPredictions(self.predicts, self.choices, tuple(kinds), self.dim)

    def __call__(self, obs: Mapping[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
        """Policy outputs [B, num_outputs] and values [B] of features of observations."""
        _, _, state, operations = self._read(obs)
        return self._outputs(state, operations), self.value(state)[..., 0]

    def predict(
        self, obs: Mapping[str, jax.Array], action: jax.Array
    ) -> tuple[jax.Array, jax.Array, dict[str, jax.Array]]:
        """The pair and predictions, given actions int32 [B, 1 + K], in one pass."""
        canvas, cells, state, operations = self._read(obs)
        colors = _operation_colors(self.operations, self.num_colors)
        height, width = obs[self.grids[0].name].shape[-2:]
        predictions = self.predictions(
            canvas, self.cell_norm(cells), state, action, colors, (height, width)
        )
        return self._outputs(state, operations), self.value(state)[..., 0], predictions

    def _read(self, obs: Mapping[str, jax.Array]) -> tuple[Canvas, jax.Array, jax.Array, jax.Array]:
        """The canvas, cells before the last block, and state and operations after it."""
        canvas, flags = read_canvas(obs, self.grids, self.marks, self.features, self.num_colors)
        embedded = self.embedding(canvas)
        height, width = obs[self.grids[0].name].shape[-2:]
        cells = embedded.cells + self.positions(height, width)[None]
        state = self.state(flags)[:, None]
        tokens = jnp.concatenate([state, cells], axis=1)
        here = jnp.any(canvas.inside > 0, axis=-1)
        mask = jnp.concatenate([jnp.ones_like(here[:, :1]), here], axis=1)
        colors = embedded.colors
        for block, relation in zip(self.blocks[:-1], self.relations[:-1], strict=True):
            bias = None if colors is None else _pad(relation(colors, colors), 1, 1)
            tokens = block(tokens, tokens, mask, bias)
        readers, bias = tokens[:, :1], None
        if self.conditional or self.equivariant:
            operations = jnp.broadcast_to(
                embedded.operations[None], (len(here), *embedded.operations.shape)
            )
            readers = jnp.concatenate([readers, operations], axis=1)
        if colors is not None and embedded.operation_colors is not None:
            painted = jnp.broadcast_to(
                embedded.operation_colors[None, :, None],
                (len(here), self.choices[0], 1, self.num_colors),
            )
            bias = _pad(self.relations[-1](painted, colors), 1, 1)
        read = self.read_norm(self.blocks[-1](readers, tokens, mask, bias))
        return canvas, tokens[:, 1:], read[:, 0], read[:, 1:]

    def _outputs(self, state: jax.Array, operations: jax.Array) -> jax.Array:
        """Policy outputs in the layout of the head, float32 [B, num_outputs]."""
        batch = len(state)
        first = self.first(operations)[..., 0] if self.equivariant else self.first(state)
        if self.conditional:
            return jnp.concatenate([first, self.rest(operations).reshape((batch, -1))], axis=-1)
        widest, others = max(self.choices), len(self.choices) - 1
        rest = self.rest(state).reshape((batch, others, -1))
        rows = jnp.concatenate([_widen(first[:, None], widest), _widen(rest, widest)], axis=1)
        return rows.reshape((batch, -1))


def read_canvas(
    obs: Mapping[str, jax.Array],
    grids: tuple[Grid, ...],
    marks: tuple[str, ...],
    features: tuple[str, ...],
    num_colors: int,
) -> tuple[Canvas, jax.Array]:
    """The canvas, and the other features float32 [B, F], of features of a batch of observations.

    Raises:
        ValueError: a key that the observation does not have, or grids of several shapes.
    """
    if not isinstance(obs, Mapping):
        raise ValueError("a network over cells needs a Dict observation with grids")
    names = [grid.name for grid in grids]
    sizes = [grid.size for grid in grids if grid.size]
    if missing := [name for name in (*names, *sizes, *marks, *features) if name not in obs]:
        raise ValueError(f"the observation has no {missing[0]!r}; it has {', '.join(sorted(obs))}")
    shapes = {obs[name].shape for name in (*names, *marks)}
    if len(shapes) != 1 or len(next(iter(shapes))) != 3:
        raise ValueError(f"grids and marks must have one shape [B, H, W], got {sorted(shapes)}")
    batch, height, width = shapes.pop()
    inside = jnp.stack([_inside(obs, grid, (batch, height, width)) for grid in grids], axis=-1)
    stacked = jnp.stack([obs[name] for name in names], axis=-1).reshape((batch, -1, len(names)))
    colors = jax.nn.one_hot(stacked.astype(jnp.int32), num_colors, dtype=jnp.float32)
    flat = [obs[name].reshape((batch, -1, 1)) for name in marks]
    canvas = Canvas(
        colors * inside[..., None],
        inside,
        jnp.concatenate([jnp.zeros((batch, height * width, 0)), *flat], axis=-1),
    )
    vectors = [obs[name].reshape((batch, -1)) for name in features]
    return canvas, jnp.concatenate([jnp.zeros((batch, 0)), *vectors], axis=-1)


class _EmbeddedColors(nn.Module):
    """A linear embedding of the one-hot colours of all grids; an embedding for each operation."""

    num_operations: int
    dim: int

    @nn.compact
    def __call__(self, canvas: Canvas) -> Embedded:
        batch, positions = canvas.inside.shape[:2]
        flat = canvas.colors.reshape((batch, positions, -1))
        known = jnp.concatenate([flat, canvas.inside, canvas.marks], axis=-1)
        operations = self.param("operations", _NORMAL, (self.num_operations, self.dim), jnp.float32)
        return Embedded(nn.Dense(self.dim, name="cells")(known), operations)


class _RelatedColors(nn.Module):
    """Which grids agree at a position; an embedding for each kind of operation."""

    operations: tuple[Operation, ...]
    num_colors: int
    dim: int

    @nn.compact
    def __call__(self, canvas: Canvas) -> Embedded:
        first, second = np.triu_indices(canvas.inside.shape[-1], 1)
        same = jnp.sum(canvas.colors[:, :, first] * canvas.colors[:, :, second], axis=-1)
        known = jnp.concatenate([same, canvas.inside, canvas.marks], axis=-1)
        kinds = np.asarray([operation.kind for operation in self.operations])
        each = self.param("kinds", _NORMAL, (int(kinds.max()) + 1, self.dim), jnp.float32)
        return Embedded(
            nn.Dense(self.dim, name="cells")(known),
            each[kinds],
            canvas.colors,
            _operation_colors(self.operations, self.num_colors),
        )


class _Relation(nn.Module):
    """The bilinear form over colours for each head, a bias of the attention's logits."""

    heads: int

    @nn.compact
    def __call__(self, queries: jax.Array, keys: jax.Array) -> jax.Array:
        """float32 [B, heads, Q, L] of one-hot colours [B, Q, S, C] and [B, L, T, C]."""
        shape = (self.heads, queries.shape[-2], keys.shape[-2])
        weights = self.param("weights", nn.initializers.normal(1.0), shape, jnp.float32)
        weighted = jnp.einsum("hst,bktc->bhksc", weights, keys)
        return jnp.einsum("bqsc,bhksc->bhqk", queries, weighted)


class _Positions(nn.Module):
    """Embeddings of row and column, added."""

    dim: int

    @nn.compact
    def __call__(self, height: int, width: int) -> jax.Array:
        """float32 [H W, D]."""
        rows = self.param("rows", _NORMAL, (height, self.dim), jnp.float32)
        columns = self.param("columns", _NORMAL, (width, self.dim), jnp.float32)
        return (rows[:, None] + columns[None, :]).reshape((-1, self.dim))


class _State(nn.Module):
    """The token of the state: an embedding, and the features of it."""

    dim: int

    @nn.compact
    def __call__(self, flags: jax.Array) -> jax.Array:
        """float32 [B, D] of features [B, F]."""
        token = self.param("token", _NORMAL, (self.dim,), jnp.float32)
        token = jnp.broadcast_to(token[None], (len(flags), self.dim))
        return token + nn.Dense(self.dim, name="features")(flags) if flags.shape[-1] else token


_NORMAL = nn.initializers.normal(0.2)


def _operation_colors(operations: tuple[Operation, ...], num_colors: int) -> jax.Array:
    """One-hot colours of the operations, 0 for those without, float32 [O, C]."""
    colors = np.asarray([operation.color for operation in operations], np.int32).reshape(-1)
    return jax.nn.one_hot(colors, num_colors, dtype=jnp.float32)


def _inside(obs: Mapping[str, jax.Array], grid: Grid, shape: tuple[int, int, int]) -> jax.Array:
    """Cells that belong to the grid, float32 [B, H W]."""
    batch, height, width = shape
    if not grid.size:
        return jnp.ones((batch, height * width), jnp.float32)
    cells = inside_of(obs[grid.size], height, width)
    return cells.reshape((batch, -1)).astype(jnp.float32)


def _pad(bias: jax.Array, queries: int, keys: int) -> jax.Array:
    """The bias [B, heads, Q, L] with zeros before it for tokens without colours."""
    return jnp.pad(bias, ((0, 0), (0, 0), (queries, 0), (keys, 0)))


def _widen(x: jax.Array, width: int) -> jax.Array:
    """The last axis padded with zeros."""
    return jnp.pad(x, ((0, 0), (0, 0), (0, width - x.shape[-1])))


def _check(net: CellActorCritic) -> None:
    if len(net.choices) < 2:
        raise ValueError(f"a network over cells needs two choices or more, got {net.choices}")
    if not net.grids or net.layers < 1:
        raise ValueError("a network over cells needs a grid and a layer")
    if not net.equivariant:
        return
    if len(net.operations) != net.choices[0]:
        raise ValueError(
            f"an equivariant network needs to know {net.choices[0]} operations, got"
            f" {len(net.operations)}"
        )
    for operation in net.operations:
        if operation.kind < 0 or not -1 <= operation.color < net.num_colors:
            raise ValueError(f"{operation} needs a kind >= 0 and a colour below {net.num_colors}")
