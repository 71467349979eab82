"""Start-up: `calando --help`, in English and Chinese, and `import calando`, and that neither imports torch.

    python benchmarks/startup.py [--n 15]

Goals: --help under 0.30 s, import under 0.15 s. Ratios are to a bare `python -c pass` in the same run.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=15)
    n = parser.parse_args().n
    python = sys.executable
    entry = "import sys; sys.argv = ['calando', '--help']; from calando.cli.main import main; main()"
    commands = {
        "python -c pass": [python, "-c", "pass"],
        "import calando": [python, "-c", "import calando"],
        "calando --help": [python, "-c", f"import os; os.environ['CALANDO_LANG'] = 'en'; {entry}"],
        "the same in zh": [python, "-c", f"import os; os.environ['CALANDO_LANG'] = 'zh'; {entry}"],
    }
    for command in commands.values():
        seconds(command)
    rounds = [{name: seconds(command) for name, command in commands.items()} for _ in range(n)]
    bare = statistics.median(times["python -c pass"] for times in rounds)
    for name in commands:
        times = sorted(times[name] for times in rounds)
        median = statistics.median(times)
        print(f"{name:16} median {median:.3f} s  [{times[0]:.3f}, {times[-1]:.3f}]  n={n}  ratio {median / bare:.2f}")
    probe = "import sys, calando, calando.cli.main; print('torch' in sys.modules)"
    shown = subprocess.run([python, "-c", probe], check=True, capture_output=True, text=True).stdout.strip()
    print(f"torch imported: {shown}")


if __name__ == "__main__":
    main()
