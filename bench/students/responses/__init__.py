"""Reads real students' answers from the files people have."""

from bench.students.responses.read import read
from bench.students.responses.responses import Responses

__all__ = ["Responses", "read"]
