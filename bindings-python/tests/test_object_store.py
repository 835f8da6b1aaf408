"""Without the feature `aws` an object store is refused by name, and nothing is created."""

from __future__ import annotations

from pathlib import Path

import pytest
import quorate


@pytest.mark.parametrize("read_only", [False, True])
def test_an_object_store_needs_its_feature(
    read_only: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(quorate.Unsupported) as refused:
        quorate.open("s3://bucket/kb", read_only=read_only, storage_options={"aws_region": "us-east-1"})
    assert refused.value.code == "unsupported"
    assert "'aws'" in str(refused.value) and "s3://bucket/kb" in str(refused.value)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("place", ["gs://bucket/kb", "file:///tmp/kb"])
def test_other_places_are_refused(place: str) -> None:
    with pytest.raises(quorate.Unsupported, match="folder"):
        quorate.open(place)
