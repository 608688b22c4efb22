"""The laboratory: exchange simulator, replay, reports. Heavy imports live here; nothing in `desk` imports it."""
