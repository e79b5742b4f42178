"""Reads real students' answers from the files people have."""

from bench.responses.read import read
from bench.responses.responses import Responses

__all__ = ["Responses", "read"]
