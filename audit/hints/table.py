"""What each reason and note means, and what a person on call does next: one entry for each code.

Steps, lines and the checklist may name a user's values in braces; `hints.filled` puts them in. The names:

    {who}        e-mail, else user id              {model}      the model id, as recorded
    {recorded}   recorded version                  {latest}     latest version on Replicate
    {behind}     how many versions behind          {page}       the model's page on Replicate
    {sql}        query that shows the user's rows  {detail}     the precise cause
    {trigger}    recorded trigger word             {scale}      recorded LoRA scale
    {weights}    recorded weights URL              {others}     users who share the model
    {failure}    why the later training failed     {made_latest}      training that made the latest version
    {real_weights}     its weights URL             {current_weights}  that of the recorded version's training
    {trained_trigger}  trigger word which the recorded version was trained with
    {row}        id of the row           {row_status}   its word for the state        {began}    when it began
    {training}   its training id         {hidden}       whether older rows have other models, and what then

and what `hints.own_names` makes of the tables:

    {version_column} {model_column} {weights_column} {trigger_column}   columns, by the database's own names
    {set_failed} {or_set_status} {says_completed}   parts of sentences about the row's status, where it has one
"""

from collections.abc import Mapping

import msgspec

from audit.model.codes import Note, Reason


class Hint(msgspec.Struct, frozen=True):
    """A title of a few words, one or two sentences, and steps in order."""

    title: str
    meaning: str
    steps: tuple[str, ...]


