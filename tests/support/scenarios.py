"""The scenario files, and `ordershop scenario` on them."""
import glob
import os
import subprocess

from shop import EXECUTABLE

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "scenarios")


def files():
    return sorted(glob.glob(os.path.join(FOLDER, "*.yaml")))


def scenario(*words, expect=0):
    """Its standard output, or standard error if it was called wrongly."""
    done = subprocess.run([EXECUTABLE, "scenario", *words], text=True, capture_output=True,
                          timeout=500)
    assert done.returncode == expect, f"{words}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stderr if expect == 2 else done.stdout
