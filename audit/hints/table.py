"""What each reason and note means, and what a person on call does next: one entry for each code.

Steps, lines and the checklist may name a user's values in braces; `hints.filled` puts them in. The names:

    {who}        e-mail, else user id              {model}      the model id, as recorded
    {recorded}   stored version                    {latest}     latest version on Replicate
    {behind}     how many versions behind          {page}       the model's page on Replicate
    {sql}        query that shows the user's rows  {detail}     the precise cause
    {trigger}    stored trigger word               {scale}      stored LoRA scale
{weights}    stored weights URL                {others}     users who share the model
    {failure}    why the later training failed     {made_latest}      training that made the latest version
    {real_weights}     its weights URL             {current_weights}  that of the stored version's training
    {trained_trigger}  trigger word which the stored version was trained with
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
RERUN_STEP = "Retry only what failed: sync-audit run --resume RUN"
PER_MODEL = 'write latest_per = "model" below [database] in the config file, or run --latest-per model'
"""What has each model of a user checked."""
HIDDEN = f"If the product also uses other models of this user: {PER_MODEL}."
"""For whom it is not known."""
HINTS: Mapping[Reason | Note, Hint] = {
    Reason.LATEST_VERSION: Hint(
        "Up to date",
        "The stored version is the latest one on Replicate. If this user's photos are still bad, a sync will not help.",
        (
            "Compare the hashes again: stored {recorded}, latest {latest}. They must be equal.",
            "Check that prompts contain the trigger word: {trigger}.",
            "Check the LoRA scale: {scale}. 1 is usual; lower weakens the likeness, higher distorts the image.",
            "Check that the weights URL is the one from the training's output: {weights}.",
            "If all of that is right, the training photos are the cause: get sharper, more varied ones and retrain.",
        ),
    ),
    Reason.OUTDATED_VERSION: Hint(
        "Outdated version",
        "The model was trained again after this version was stored. The product still runs the old one, without any "
        "error: the user gets photos from an old model.",
        (
            "Compare on the model's page: {page} (stored {recorded}, latest {latest}).",
            _SHOW_ROWS,
            "If the user should have the newest training, set {version_column} to {latest}.",
            "Set {weights_column} to the weights URL from that training's output. Never build a URL from the hash.",
            "Find out why the retraining was not stored: webhook missed, worker restarted, or row edited by hand.",
        ),
    ),
    Reason.UNKNOWN_VERSION: Hint(
        "Unknown version",
        "The stored version is not a version of this model: it was deleted, or belongs to another model. "
        "Predictions with it fail or show another person.",
        (
            "Look for {recorded} on the model's page: {page}.",
            _SHOW_ROWS,
            "If the hash belongs to another model of this user, {model_column} is wrong: fix that instead.",
            "Otherwise set {version_column} to {latest}.",
        ),
    ),
    Reason.MALFORMED_VERSION: Hint(
        "Malformed version",
        "The stored version is not a version hash (64 hexadecimal digits), so predictions with it fail.",
        (
            "Stored: {recorded}. Find out what writes it: a shortened hash, `latest` or a URL is never valid.",
            _SHOW_ROWS,
            "Set {version_column} to {latest}.",
        ),
    ),
    Reason.NO_VERSION_RECORDED: Hint(
        "No version stored",
        "The training is completed, but no version was stored with it, so the product can't run the model.",
        (
            _SHOW_ROWS,
            "Set {version_column} to the latest version, {latest}. If it is not known, look at {page}.",
            "Find out why it was not stored: usually a webhook that arrived before the training's output was ready.",
        ),
    ),
    Reason.TRAINER_RECORDED: Hint(
        "Trainer stored as model",
        "The stored model is the trainer, not the model that it trained for this user. Its versions say nothing about "
        "this user, and predictions with it start a training or fail.",
        (
            "Stored: {model}. The right model is the destination of training {training}: https://replicate.com/trainings",
            _SHOW_ROWS,
            "Find out what writes the trainer here: usually a fallback for a training without a destination.",
        ),
    ),
    Reason.TRAINING_NOT_RECORDED: Hint(
        "Training not recorded",
        "The user's newest training succeeded on Replicate, but its row does not say so. The user waits for it, or "
        "still gets photos from the old model.",
        (
            "Row {row} says {row_status}, since {began}; its training {training} made version {latest}.",
            "Preview the fix: sync-audit sync RUN --include training_not_recorded",
            "Find out why: a webhook was missed, a worker restarted, or polling stopped.",
        ),
    ),
    Reason.FAILURE_NOT_RECORDED: Hint(
        "Failure not recorded",
        "The row says that the training is in progress, but on Replicate it ended without a result. The user waits for "
        "a training that will never finish.",
        (
            "Row {row} says {row_status}, since {began}; its training is {training}: {detail}",
            "{set_failed}, and start the training again.",
            "Find out why: a webhook was missed, a worker restarted, or polling stopped.",
        ),
    ),
    Reason.VERSION_LOST: Hint(
        "Version lost",
        "The user has no completed row, but the row's model has versions on Replicate. It could be used, but the "
        "product does not know it. The usual cause: a retraining cleared the row, and then failed.",
        (
            "Row {row} says {row_status}, since {began}; the latest version of {model} is {latest}.",
            "Preview the fix: sync-audit sync RUN --include version_lost",
            "Change the product so that a retraining keeps version and weights until it has new ones.",
        ),
    ),
    Reason.WRONG_WEIGHTS: Hint(
        "Wrong weights",
        "The stored version is the latest, but the stored weights URL is not from its training's output. "
        "Products that load the LoRA by URL make other photos, or none.",
        (
            "Stored: {weights} ({detail})",
            "The right weights URL: {real_weights}",
            "Preview the fix: sync-audit sync RUN",
        ),
    ),
    Reason.WEIGHTS_GONE: Hint(
        "Weights gone",
        "The stored version is the latest, but the file at the stored weights URL is gone. Products that load the LoRA "
        "by URL can't make photos.",
        (
            "Stored: {weights} ({detail})",
            "Look for output.weights of the training that made the version: {training}. If that is gone too, retrain.",
            "Preview the fix: sync-audit sync RUN",
        ),
    ),
    Reason.MISSING_MODEL_ID: Hint(
        "Missing model id",
        "The training is marked completed, but its row has no model, so there was nothing to check.",
        (
            _SHOW_ROWS,
            "Find the training on https://replicate.com/trainings by id or date. Its destination is the model id.",
            "Set {model_column} to that{or_set_status}.",
        ),
    ),
    Reason.INVALID_MODEL_ID: Hint(
        "Invalid model id",
        "The stored model id is not owner/name (ASCII letters, digits, `.`, `_`, `-`), so Replicate was not asked "
        "about it.",
        (
            "Stored: {model}",
            _SHOW_ROWS,
            "Change it to owner/name. In a URL it comes after replicate.com/; a bare name needs the account in front.",
        ),
    ),
    Reason.UNREADABLE_ROW: Hint(
        "Unreadable row",
        "A column of the row, or of its user, holds bytes that are not text in the database's encoding, so nothing in "
        "the row can be trusted. The report shows such bytes as \\351.",
        (
            "Cause: {detail}",
            _SHOW_ROWS,
            "Write the text into that column again, in UTF-8; then run the audit again.",
            "Find out what writes these bytes: usually a program with another encoding.",
        ),
    ),
    Reason.MODEL_NOT_FOUND: Hint(
        "Model not found",
        "Replicate does not find this model with this token. It was deleted or renamed, the id has a typo, or it is "
        "private and the token belongs to another account: Replicate then answers 404, not 403.",
        (
            "Open the model's page while signed in to the product's account: {page}.",
            "If many users have this, check the token's account first: it is at the top of the report.",
            _SHOW_ROWS,
            "If the model is really gone, the user must train again.",
        ),
    ),
    Reason.NO_VERSIONS: Hint(
        "Model without versions",
        "The model exists on Replicate, but it has no version yet.",
        (
            "Look at the trainings of this model: https://replicate.com/trainings",
            "If one is running, wait for it. If the last one failed, start it again.",
            "{says_completed}: {sql}",
        ),
    ),
    Reason.TRAINING_NOT_FOUND: Hint(
        "Training not found",
        "The user's newest row is not completed. Replicate does not find its training with this token, and the model's "
        "versions do not show how it ended.",
        (
            "Row {row} says {row_status}, since {began}; its training is {training}.",
            "Look for it on https://replicate.com/trainings, signed in to the product's account.",
            "If it belongs to another account, use that account's token. Otherwise start the training again.",
        ),
    ),
    Reason.UNAUTHORIZED: Hint(
        "Token refused",
        "Replicate answered 401: the API token is missing, has a typo, or was revoked.",
        (
            "Check REPLICATE_API_TOKEN (or --token-file): it begins with r8_ and has no spaces or quotes around it.",
            'Try it: curl -H "Authorization: Bearer $REPLICATE_API_TOKEN" https://api.replicate.com/v1/account',
            "If it was revoked, make a new one at https://replicate.com/account/api-tokens",
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
        "Replicate answered with a 4xx code that is not expected here.",
        (
            "Cause: {detail}",
            _OPEN_PAGE,
            "If the page opens, retry later. If the error stays, report it with this line.",
        ),
    ),
    Reason.RATE_LIMITED: Hint(
        "Rate limited",
        "Replicate answered 429 to every attempt: this run or the product used up the account's rate limit.",
        (
            "Use a lower --rate, or a quieter time.",
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
        "No attempt got a complete answer in time.",
        (
            "Try one user with more time: sync-audit run --user {who} --timeout 120",
            "Look at https://www.replicatestatus.com",
            RERUN_STEP,
        ),
    ),
    Reason.NETWORK_ERROR: Hint(
        "Network error",
        "Every attempt to connect to Replicate failed, or the connection broke.",
        (
            "Cause: {detail}",
            "Check this machine's network: DNS, proxy (HTTPS_PROXY), firewall, certificates (SSL_CERT_FILE).",
            RERUN_STEP,
        ),
    ),
    Reason.BAD_RESPONSE: Hint(
        "Invalid response",
        "The response was not from the Replicate API: not JSON, the wrong fields, too large, a redirect, a 403 or 404 "
        "with other words than Replicate's, or next pages on another server or in a loop.",
        (
            "Cause: {detail}",
            "Check --base-url and any proxy: a proxy's error page looks like this.",
            "If only a few users have this, open the model's page: {page}",
            RERUN_STEP,
        ),
    ),
    Reason.EVIDENCE_DISAGREES: Hint(
        "Trainings and versions disagree",
        "The account's trainings said that this user is up to date, but a sample check of the model's versions says "
        "otherwise. Other users who were checked only by trainings may be wrong too.",
        (
            "Cause: {detail}",
            "Check all users by versions: sync-audit run --mode versions",
            "Find out who pushes or deletes versions by hand: trainings do not show that.",
        ),
    ),
    Reason.STOPPED: Hint(
        "Not reached",
        "The run ended before it checked this user, so nothing is known about this user.",
        ("Finish the run; no user is checked twice: sync-audit run --resume RUN",),
    ),
    Note.SHARED_MODEL: Hint(
        "Shared model",
        "Other users have the same model, so each retraining changes the photos of all of them.",
        (
            "Other users of it: {others}.",
            "Give each user their own model. The usual cause: model names made from shortened user ids.",
            "Before you sync one of them, find out whose face the latest version shows.",
        ),
    ),
    Note.RETRAINING_IN_PROGRESS: Hint(
        "Retraining in progress",
        "A newer training of this user is waiting or running, so the latest version may change soon.",
        ("Wait until it has ended, then check this user again: sync-audit run --user {who}",),
    ),
    Note.LATER_TRAINING_FAILED: Hint(
        "Later training failed",
        "The user trained again later, but that training failed, so the user still gets the older result.",
        (
            "Why it failed: {failure}",
            "Tell the user, or start it again. The stored version is right.",
        ),
    ),
    Note.OLDER_MODELS_HIDDEN: Hint(
        "Older models hidden",
        "The user has more completed trainings. Only the latest one counts and is shown here.",
        (
            _SHOW_ROWS,
            "{hidden}",
            "If the product uses another row, its ORDER BY is different: try the other --order-by.",
        ),
    ),
    Note.QUALIFIED_VERSION: Hint(
        "Version with model name",
        "The version is stored as owner/name:hash. Predictions that need the hash alone fail.",
        ("Store only the 64-digit hash instead of {recorded}.",),
    ),
    Note.RECORDED_MODEL_DIFFERS: Hint(
        "Version of another model",
        "The stored version names another model than the stored model id.",
        (
            "Stored model: {model}; stored version: {recorded}.",
            "Find out which of the two is right before you sync.",
        ),
    ),
    Note.MISSING_TRIGGER_WORD: Hint(
        "No trigger word",
        "No trigger word is stored, so prompts probably lack it, and the photos don't look like the user.",
        ("Take it from the training's input on https://replicate.com/trainings and store it in {trigger_column}.",),
    ),
    Note.UNUSUAL_LORA_SCALE: Hint(
        "Unusual LoRA scale",
        "The stored LoRA scale is not between 0.5 and 1.5: lower values weaken the likeness; higher ones distort the "
        "image.",
        ("Stored: {scale}. Set it to about 1, unless somebody chose it on purpose.",),
    ),
    Note.MISSING_WEIGHTS_URL: Hint(
        "No weights URL",
        "No weights URL is stored. Products that load the LoRA by URL then run without it.",
        ("Copy output.weights of the training into {weights_column}.",),
    ),
    Note.GUESSED_WEIGHTS_URL: Hint(
        "Guessed weights URL",
        "The weights URL contains a version hash. Real URLs never do: it was made up, and probably does not work.",
        (
            "Stored: {weights}",
            "Replace it with output.weights of the training that made the version.",
        ),
    ),
    Note.UNDATED_ROW: Hint(
        "Row without a date",
        "A completed row of this user has no date, so nobody knows which row is the latest. Here it counts as oldest; "
        "a plain ORDER BY ... DESC in PostgreSQL puts it first.",
        (
            _SHOW_ROWS,
            "Fill in the date, or write ORDER BY ... DESC NULLS LAST in the product.",
        ),
    ),
    Note.OWNER_DIFFERS_FROM_ACCOUNT: Hint(
        "Model of another account",
        "The model and the token belong to different accounts. A private model then looks as if it did not exist.",
        (
            "The model is {model}; the token's account is at the top of the report.",
            "If that is wrong, use a token of the account that owns the models.",
        ),
    ),
    Note.UNRECORDED_TRAINING: Hint(
        "Retraining not recorded",
        "A training on Replicate succeeded and made the latest version, but the product did not store it.",
        (
            "The training is {made_latest}; its weights: {real_weights}",
            "Preview a fix with both values: sync-audit sync RUN",
            "Find out why it was not recorded: webhook missed, worker restarted, or row edited by hand.",
        ),
    ),
    Note.WEIGHTS_URL_OF_ANOTHER_VERSION: Hint(
        "Weights of another version",
        "The stored weights URL is from a training that made another version than the stored one. Products that load "
        "the LoRA by URL make other photos than those that run the version.",
        (
            "Stored: {weights}",
            "The weights URL of the stored version: {current_weights}",
        ),
    ),
    Note.TRIGGER_WORD_DIFFERS: Hint(
        "Another trigger word",
        "The training that made the stored version used another trigger word than the stored one, so the photos don't "
        "look like the user.",
        ("Stored: {trigger}; the training used {trained_trigger}. Store the training's word.",),
    ),
    Note.VERSION_MADE_BY_HAND: Hint(
        "Version made by hand",
        "The latest version was not made by a training of this account: somebody pushed it.",
        (
            "Find out who pushed it, and whether users should get it: {page}",
            "It has no weights URL that could be stored.",
        ),
    ),
}
ONE_LINE: Mapping[Reason, str] = {
    Reason.LATEST_VERSION: "Nothing to sync.",
    Reason.OUTDATED_VERSION: "Set {version_column} to {latest}; the stored version is {behind} behind.",
    Reason.UNKNOWN_VERSION: "The model does not have the stored version; check the model id, then store {latest}.",
    Reason.MALFORMED_VERSION: "The stored version is not a version hash; store {latest}.",
    Reason.NO_VERSION_RECORDED: "No version is stored; store the latest ({latest}).",
    Reason.TRAINER_RECORDED: "The trainer is stored as the model; store the model that it trained.",
    Reason.TRAINING_NOT_RECORDED: "The newest training succeeded; store its version, {latest}, in row {row}.",
    Reason.FAILURE_NOT_RECORDED: "The training ended without a result; row {row} still says {row_status}.",
    Reason.VERSION_LOST: "No row is completed, but the model has a version; store {latest} in row {row}.",
    Reason.WRONG_WEIGHTS: "The weights are not those of the stored version; store {real_weights}.",
    Reason.WEIGHTS_GONE: "The weights file is gone; store the URL from the training's output.",
    Reason.MISSING_MODEL_ID: "Completed without a model id; find the training on Replicate and store its model.",
    Reason.INVALID_MODEL_ID: "Change {model_column} to owner/name.",
    Reason.UNREADABLE_ROW: "Write it again as UTF-8: {detail}",
    Reason.MODEL_NOT_FOUND: "Deleted, renamed, or private to another account: open {page}; check the token's account.",
    Reason.NO_VERSIONS: "The model has no version yet; look at its trainings.",
    Reason.TRAINING_NOT_FOUND: "Replicate does not find training {training}; check the token's account.",
    Reason.UNAUTHORIZED: "Check REPLICATE_API_TOKEN; then retry with --resume.",
    Reason.FORBIDDEN: "The token may not see this model; use the owner's token.",
    Reason.REJECTED: "Unexpected response: {detail}",
    Reason.RATE_LIMITED: "Retry with --resume and a lower --rate.",
    Reason.SERVER_ERROR: "Replicate failed; retry later with --resume.",
    Reason.TIMEOUT: "Too slow; retry with --resume or a longer --timeout.",
    Reason.NETWORK_ERROR: "No connection; check the network, then retry with --resume.",
    Reason.BAD_RESPONSE: "Not a response of the Replicate API; check --base-url and proxies.",
    Reason.EVIDENCE_DISAGREES: "Trainings and versions disagree; check by versions (--mode versions).",
    Reason.STOPPED: "The run ended early; finish it with --resume.",
}
"""The `hint` of JSON and CSV: what to do, in one line for each reason."""


class Check(msgspec.Struct, frozen=True):
    """One item of the checklist for "up to date, but the photos are bad"."""

    question: str
    value: str
    """What is stored."""
    advice: str


CHECKLIST = (
    Check("Is the stored version the latest?", "{recorded}", "The latest is {latest}."),
    Check("Is there a trigger word?", "{trigger}", "Prompts must contain it."),
    Check("Is the LoRA scale usual?", "{scale}", "Around 1 is usual."),
    Check(
        "Is the weights URL real?",
        "{weights}",
        "It must be the one from the training's output. A URL built from the version's hash does not work.",
    ),
    Check("Are the training photos good?", "not stored", "If all else is right: take better photos, and retrain."),
)
"""That of the HTML report, whose script fills it in and judges each value."""
