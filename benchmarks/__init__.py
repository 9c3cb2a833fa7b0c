"""What sipscope can do, measured: accuracy.py and corpus.py how right it is, speed.py how fast (with generate.py)."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT / "tests") not in sys.path:
    sys.path.append(str(ROOT / "tests"))  # how programs write SIP is told once, in tests/scenarios/stacks.py
