"""What the flags of ``select`` come to; what it does is tested with the tutor."""

import pytest

from bench.cli import main as cli
from bench.tutor import selection_report
from bench.tutor.judgement import Settings


@pytest.mark.parametrize(
    ("flags", "until"),
    [
        ([], None),
        (["--width", "0.3"], Settings(width=0.3)),
        (
            ["--width", "0.3", "--mastery", "0.6", "--certainty", "0.75"],
            Settings(mastery=0.6, certainty=0.75, width=0.3),
        ),
    ],
)
def test_it_can_stop_by_all_that_the_tutor_stops_by(flags, until, monkeypatch, tmp_path):
    found = []
    monkeypatch.setattr(selection_report, "select", lambda *args: found.append(args))
    assert cli.main(["select", "--checkpoint", "c.ckpt", "--out", str(tmp_path), *flags]) == 0
    assert until in found[0]
