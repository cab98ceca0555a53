"""Shapes with what counts inside JSON."""

from audit.demo.fake_replicate.world import TRAINER, version_hash
from tests.support.shapes.shape import Shape, Write, usual
from tests.support.shapes.story import BEN, BENS, DORAS, NEW_OF_BEN, NEW_OF_DORA, PEOPLE, TRAINED, Trained, rows


def _output(row: Trained) -> dict[str, str | None] | None:
    return {"version": row.version, "weights": row.weights} if row.hash else None


WHOLE_ANSWER = Shape(
    name="whole_answer",
    sql="""
CREATE TABLE profiles (id uuid PRIMARY KEY, email text, settings jsonb NOT NULL DEFAULT '{}');
CREATE TABLE trainings (
    id text PRIMARY KEY, profile_id uuid NOT NULL REFERENCES profiles (id), status text NOT NULL,
    input jsonb, output jsonb, created_at timestamptz NOT NULL, completed_at timestamptz
);
"""
    + rows("profiles", ({"id": it.uuid, "email": it.email, "settings": {"theme": "dark"}} for it in PEOPLE))
    + rows(
        "trainings",
        (
            {
                "id": it.training,
                "profile_id": it.person.uuid,
                "status": it.state,
                "input": {"trigger_word": "TOK", "steps": 1000, "input_images": "https://example.com/faces.zip"},
                "output": _output(it),
                "created_at": it.created,
                "completed_at": it.ended,
            }
            for it in TRAINED
        ),
    ),
    toml="""
[database]
completed = "succeeded"

[database.tables]
users = "profiles"
user_models = "trainings"

[database.columns]
user_id = "profile_id"
training_status = "status"
replicate_version_id = {sql = "output->>'version'"}
training_id = "id"
lora_weights_url = {sql = "output->>'weights'"}
trigger_word = {sql = "input->>'trigger_word'"}

[database.repair.columns]
replicate_version_id = {sql = "output->>'version'"}
lora_weights_url = {sql = "output->>'weights'"}
""",
    findings=usual("uuid"),
    shown=BEN.email,
    writes=(
        Write(
            f"SELECT output->>'version' FROM trainings WHERE id = '{BENS.training}'",
            BENS.version,
            f"{BENS.model}:{NEW_OF_BEN}",
        ),
    ),
    included=(
        Write(
            f"SELECT output->>'version' FROM trainings WHERE id = '{DORAS.training}'",
            None,
            f"{DORAS.model}:{NEW_OF_DORA}",
        ),
    ),
)
NESTED = Shape(
    name="nested",
    sql="""
CREATE TABLE "user" (id serial PRIMARY KEY, email text, name text);
CREATE TABLE assets (
    id serial PRIMARY KEY, "userId" integer NOT NULL REFERENCES "user" (id), kind text NOT NULL,
    "lifecycle" text NOT NULL, details jsonb NOT NULL, "createdAt" timestamptz NOT NULL
);
"""
    + rows('"user"', ({"email": it.email, "name": it.name} for it in PEOPLE))
    + rows(
        "assets",
        (
            {
                "userId": it.person.number,
                "kind": "style",
                "lifecycle": {"succeeded": "active", "processing": "training", "failed": "failed"}[it.state],
                "details": {
                    "replicate": {
                        "model": {"owner": "acme", "name": it.name},
                        "versionId": it.hash,
                        "trainingId": it.training,
                    },
                    "tags": ["portrait"],
                },
                "createdAt": it.created,
            }
            for it in TRAINED
        ),
    ),
    toml="""
[database]
completed = "active"

[database.tables]
users = "user"
user_models = "assets"

[database.columns]
user_id = "userId"
training_status = "lifecycle"
replicate_owner = {sql = "details->'replicate'->'model'->>'owner'"}
replicate_name = {sql = "details->'replicate'->'model'->>'name'"}
replicate_version_id = {sql = "details->'replicate'->>'versionId'"}
training_id = {sql = "details->'replicate'->>'trainingId'"}
created_at = "createdAt"

[database.columns.users]
display_name = "name"

[database.repair.columns]
replicate_version_id = {sql = "details->'replicate'->>'versionId'"}
replicate_name = {sql = "details->'replicate'->'model'->>'name'"}
replicate_owner = {sql = "details->'replicate'->'model'->>'owner'"}
""",
    findings=usual("number"),
    shown=BEN.email,
    writes=(Write("SELECT details->'replicate'->>'versionId' FROM assets WHERE id = 2", BENS.hash, NEW_OF_BEN),),
    included=(
        Write("SELECT details->'replicate'->>'versionId' FROM assets WHERE id = 5", None, NEW_OF_DORA),
        Write("SELECT lifecycle FROM assets WHERE id = 5", "training", "active"),
    ),
)


def _answer(row: Trained) -> dict[str, object]:
    """What Replicate answers about a training; its own `version` is the trainer's."""
    return {
        "id": row.training,
        "model": TRAINER,
        "version": version_hash("trainer"),
        "status": row.state,
        "input": {"trigger_word": "TOK", "input_images": "https://example.com/faces.zip"},
        "output": _output(row),
        "logs": "",
        "urls": {"get": f"https://api.replicate.com/v1/trainings/{row.training}"},
    }


TRAINING_AS_IT_CAME = Shape(
    name="training_as_it_came",
    sql="""
CREATE TABLE accounts (id serial PRIMARY KEY, email text);
CREATE TABLE trainings (
    id serial PRIMARY KEY, account_id integer NOT NULL REFERENCES accounts (id), payload jsonb NOT NULL,
    received_at timestamptz NOT NULL, created_at timestamptz NOT NULL
);
"""
    + rows("accounts", ({"email": it.email} for it in PEOPLE))
    + rows(
        "trainings",
        (
            {
                "account_id": it.person.number,
                "payload": _answer(it),
                "received_at": it.ended or it.created,
                "created_at": it.created,
            }
            for it in TRAINED
        ),
    ),
    toml="""
[database]
completed = "succeeded"

[database.tables]
users = "accounts"
user_models = "trainings"

[database.columns]
user_id = "account_id"
training_status = {sql = "payload->>'status'"}
replicate_version_id = {sql = "payload->'output'->>'version'"}
training_id = {sql = "payload->>'id'"}
lora_weights_url = {sql = "payload->'output'->>'weights'"}
trigger_word = {sql = "payload->'input'->>'trigger_word'"}

[database.repair.columns]
replicate_version_id = {sql = "payload->'output'->>'version'"}
lora_weights_url = {sql = "payload->'output'->>'weights'"}
training_status = {sql = "payload->>'status'"}
""",
    findings=usual("number"),
    shown=BEN.email,
    writes=(
        Write(
            "SELECT payload->'output'->>'version' FROM trainings WHERE id = 2",
            BENS.version,
            f"{BENS.model}:{NEW_OF_BEN}",
        ),
    ),
    included=(Write("SELECT payload->>'status' FROM trainings WHERE id = 5", "processing", "succeeded"),),
)
SHAPES = (WHOLE_ANSWER, NESTED, TRAINING_AS_IT_CAME)
