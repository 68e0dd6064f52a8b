"""What an economy is made of: a scenario is an ordered tuple of components.

`COMPONENTS` has those of this package by name. One's own is a subclass of
`component.Component`, which says what there is to override.
"""

from jaxrl.envs.economy.components.auction import ContinuousDoubleAuction
from jaxrl.envs.economy.components.bracket_tax import PeriodicBracketTax
from jaxrl.envs.economy.components.build import Build
from jaxrl.envs.economy.components.component import Component
from jaxrl.envs.economy.components.gather import Gather
from jaxrl.envs.economy.components.redistribution import WealthRedistribution
from jaxrl.envs.economy.components.simple_labor import SimpleLabor

COMPONENTS: dict[str, type[Component]] = {
    kind.__name__: kind
    for kind in (
        Build,
        ContinuousDoubleAuction,
        Gather,
        PeriodicBracketTax,
        SimpleLabor,
        WealthRedistribution,
    )
}
