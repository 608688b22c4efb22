"""Config: what the operator decided. Reads config/sanad.toml, `.env` and the environment; writes nothing but
the defaults a fresh SANAD_HOME lacks.
"""
