"""Kinds of arguments of our own words; apart, as a command of Airflow's does without argparse."""

from __future__ import annotations

from argparse import ArgumentTypeError


def word(text: str) -> str:
    """Return an argument; raise ArgumentTypeError where it is empty, as an unset variable of a shell is."""
    if not text.strip():
        raise ArgumentTypeError("it is empty")
    return text


def number(text: str) -> int:
    """Return a positive number; raise ArgumentTypeError where it is none."""
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:9]) < 10**6):
        raise ArgumentTypeError(f"{text!r} is no positive number")
    return int(text)
