"""The rooms of Sanad Trader: shared code the doors call. A room never imports a door."""
