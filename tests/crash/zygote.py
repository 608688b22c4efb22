"""A process that has everything imported and forks the ones that die: `python -m crash.zygote MODULE SCENARIO`.

One JSON job a line on stdin, one JSON answer a line on stdout. A job names the function (setup, run, recover), home,
the report, the step to die at, and the environment. The child reports what it acknowledged; how it ended is the answer.
"""

import importlib
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from crash import plants, steps
from crash.scenario import Child, Scenario

JOB_S_MAX = 120.0


def main() -> None:
    module = importlib.import_module(sys.argv[1])
    scenario: Scenario = next(one for one in module.SCENARIOS if one.name == sys.argv[2])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a door prints is no answer
    for text in sys.stdin:
        job = json.loads(text)
        pid = os.fork()
        if pid == 0:
            _child(scenario, job)
        print(json.dumps({"status": _wait(pid)}), file=answers, flush=True)


def _child(scenario: Scenario, job: dict[str, Any]) -> None:
    code = 1
    try:
        sys.stdin.close()
        os.environ.update(job["env"])
        home, report = Path(job["home"]), Path(job["report"])
        if job["die_at"] is not None or job["record"]:
            recorder = steps.installed(home, report, job["die_at"], job["halfway"])
        else:
            recorder = steps.Recorder(home, report, None, False)
        plants.apply()
        getattr(scenario, job["function"])(Child(home, recorder.tell))
        recorder.tell("done", recorder.steps)
        code = 0
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:  # noqa: BLE001 - the report carries it; the fork must never return into the loop
        Path(job["report"] + ".err").write_text(traceback.format_exc())
    finally:
        steps._real["_exit"](code)


def _wait(pid: int) -> int:
    deadline = time.monotonic() + JOB_S_MAX
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return -int(signal.SIGALRM)


if __name__ == "__main__":
    main()
