"""Independent PPO: each role learns by PPO, its members share parameters (arXiv 2011.09533).

The value of a member sees what the member observes (de Witt et al. 2020).
"""

from jaxrl.algos.multi_agent.method import method
from jaxrl.algos.multi_agent.networks import independent

SPEC = method(
    name="ippo",
    summary="Independent PPO for games, a network for each role (de Witt et al. 2020)",
    make_net=independent,
)
