"""The checks: `(HealthFacts) -> CheckResult`, pure, one module per subject. The door holds their table and order.

To add a check: one function here, one row in `heartbeat.CHECKS`.
"""
