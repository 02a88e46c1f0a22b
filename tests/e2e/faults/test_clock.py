# SPDX-License-Identifier: Apache-2.0
"""The wall clock is set forward and back while requests pass: spans' times follow it, their durations do not."""
import struct
import subprocess
import time

from harness.load import SIDES, Seen
from harness.process import BUILD, wait_until

HOUR = 3600
SECOND_NS = 1_000_000_000
STEPS = (0, HOUR, -HOUR)
LIBRARY = BUILD / "tests/e2e/faults/clock_step.so"


def build():
    source = __file__.rsplit("/", 1)[0] + "/clock_step.c"
    LIBRARY.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cc", "-O2", "-Wall", "-Werror", "-shared", "-fPIC", "-o", LIBRARY, source], check=True)
    return LIBRARY


def step_of(start_ns, began_ns, ended_ns):
    """Which of the clocks this time was read from."""
    found = [s for s in STEPS if began_ns <= start_ns - s * SECOND_NS <= ended_ns]
    assert len(found) == 1, f"{start_ns} is no time of any of the clocks"
    return found[0]


def test_stepped(agent, load, collector, folder):
    clock = folder / "step"
    clock.write_bytes(struct.pack("=q", 0))
    p = agent(collector.here().url, env={"LD_PRELOAD": str(build()), "CLOCK_STEP": str(clock)})
    began = time.time_ns()
    load.tell("load 0 2 499")
    for step in STEPS:
        with open(clock, "r+b") as f:
            f.write(struct.pack("=q", step))
        # Until one that began after the step is there: plumb looks at the clock once a second.
        def is_there(step=step):
            return any(step_of(start, began, time.time_ns()) == step for body in collector.bodies[-2:] for start, _ in Seen.times_in(body))

        wait_until(is_there, f"spans by a clock that is {step} s off", alive=p)
    load.tell("end")
    report = load.answer()
    ended = time.time_ns()
    assert p.stop() == 0, p.tail()

    seen = Seen(collector)
    seen.once(1, report["sent"])
    for side in SIDES:
        times = [seen.times[side, n] for n in range(1, report["sent"] + 1)]
        ends = {step: [] for step in STEPS}
        for start, end in times:
            step = step_of(start, began, ended)
            ends[step].append(end - step * SECOND_NS)
        # A span has the clock of when plumb was done with it, and it may be done with a later one before.
        for before, after in zip(STEPS, STEPS[1:]):
            assert max(ends[before]) - min(ends[after]) < SECOND_NS, (before, after)
        durations = [end - start for start, end in times]
        assert min(durations) >= 0 and max(durations) <= report["worst_us"] * 1000 + 1_000_000, (max(durations), report)
