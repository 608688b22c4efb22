"""State: the JSON files under `state/`. `registry` lists them, `store` is the only code that opens them,
`lock` keeps the lock order.
"""
