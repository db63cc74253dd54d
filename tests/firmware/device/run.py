"""Runs the test modules beside it on MicroPython: every function `test_*`, one line for each that fails.

Rules of this folder: tests are plain functions without fixtures that use `assert` alone, so that pytest and this file
run the same ones. Usage: micropython tests/firmware/device/run.py FOLDER
"""

import os
import sys


def main(folder: str) -> int:
    """0 when all passed; what failed is printed with its traceback."""
    sys.path.insert(0, folder)
    failed = passed = 0
    for file in sorted(os.listdir(folder)):
        if not (file.startswith("test_") and file.endswith(".py")):
            continue
        module = __import__(file[:-3])
        for name in sorted(dir(module)):
            if not name.startswith("test_"):
                continue
            try:
                getattr(module, name)()
                passed += 1
            except Exception as error:
                failed += 1
                print("FAILED " + file + "::" + name)
                if hasattr(sys, "print_exception"):
                    sys.print_exception(error)
        # A board's memory: one module at a time.
        del sys.modules[file[:-3]], module
    print(str(passed) + " passed, " + str(failed) + " failed on " + sys.implementation[0])
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
