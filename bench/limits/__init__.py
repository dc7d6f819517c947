"""Measure what limits cost, and check by the leases that they held. For the scenario `limits`."""
