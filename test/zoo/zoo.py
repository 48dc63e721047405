"""Builds every kind of file and attribute that a Linux file system can hold. usage: zoo.py DIRECTORY
Prints as JSON what the file system there does not know (flags, project ids, attributes), for the tests to leave out. Run as root."""
import fcntl, json, os, socket, stat, struct, subprocess, sys

root = os.fsencode(sys.argv[1])
unknown = []
os.umask(0)
os.chdir(root)


def times(path, atime, mtime):
    os.utime(path, ns=(atime, mtime), follow_symlinks=False)


def write(path, data=b"", mode=0o644, uid=0, gid=0, mtime=1_600_000_000_123_456_789):
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    os.write(fd, data) if data else None
    os.close(fd)
    os.chown(path, uid, gid)
    os.chmod(path, mode)
    times(path, 1_500_000_000_987_654_321, mtime)
    return path


def extents(path, size, *runs):
    fd = os.open(path, os.O_CREAT | os.O_WRONLY, 0o644)
    os.ftruncate(fd, size)
    for offset, data in runs:
        os.pwrite(fd, data, offset)
    os.close(fd)
    times(path, 1, 1_700_000_000_000_000_001)


def attempt(what, work):
    try:
        work()
    except OSError as e:
        unknown.append(f"{what}: {os.strerror(e.errno)}")


def flags(path, add):
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        now = struct.unpack("l", fcntl.ioctl(fd, 0x80086601, struct.pack("l", 0)))[0]
        fcntl.ioctl(fd, 0x40086602, struct.pack("l", now | add))
    finally:
        os.close(fd)


def project(path, number, inherit=False):
    fd = os.open(path, os.O_RDONLY)
    try:
        attr = list(struct.unpack("5I8s", fcntl.ioctl(fd, 0x801C581F, bytes(28))))
        attr[3] = number
        attr[0] |= 0x200 if inherit else 0
        fcntl.ioctl(fd, 0x401C5820, struct.pack("5I8s", *attr))
    finally:
        os.close(fd)


pattern = bytes(range(256)) * 4096
os.mkdir(b"data")
for size in (0, 1, 511, 4095, 4096, 4097, 65536, 1 << 20):
    write(b"data/%d" % size, pattern[:size])
write(b"data/zeros-written", bytes(65536))
write(b"data/over-a-mebibyte", pattern * 3 + b"end")

os.mkdir(b"sparse")
extents(b"sparse/all-hole", 1 << 40)
extents(b"sparse/leading", 1 << 20, ((1 << 20) - 4096, pattern[:4096]))
extents(b"sparse/trailing", 1 << 20, (0, pattern[:4096]))
extents(b"sparse/middle", 300_000, (0, pattern[:4096]), (200_704, pattern[:10_000]))
extents(b"sparse/tiny", 12_288, (4096, pattern[:4096]))
extents(b"sparse/odd-end", 70_001, (65_536, pattern[: 70_001 - 65_536]))
extents(b"sparse/far", (1 << 33) + 5, (1 << 33, b"far!!"))
extents(b"sparse/tail-block", 5_000, (0, pattern[:4096]))

os.mkdir(b"links")
os.mkdir(b"links/other")
write(b"links/first", b"one inode")
for i in range(40):
    os.link(b"links/first", b"links/name-%d" % i if i % 2 else b"links/other/name-%d" % i)
os.symlink(b"first", b"links/relative")
os.link(b"links/relative", b"links/other/linked-symlink", follow_symlinks=False)
os.symlink(b"/nonexistent/absolute", b"links/absolute")
os.symlink(b"x" * 1023 if os.statvfs(b".").f_bsize < 4096 else b"x" * 1023, b"links/long")
os.symlink(b"/" + b"y" * 254 + b"/" + b"z" * 100, b"links/dangling")
os.symlink(b"\xff\xfe\n", b"links/bytes")
attempt("symlink of 4095 bytes", lambda: os.symlink(b"l" * 4095, b"links/longest"))
for name in os.listdir(b"links"):
    path = b"links/" + name
    if os.path.islink(path):
        os.lchown(path, 3, 4)
        times(path, 1_400_000_000_000_000_007, 1_400_000_000_000_000_009)
attempt("trusted attribute of a symlink", lambda: os.setxattr(b"links/bytes", "trusted.of-link", b"\0v", follow_symlinks=False))

