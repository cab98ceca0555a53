"""Shapes with all that counts in the columns of one table, beside a table of users or none."""

from audit.demo.fake_replicate.world import training_id, version_hash
from audit.model.codes import Reason
from tests.support.shapes.shape import Shape, Write, per_model, usual
from tests.support.shapes.story import (
    BEN,
    BENS,
    CLEO,
    DORAS,
    ELIS,
    NEW_OF_BEN,
    NEW_OF_CLEO,
    NEW_OF_DORA,
    PEOPLE,
    TRAINED,
    Trained,
    rows,
)


def _word(row: Trained, completed: str, failed: str = "failed", in_progress: str = "training") -> str:
    return {"succeeded": completed, "failed": failed, "processing": in_progress}[row.state]


PLAIN = Shape(
    name="plain",
    sql="""
CREATE TABLE users (id text PRIMARY KEY, email text UNIQUE, display_name text);
CREATE TABLE user_models (
    id serial PRIMARY KEY, user_id text NOT NULL REFERENCES users (id), training_status text,
    replicate_model_id text, replicate_version_id text, training_id text, trigger_word text, lora_scale numeric,
    lora_weights_url text, created_at timestamptz DEFAULT now(), updated_at timestamptz, completed_at timestamptz
);
"""
    + rows("users", ({"id": it.key, "email": it.email, "display_name": it.name} for it in PEOPLE))
    + rows(
        "user_models",
        (
            {
                "user_id": it.person.key,
                "training_status": _word(it, "completed"),
                "replicate_model_id": it.model,
                "replicate_version_id": it.hash,
                "training_id": it.training,
                "trigger_word": "TOK",
                "lora_scale": 1,
                "lora_weights_url": it.weights,
                "created_at": it.created,
                "updated_at": it.ended or it.created,
                "completed_at": it.ended if it.done else None,
            }
            for it in TRAINED
        ),
    ),
    toml="",
    findings=usual("key"),
    shown=BEN.email,
    writes=(Write("SELECT replicate_version_id FROM user_models WHERE id = 2", BENS.hash, NEW_OF_BEN),),
    included=(Write("SELECT replicate_version_id FROM user_models WHERE id = 5", None, NEW_OF_DORA),),
)
OWNER_IN_CODE = Shape(
    name="owner_in_code",
    sql="""
CREATE TABLE accounts (id uuid PRIMARY KEY, email varchar(255) NOT NULL, full_name text, joined_at timestamptz);
CREATE TABLE headshot_models (
    id uuid PRIMARY KEY, account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name varchar(120) NOT NULL, version char(64), status varchar(20) NOT NULL DEFAULT 'queued',
    trained_at timestamptz, created_at timestamptz NOT NULL
);
CREATE TABLE pictures (
    id serial PRIMARY KEY, headshot_model_id uuid REFERENCES headshot_models (id), prompt text, url text
);
"""
    + rows(
        "accounts",
        ({"id": it.uuid, "email": it.email, "full_name": it.name, "joined_at": TRAINED[0].created} for it in PEOPLE),
    )
    + rows(
        "headshot_models",
        (
            {
                "id": it.uuid,
                "account_id": it.person.uuid,
                "name": it.name,
                "version": it.hash,
                "status": _word(it, "ready"),
                "trained_at": it.ended if it.done else None,
                "created_at": it.created,
            }
            for it in TRAINED
        ),
    )
    + rows(
        "pictures",
        (
            {"headshot_model_id": it.uuid, "prompt": "a portrait", "url": f"https://replicate.delivery/x/{n}.png"}
            for n, it in enumerate(TRAINED)
        ),
    ),
    toml="""
[database]
owner = "acme"
completed = "ready"

[database.tables]
users = "accounts"
user_models = "headshot_models"

[database.columns]
user_id = "account_id"
training_status = "status"
replicate_name = "name"
replicate_version_id = "version"
completed_at = "trained_at"

[database.columns.users]
display_name = "full_name"
""",
    findings=usual("uuid"),
    shown=BEN.email,
    writes=(Write(f"SELECT version FROM headshot_models WHERE id = '{BENS.uuid}'", BENS.hash, NEW_OF_BEN),),
    included=(Write(f"SELECT version FROM headshot_models WHERE id = '{DORAS.uuid}'", None, NEW_OF_DORA),),
)
QUALIFIED_VERSION = Shape(
    name="qualified_version",
    sql="""
CREATE SCHEMA studio;
CREATE TYPE studio.tuning_state AS ENUM ('STARTING', 'PROCESSING', 'SUCCEEDED', 'FAILED', 'CANCELED');
CREATE TABLE studio.members (id serial PRIMARY KEY, email text NOT NULL UNIQUE, password_digest text);
CREATE TABLE studio.tunings (
    id serial PRIMARY KEY, member_id integer NOT NULL REFERENCES studio.members (id),
    reference text, state studio.tuning_state NOT NULL, training_ref text, trigger text,
    inserted_at timestamp NOT NULL, updated_at timestamp NOT NULL
);
"""
    + rows("studio.members", ({"email": it.email, "password_digest": "x" * 64} for it in PEOPLE))
    + rows(
        "studio.tunings",
        (
            {
                "member_id": it.person.number,
                "reference": it.version,
                "state": it.state.upper(),
                "training_ref": it.training,
                "trigger": "TOK",
                "inserted_at": it.created,
                "updated_at": it.ended or it.created,
            }
            for it in TRAINED
        ),
    ),
    toml="""
[database]
completed = "SUCCEEDED"

[database.tables]
users = "studio.members"
user_models = "studio.tunings"

[database.columns]
user_id = "member_id"
training_status = "state"
replicate_version_id = "reference"
training_id = "training_ref"
trigger_word = "trigger"
created_at = "inserted_at"
""",
    findings=usual("number"),
    shown=BEN.email,
    writes=(Write("SELECT reference FROM studio.tunings WHERE id = 2", BENS.version, f"{BENS.model}:{NEW_OF_BEN}"),),
    included=(
        Write("SELECT reference FROM studio.tunings WHERE id = 5", None, f"{DORAS.model}:{NEW_OF_DORA}"),
        Write("SELECT state FROM studio.tunings WHERE id = 5", "PROCESSING", "SUCCEEDED"),
    ),
)
OWNER_AND_NAME = Shape(
    name="owner_and_name",
    sql="""
CREATE TABLE customers (id bigint PRIMARY KEY, contact_email text, company text);
CREATE TABLE loras (
    id bigint PRIMARY KEY, customer_id bigint NOT NULL REFERENCES customers (id), title text,
    model_owner text, model_name text, version_id text, state text, lora_url text,
    started_at timestamptz NOT NULL, finished_at timestamptz
);
"""
    + rows("customers", ({"id": it.number, "contact_email": it.email, "company": it.name} for it in PEOPLE))
    + rows(
        "loras",
        (
            {
                "id": 70 + it.number,
                "customer_id": it.person.number,
                "title": f"{it.person.name}'s",
                "model_owner": "acme",
                "model_name": it.name,
                "version_id": it.hash,
                "state": _word(it, "done", "error", "running"),
                "lora_url": it.weights,
                "started_at": it.created,
                "finished_at": it.ended,
            }
            for it in TRAINED
        ),
    ),
    toml="""
[database]
completed = "done"

[database.tables]
users = "customers"
user_models = "loras"

[database.columns]
user_id = "customer_id"
training_status = "state"
replicate_owner = "model_owner"
replicate_name = "model_name"
replicate_version_id = "version_id"
lora_weights_url = "lora_url"
completed_at = "finished_at"
model_name = "title"

[database.columns.users]
email = "contact_email"
display_name = "company"
""",
    findings=usual("number"),
    shown=BEN.email,
    writes=(Write("SELECT version_id FROM loras WHERE id = 72", BENS.hash, NEW_OF_BEN),),
    included=(Write("SELECT version_id FROM loras WHERE id = 75", None, NEW_OF_DORA),),
)
CAMEL_CASE = Shape(
    name="camel_case",
    sql="""
CREATE TYPE "ModelStatus" AS ENUM ('PENDING', 'TRAINING', 'READY', 'FAILED');
CREATE TABLE "User" ("id" text PRIMARY KEY, "email" text, "name" text, "createdAt" timestamp(3) NOT NULL);
CREATE TABLE "Account" (
    "id" text PRIMARY KEY, "userId" text NOT NULL REFERENCES "User" ("id"), "provider" text NOT NULL,
    "providerAccountId" text NOT NULL
);
CREATE TABLE "Model" (
    "id" text PRIMARY KEY, "userId" text NOT NULL REFERENCES "User" ("id"), "replicateModel" text,
    "versionHash" text, "replicateTrainingId" text, "status" "ModelStatus" NOT NULL DEFAULT 'PENDING',
    "triggerWord" text, "loraUrl" text, "createdAt" timestamp(3) NOT NULL, "updatedAt" timestamp(3) NOT NULL
);
"""
    + rows(
        '"User"',
        ({"id": it.key, "email": it.email, "name": it.name, "createdAt": TRAINED[0].created} for it in PEOPLE),
    )
    + rows(
        '"Account"',
        (
            {"id": f"a{it.number}", "userId": it.key, "provider": "google", "providerAccountId": str(it.number)}
            for it in PEOPLE
        ),
    )
    + rows(
        '"Model"',
        (
            {
                "id": f"m{it.number}",
                "userId": it.person.key,
                "replicateModel": it.model,
                "versionHash": it.hash,
                "replicateTrainingId": it.training,
                "status": _word(it, "READY", "FAILED", "TRAINING"),
                "triggerWord": "TOK",
                "loraUrl": it.weights,
                "createdAt": it.created,
                "updatedAt": it.ended or it.created,
            }
            for it in TRAINED
        ),
    ),
    toml="""
[database]
completed = "READY"

[database.tables]
users = "User"
user_models = "Model"

[database.columns]
user_id = "userId"
training_status = "status"
replicate_model_id = "replicateModel"
replicate_version_id = "versionHash"
training_id = "replicateTrainingId"
trigger_word = "triggerWord"
lora_weights_url = "loraUrl"
created_at = "createdAt"
updated_at = "updatedAt"

[database.columns.users]
display_name = "name"
""",
    findings=usual("key"),
    shown=BEN.email,
    writes=(Write("""SELECT "versionHash" FROM "Model" WHERE id = 'm2'""", BENS.hash, NEW_OF_BEN),),
    included=(
        Write("""SELECT "versionHash" FROM "Model" WHERE id = 'm5'""", None, NEW_OF_DORA),
        Write("""SELECT "status"::text FROM "Model" WHERE id = 'm5'""", "TRAINING", "READY"),
    ),
)
AUTH_USERS = Shape(
    name="auth_users",
    sql="""
CREATE SCHEMA auth;
CREATE TABLE auth.users (
    id uuid PRIMARY KEY, email varchar(255), encrypted_password varchar(255), raw_user_meta_data jsonb,
    created_at timestamptz, deleted_at timestamptz
);
CREATE TABLE auth.sessions (id uuid PRIMARY KEY, user_id uuid REFERENCES auth.users (id), created_at timestamptz);
CREATE TABLE models (
    id bigint PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, user_id uuid NOT NULL REFERENCES auth.users (id),
    name text, type text, "modelId" text, version text, status text, created_at timestamptz NOT NULL
);
CREATE TABLE images (id bigint PRIMARY KEY, "modelId" bigint REFERENCES models (id), uri text);
CREATE TABLE credits (id bigint PRIMARY KEY, user_id uuid REFERENCES auth.users (id), credits integer);
ALTER TABLE models ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON models FOR SELECT USING (user_id = current_setting('request.sub', true)::uuid);
"""
    + rows(
        "auth.users",
        (
            {
                "id": it.uuid,
                "email": it.email,
                "encrypted_password": "$2a$10$abcdefghijklmnopqrstuv",
                "raw_user_meta_data": {"full_name": it.name},
                "created_at": TRAINED[0].created,
                "deleted_at": None,
            }
            for it in PEOPLE
        ),
    )
    + rows(
        "models",
        (
            {
                "user_id": it.person.uuid,
                "name": f"{it.person.name} {it.number}",
                "type": "woman",
                "modelId": it.training,
                "version": it.version,
                "status": _word(it, "finished", "failed", "processing"),
                "created_at": it.created,
            }
            for it in TRAINED
        ),
    )
    + rows("credits", ({"id": it.number, "user_id": it.uuid, "credits": 3} for it in PEOPLE)),
    toml="""
[database]
where = "user_id NOT IN (SELECT id FROM auth.users WHERE deleted_at IS NOT NULL)"
completed = "finished"

[database.tables]
users = "auth.users"
user_models = "models"

[database.columns]
training_status = "status"
replicate_version_id = "version"
training_id = "modelId"
model_name = "name"
""",
    findings=usual("uuid"),
    shown=BEN.email,
    writes=(Write("SELECT version FROM models WHERE id = 2", BENS.version, f"{BENS.model}:{NEW_OF_BEN}"),),
    included=(Write("SELECT version FROM models WHERE id = 5", None, f"{DORAS.model}:{NEW_OF_DORA}"),),
)
NO_USERS = Shape(
    name="no_users",
    sql="""
CREATE TABLE fine_tunes (
    id uuid PRIMARY KEY, clerk_user_id varchar(64) NOT NULL, model varchar(200), model_version varchar(64),
    status varchar(16) NOT NULL, error text, created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL
);
CREATE INDEX ON fine_tunes (clerk_user_id);
CREATE TABLE generations (id uuid PRIMARY KEY, fine_tune_id uuid REFERENCES fine_tunes (id), clerk_user_id text);
"""
    + rows(
        "fine_tunes",
        (
            {
                "id": it.uuid,
                "clerk_user_id": f"user_{it.person.key}",
                "model": it.model,
                "model_version": it.hash,
                "status": _word(it, "succeeded", "failed", "processing"),
                "error": "no face found" if it is ELIS else None,
                "created_at": it.created,
                "updated_at": it.ended or it.created,
            }
            for it in TRAINED
        ),
    ),
    toml="""
[database]
completed = "succeeded"

[database.tables]
users = false
user_models = "fine_tunes"

[database.columns]
user_id = "clerk_user_id"
training_status = "status"
replicate_model_id = "model"
replicate_version_id = "model_version"
failure_reason = "error"
""",
    findings={f"user_{user}": reason for user, reason in usual("key").items()},
    shown=None,
    writes=(Write(f"SELECT model_version FROM fine_tunes WHERE id = '{BENS.uuid}'", BENS.hash, NEW_OF_BEN),),
    included=(Write(f"SELECT model_version FROM fine_tunes WHERE id = '{DORAS.uuid}'", None, NEW_OF_DORA),),
)
_NEWEST = {row.person: row for row in TRAINED}
ON_THE_USER = Shape(
    name="on_the_user",
    sql="""
CREATE TABLE app_user (
    id serial PRIMARY KEY, email text NOT NULL, nick text, lora_model text, lora_version text, lora_status text,
    lora_trained_at timestamptz, created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL
);
CREATE TABLE app_post (id serial PRIMARY KEY, author_id integer REFERENCES app_user (id), body text);
"""
    + rows(
        "app_user",
        (
            {
                "email": it.email,
                "nick": it.name,
                "lora_model": row and row.model,
                "lora_version": row and row.hash,
                "lora_status": row and _word(row, "trained", "failed", "training"),
                "lora_trained_at": (row and row.done and row.ended) or None,
                "created_at": TRAINED[0].created,
                "updated_at": (row and (row.ended or row.created)) or TRAINED[0].created,
            }
            for it in PEOPLE
            for row in (_NEWEST.get(it),)
        ),
    ),
    toml="""
[database]
completed = "trained"

[database.tables]
users = "app_user"
user_models = "app_user"

[database.columns]
user_id = "id"
training_status = "lora_status"
replicate_model_id = "lora_model"
replicate_version_id = "lora_version"
completed_at = "lora_trained_at"

[database.columns.users]
display_name = "nick"
""",
    findings=usual("number"),
    shown=BEN.email,
    writes=(Write("SELECT lora_version FROM app_user WHERE id = 2", BENS.hash, NEW_OF_BEN),),
    included=(Write("SELECT lora_version FROM app_user WHERE id = 4", None, NEW_OF_DORA),),
)
SECOND_PROVIDER = Shape(
    name="second_provider",
    sql="""
CREATE TABLE people (id integer PRIMARY KEY, mail text, removed boolean NOT NULL DEFAULT false);
CREATE TABLE image_models (
    id integer PRIMARY KEY, person_id integer NOT NULL REFERENCES people (id), provider text NOT NULL,
    provider_model text, provider_version text, provider_job text, status text, created_at timestamptz,
    finished_at timestamptz, deleted_at timestamptz
);
"""
    + rows("people", ({"id": it.number, "mail": it.email, "removed": False} for it in PEOPLE))
    + rows(
        "image_models",
        [
            {
                "id": it.number,
                "person_id": it.person.number,
                "provider": "Replicate",
                "provider_model": it.model,
                "provider_version": it.hash,
                "provider_job": it.training,
                "status": _word(it, "completed", "failed", "in_progress"),
                "created_at": it.created,
                "finished_at": it.ended,
                "deleted_at": None,
            }
            for it in TRAINED
        ]
        + [
            {
                "id": 20 + it.number,
                "person_id": it.number,
                "provider": "Fal",
                "provider_model": "fal-ai/flux-lora-fast-training",
                "provider_version": None,
                "provider_job": it.uuid,
                "status": "completed",
                "created_at": "2025-08-01T00:00:00Z",
                "finished_at": "2025-08-01T00:20:00Z",
                "deleted_at": None,
            }
            for it in PEOPLE[:3]
        ]
        + [
            {
                "id": 30,
                "person_id": BEN.number,
                "provider": "Replicate",
                "provider_model": "acme/ben-thrown-away",
                "provider_version": "f" * 64,
                "provider_job": None,
                "status": "completed",
                "created_at": "2025-09-01T00:00:00Z",
                "finished_at": "2025-09-01T00:20:00Z",
                "deleted_at": "2025-09-02T00:00:00Z",
            }
        ],
    ),
    toml="""
[database]
where = "provider = 'Replicate' AND deleted_at IS NULL"

[database.tables]
users = "people"
user_models = "image_models"

[database.columns]
user_id = "person_id"
training_status = "status"
replicate_model_id = "provider_model"
replicate_version_id = "provider_version"
training_id = "provider_job"
completed_at = "finished_at"

[database.columns.users]
email = "mail"
""",
    findings=usual("number"),
    shown=BEN.email,
    writes=(Write("SELECT provider_version FROM image_models WHERE id = 2", BENS.hash, NEW_OF_BEN),),
    included=(Write("SELECT provider_version FROM image_models WHERE id = 5", None, NEW_OF_DORA),),
)
ALL_IN_USE = Shape(
    name="all_in_use",
    sql="""
CREATE TABLE owners (id uuid PRIMARY KEY, email text);
CREATE TABLE pet_models (
    id uuid PRIMARY KEY, owner_id uuid NOT NULL REFERENCES owners (id), pet_name text, model_slug text,
    model_version text, is_archived boolean NOT NULL DEFAULT false, training_status text, created_at timestamptz
);
"""
    + rows("owners", ({"id": it.uuid, "email": it.email} for it in PEOPLE))
    + rows(
        "pet_models",
        [
            {
                "id": it.uuid,
                "owner_id": it.person.uuid,
                "pet_name": f"Rex the {it.number}.",
                "model_slug": it.model,
                "model_version": it.hash,
                "is_archived": False,
                "training_status": _word(it, "completed"),
                "created_at": it.created,
            }
            for it in TRAINED
        ]
        + [
            {
                "id": "00000009-2222-4222-8222-000000000009",
                "owner_id": CLEO.uuid,
                "pet_name": "Gone",
                "model_slug": "acme/cleo-gone",
                "model_version": "e" * 64,
                "is_archived": True,
                "training_status": "completed",
                "created_at": "2025-12-01T00:00:00Z",
            }
        ],
    ),
    toml="""
[database]
latest_per = "model"
where = "NOT is_archived"

[database.tables]
users = "owners"
user_models = "pet_models"

[database.columns]
user_id = "owner_id"
replicate_model_id = "model_slug"
replicate_version_id = "model_version"
model_name = "pet_name"
""",
    findings=usual("uuid"),
    shown=BEN.email,
    latest_per="model",
    per_model=per_model("uuid"),
    writes=(
        Write(f"SELECT model_version FROM pet_models WHERE id = '{BENS.uuid}'", BENS.hash, NEW_OF_BEN),
        Write(
            f"SELECT model_version FROM pet_models WHERE id = '{TRAINED[2].uuid}'",
            TRAINED[2].hash,
            NEW_OF_CLEO,
        ),
    ),
    included=(Write(f"SELECT model_version FROM pet_models WHERE id = '{DORAS.uuid}'", None, NEW_OF_DORA),),
)

