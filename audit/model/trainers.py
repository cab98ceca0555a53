"""Models that train others. Their versions are those of a program, and say nothing about any user."""

from audit.model.ids import model_key

PUBLISHED = frozenset(
    {
        "ostris/flux-dev-lora-trainer",
        "replicate/fast-flux-trainer",
        "black-forest-labs/flux-pro-trainer",
        "lucataco/ai-toolkit",
        "stability-ai/sdxl",
    }
)
"""Keys of trainers that products of this kind use, from Replicate's pages. Those that an account really uses are known
from its trainings; this list is for runs that do not read them, so it is short."""


def is_published_trainer(model_id: str | None) -> bool:
    """Whether `model_id`, as recorded, is one of them."""
    return model_key(model_id) in PUBLISHED
