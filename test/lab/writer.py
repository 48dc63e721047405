#!/usr/bin/env python3
"""Keeps changing files as users of a server do, at a moderate rate, until SIGTERM. In Python because Node cannot map files.

usage: writer.py --root ROOT --record FILE [--rate PER_SECOND] [--seed NUMBER]

Below ROOT/data/work and ROOT/var/lib/app it creates, appends, writes in place, truncates, renames files and directories, deletes, links,
maps, and changes owners, modes, times and attributes. ROOT/data/db/table.ibd is written in place, through write and through a mapping that
stays open. Now and then it finishes a file ROOT/data/proof/proof-NNNN, which nobody changes afterwards, and appends one line of JSON to FILE:
{"path", "sha256", "atMs"}. On a frozen file system it blocks, as everything does.
"""
import argparse, errno, hashlib, json, mmap, os, random, shutil, signal, sys, time

BLOCK = 16384
MAX_FILES = 300
PROOFS_QUICK, PROOFS_MAX, QUICK_S, SLOW_S = 20, 30, 0.5, 5


class Writer:
    def __init__(self, args):
        self.random = random.Random(args.seed)
        self.root, self.record = args.root, args.record
        self.places = [os.path.join(args.root, p) for p in ("data/work", "var/lib/app")]
        for place in self.places:
            os.makedirs(place, exist_ok=True)
        self.proof_directory = os.path.join(args.root, "data/proof")
        os.makedirs(self.proof_directory, exist_ok=True)
        self.table = os.open(os.path.join(args.root, "data/db/table.ibd"), os.O_RDWR)
        self.table_size = os.fstat(self.table).st_size
        self.mapped = mmap.mmap(self.table, self.table_size)
        self.count, self.proofs, self.next_proof = 0, 0, time.monotonic()
        self.operations = [self.create] * 6 + [self.append] * 5 + [self.in_place] * 5 + [self.table_write] * 3 + [self.table_map] * 3 + [self.rename] * 3 + [
            self.rename_directory, self.delete, self.delete_tree, self.link, self.symlink, self.truncate, self.attributes, self.replace, self.map_file, self.punch]

    def name(self, kind):
        self.count += 1
        return f"{kind}-{self.count:06d}"

    def directories(self):
        place = self.random.choice(self.places)
        return [d for d, _, _ in os.walk(place)]

    def directory(self):
        return self.random.choice(self.directories())

    def file(self):
        for _ in range(4):
            directory = self.directory()
            names = [e.path for e in os.scandir(directory) if e.is_file(follow_symlinks=False)]
            if names:
                return self.random.choice(names)
        return self.create()

    def data(self, most=60_000):
        return self.random.randbytes(self.random.randrange(1, most))

    def create(self):
        directory = self.directory()
        if self.random.random() < 0.15:
            directory = os.path.join(directory, self.name("dir"))
            os.mkdir(directory, 0o750)
        path = os.path.join(directory, self.name("file"))
        with open(path, "wb") as f:
            f.write(self.data())
        return path

    def append(self):
        with open(self.file(), "ab") as f:
            f.write(self.data(20_000))

    def in_place(self):
        with open(self.file(), "r+b") as f:
            f.seek(self.random.randrange(0, max(1, os.fstat(f.fileno()).st_size)))
            f.write(self.data(9000))

    def table_write(self):
        os.pwrite(self.table, self.random.randbytes(BLOCK), self.random.randrange(self.table_size // BLOCK) * BLOCK)

    def table_map(self):
        at = self.random.randrange(self.table_size - 64)
        self.mapped[at : at + 64] = self.random.randbytes(64)

    def map_file(self):
        with open(self.file(), "r+b") as f:
            size = os.fstat(f.fileno()).st_size
            if size:
                with mmap.mmap(f.fileno(), size) as m:
                    m[size // 2] = self.random.randrange(256)

    def rename(self):
        os.rename(self.file(), os.path.join(self.directory(), self.name("renamed")))

    def rename_directory(self):
        found = [d for d in self.directories() if d not in self.places]
        if found:
            old = self.random.choice(found)
            os.rename(old, os.path.join(os.path.dirname(old), self.name("moved")))

    def delete(self):
        os.unlink(self.file())

    def delete_tree(self):
        found = [d for d in self.directories() if d not in self.places]
        if found and sum(len(files) for place in self.places for _, _, files in os.walk(place)) > MAX_FILES:
            shutil.rmtree(self.random.choice(found))

    def link(self):
        path = self.file()
        os.link(path, os.path.join(os.path.dirname(path), self.name("link")))

    def symlink(self):
        os.symlink(self.name("target"), os.path.join(self.directory(), self.name("symlink")))

    def truncate(self):
        path = self.file()
        os.truncate(path, self.random.randrange(os.stat(path).st_size + 5000))

    def punch(self):
        # a hole by writing behind the end
        with open(self.file(), "r+b") as f:
            f.seek(self.random.randrange(65536, 1 << 20), os.SEEK_END)
            f.write(b"behind the hole")

    def attributes(self):
        path = self.file()
        os.chmod(path, self.random.choice([0o600, 0o640, 0o755, 0o4711]))
        os.chown(path, self.random.randrange(3000), self.random.randrange(3000))
        os.setxattr(path, "user.writer", str(self.count).encode())
        os.utime(path, ns=(1_000_000_007, 1_500_000_000_123_456_789 + self.count))

    def replace(self):
        # as editors save: beside, then renamed over
        path = self.file()
        beside = path + ".new"
        with open(beside, "wb") as f:
            f.write(self.data())
            f.flush()
            os.fsync(f.fileno())
        os.rename(beside, path)

    def proof(self):
        if self.proofs >= PROOFS_MAX or time.monotonic() < self.next_proof:
            return
        self.proofs += 1
        self.next_proof = time.monotonic() + (QUICK_S if self.proofs < PROOFS_QUICK else SLOW_S)
        content = self.random.randbytes(self.random.randrange(1000, 50_000))
        name = f"proof-{self.proofs:04d}"
        with open(os.path.join(self.proof_directory, name), "wb") as f:
            f.write(content)
            f.flush()
            os.fsync(f.fileno())
        line = {"path": f"/data/proof/{name}", "sha256": hashlib.sha256(content).hexdigest(), "atMs": int(time.time() * 1000)}
        with open(self.record, "a") as f:
            f.write(json.dumps(line) + "\n")

    def step(self):
        self.proof()
        try:
            self.random.choice(self.operations)()
        except (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError):
            pass  # an earlier step took it away
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--root", required=True)
    p.add_argument("--record", required=True)
    p.add_argument("--rate", type=float, default=40)
    p.add_argument("--seed", type=int, default=1)
    args = p.parse_args()
    going = [True]
    signal.signal(signal.SIGTERM, lambda *_: going.clear())
    writer = Writer(args)
    print(f"writing with seed {args.seed}", flush=True)
    while going:
        writer.step()
        time.sleep(writer.random.expovariate(args.rate))
    print(f"wrote {writer.count} names, {writer.proofs} proofs", flush=True)


if __name__ == "__main__":
    sys.exit(main())
