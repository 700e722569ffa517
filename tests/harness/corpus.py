"""A large file of real text: lines of the source and documentation files of this machine.

Each line is prefixed with its number, so that a reader knows exactly which record is missing,
doubled or out of place. Lines are valid UTF-8 without carriage returns, as every console tool
reads them the same way.
"""

import os
import pathlib
import subprocess
import sys

SUFFIXES = (".py", ".rs", ".txt", ".md", ".html", ".h", ".c", ".pl", ".pm", ".go")
LINE_BYTES_MAX = 4000


def _roots():
    found = [pathlib.Path(sys.base_prefix) / "lib", pathlib.Path("/usr/share/perl"),
             pathlib.Path("/usr/lib/python3"), pathlib.Path("/usr/share/doc"),
             pathlib.Path("/usr/include")]
    try:
        done = subprocess.run(["rustc", "--print", "sysroot"], stdout=subprocess.PIPE, text=True,
                              check=True)
        found.insert(0, pathlib.Path(done.stdout.strip()) / "share" / "doc")
    except (OSError, subprocess.CalledProcessError):
        pass
    return [root for root in found if root.is_dir()]


def _lines():
    while True:
        seen = False
        for root in _roots():
            for folder, folders, files in os.walk(root):
                folders.sort()
                for name in sorted(files):
                    if not name.endswith(SUFFIXES):
                        continue
                    try:
                        data = pathlib.Path(folder, name).read_bytes()
                    except OSError:
                        continue
                    for line in data.split(b"\n"):
                        if line.strip() and b"\r" not in line and b"\0" not in line:
                            seen = True
                            yield line[:LINE_BYTES_MAX]
        assert seen, "no text found on this machine"


def make(path, size):
    """Writes about `size` bytes of numbered lines to `path`. Returns the number of lines."""
    count = written = 0
    with open(path, "wb", buffering=1 << 20) as out:
        for line in _lines():
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError:
                continue
            if len(text.splitlines()) > 1:
                continue  # separators that only some readers split at
            record = b"%09d %s\n" % (count, line)
            out.write(record)
            count += 1
            written += len(record)
            if written >= size:
                return count