os.mkdir(b"nodes")
os.mkfifo(b"nodes/fifo", 0o640)
s = socket.socket(socket.AF_UNIX)
s.bind("nodes/socket")
s.close()
os.mknod(b"nodes/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
os.mknod(b"nodes/loop", stat.S_IFBLK | 0o660, os.makedev(7, 99))
os.mknod(b"nodes/widest", stat.S_IFCHR | 0o600, os.makedev(511, (1 << 18) - 1))
for name in os.listdir(b"nodes"):
    os.chown(b"nodes/" + name, 5, 6)
    times(b"nodes/" + name, 1_300_000_000_000_000_003, 1_300_000_000_000_000_005)

os.mkdir(b"owners")
for mode in (0o4755, 0o2755, 0o6711, 0o1644, 0, 0o777):
    write(b"owners/mode-%o" % mode, b"m", mode)
write(b"owners/someone", b"s", 0o4711, 1000, 1001)
write(b"owners/highest", b"h", 0o644, 4294967294, 3_000_000_000)
os.mkdir(b"owners/sticky")
os.chmod(b"owners/sticky", 0o1777)
os.mkdir(b"owners/set-group")
os.chown(b"owners/set-group", 0, 1234)
os.chmod(b"owners/set-group", 0o2775)
write(b"owners/set-group/of-another-group", b"g", 0o644, 7, 8)

os.mkdir(b"times")
write(b"times/before-the-epoch", b"t", mtime=-1_000_000_000)
write(b"times/far-future", b"t", mtime=4_200_000_000_999_999_999)
write(b"times/zero", b"t", mtime=0)
os.mkdir(b"times/directory")
write(b"times/directory/child", b"c")

os.mkdir(b"attributes")
write(b"attributes/user", b"u")
write(b"attributes/many", b"u")
write(b"attributes/large", b"l")
write(b"attributes/capability", b"c", 0o755, 9, 9)
write(b"attributes/acl", b"a", 0o640)
os.mkdir(b"attributes/default-acl")
write(b"attributes/default-acl/without", b"n", 0o600)
os.mkdir(b"attributes/default-acl/directory-without")


def attributes():
    os.setxattr(b"attributes/user", "user.empty", b"")
    os.setxattr(b"attributes/user", b"user.\xff-name", b"\0\1\2")
    for i in range(30):
        os.setxattr(b"attributes/many", f"user.number-{i}", b"v" * i)
    os.setxattr(b"attributes/large", "user.large", b"L" * 3000)
    os.setxattr(b"attributes", "user.of-directory", b"d")


def acls():
    subprocess.run(["setfacl", "-m", "u:1000:rw,g:1001:r", "attributes/acl"], check=True, capture_output=True)
    subprocess.run(["setfacl", "-d", "-m", "u:1000:rwx", "attributes/default-acl"], check=True, capture_output=True)


attempt("user attributes", attributes)
attempt("trusted attributes", lambda: os.setxattr(b"attributes/user", "trusted.t", b"T"))
attempt("capabilities", lambda: os.setxattr(b"attributes/capability", "security.capability", bytes.fromhex("0100000200200000000000000000000000000000")))
attempt("signatures", lambda: os.setxattr(b"attributes/user", "security.ima", bytes.fromhex("0404") + b"I" * 32))
attempt("labels", lambda: os.setxattr(b"attributes/user", "security.selinux", b"system_u:object_r:etc_t:s0\0"))
attempt("node attributes", lambda: os.setxattr(b"nodes/fifo", "trusted.of-fifo", b"f"))
try:
    acls()
except subprocess.CalledProcessError:
    unknown.append("acls")

os.mkdir(b"names")
for name in (b"-rf", b"new\nline", b"\xff\xfe invalid", b" ", b"n" * 255, b"\xe4\xf6" * 127, b"back\\slash", b"*?[", b"...", "größe".encode(), b"\x01\x1b[31m"):
    write(b"names/" + name, name)
deep = b"names"
for i in range(8):
    deep += b"/" + bytes([97 + i]) * 255
    os.mkdir(deep)
write(deep + b"/leaf", b"deep")
os.mkdir(b"crowd")
for i in range(3000):
    os.close(os.open(b"crowd/%05d" % (i * 7919 % 100_000), os.O_CREAT | os.O_WRONLY, 0o600))
os.mkdir(b"empty")

os.mkdir(b"projects")
os.mkdir(b"projects/inherits")
write(b"projects/file", b"p")
attempt("project ids", lambda: (project(b"projects/inherits", 42, True), project(b"projects/file", 77)))
write(b"projects/inherits/child", b"c")
attempt("project ids", lambda: project(b"projects/inherits/child", 0))

os.mkdir(b"flags")
os.mkdir(b"flags/immutable-directory")
write(b"flags/immutable-directory/child", b"c")
os.mkdir(b"flags/append-directory")
write(b"flags/append-directory/child", b"c")
os.mkdir(b"flags/dirsync")
for name, flag in ((b"immutable", 0x10), (b"append", 0x20), (b"nodump", 0x40), (b"noatime", 0x80), (b"sync", 0x8)):
    write(b"flags/" + name, name)
    attempt(f"flag {name.decode()}", lambda: flags(b"flags/" + name, flag))
write(b"flags/nocow")
attempt("flag nocow", lambda: flags(b"flags/nocow", 0x800000))
attempt("flag dirsync", lambda: flags(b"flags/dirsync", 0x10000))
for path, flag in ((b"flags/immutable-directory", 0x10), (b"flags/append-directory", 0x20)):
    times(path, 1_200_000_000_000_000_000, 1_200_000_000_000_000_001)
    attempt("flags of directories", lambda: flags(path, flag))
# from the inside out, because a child made later changes its parent
for path in sorted((d for d, _, _ in os.walk(b".")), key=len, reverse=True):
    if b"immutable" not in path and b"append" not in path:
        times(path, 1_200_000_000_000_000_000, 1_200_000_000_123_456_700 + len(path))
print(json.dumps(unknown))
