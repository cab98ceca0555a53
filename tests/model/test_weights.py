"""What a weights URL shows by itself."""

import pytest

from audit.model.weights import is_delivery_url, is_made_up
from tests.support.samples import NEW

OWN_URL = f"https://replicate.delivery/xezq/{'a' * 40}/flux-lora.tar"
MADE_UP = f"https://replicate.delivery/pbxt/{NEW}/flux-lora.tar"


@pytest.mark.parametrize(
    ("url", "delivered", "made_up"),
    [
        (OWN_URL, True, False),
        (MADE_UP, True, True),
        (MADE_UP.upper().replace("HTTPS", "https"), True, True),
        (f"https://replicate.delivery.evil.com/{NEW}", False, False),
        (f"https://notreplicate.delivery/{NEW}", False, False),
        (f"https://replicate.delivery/x?{NEW}", True, False),
        (f" https://replicate.delivery/x/{NEW[:30]}\n{NEW[30:]}/y.tar ", True, True),
        (f"https://replicate.delivery/0 {NEW}/y.tar", True, True),
        (f"https://replicate.delivery/{NEW}0/x", True, False),
        (f"ftp://replicate.delivery/{NEW}", False, False),
        ("https://[", False, False),
        (f"acme/ann/{NEW}", False, False),
        (None, False, False),
    ],
)
def test_a_url_is_made_up_only_where_it_must_be(url: str | None, *, delivered: bool, made_up: bool) -> None:
    assert (is_delivery_url(url), is_made_up(url)) == (delivered, made_up)
