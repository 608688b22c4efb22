"""Runtime: what every door does around its job: bootstrap, tick, logs."""
