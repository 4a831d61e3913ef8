"""Writes docs/operations.md: what the code says of itself, and what it leaves unsaid.

``python -m manual`` writes the page. Messages, metrics and fields come from the code;
causes and remedies from ``troubles``, the only table of them, in which a test looks
for every message.
"""
