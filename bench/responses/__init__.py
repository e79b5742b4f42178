"""Reads real students' answers from the files people have."""

from bench.responses.responses import Responses

__all__ = ["Responses"]
