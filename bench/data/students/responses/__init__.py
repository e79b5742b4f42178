"""Reads real students' answers from the files people have."""

from bench.data.students.responses.read import read
from bench.data.students.responses.responses import Responses

__all__ = ["Responses", "read"]
