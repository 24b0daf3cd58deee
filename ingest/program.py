"""How a person calls this program: for the commands that it tells them to give."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path


def program() -> str:
    """Return the program as it was called: `atlas` where the shell finds this very one, else its path."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return "python -m atlas"
    found = shutil.which(called.name)
    if found is not None and called.exists() and Path(found).samefile(called):
        return called.name
    return shlex.quote(str(called))


def this_command() -> str:
    """Return the command line of this process, as one would type it."""
    return shlex.join([*shlex.split(program()), *sys.argv[1:]])
