"""What looking at a picture costs beside decoding it.

python bench/look.py PICTURE...
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tintype.imaging.decode import decode
from tintype.imaging.header import read_header
from tintype.imaging.limits import DecodeLimits
from tintype.imaging.look import look_of
from tintype.imaging.steps import Decode


def microseconds(work: Callable[[], object], *, times: int) -> float:
    """Median of ``times`` runs."""
    spent = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        spent.append(time.perf_counter() - begun)
    return statistics.median(spent) * 1e6


def main() -> None:
    """A line a picture."""
    for name in sys.argv[1:]:
        data = Path(name).read_bytes()
        header = read_header(data, limits=DecodeLimits())
        picture = decode(data, header=header, how=Decode()).array
        look = microseconds(lambda picture=picture: look_of(picture), times=300)
        whole = microseconds(
            lambda data=data, header=header: decode(data, header=header, how=Decode()), times=9
        )
        print(
            f"{Path(name).name}: {header.width} x {header.height}, "
            f"look {look:.0f} us, decode {whole:.0f} us"
        )


if __name__ == "__main__":
    main()
