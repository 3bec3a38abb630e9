"""The simulator: the same seed gives the same bytes, right rules show nothing, planted bugs are found and shrunk
to a scenario that `ordershop scenario` plays.

  MINUTES=N   histories of other seeds until so much time has passed; without: one run of a fixed seed
"""
import os
import re
import subprocess
import tempfile
import time
import unittest

ORDERSHOP = os.environ["ORDERSHOP"]
PLANTED = os.environ["PLANTED"]
# name: the invariants that may show it, and the most actions that are left.
BUGS = {
    "release-twice": ("no-oversell stock-at-rest stock-moves", 8),
    "reserve-blindly": ("fields no-oversell", 6),
    "forget-stock": ("orders-at-rest stock-at-rest stock-mark", 8),
    "mail-again": ("mails-once", 3),
    "never-end": ("comes-to-rest", 1),
}


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout, done.stderr


def simulate(*options):
    return run(ORDERSHOP, "simulate", *options)


class SimulateTest(unittest.TestCase):
    def test_the_same_seed_gives_the_same_bytes(self):
        outs = []
        for seed in ("7", "7", "8"):
            status, out, err = simulate("--seed", seed, "--steps", "30000", "--counts")
            self.assertEqual((status, err), (0, ""), out)
            outs.append(re.sub(r"in .* a second", "", out))
        self.assertEqual(outs[0], outs[1])
        self.assertNotEqual(outs[0], outs[2])

    def test_every_kind_of_thing_is_done(self):
        status, out, _ = simulate("--seed", "3", "--steps", "200000", "--counts")
        self.assertEqual(status, 0, out)
        for line in out.splitlines()[3:]:
            self.assertGreater(int(line.split()[0]), 0, line)
        for name in ("inventory.release", "order.cancel_order", "shipping.recall", "lose_outcome", "freeze"):
            self.assertIn(f"  {name}\n", out)

    def test_nothing_is_found(self):
        end = time.monotonic() + 60 * float(os.environ.get("MINUTES") or 0)
        seed, steps = (time.time_ns() % 10**9, 1000000) if os.environ.get("MINUTES") else (11, 100000)
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/found.yaml"
            while True:
                status, out, err = simulate("--seed", str(seed), "--steps", str(steps), "--scenario", path)
                if status != 0:
                    with open(path, encoding="utf-8") as file:
                        self.fail(f"{out}{err}\n{file.read()}")
                if time.monotonic() >= end:
                    break
                seed += 1

    def test_it_is_called_rightly(self):
        status, out, _ = simulate("--help")
        self.assertEqual(status, 0)
        self.assertIn("Exit status", out)
        for options in (["--steps", "0"], ["--seed", "x"], ["7"], ["--stepps", "7"],
                        ["--scenario", "/tmp"], ["--scenario", "/none/found.yaml"]):
            status, _, err = simulate(*options)
            self.assertEqual(status, 2, options)
            self.assertIn("simulate", err)

    def test_planted_bugs_are_found_and_shrunk(self):
        with tempfile.TemporaryDirectory() as folder:
            for bug, (invariants, most) in BUGS.items():
                with self.subTest(bug):
                    path = f"{folder}/{bug}.yaml"
                    status, out, err = run(PLANTED, bug, path)
                    self.assertEqual(status, 0, out + err)
                    name, count = out.splitlines()[-1].split()[:2]
                    self.assertIn(name, invariants.split())
                    self.assertLessEqual(int(count), most, out)
                    # planted has looked that the scenario shows it with the broken rules; with the right ones it holds.
                    status, out, err = run(ORDERSHOP, "scenario", path)
                    self.assertEqual(status, 0, out + err)


if __name__ == "__main__":
    unittest.main()
