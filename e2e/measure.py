"""Runs a command and says what it cost: measure.py COMMAND...

Prints one JSON object: seconds (wall), cpu_s (user and system), peak_rss_bytes, threads (processor seconds by thread name, looked
up in /proc every 20 ms, so the last few are missed), and stdout as the command wrote it.
"""

import json
import os
import subprocess
import sys
import tempfile
import time

TICKS = os.sysconf("SC_CLK_TCK")


def thread_seconds(pid, seen):
    """Adds what every living thread has used so far."""
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/stat") as file:
                head, tail = file.read().rsplit(")", 1)
            fields = tail.split()
            seen[thread] = (head.split("(", 1)[1], (int(fields[11]) + int(fields[12])) / TICKS)
    except (FileNotFoundError, ProcessLookupError):
        pass  # ended between two looks


start = time.perf_counter()
with tempfile.TemporaryFile() as said:
    child = subprocess.Popen(sys.argv[1:], stdout=said)
    seen = {}
    while True:
        thread_seconds(child.pid, seen)
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if pid:
            break
        time.sleep(0.02)
    seconds = time.perf_counter() - start
    said.seek(0)
    text = said.read().decode()
if status:
    sys.exit(f"{sys.argv[1:]} ended with {os.waitstatus_to_exitcode(status)}")
threads = {}
for name, used in seen.values():
    threads[name] = threads.get(name, 0) + used
print(json.dumps({"seconds": seconds, "cpu_s": usage.ru_utime + usage.ru_stime, "peak_rss_bytes": usage.ru_maxrss * 1024,
                  "threads": threads, "stdout": text}))
