"""All benchmarks, one after the other: `python -m benchmarks [--small]`."""

from __future__ import annotations

import sys

from benchmarks import delivery, passes, segments, simulate

small = "--small" in sys.argv
passes.run(small)
delivery.run(small)
print()
segments.main()
simulate.run(small)
