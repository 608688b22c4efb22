"""Strategies: what to propose. One file per strategy, pure, on closed bars; `table` lists them, `signals` is the
inbox for proposals made elsewhere.

To add a strategy, start here: one file with NAME, VERSION, `lookback` and `propose`, one row in `table.STRATEGIES`,
one section in the configuration (`[strategies.<name>]`). A drift test is red until all three exist.
"""
