"""PPO for games with centralised critics (Yu et al. 2022, arXiv 2103.01955).

Policies see what their members observe, as in IPPO; the value of a member sees all members of its
role, and what the other roles observe but for images.
"""

from jaxrl.algos.multi_agent.method import method
from jaxrl.algos.multi_agent.networks import centralised

SPEC = method(
    name="mappo",
    summary="PPO for games whose critics see all agents (Yu et al. 2022)",
    make_net=centralised,
)
