#!/usr/bin/env python3
"""Random changes below a directory: churn.py DIRECTORY SEED OPERATIONS [PER_SECOND [seen]]. Everything that events tell of, and, unless only
what is "seen" is wanted, what they do not (some stores through mmap, inode flags). Keeps running mappings open to the end."""
import ctypes, fcntl, mmap, os, random, struct, sys, time

top, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
pace = float(sys.argv[4]) if len(sys.argv) > 4 else 0
seen = sys.argv[5:] == ["seen"]
UNSEEN = (23, 24, 25)
rnd = random.Random(seed)
libc = ctypes.CDLL(None, use_errno=True)
FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, NODUMP = 0x80086601, 0x40086602, 0x40
KEEP_SIZE, PUNCH, ZERO = 1, 2, 16
RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT = 1, 2, 4
names = ["a", "b", "c", "d", "e", "f"] + ["n\u00e4me", "with space", "-dash", "new\nline"]
mappings = []
unlinked = []


def anywhere():
    """A path of which the directory mostly exists."""
    at = top
    for _ in range(rnd.randrange(4)):
        below = [e.path for e in os.scandir(at) if e.is_dir(follow_symlinks=False)]
        if not below:
            break
        at = rnd.choice(below)
    return os.path.join(at, rnd.choice(names))


def directories():
    """Some directories, each once."""
    found, level = [], [top]
    while level and len(found) < 40:
        at = level.pop(rnd.randrange(len(level)))
        below = [e.path for e in os.scandir(at) if e.is_dir(follow_symlinks=False) and e.name != "lost+found"]
        found += below
        level += below
    return found


def rename_directory():
    """A directory with all it holds: to another name, into another directory, and on from there, or with its parent."""
    all = directories()
    if not all:
        return
    one = rnd.choice(all)
    how = rnd.randrange(6)
    if how == 0:
        os.rename(one, anywhere())
    elif how == 1:
        os.rename(one, os.path.join(rnd.choice(all), rnd.choice(names)))
    elif how == 2:
        first, second = anywhere(), anywhere()
        os.rename(one, first)
        os.rename(first, second)
    elif how == 3:
        os.rename(one, os.path.join(os.path.dirname(one), rnd.choice(names)))
        above = os.path.dirname(one)
        if above != top:
            os.rename(above, os.path.join(os.path.dirname(above), rnd.choice(names)))
    elif how == 4:
        new = anywhere()
        os.mkdir(new)
        os.rename(one, os.path.join(new, rnd.choice(names)))
    else:
        other = rnd.choice(all)
        libc.renameat2(-100, os.fsencode(one), -100, os.fsencode(other), RENAME_EXCHANGE)


def swap(one, other):
    aside = os.path.join(top, "aside-%d" % rnd.randrange(1000000))
    os.rename(one, aside)
    try:
        os.rename(other, one)
        os.rename(aside, other)
    except OSError:
        os.rename(aside, one)
        raise


def replace_by_new(path):
    """As programs save: a new file beside it, renamed over it."""
    write(path + ".new", rnd.choice([10, 5000, 400000]))
    os.rename(path + ".new", path)


def move_by_link(path):
    other = anywhere()
    os.link(path, other)
    os.unlink(path)


def unlinked_while_open(path):
    f = open(path, "r+b")
    os.unlink(path)
    f.write(b"nobody will read this")
    if len(unlinked) < 20:
        unlinked.append(f)


def nameless():
    fd = os.open(os.path.dirname(anywhere()), os.O_TMPFILE | os.O_RDWR, 0o640)
    os.write(fd, rnd.randbytes(rnd.choice([10, 9000, 300000])))
    os.link("/proc/self/fd/%d" % fd, anywhere(), follow_symlinks=True)
    os.write(fd, b"and more")
    os.close(fd)


def some_file():
    for _ in range(8):
        path = anywhere()
        if os.path.isfile(path) and not os.path.islink(path):
            return path
    raise FileNotFoundError(2, "no file was met")


def write(path, size):
    if os.path.exists(path) and not os.path.isfile(path):
        raise FileExistsError(17, "no file, and a FIFO would wait for a reader")
    with open(path, "wb") as f:
        f.write(rnd.randbytes(size))


def in_place(path):
    with open(path, "r+b") as f:
        f.seek(rnd.randrange(max(1, os.fstat(f.fileno()).st_size + 5000)))
        f.write(rnd.randbytes(rnd.randrange(1, 9000)))


