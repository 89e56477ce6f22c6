"""``python -m actcodec_rtl.formal``: carry out the proofs; status 1 where one fails or a mutant is missed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from actcodec.errors import ActcodecError
from actcodec.files import write_json
from actcodec_rtl.formal.proof import Outcome, carry_out
from actcodec_rtl.formal.proofs import all_proofs
from actcodec_rtl.formal.report import as_json, line, trace
from actcodec_rtl.formal.tools import require_tools


def main() -> int:
    """Parse the command line, prove, print a line a result, write the JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m actcodec_rtl.formal", description="Proofs of the bit-moving blocks."
    )
    parser.add_argument("--only", metavar="NAME", default="", help="proofs whose name begins with NAME")
    parser.add_argument("--out", metavar="FILE", type=Path, help="write the results there as JSON")
    options = parser.parse_args()
    try:
        require_tools()
        proofs = [proof for proof in all_proofs() if proof.name.startswith(options.only)]
        if not proofs:
            raise ActcodecError("--only", f"no proof's name begins with {options.only!r}")
        results = []
        for result in carry_out(proofs):
            results.append(result)
            shown = [line(result), *(trace(result) if isinstance(result, Outcome) else [])]
            print("\n".join(shown), flush=True)
        if options.out is not None:
            selection = f" --only '{options.only}'" if options.only else ""
            write_json(options.out, as_json(f"python -m actcodec_rtl.formal{selection}", results))
    except ActcodecError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    failed = sum(not result.good for result in results)
    print(f"{len(results) - failed} of {len(results)} proofs and mutants as they should be")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
