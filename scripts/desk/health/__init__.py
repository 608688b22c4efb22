"""Health: what heartbeat looks at, one pure check per subject, and what their verdicts mean together."""
