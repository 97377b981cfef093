# SPDX-License-Identifier: MIT
"""make, run by a script that make may have started: without what that make says to its children."""
import os
import subprocess


def make(*words):
    """Quietly, on all cores. Returns what it printed and its status."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("MAKE") and k != "MFLAGS"}
    return subprocess.run(["make", "-s", f"-j{os.cpu_count() or 1}", *words], env=env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace",
                          check=False)
