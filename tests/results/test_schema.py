"""The published JSON schema, which people read who do not read Python."""

import json
from pathlib import Path

import jsonschema
import msgspec

from bench.results import schema

RESULTS = Path(__file__).resolve().parents[2] / "results"
PUBLISHED = RESULTS / "record.schema.json"


def test_what_is_published_is_up_to_date(tmp_path):
    schema.write_json_schema(tmp_path / "a.json")
    assert (tmp_path / "a.json").read_text() == PUBLISHED.read_text(), (
        "write it again: python -c 'from bench.results import schema; "
        'schema.write_json_schema("results/record.schema.json")\''
    )


def test_it_takes_what_reading_takes(changed):
    published = jsonschema.Draft202012Validator(json.loads(PUBLISHED.read_text()))
    committed = [path for path in sorted((RESULTS / "runs").rglob("*.json"))[::40]]
    for record in (changed("chosen", "by hand"), *map(json_of, committed)):
        published.validate(record)
    for field, value in (
        ("metrics.accuracy.per_step", []),
        ("metrics.nll", 0.5),
        ("metrics.headline", "a\n"),
        ("experiment.ways", -1),
        ("evaluation.split", "best"),
        ("evaluation.views", [{"extra": 1}]),
    ):
        assert not published.is_valid(changed(field, value)), field


def json_of(path):
    return json.loads(path.read_text())


def test_names_are_those_that_can_be_files():
    from bench.base.paths import is_file_name

    for name in ("a", "a.b-c_1", "_a", "", ".a", "-a", "a\n", "a\n\n", "../a", "a/b", "ä", "a b"):
        try:
            fits = msgspec.convert(name, schema.Name) == name
        except msgspec.ValidationError:
            fits = False
        assert fits == is_file_name(name), name
