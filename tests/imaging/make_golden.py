"""Write golden.json: a few pictures, and the fingerprint of every preset's tensor for each.

Run ``python tests/imaging/make_golden.py`` after a change of Pillow, simplejpeg or numpy, look at
what differs, and commit it as a decision. The pictures stay as they are once written. The tensors
were bit-equal to those of TensorFlow, Keras and Pillow when the file was made: see the tests
``test_golden_pillow`` and ``test_golden_tensorflow``. Needs none of the frameworks.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

from conftest import SMALL, fingerprints

FILE = Path(__file__).resolve().parent / "golden.json"


def main():
    """Keep the pictures that are there, and write the fingerprints anew."""
    kept = json.loads(FILE.read_text())["pictures"] if FILE.exists() else {}
    pictures = {
        name: base64.b64decode(kept[name]) if name in kept else make()
        for name, make in SMALL.items()
    }
    golden = {
        "pictures": {name: base64.b64encode(data).decode() for name, data in pictures.items()},
        "tensors": fingerprints(pictures),
    }
    FILE.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
