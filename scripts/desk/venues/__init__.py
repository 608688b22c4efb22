"""Venues: the one protocol every exchange client speaks, the transport guard, outcomes, filters, rate budget,
and the paper broker. Only `transport` opens sockets to exchanges.
"""