def map_store(path, keep):
    f = open(path, "r+b")
    size = os.fstat(f.fileno()).st_size
    if size == 0:
        return
    m = mmap.mmap(f.fileno(), size)
    m[rnd.randrange(size)] = rnd.randrange(256)
    if keep and len(mappings) < 20:
        mappings.append((m, f))
    else:
        m.close()


def store_again():
    m, f = rnd.choice(mappings)
    # what was cut off must not be touched (SIGBUS)
    size = min(len(m), os.fstat(f.fileno()).st_size)
    if size > 0:
        m[rnd.randrange(size)] = rnd.randrange(256)


def fallocate(path, mode):
    with open(path, "r+b") as f:
        size = os.fstat(f.fileno()).st_size
        libc.fallocate(f.fileno(), mode, ctypes.c_long(rnd.randrange(max(1, size // 4096 + 1)) * 4096), ctypes.c_long(4096 * rnd.randrange(1, 20)))


def flag(path):
    fd = os.open(path, os.O_RDONLY)
    flags = struct.unpack("i", fcntl.ioctl(fd, FS_IOC_GETFLAGS, struct.pack("i", 0)))[0]
    fcntl.ioctl(fd, FS_IOC_SETFLAGS, struct.pack("i", flags ^ NODUMP))
    os.close(fd)


def through_unlinked_name(path):
    other = anywhere()
    os.link(path, other)
    fd = os.open(other, os.O_RDWR)
    os.unlink(other)
    os.pwrite(fd, b"through a name that is gone", 3)
    os.close(fd)


def one():
    what = rnd.randrange(38)
    if seen and what in UNSEEN: return
    if what < 5: write(anywhere(), rnd.choice([0, 10, 3000, 70000, 400000, 1500000]))
    elif what < 7: os.mkdir(anywhere())
    elif what < 9: in_place(some_file())
    elif what == 9: os.truncate(some_file(), rnd.choice([0, 1, 5000, 600000]))
    elif what in (10, 11): os.rename(anywhere(), anywhere())
    elif what == 12: libc.renameat2(-100, os.fsencode(anywhere()), -100, os.fsencode(anywhere()), RENAME_EXCHANGE)
    elif what in (13, 14): os.link(some_file(), anywhere())
    elif what in (15, 16): os.unlink(anywhere())
    elif what == 17: os.rmdir(anywhere())
    elif what == 18: os.chmod(anywhere(), rnd.choice([0o600, 0o644, 0o755, 0o4755]))
    elif what == 19: os.setxattr(anywhere(), "user.k%d" % rnd.randrange(3), rnd.randbytes(rnd.randrange(60)))
    elif what == 20: os.symlink(rnd.choice(names), anywhere())
    elif what == 21: os.mkfifo(anywhere())
    elif what == 22: fallocate(some_file(), rnd.choice([PUNCH | KEEP_SIZE, ZERO | KEEP_SIZE, 0]))
    elif what == 23: map_store(some_file(), True)
    elif what == 24: map_store(some_file(), False)
    elif what == 25: flag(some_file())
    elif what == 26: through_unlinked_name(some_file())
    elif what < 30: rename_directory()
    elif what == 30: swap(anywhere(), anywhere())
    elif what == 31: replace_by_new(anywhere())
    elif what == 32: move_by_link(some_file())
    elif what == 33: unlinked_while_open(some_file())
    elif what == 34: nameless()
    elif what == 35: libc.renameat2(-100, os.fsencode(anywhere()), -100, os.fsencode(anywhere()), RENAME_NOREPLACE)
    elif what == 36: libc.renameat2(-100, os.fsencode(some_file()), -100, os.fsencode(anywhere()), RENAME_WHITEOUT)
    elif what == 37: libc.renameat2(-100, os.fsencode(some_file()), -100, os.fsencode(some_file()), RENAME_EXCHANGE)
    if mappings and rnd.randrange(4) == 0: store_again()
    if rnd.randrange(30) == 0: os.utime(anywhere(), ns=(rnd.randrange(10**18), rnd.randrange(10**18)))
    if rnd.randrange(40) == 0: os.chown(anywhere(), rnd.randrange(5), rnd.randrange(5), follow_symlinks=False)


for number in range(count):
    try:
        one()
    except (FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError, PermissionError, OSError) as error:
        if error.errno not in (2, 17, 20, 21, 22, 26, 39, 1, 18, 28, 40, 95, 61):
            raise
    if pace:
        time.sleep(1 / pace)
print("done", flush=True)
sys.stdin.read()
