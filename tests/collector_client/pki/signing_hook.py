"""A signing hook as an operator would write one, with faults to order: `signing_hook.py FOLDER [FAULT]`.

The key is FOLDER/KEY.pem; FAULT is one of those below.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import time
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key


def main() -> int:
    folder, fault = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""
    question = json.loads(sys.stdin.readline())
    with (folder / "asked").open("a") as log:
        log.write(json.dumps(question) + "\n")
    if fault.isdigit():
        print("\x1b[31mno way", file=sys.stderr)
        return int(fault)
    if fault == "hangs":
        if os.fork() == 0:  # what it leaves behind holds the pipes open
            time.sleep(3600)
        time.sleep(3600)
    if fault == "talks":
        while True:
            sys.stdout.write("x" * 4096)
    if fault == "garbage":
        print("{[")
        return 0
    key = load_pem_private_key((folder / f"{question['key']}.pem").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    if question["operation"] == "public-key":
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        print(json.dumps({"public_key": public.decode()}))
        return 0
    digest = bytes.fromhex(question["digest"])
    if fault == "lies":
        digest = bytes(32)
    signature = key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    print(json.dumps({"signature": base64.b64encode(signature).decode()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
