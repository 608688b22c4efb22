"""Execution: how orders are sized, written down, sent, looked up, protected and closed. Nothing leaves before its
intent is durable (P1), nothing unknown is sent again (P2), exits stay open (P4).
"""
