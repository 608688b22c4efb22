"""Base: clock, money, ids, paths, errors, reasons, exit codes. Imports nothing of the house."""
