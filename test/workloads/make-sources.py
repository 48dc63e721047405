#!/usr/bin/env python3
"""A source tree to unpack and build: make-sources.py ARCHIVE. 400 small C files in 20 directories, headers, symbolic and hard links."""
import io, sys, tarfile

with tarfile.open(sys.argv[1], "w") as archive:
    def add(name, content="", **about):
        info = tarfile.TarInfo("source/" + name)
        info.size, info.mtime, info.mode = len(content), 1_600_000_000, 0o644
        for key, value in about.items():
            setattr(info, key, value)
        archive.addfile(info, io.BytesIO(content.encode()))

    add("include/all.h", "#include <stdio.h>\n#include <string.h>\n")
    for number in range(400):
        directory = f"part-{number % 20}"
        lines = "\n".join(f"static int f{i}(int x) {{ return x * {number + i} + {i}; }}" for i in range(40))
        calls = " + ".join(f"f{i}(x)" for i in range(40))
        add(f"{directory}/unit-{number}.c", f'#include "../include/all.h"\n{lines}\nint unit_{number}(int x) {{ return {calls}; }}\n')
        if number % 50 == 0:
            add(f"{directory}/latest.c", type=tarfile.SYMTYPE, linkname=f"unit-{number}.c")
            add(f"{directory}/same-{number}.c", type=tarfile.LNKTYPE, linkname=f"source/{directory}/unit-{number}.c")
