"""Risk: what may happen. Breakers, latches, system mode, facts, gates and verdicts. Gates are pure."""
