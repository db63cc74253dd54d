"""Writes the vectors beside it, or with --verify tells which files are not what it would write.

Rules of this file: the file format and nothing of SNML; the cases are in accepted.py and refused.py.
"""

from __future__ import annotations

import sys
from pathlib import Path

from accepted import ACCEPT
from refused import REFUSE

HERE = Path(__file__).parent


def files() -> dict[str, str]:
    """File name -> text of every vector."""
    out = {}
    for name, (document, why, holds) in ACCEPT.items():
        head = ["expect: accept", f"why: {why}", *(f"holds: {line}" for line in holds)]
        out[f"{name}.txt"] = "\n".join(head) + "\n\n" + document
    for name, (document, code, index, why) in REFUSE.items():
        head = [f"expect: refuse {code}", *([] if index is None else [f"event: {index}"]), f"why: {why}"]
        out[f"{name}.txt"] = "\n".join(head) + "\n\n" + document
    return out


def main() -> int:
    """Write or verify."""
    wanted = files()
    present = {path.name: path.read_text(encoding="utf-8") for path in HERE.glob("*.txt")}
    if "--verify" in sys.argv[1:]:
        different = sorted(name for name in wanted.keys() | present.keys() if wanted.get(name) != present.get(name))
        for name in different:
            print(f"{name}: not as generate.py writes it")
        return 1 if different else 0
    for name in present.keys() - wanted.keys():
        (HERE / name).unlink()
    for name, text in wanted.items():
        (HERE / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
