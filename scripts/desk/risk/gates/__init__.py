"""Gates: one pure function `(proposal, facts) -> Verdict` each, named as in the table of `policy_engine.py`.

Looking to add a gate? Write the function here, in the file of its subject, and one row in `policy_engine.GATES`. A gate
sees only the proposal and the facts; it never imports another gate, the store or a socket. What it needs and does not
find denies an entry.
"""