ROWS_STEP = "See all training rows of this user: "
"""Beginning of the step that is needless where the rows are shown."""
_SHOW_ROWS = ROWS_STEP + "{sql}"
_OPEN_PAGE = "Open the model's page: {page}"
RERUN_STEP = "Ask again for those that failed, without asking the others: sync-audit run --resume RUN"
PER_MODEL = 'write latest_per = "model" below [database] in the config file, or run --latest-per model'
"""What has each model of a user judged."""
HIDDEN = f"If other models are among them that are in use as well: {PER_MODEL}."
"""For whom it is not known."""
HINTS: Mapping[Reason | Note, Hint] = {
    Reason.LATEST_VERSION: Hint(
        "Up to date",
        "The recorded version is the newest one on Replicate. If this user's pictures are poor all the same, "
        "it is not a matter of syncing.",
        (
            "Compare the hashes once more: recorded {recorded}, latest {latest}. They must be equal.",
            "Check that prompts contain the trigger word: {trigger}.",
            "Check the LoRA scale: {scale}. Around 1 is usual; much less fades the face, much more breaks the picture.",
            "Check that the weights URL is the one that the training put out: {weights}.",
            "If all of that is right, the photos are the cause: ask for sharper, more varied ones and retrain.",
        ),
    ),
    Reason.OUTDATED_VERSION: Hint(
        "Outdated version",
        "The model was trained again after this version was recorded, so the product silently runs the old one: "
        "the user gets an old face.",
        (
            "Compare on the model's page: {page} (recorded {recorded}, latest {latest}).",
            _SHOW_ROWS,
            "If the newest training is the one the user should have, set {version_column} to {latest}.",
            "Set {weights_column} to the weights which that training put out, never to a URL made up from the hash.",
            "Find out why the retraining was not recorded: webhook missed, worker restarted, or row edited by hand.",
        ),
    ),
    Reason.UNKNOWN_VERSION: Hint(
        "Unknown version",
        "The recorded version is not among the model's versions: it was deleted, or belongs to another model. "
        "Predictions with it fail or show another face.",
        (
            "Look for {recorded} on the model's page: {page}.",
            _SHOW_ROWS,
            "If the hash belongs to another model of this user, {model_column} is wrong: correct that instead.",
            "Otherwise set {version_column} to {latest}.",
        ),
    ),
    Reason.MALFORMED_VERSION: Hint(
        "Malformed version",
        "What is recorded is no version hash (64 hexadecimal digits), so predictions with it fail.",
        (
            "Recorded is {recorded}. Find out what writes it: an abbreviated hash, `latest` or a URL is never valid.",
            _SHOW_ROWS,
            "Set {version_column} to {latest}.",
        ),
    ),
    Reason.NO_VERSION_RECORDED: Hint(
        "No version recorded",
        "The training is completed, but no version was stored with it, so the product has nothing to run.",
        (
            _SHOW_ROWS,
            "Set {version_column} to the latest version, {latest}. If it is not known, look here: {page}.",
            "Find out why it was not stored: usually a webhook that arrived before the training's output was ready.",
        ),
    ),
    Reason.TRAINER_RECORDED: Hint(
        "Trainer recorded as model",
        "The recorded model is the trainer, not the model that it trained for this user: its versions say nothing of "
        "the user, and predictions with it start a training or fail.",
        (
            "Recorded is {model}. The model is the destination of training {training}: https://replicate.com/trainings",
            _SHOW_ROWS,
            "Find out what writes the trainer there: usually a fallback for a training without a destination.",
        ),
    ),
    Reason.TRAINING_NOT_RECORDED: Hint(
        "Training not recorded",
        "The user's newest training succeeded on Replicate, and its row does not say so: the user waits for it, or "
        "goes on with an old face.",
        (
            "Row {row} says {row_status}, since {began}; its training is {training}, the version {latest}.",
            "A repair is planned by: sync-audit sync RUN --include training_not_recorded",
            "Find out why it was not recorded: a webhook was missed, a worker restarted, or nobody polled any more.",
        ),
    ),
    Reason.FAILURE_NOT_RECORDED: Hint(
        "Failure not recorded",
        "The row says that the training is in progress, and on Replicate it is over, without a result: the user waits "
        "for something that does not come.",
        (
            "Row {row} says {row_status}, since {began}; its training is {training}: {detail}",
            "{set_failed}, and start the training again.",
            "Find out why it was not recorded: a webhook was missed, a worker restarted, or nobody polled any more.",
        ),
    ),
    Reason.VERSION_LOST: Hint(
        "Version lost",
        "The user has no completed row, and the row's model has versions on Replicate: there is something to run, and "
        "the product does not know of it. A retraining that wipes the row and then fails leaves this behind.",
        (
            "Row {row} says {row_status}, since {began}; the newest version of {model} is {latest}.",
            "A repair is planned by: sync-audit sync RUN --include version_lost",
            "Let a retraining keep version and weights until the new ones are there.",
        ),
    ),
    Reason.WRONG_WEIGHTS: Hint(
        "Wrong weights",
        "The recorded version is the newest, and the recorded weights are not those that its training put out: "
        "products that load the LoRA by URL show another result, or none.",
        (
            "Recorded is {weights}: {detail}",
            "The version's own weights: {real_weights}",
            "A repair is planned by: sync-audit sync RUN",
        ),
    ),
    Reason.WEIGHTS_GONE: Hint(
        "Weights gone",
        "The recorded version is the newest, and the recorded weights URL leads nowhere: products that load the LoRA "
        "by URL make no pictures.",
        (
            "Recorded is {weights}: {detail}",
            "Look for output.weights of the training that made the version: {training}. Is that gone, too, retrain.",
            "A repair is planned by: sync-audit sync RUN",
        ),
    ),
    Reason.MISSING_MODEL_ID: Hint(
        "Missing model id",
        "The training is marked completed, but no model is recorded with it, so nothing could be asked.",
        (
            _SHOW_ROWS,
            "Find the training on https://replicate.com/trainings, by id or date; its destination is the model id.",
            "Set {model_column} to it{or_set_status}.",
        ),
    ),
    Reason.INVALID_MODEL_ID: Hint(
        "Invalid model id",
        "The recorded model id is not of the form owner/name (ASCII letters, digits, `.`, `_`, `-`), so it was not "
        "sent.",
        (
            "Recorded is: {model}",
            _SHOW_ROWS,
            "Correct it to owner/name. A URL holds it after replicate.com/; a bare name lacks the account in front.",
        ),
    ),
    Reason.UNREADABLE_ROW: Hint(
        "Unreadable row",
        "A column of the row, or of its user, holds bytes that are no text in the database's encoding, so nothing that "
        "the row says is relied on. Bytes are spelled \\351 in the report.",
        (
            "Cause: {detail}",
            _SHOW_ROWS,
            "Write the text into that column anew, in UTF-8; then audit again.",
            "Find out what writes bytes there: usually a program of another encoding, where the database checks none.",
        ),
    ),
    Reason.MODEL_NOT_FOUND: Hint(
        "Model not found",
        "Replicate knows no such model for this token. It was deleted or renamed, the id has a slip, or it is private "
        "and the token is another account's: Replicate then says 404, not 403.",
        (
            "Open the model's page while signed in to the product's account: {page}.",
            "If many users show this, check whose token it is first: the report's head names the account.",
            _SHOW_ROWS,
            "If the model is really gone, the user must train again.",
        ),
    ),
    Reason.NO_VERSIONS: Hint(
        "Model without versions",
        "The model exists on Replicate, but no training has put a version into it.",
        (
            "Look at the trainings of this model: https://replicate.com/trainings",
            "If one is running, wait for it. If the last one failed, start it again.",
            "{says_completed}: {sql}",
        ),
    ),
    Reason.TRAINING_NOT_FOUND: Hint(
        "Training not found",
        "The user's newest row is not completed and names a training that Replicate does not know for this token, and "
        "the model's versions do not tell what became of it.",
        (
            "Row {row} says {row_status}, since {began}; its training is {training}.",
            "Look for it on https://replicate.com/trainings, signed in to the product's account.",
            "If it is another account's, use that account's token. Otherwise start the training again.",
        ),
    ),
    Reason.UNAUTHORIZED: Hint(
        "Token refused",
        "Replicate answered 401: the API token is missing, mistyped or revoked.",
        (
            "Check REPLICATE_API_TOKEN (or --token-file): it begins with r8_ and has no blanks or quotes around it.",
            'Try it: curl -H "Authorization: Bearer $REPLICATE_API_TOKEN" https://api.replicate.com/v1/account',
            "Make a new one at https://replicate.com/account/api-tokens if it was revoked.",
            RERUN_STEP,
        ),
    ),
    Reason.FORBIDDEN: Hint(
        "Access forbidden",
        "Replicate answered 403: the token is valid, but may not see this model.",
        (
            _OPEN_PAGE,
            "Check that the token belongs to the account that owns the model.",
            "Cause: {detail}",
        ),
    ),
    Reason.REJECTED: Hint(
        "Request rejected",
        "Replicate answered with a 4xx code that this program does not expect for this model.",
        (
            "Cause: {detail}",
            _OPEN_PAGE,
            "If the page opens, ask again later; if it goes on, report it with this line.",
        ),
    ),
    Reason.RATE_LIMITED: Hint(
        "Rate limited",
        "Replicate answered 429 to every attempt: the account's limit was used up, by this run or by the product.",
        (
            "Run again with a lower --rate, or at a quieter time.",
            RERUN_STEP,
        ),
    ),
    Reason.SERVER_ERROR: Hint(
        "Server error",
        "Replicate answered with a 5xx code to every attempt.",
        (
            "Look at https://www.replicatestatus.com",
            "Cause: {detail}",
            RERUN_STEP,
        ),
    ),
    Reason.TIMEOUT: Hint(
        "Timed out",
        "No attempt got a whole answer within the time allowed for one.",
        (
            "Try one user with more time: sync-audit run --user {who} --timeout 120",
            "Look at https://www.replicatestatus.com",
            RERUN_STEP,
        ),
    ),
    Reason.NETWORK_ERROR: Hint(
        "Network error",
        "The connection to Replicate could not be made, or broke, on every attempt.",
        (
            "Cause: {detail}",
            "Check this machine's way out: DNS, proxy (HTTPS_PROXY), firewall, certificates (SSL_CERT_FILE).",
            RERUN_STEP,
        ),
    ),
    Reason.BAD_RESPONSE: Hint(
        "Unusable answer",
        "What came back was not an answer of the Replicate API: not JSON, the wrong shape, too large, a redirect, a "
        "403 or 404 in other words than Replicate's, or pages that lead away or in circles.",
        (
            "Cause: {detail}",
            "Check --base-url and any proxy in between: an error page of a proxy looks like this.",
            "If only single users show this, open the model's page: {page}",
            RERUN_STEP,
        ),
    ),
    Reason.EVIDENCE_DISAGREES: Hint(
        "Trainings and versions disagree",
        "The account's trainings said that this user is up to date, and the model's versions, asked for as a sample, "
        "say otherwise. Others who were settled by their trainings may be wrong in the same way.",
        (
            "Cause: {detail}",
            "Audit everybody by versions: sync-audit run --mode versions",
            "Find out who pushes or deletes versions by hand: that is what trainings cannot show.",
        ),
    ),
    Reason.STOPPED: Hint(
        "Not checked",
        "The run ended before this user's turn. Nothing is known about this user.",
        ("Finish the run, without asking the others again: sync-audit run --resume RUN",),
    ),
    Note.SHARED_MODEL: Hint(
        "Shared model",
        "Other users have the same model, so each retraining replaces the face of all of them.",
        (
            "The others: {others}.",
            "Give each user a model of their own; ids shortened from user ids are the usual cause.",
            "Do not sync one of them before it is clear whose face the latest version shows.",
        ),
    ),
    Note.RETRAINING_IN_PROGRESS: Hint(
        "Retraining in progress",
        "A newer training of this user is pending or running, so the latest version may change within the hour.",
        ("Wait until it has ended, then audit this user again: sync-audit run --user {who}",),
    ),
    Note.LATER_TRAINING_FAILED: Hint(
        "Later training failed",
        "The user trained again later and that training failed, so the user still sees the older result.",
        (
            "Why it failed: {failure}",
            "Tell the user or start it again; the record itself is as it should be.",
        ),
    ),
    Note.OLDER_MODELS_HIDDEN: Hint(
        "Older models hidden",
        "The user has further completed trainings. Only the latest one counts and is shown here.",
        (
            _SHOW_ROWS,
            "{hidden}",
            "If the product uses another row than this one, its ORDER BY differs: compare with --order-by.",
        ),
    ),
    Note.QUALIFIED_VERSION: Hint(
        "Version with model name",
        "The version is recorded as owner/name:hash. Predictions that want the bare hash fail.",
        ("Store the bare 64-digit hash instead of {recorded}.",),
    ),
    Note.RECORDED_MODEL_DIFFERS: Hint(
        "Version of another model",
        "The model named inside the recorded version is not the one that is recorded as the model.",
        (
            "Recorded model: {model}; recorded version: {recorded}.",
            "Decide which of the two is right before anything is synced.",
        ),
    ),
    Note.MISSING_TRIGGER_WORD: Hint(
        "No trigger word",
        "No trigger word is recorded, so prompts probably lack it and the face does not come through.",
        ("Take it from the training's input on https://replicate.com/trainings and store it in {trigger_column}.",),
    ),
    Note.UNUSUAL_LORA_SCALE: Hint(
        "Unusual LoRA scale",
        "The recorded LoRA scale is not between 0.5 and 1.5: much less fades the face, much more breaks the picture.",
        ("Recorded is {scale}. Set it to about 1 unless somebody chose it on purpose.",),
    ),
    Note.MISSING_WEIGHTS_URL: Hint(
        "No weights URL",
        "No weights URL is recorded; products that load the LoRA by URL then run without it.",
        ("Take output.weights from the training and store it in {weights_column}.",),
    ),
    Note.GUESSED_WEIGHTS_URL: Hint(
        "Guessed weights URL",
        "The weights URL contains a version hash. Real ones never do: it was made up, and probably leads nowhere.",
        (
            "Recorded is {weights}",
            "Replace it by output.weights of the training that made the version.",
        ),
    ),
    Note.UNDATED_ROW: Hint(
        "Row without a date",
        "A completed row of this user lacks the date that decides which row is the latest. Here it counts as oldest; "
        "a plain ORDER BY ... DESC in PostgreSQL puts it first.",
        (
            _SHOW_ROWS,
            "Fill in the date, or write ORDER BY ... DESC NULLS LAST in the product.",
        ),
    ),
    Note.OWNER_DIFFERS_FROM_ACCOUNT: Hint(
        "Model of another account",
        "The model belongs to another account than the token. A private one then looks as if it did not exist.",
        (
            "The model is {model}; the report's head names the token's account.",
            "If this is not meant, use the token of the account that owns the models.",
        ),
    ),
    Note.UNRECORDED_TRAINING: Hint(
        "Retraining not recorded",
        "A training made the latest version and succeeded on Replicate, and the product has not recorded it.",
        (
            "The training is {made_latest}; its weights: {real_weights}",
            "A repair with both values is planned by: sync-audit sync RUN",
            "Find out why it was not recorded: webhook missed, worker restarted, or row edited by hand.",
        ),
    ),
    Note.WEIGHTS_URL_OF_ANOTHER_VERSION: Hint(
        "Weights of another version",
        "The recorded weights URL was put out by a training that made another version than the recorded one: products "
        "that load the LoRA by URL show another result than those that run the version.",
        (
            "Recorded is {weights}",
            "The recorded version's own weights: {current_weights}",
        ),
    ),
    Note.TRIGGER_WORD_DIFFERS: Hint(
        "Another trigger word",
        "The training that made the recorded version used another trigger word than the recorded one, so prompts miss "
        "the face.",
        ("Recorded is {trigger}; the training used {trained_trigger}. Record the latter.",),
    ),
    Note.VERSION_MADE_BY_HAND: Hint(
        "Version made by hand",
        "No training of the account made the latest version: somebody pushed it.",
        (
            "Ask who pushed it, and whether users are meant to get it: {page}",
            "It has no weights URL of its own that could be recorded.",
        ),
    ),
}
ONE_LINE: Mapping[Reason, str] = {
    Reason.LATEST_VERSION: "Nothing to sync.",
    Reason.OUTDATED_VERSION: "Set {version_column} to {latest}; recorded is {behind} behind.",
    Reason.UNKNOWN_VERSION: "The model does not have the recorded version; check the model id, then record {latest}.",
    Reason.MALFORMED_VERSION: "What is recorded is no version hash; record {latest}.",
    Reason.NO_VERSION_RECORDED: "No version is recorded; record the latest ({latest}).",
    Reason.TRAINER_RECORDED: "The trainer is recorded in the model's place; record the model that it trained.",
    Reason.TRAINING_NOT_RECORDED: "The newest training succeeded; record its version, {latest}, in row {row}.",
    Reason.FAILURE_NOT_RECORDED: "The training is over without a result; row {row} still says {row_status}.",
    Reason.VERSION_LOST: "No row is completed, and the model has a version; record {latest} in row {row}.",
    Reason.WRONG_WEIGHTS: "The weights are not those of the recorded version; record {real_weights}.",
    Reason.WEIGHTS_GONE: "The weights URL leads nowhere; record the one that the training put out.",
    Reason.MISSING_MODEL_ID: "Completed without a model id; find the training on Replicate and fill it in.",
    Reason.INVALID_MODEL_ID: "Correct {model_column} to owner/name.",
    Reason.UNREADABLE_ROW: "Write it anew as UTF-8: {detail}",
    Reason.MODEL_NOT_FOUND: "Deleted, renamed, or private to another account: open {page} and check whose token it is.",
    Reason.NO_VERSIONS: "No training has put a version into the model; look at its trainings.",
    Reason.TRAINING_NOT_FOUND: "Replicate does not know training {training}; check whose token it is.",
    Reason.UNAUTHORIZED: "Check REPLICATE_API_TOKEN; then run again with --resume.",
    Reason.FORBIDDEN: "The token may not see this model; use the owner's token.",
    Reason.REJECTED: "Unexpected answer: {detail}",
    Reason.RATE_LIMITED: "Run again with --resume and a lower --rate.",
    Reason.SERVER_ERROR: "Replicate failed; run again later with --resume.",
    Reason.TIMEOUT: "Too slow; run again with --resume or a longer --timeout.",
    Reason.NETWORK_ERROR: "No connection; check the network, then run again with --resume.",
    Reason.BAD_RESPONSE: "Not an answer of the API; check --base-url and proxies.",
    Reason.EVIDENCE_DISAGREES: "Trainings and versions disagree; audit by versions (--mode versions).",
    Reason.STOPPED: "The run ended early; finish it with --resume.",
}
"""The `hint` of JSON and CSV: what to do, in one line for each reason."""


class Check(msgspec.Struct, frozen=True):
    """One item of the checklist for "up to date, but the pictures are poor"."""

    question: str
    value: str
    """What is recorded."""
    advice: str


CHECKLIST = (
    Check("Is the recorded hash the latest?", "{recorded}", "The latest is {latest}."),
    Check("Is there a trigger word?", "{trigger}", "Prompts must contain it."),
    Check("Is the LoRA scale usual?", "{scale}", "Around 1 is usual."),
    Check(
        "Is the weights URL real?",
        "{weights}",
        "It must be the one that the training put out; one made from the version's hash leads nowhere.",
    ),
    Check("Are the training photos good?", "not recorded", "If all else is right: better photos, and retrain."),
)
"""That of the HTML report, whose script fills it in and judges each value."""
