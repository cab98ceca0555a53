"""What values look like."""

import pytest

from audit.commands.init.names import called, has, stem, words
from audit.commands.init.values import Looks, Seen, documents, looks, model_in

HASH = "0f" * 32


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (HASH, Looks.HASH),
        (f"acme/ada:{HASH}", Looks.QUALIFIED),
        (f"acme/ada/{HASH}", Looks.REFERENCE),
        (f"https://replicate.com/acme/ada/versions/{HASH}", Looks.REFERENCE),
        ("acme/ada", Looks.MODEL),
        ("https://replicate.com/acme/ada", Looks.MODEL_PAGE),
        ("zz4ibbonubfz7carwiefibzgga", Looks.TRAINING),
        ("https://replicate.delivery/xezq/abc/trained_model.tar", Looks.WEIGHTS),
        ("s3://loras/ada.safetensors", Looks.WEIGHTS),
        ("ada@example.com", Looks.EMAIL),
    ],
)
def test_a_value_is_known_by_its_form(text: str, kind: Looks) -> None:
    assert looks(text, kind)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("image/png", Looks.MODEL),
        ("Europe/Paris", Looks.MODEL),
        ("12/2025", Looks.MODEL),
        ("https://replicate.delivery/xezq/abc/out-0.webp", Looks.WEIGHTS),
        ("01arz3ndektsv4rrffq69g5fav", Looks.TRAINING),
        (HASH[:-1], Looks.HASH),
    ],
)
def test_what_only_looks_alike_is_not_taken_for_it(text: str, kind: Looks) -> None:
    assert not looks(text, kind)


def test_the_model_is_read_out_of_every_form_that_has_one() -> None:
    forms = (f"acme/ada:{HASH}", f"acme/ada/{HASH}", "https://replicate.com/acme/ada", "acme/ada")
    assert {model_in(form) for form in forms} == {"acme/ada"}
    assert model_in(HASH) is None


def test_documents_are_read_three_keys_deep_row_by_row() -> None:
    found = documents(['{"a": {"b": {"c": "x", "d": {"e": "too deep"}}}, "n": 1}', None, '{"a": "y"}', "[1", "{"])
    assert found == {
        ("a", "b", "c"): ("x", None, None, None, None),
        ("n",): ("1", None, None, None, None),
        ("a",): (None, None, "y", None, None),
    }


def test_trainers_and_bases_are_nobodys_models() -> None:
    assert Seen(["ostris/flux-dev-lora-trainer", None, "black-forest-labs/flux-dev"]).all_are_trainers
    assert not Seen(["ostris/flux-dev-lora-trainer", "acme/ada"]).all_are_trainers


def test_names_are_read_as_words_however_they_are_put_together() -> None:
    assert words("replicateModelId") == words("replicate_model_id") == words("ReplicateModelID")
    assert has("createdat", "created")
    assert words("appusers") == ("app", "users")
    assert not has("procreation_at", "created")
    assert called("app_avatars", stem("avatarId"))
    assert not called("avatars", stem("email"))