TRAINING_FOR_MODEL = Shape(
    name="training_for_model",
    sql="""
CREATE TABLE clients (id serial PRIMARY KEY, email_address text UNIQUE, role text);
CREATE TABLE client_trainings (
    id serial PRIMARY KEY, client_id integer REFERENCES clients (id), replicate_id varchar(40),
    version_hash text, state text CHECK (state IN ('starting', 'processing', 'succeeded', 'failed', 'canceled')),
    requested_at timestamptz NOT NULL, changed_at timestamptz NOT NULL
);
"""
    + rows("clients", ({"email_address": it.email, "role": "customer"} for it in PEOPLE))
    + rows(
        "client_trainings",
        (
            {
                "client_id": it.person.number,
                "replicate_id": it.training,
                "version_hash": it.hash,
                "state": it.state,
                "requested_at": it.created,
                "changed_at": it.ended or it.created,
            }
            for it in TRAINED
        ),
    ),
    toml="""
[database]
completed = "succeeded"

[database.tables]
users = "clients"
user_models = "client_trainings"

[database.columns]
user_id = "client_id"
training_status = "state"
replicate_model_id = "replicate_id"
replicate_version_id = "version_hash"
training_id = "replicate_id"
created_at = "requested_at"
updated_at = "changed_at"

[database.columns.users]
email = "email_address"
""",
    findings=usual("number"),
    shown=BEN.email,
    writes=(Write("SELECT version_hash FROM client_trainings WHERE id = 2", BENS.hash, NEW_OF_BEN),),
    included=(Write("SELECT version_hash FROM client_trainings WHERE id = 5", None, NEW_OF_DORA),),
)
_DONE = [row for row in TRAINED if row.done]
NO_STATUS = Shape(
    name="no_status",
    sql="""
CREATE TABLE logins (login text PRIMARY KEY, e_mail text);
CREATE TABLE "LoRA styles" (
    style_id integer PRIMARY KEY, login text NOT NULL REFERENCES logins (login), weights text NOT NULL, made date
);
"""
    + rows("logins", ({"login": it.name.lower(), "e_mail": it.email} for it in PEOPLE))
    + rows(
        '"LoRA styles"',
        (
            {
                "style_id": it.number,
                "login": it.person.name.lower(),
                "weights": it.version,
                "made": it.created.date().isoformat(),
            }
            for it in _DONE
        ),
    ),
    toml="""
[database.tables]
users = "logins"
user_models = "LoRA styles"

[database.columns]
user_id = "login"
replicate_version_id = "weights"
created_at = "made"

[database.columns.user_models]
id = "style_id"

[database.columns.users]
id = "login"
email = "e_mail"
""",
    findings={
        "ada": Reason.LATEST_VERSION,
        "ben": Reason.OUTDATED_VERSION,
        "cleo": Reason.LATEST_VERSION,
    },
    shown=BEN.email,
    writes=(
        Write("""SELECT weights FROM "LoRA styles" WHERE style_id = 2""", BENS.version, f"{BENS.model}:{NEW_OF_BEN}"),
    ),
)
OTHER_JOBS = Shape(
    name="other_jobs",
    sql="""
CREATE TABLE users (id serial PRIMARY KEY, email text, api_token char(64));
CREATE TABLE uploads (id serial PRIMARY KEY, user_id integer REFERENCES users (id), checksum char(64), status text);
CREATE TABLE jobs (
    id serial PRIMARY KEY, user_id integer NOT NULL REFERENCES users (id), kind text NOT NULL, status text NOT NULL,
    replicate_id text, model text, version text, created_at timestamptz NOT NULL, finished_at timestamptz
);
"""
    + rows("users", ({"email": it.email, "api_token": version_hash(f"token {it.name}")} for it in PEOPLE))
    + rows(
        "uploads",
        ({"user_id": it.number, "checksum": version_hash(f"file {it.name}"), "status": "done"} for it in PEOPLE),
    )
    + rows(
        "jobs",
        [
            {
                "user_id": it.person.number,
                "kind": "training",
                "status": it.state,
                "replicate_id": it.training,
                "model": it.model,
                "version": it.hash,
                "created_at": it.created,
                "finished_at": it.ended,
            }
            for it in TRAINED
        ]
        + [
            {
                "user_id": it.number,
                "kind": "upscale",
                "status": "succeeded",
                "replicate_id": training_id(f"upscale {it.number}"),
                "model": None,
                "version": None,
                "created_at": "2025-12-01T00:00:00Z",
                "finished_at": "2025-12-01T00:01:00Z",
            }
            for it in PEOPLE
        ],
    ),
    toml="""
[database]
completed = "succeeded"
where = "kind = 'training'"

[database.tables]
user_models = "jobs"

[database.columns]
training_status = "status"
replicate_model_id = "model"
replicate_version_id = "version"
training_id = "replicate_id"
completed_at = "finished_at"
""",
    findings=usual("number"),
    shown=BEN.email,
    writes=(Write("SELECT version FROM jobs WHERE id = 2", BENS.hash, NEW_OF_BEN),),
    included=(Write("SELECT version FROM jobs WHERE id = 5", None, NEW_OF_DORA),),
)
SHAPES = (
    *(PLAIN, OWNER_IN_CODE, QUALIFIED_VERSION, OWNER_AND_NAME, CAMEL_CASE, AUTH_USERS, NO_USERS, ON_THE_USER),
    *(SECOND_PROVIDER, ALL_IN_USE, TRAINING_FOR_MODEL, NO_STATUS, OTHER_JOBS),
)
