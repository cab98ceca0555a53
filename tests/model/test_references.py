"""References to versions, as Replicate's own models load them."""

import pytest

from audit.model.references import Reference, is_url
from tests.support.samples import NEW, OLD


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (f"acme/ann/{NEW}", NEW),
        (f"acme/ann:{NEW.upper()}", NEW),
        (f" https://replicate.com/acme/ann/versions/{NEW}/ ", NEW),
        (f"https://replicate.com/acme/ann/{NEW}", NEW),
        ("acme/ann", None),
        ("https://replicate.com/acme/ann", None),
    ],
)
def test_a_reference_names_a_model_and_perhaps_a_version_and_can_lead_to_another(
    text: str, version: str | None
) -> None:
    reference = Reference.of(text)
    assert reference
    assert reference.names("ACME/ann")
    assert reference.version == version
    other = Reference.of(reference.to("acme/ben", OLD))
    assert other
    assert (other.model, other.version) == ("acme/ben", OLD if version else None)


@pytest.mark.parametrize("text", [f"https://example.com/acme/ann/versions/{NEW}", NEW, "", None, "acme/ann/b"])
def test_anything_else_is_none(text: str | None) -> None:
    assert Reference.of(text) is None


@pytest.mark.parametrize(
    ("text", "right"),
    [("https://a.b/c.tar", True), ("https://a.b/c d", False), ("https://a.b/\x1b", False), (None, False)],
)
def test_only_one_plain_word_is_a_url(text: str | None, *, right: bool) -> None:
    assert is_url(text) is right
