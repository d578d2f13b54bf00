"""How often ranks and reproductions are wrong, on made-up samples: `python -m benchmarks.ranks [--tables=400]`.

Prints the tables of docs/threat-model.md. Values are normal with a standard deviation of 1; all of it is seeded.
"""

from __future__ import annotations

import argparse

import numpy as np
from ie_crowd.ranking import rank, significance
from numpy.typing import NDArray

ENTRIES, DRAWS = (2, 5, 20, 100, 200), (3, 5, 10)
PAIRS = 100_000


def ordered(samples: NDArray[np.float64]) -> list[list[float]]:
    """The samples in the order of their means."""
    return [row.tolist() for row in samples[np.argsort(samples.mean(1))]]


def welch_holm(samples: NDArray[np.float64]) -> bool:
    """Whether the best of all is told from any other by Welch's test with Holm's correction, as ranks once were."""
    best, *rest = ordered(samples)
    p_values = sorted(significance.welch([best] * len(rest), rest))
    return p_values[0] <= significance.ALPHA / len(rest)


def moments(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """The moments of the rows."""
    n = samples.shape[1]
    return np.array([samples.mean(1), samples.var(1, ddof=1) / n, np.full(len(samples), n)])


def main() -> int:
    """Print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=400, help="made-up tables of each kind (default: 400)")
    tables = parser.parse_args().tables
    print("| Entries | " + " | ".join(f"{draws} draws" for draws in DRAWS) + " | Welch and Holm, 10 draws |")
    for entries in ENTRIES:
        chance, shares = np.random.default_rng(entries), []
        for draws in DRAWS:
            found = [max(rank.ranks(ordered(chance.normal(0, 1, (entries, draws))))) > 1 for _ in range(tables)]
            shares.append(np.mean(found))
        old = np.mean([welch_holm(chance.normal(0, 1, (entries, 10))) for _ in range(tables)])
        print(f"| {entries} | " + " | ".join(f"{share:.1%}" for share in [*shares, old]) + " |")
    print("\n| Ahead by | " + " | ".join(f"of {entries}" for entries in ENTRIES) + " |")
    for ahead in (1, 2, 3):
        shares = []
        for entries in ENTRIES:
            chance, alone = np.random.default_rng(entries), 0
            for _ in range(tables):
                samples = chance.normal(0, 1, (entries, 10))
                samples[0] -= ahead
                alone += rank.ranks(ordered(samples))[:2] == [1, 2]
            shares.append(alone / tables)
        print(f"| {ahead} sd | " + " | ".join(f"{share:.0%}" for share in shares) + " |")
    print(
        "\n| Draws of each | agree, found | differ by the margin | differ by the margin, one scatters 8 times as much |"
    )
    for draws in DRAWS:
        chance = np.random.default_rng(draws)

        def sample(
            mean: float, sd: float, draws: int = draws, chance: np.random.Generator = chance
        ) -> NDArray[np.float64]:
            return moments(chance.normal(mean, sd, (PAIRS, draws)))

        cases = ((0.0, 1.0), (2.0, 1.0), (2.0, 8.0))
        shares = [significance.equivalent(sample(0, 1), sample(mean, sd), 2.0).mean() for mean, sd in cases]
        print(f"| {draws} | " + " | ".join(f"{share:.1%}" for share in shares) + " |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
