"""What a network over cells predicts for auxiliary losses, from its tokens and the action."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

PREDICTIONS = ("previous_reward", "reward", "next_grid")


class CellPredictions(nn.Module):
    """Predictions by name; the action comes in behind the tokens, so that they are made once.

    - `previous_reward`, float32 [B], from the state's token.
    - `next_grid`, logits float32 [B, H, W, C]: an MLP on each cell's token, the state's, the action
      and whether each grid has the operation's colour there.
    - `reward`, float32 [B], from the mean of the same MLP's features over the cells.

    Attributes:
        names: those that are made, of `PREDICTIONS`.
        choices: sizes of the action's choices.
        kinds: kind of each operation in an equivariant network, which may not know the operation
            itself; its next grid is a choice, in every cell, between the colours that the grids
            have there and that of the operation. Empty otherwise.
        dim: width of the hidden layers.
    """

    names: tuple[str, ...]
    choices: tuple[int, ...]
    kinds: tuple[int, ...]
    dim: int

    @nn.compact
    def __call__(
        self,
        canvas: Any,
        cells: jax.Array,
        state: jax.Array,
        action: jax.Array,
        operation_colors: jax.Array,
        shape: tuple[int, int],
    ) -> dict[str, jax.Array]:
        """The predictions.

        Args:
            canvas: a `jaxrl.networks.cells.Canvas`.
            cells: tokens, float32 [B, P, D].
            state: token, float32 [B, D].
            action: int32 [B, 1 + K].
            operation_colors: one-hot, float32 [O, C]; [0, C] where they are not known.
            shape: (H, W).

        Raises:
            ValueError: an unknown name.
        """
        if unknown := [name for name in self.names if name not in PREDICTIONS]:
            known = ", ".join(PREDICTIONS)
            raise ValueError(f"unknown prediction {unknown[0]!r}; one of {known}")
        made = {}
        if "previous_reward" in self.names:
            hidden = nn.gelu(nn.Dense(self.dim, name="previous_hidden")(state))
            made["previous_reward"] = nn.Dense(1, name="previous_reward")(hidden)[..., 0]
        if not {"reward", "next_grid"} & set(self.names):
            return made
        operation = jax.nn.one_hot(action[:, 0], self.choices[0], dtype=jnp.float32)
        painted = jnp.zeros((len(action), canvas.colors.shape[-1]))
        if len(operation_colors):
            painted = operation @ operation_colors
        hidden = self._hidden(canvas.colors, cells, state, operation, painted, action)
        if "reward" in self.names:
            here = jnp.any(canvas.inside > 0, axis=-1).astype(jnp.float32)
            total = jnp.sum(hidden * here[..., None], axis=1)
            mean = total / jnp.maximum(jnp.sum(here, axis=1), 1.0)[:, None]
            made["reward"] = nn.Dense(1, name="reward")(mean)[..., 0]
        if "next_grid" in self.names:
            made["next_grid"] = self._next_grid(canvas.colors, hidden, painted, shape)
        return made

    def _hidden(
        self,
        colors: jax.Array,
        cells: jax.Array,
        state: jax.Array,
        operation: jax.Array,
        painted: jax.Array,
        action: jax.Array,
    ) -> jax.Array:
        """Features of every cell and the action, float32 [B, P, D]."""
        if self.kinds:
            kind_of = np.eye(max(self.kinds) + 1, dtype=np.float32)[list(self.kinds)]
            operation = operation @ jnp.asarray(kind_of)
        rest = [
            jax.nn.one_hot(action[:, 1 + k], size, dtype=jnp.float32)
            for k, size in enumerate(self.choices[1:])
        ]
        done = nn.Dense(self.dim, name="done")(jnp.concatenate([operation, *rest, state], axis=-1))
        agrees = jnp.sum(colors * painted[:, None, None, :], axis=-1)
        known = jnp.concatenate([cells, agrees], axis=-1)
        hidden = nn.gelu(nn.Dense(self.dim, name="known")(known) + done[:, None])
        return nn.gelu(nn.Dense(self.dim, name="hidden")(hidden))

    def _next_grid(
        self, colors: jax.Array, hidden: jax.Array, painted: jax.Array, shape: tuple[int, int]
    ) -> jax.Array:
        batch, _, num_grids, num_colors = colors.shape
        if self.kinds:
            gates = nn.Dense(num_grids + 1, name="next_grid")(hidden)
            logits = jnp.sum(gates[..., :-1, None] * colors, axis=-2)
            logits = logits + gates[..., -1:] * painted[:, None, :]
        else:
            logits = nn.Dense(num_colors, name="next_grid")(hidden)
        return logits.reshape((batch, *shape, num_colors))
