"""Shapes whose values stand in several tables, so that a query has to bring them together."""

from tests.support.shapes.shape import Shape, Write, usual
from tests.support.shapes.story import BEN, BENS, DORAS, NEW_OF_BEN, NEW_OF_DORA, PEOPLE, TRAINED, rows

MODELS_AND_VERSIONS = Shape(
    name="models_and_versions",
    sql="""
CREATE TABLE users (id serial PRIMARY KEY, email text, name text);
CREATE TABLE ai_models (
    id serial PRIMARY KEY, user_id integer NOT NULL REFERENCES users (id), owner text NOT NULL, slug text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE TABLE ai_model_versions (
    id serial PRIMARY KEY, ai_model_id integer NOT NULL REFERENCES ai_models (id), replicate_version text,
    replicate_training_id text, state text NOT NULL, created_at timestamptz NOT NULL, ready_at timestamptz
);
"""
    + rows("users", ({"email": it.email, "name": it.name} for it in PEOPLE))
    + rows(
        "ai_models",
        ({"user_id": it.person.number, "owner": "acme", "slug": it.name, "created_at": it.created} for it in TRAINED),
    )
    + rows(
        "ai_model_versions",
        (
            {
                "ai_model_id": it.number,
                "replicate_version": it.hash,
                "replicate_training_id": it.training,
                "state": {"succeeded": "ready", "processing": "training", "failed": "failed"}[it.state],
                "created_at": it.created,
                "ready_at": it.ended if it.done else None,
            }
            for it in TRAINED
        ),
    ),
    toml='''
[database]
completed = "ready"

[database.queries]
user_models = """
SELECT t.id, m.user_id, t.state AS training_status, m.owner AS replicate_owner, m.slug AS replicate_name,
    t.replicate_version AS replicate_version_id, t.replicate_training_id AS training_id, t.created_at,
    t.ready_at AS completed_at
FROM ai_model_versions AS t JOIN ai_models AS m ON m.id = t.ai_model_id
"""

[database.repair]
table = "ai_model_versions"
key = "id"

[database.repair.columns]
training_status = "state"
replicate_version_id = "replicate_version"
completed_at = "ready_at"
''',
    findings=usual("number"),
    shown=BEN.email,
    writes=(Write("SELECT replicate_version FROM ai_model_versions WHERE id = 2", BENS.hash, NEW_OF_BEN),),
    included=(
        Write("SELECT replicate_version FROM ai_model_versions WHERE id = 5", None, NEW_OF_DORA),
        Write("SELECT state FROM ai_model_versions WHERE id = 5", "training", "ready"),
    ),
)
THROUGH_AVATARS = Shape(
    name="through_avatars",
    sql="""
CREATE TABLE teams (id uuid PRIMARY KEY, title text, billing_email text);
CREATE TABLE avatars (
    id uuid PRIMARY KEY, team_id uuid NOT NULL REFERENCES teams (id), label text, created_at timestamptz
);
CREATE TABLE avatar_trainings (
    id uuid PRIMARY KEY, avatar_id uuid NOT NULL REFERENCES avatars (id), destination text, version text,
    status text, weights_url text, created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL
);
"""
    + rows("teams", ({"id": it.uuid, "title": it.name, "billing_email": it.email} for it in PEOPLE))
    + rows(
        "avatars",
        (
            {
                "id": f"{it.number:08d}-3333-4333-8333-{it.number:012d}",
                "team_id": it.person.uuid,
                "label": f"{it.person.name} at work",
                "created_at": it.created,
            }
            for it in TRAINED
        ),
    )
    + rows(
        "avatar_trainings",
        (
            {
                "id": it.uuid,
                "avatar_id": f"{it.number:08d}-3333-4333-8333-{it.number:012d}",
                "destination": it.model,
                "version": it.version,
                "status": it.state,
                "weights_url": it.weights,
                "created_at": it.created,
                "updated_at": it.ended or it.created,
            }
            for it in TRAINED
        ),
    ),
    toml='''
[database]
completed = "succeeded"

[database.tables]
users = "teams"

[database.columns.users]
email = "billing_email"
display_name = "title"

[database.queries]
user_models = """
SELECT t.id, a.team_id AS user_id, t.status AS training_status, t.destination AS replicate_model_id,
    t.version AS replicate_version_id, t.weights_url AS lora_weights_url, t.created_at, t.updated_at
FROM avatar_trainings AS t JOIN avatars AS a ON a.id = t.avatar_id
"""

[database.repair]
table = "avatar_trainings"
key = "id"

[database.repair.columns]
training_status = "status"
replicate_version_id = "version"
replicate_model_id = "destination"
lora_weights_url = "weights_url"
updated_at = "updated_at"
''',
    findings=usual("uuid"),
    shown=BEN.email,
    writes=(
        Write(
            f"SELECT version FROM avatar_trainings WHERE id = '{BENS.uuid}'",
            BENS.version,
            f"{BENS.model}:{NEW_OF_BEN}",
        ),
    ),
    included=(
        Write(f"SELECT version FROM avatar_trainings WHERE id = '{DORAS.uuid}'", None, f"{DORAS.model}:{NEW_OF_DORA}"),
    ),
)
CHARACTERS = Shape(
    name="characters",
    sql="""
CREATE TABLE users (id serial PRIMARY KEY, email text, name text);
CREATE TABLE loras (
    id serial PRIMARY KEY, replicate_model text, replicate_version text, status text, created_at timestamptz NOT NULL
);
CREATE TABLE characters (
    id serial PRIMARY KEY, user_id integer NOT NULL REFERENCES users (id), nickname text,
    lora_id integer UNIQUE REFERENCES loras (id), archived boolean
);
"""
    + rows("users", ({"email": it.email, "name": it.name} for it in PEOPLE))
    + rows(
        "loras",
        (
            {"replicate_model": it.model, "replicate_version": it.hash, "status": it.state, "created_at": it.created}
            for it in TRAINED
        ),
    )
    + rows(
        "characters",
        ({"user_id": it.person.number, "nickname": "x", "lora_id": it.number, "archived": None} for it in TRAINED),
    ),
    toml='''
[database]
completed = "succeeded"

[database.columns.users]
display_name = "name"

[database.queries]
user_models = """
SELECT t.id, c.user_id, t.status AS training_status, t.replicate_model AS replicate_model_id,
    t.replicate_version AS replicate_version_id, t.created_at
FROM loras AS t LEFT JOIN characters AS c ON c.lora_id = t.id
WHERE c.archived IS NOT TRUE
"""

[database.repair]
table = "loras"
key = "id"

[database.repair.columns]
training_status = "status"
replicate_version_id = "replicate_version"
replicate_model_id = "replicate_model"
''',
    findings=usual("number"),
    shown=BEN.email,
    writes=(Write("SELECT replicate_version FROM loras WHERE id = 2", BENS.hash, NEW_OF_BEN),),
    included=(Write("SELECT replicate_version FROM loras WHERE id = 5", None, NEW_OF_DORA),),
)
PROFILES = Shape(
    name="profiles",
    sql="""
CREATE SCHEMA auth;
CREATE TABLE auth.users (id uuid PRIMARY KEY, email text, created_at timestamptz);
CREATE TABLE profiles (
    id serial PRIMARY KEY, user_id uuid NOT NULL UNIQUE REFERENCES auth.users (id), display_name text, credits integer
);
CREATE TABLE models (
    id serial PRIMARY KEY, profile_id integer NOT NULL REFERENCES profiles (id), replicate_model text,
    replicate_version text, status text, created_at timestamptz NOT NULL
);
"""
    + rows("auth.users", ({"id": it.uuid, "email": it.email, "created_at": TRAINED[0].created} for it in PEOPLE))
    + rows("profiles", ({"user_id": it.uuid, "display_name": it.name, "credits": 3} for it in PEOPLE))
    + rows(
        "models",
        (
            {
                "profile_id": it.person.number,
                "replicate_model": it.model,
                "replicate_version": it.hash,
                "status": {"succeeded": "ready", "processing": "training", "failed": "failed"}[it.state],
                "created_at": it.created,
            }
            for it in TRAINED
        ),
    ),
    toml='''
[database]
completed = "ready"

[database.tables]
user_models = "models"

[database.columns]
user_id = "profile_id"
training_status = "status"
replicate_model_id = "replicate_model"
replicate_version_id = "replicate_version"

[database.queries]
users = """
SELECT u.id, u.display_name, a.email
FROM profiles AS u
LEFT JOIN auth.users AS a ON a.id = u.user_id"""
''',
    findings=usual("number"),
    shown=BEN.email,
    writes=(Write("SELECT replicate_version FROM models WHERE id = 2", BENS.hash, NEW_OF_BEN),),
    included=(Write("SELECT replicate_version FROM models WHERE id = 5", None, NEW_OF_DORA),),
)
SHAPES = (MODELS_AND_VERSIONS, THROUGH_AVATARS, CHARACTERS, PROFILES)
