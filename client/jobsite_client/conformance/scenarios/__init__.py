"""What happens to the bot, scenario by scenario."""

from ..trial import Scenario
from . import ending, leases, network, orders

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario for module in (network, leases, orders, ending) for scenario in module.SCENARIOS
}
