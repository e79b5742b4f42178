import json

from bench.results.provenance import provenance


def test_versions_are_told_and_no_path():
    found = provenance()
    assert found["torch"]
    assert found["threads"] >= 1
    assert found["dirty"] in (True, False, None)
    assert "/" not in json.dumps({k: v for k, v in found.items() if k != "device"})
    assert (
        provenance("a GPU", "checksum").items() >= {"device": "a GPU", "data": "checksum"}.items()
    )
