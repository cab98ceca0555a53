"""What a stand-in was asked, and what it did to those who asked."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Literal

from audit.models import FailureReason

TokenKind = Literal["valid", "wrong", "missing"]


@dataclass
class Seen:
    """Counts since the start. Plain data: it can be pickled, and read from another thread."""

    paths: Counter[str] = field(default_factory=Counter)
    """Requests per path, query left out."""
    statuses: Counter[int] = field(default_factory=Counter)
    """Answers per status; requests that got none (reset, hanging) are in `paths` only."""
    tokens: Counter[TokenKind] = field(default_factory=Counter)
    refused: int = 0
    """429 from the enforced rate; those from faults are in `faults`."""
    faults: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Per path, how often each fault struck."""
    causes: dict[str, set[FailureReason]] = field(default_factory=lambda: defaultdict(set))
    """Per model id, the reasons that a client may truthfully give for an error."""
    sockets: int = 0
    open_sockets: int = 0
    peak_sockets: int = 0
    in_flight: int = 0
    peak_in_flight: int = 0

    @property
    def requests(self) -> int:
        """All requests."""
        return self.paths.total()

    @property
    def throttled(self) -> int:
        """All 429, whether from the rate or from faults."""
        return self.statuses[429]

    @property
    def models(self) -> Counter[str]:
        """Requests per model id: for its versions, one version or itself."""
        counts: Counter[str] = Counter()
        for path, count in self.paths.items():
            parts = path.split("/")
            if len(parts) >= 5 and parts[2] == "models":
                counts[f"{parts[3]}/{parts[4]}"] += count
        return counts

    def connected(self) -> None:
        """A socket was opened."""
        self.sockets += 1
        self.open_sockets += 1
        self.peak_sockets = max(self.peak_sockets, self.open_sockets)

    def disconnected(self) -> None:
        """A socket was closed."""
        self.open_sockets -= 1

    def asked(self, path: str) -> None:
        """A request is in."""
        self.paths[path] += 1
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)

    def done(self) -> None:
        """Its answer is out, or was given up."""
        self.in_flight -= 1
