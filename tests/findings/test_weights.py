"""Weights that are certainly not those of the recorded version; what is not certain is left alone."""

import pytest

from audit.findings.classify import RunContext
from audit.findings.weights import with_weights
from audit.model.codes import Reason
from audit.model.replies import Training
from audit.model.tables import Column
from tests.support.samples import NEW, OLD, finding, record

OWN_URL, OTHER_URL = (f"https://replicate.delivery/xezq/{letter * 40}/flux-lora.tar" for letter in "ab")
OWN = Training(
    id="t1", status="succeeded", model="acme/ann", version=NEW, weights=OWN_URL, completed_at="2026-03-01T00:00:00Z"
)
OTHER = Training(id="t2", status="succeeded", model="acme/ann", version=OLD, weights=OTHER_URL)
USUAL = RunContext(weights_are_usual=True)
MADE_UP = f"https://replicate.delivery/pbxt/{NEW}/flux-lora.tar"


@pytest.mark.parametrize(
    ("url", "own", "context", "reason", "checked"),
    [
        pytest.param(OWN_URL, OWN, USUAL, Reason.LATEST_VERSION, "training", id="its own"),
        pytest.param(f" {OWN_URL}\n", OWN, USUAL, Reason.LATEST_VERSION, "training", id="its own, with blanks"),
        pytest.param(OTHER_URL, OWN, USUAL, Reason.WRONG_WEIGHTS, "training", id="another training's"),
        pytest.param(OTHER_URL, None, USUAL, Reason.LATEST_VERSION, None, id="its training is not known"),
        pytest.param(MADE_UP, OWN, USUAL, Reason.WRONG_WEIGHTS, "training", id="made up"),
        pytest.param(
            MADE_UP.replace("replicate", "pbxt.replicate"), OWN, USUAL, Reason.WRONG_WEIGHTS, "training", id="pbxt"
        ),
        pytest.param(
            OTHER_URL.replace("b", "c"), OWN, USUAL, Reason.LATEST_VERSION, None, id="nobody's, on their hosts"
        ),
        pytest.param(f"https://cdn.acme.com/{NEW}.tar", OWN, USUAL, Reason.LATEST_VERSION, None, id="own bucket"),
        pytest.param(f"https://huggingface.co/acme/{OLD}", OWN, USUAL, Reason.LATEST_VERSION, None, id="Hugging Face"),
        pytest.param(f"acme/ann/{NEW}", OWN, USUAL, Reason.LATEST_VERSION, "training", id="a right reference"),
        pytest.param(f"acme/ann/{OLD}", OWN, USUAL, Reason.WRONG_WEIGHTS, "training", id="a wrong reference"),
        pytest.param(f"acme/ann:{OLD}", OWN, USUAL, Reason.WRONG_WEIGHTS, "training", id="a qualified version"),
        pytest.param(
            f"https://replicate.com/acme/ann/versions/{OLD}",
            OWN,
            USUAL,
            Reason.WRONG_WEIGHTS,
            "training",
            id="a wrong page",
        ),
        pytest.param(
            f"https://replicate.com/acme/ann/versions/{NEW}",
            OWN,
            USUAL,
            Reason.LATEST_VERSION,
            "training",
            id="a right page",
        ),
        pytest.param("acme/ann", OWN, USUAL, Reason.LATEST_VERSION, None, id="whatever is the latest"),
        pytest.param(None, OWN, USUAL, Reason.WRONG_WEIGHTS, "training", id="none, where most have some"),
        pytest.param("  ", OWN, USUAL, Reason.WRONG_WEIGHTS, "training", id="blanks, where most have some"),
        pytest.param(None, OWN, RunContext(), Reason.LATEST_VERSION, None, id="none, as most"),
        pytest.param(
            None,
            Training(id="t1", status="succeeded", version=NEW),
            USUAL,
            Reason.LATEST_VERSION,
            None,
            id="there are none",
        ),
        pytest.param(
            OTHER_URL,
            OWN,
            RunContext(missing_columns=frozenset({Column.LORA_WEIGHTS_URL})),
            Reason.LATEST_VERSION,
            None,
            id="no column",
        ),
    ],
)
def test_only_what_is_certain_is_wrong(
    url: str | None, own: Training | None, context: RunContext, reason: Reason, checked: str | None
) -> None:
    known = [each for each in (own, OTHER) if each]
    found = with_weights(record(lora_weights_url=url), finding(), own, known, context)
    assert (found.reason, found.weights_checked) == (reason, checked)
    if reason is Reason.WRONG_WEIGHTS:
        assert found.detail
        assert found.affected_since == "2026-03-01T00:00:00Z"
