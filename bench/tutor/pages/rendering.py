"""Makes pages of templates: names in them are text, whatever they hold."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bench.tutor.judgement import MASTERED, NOT_ASKED, NOT_MASTERED, UNDECIDED

FOLDER = Path(__file__).parent / "templates"
# a shape and a word beside each colour, for who does not tell colours apart
MARKS = {MASTERED: "●", UNDECIDED: "◇", NOT_MASTERED: "■", NOT_ASKED: "○", "": "○"}
CLASSES = {MASTERED: "mastered", UNDECIDED: "undecided", NOT_MASTERED: "not-mastered"}
CLASSES |= {NOT_ASKED: "open", "": "open"}

_pages = Environment(
    loader=FileSystemLoader(FOLDER),
    autoescape=True,
    undefined=StrictUndefined,  # a page with a hole in it is a fault, and no page
    trim_blocks=True,
    lstrip_blocks=True,
)
_pages.globals |= {"MARKS": MARKS, "CLASSES": CLASSES}
_pages.filters["percent"] = lambda share: f"{share:.0%}".replace("%", "\u202f%")


def page(template: str, **values) -> str:
    """A page, from a template and what it shows."""
    return _pages.get_template(template).render(**values)


def style() -> str:
    """How all pages look."""
    return (FOLDER / "style.css").read_text(encoding="utf-8")
