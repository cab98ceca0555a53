"""Models that train others. Their versions are those of a program, and say nothing about any user."""

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
