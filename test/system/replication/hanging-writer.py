# Writes to a file from a buffer whose second page nobody brings before a line comes on standard input: the write hangs within the
# file system as long, and so does its freezing. Says "hangs" when it does.  python3 hanging-writer.py FILE
import ctypes
import fcntl
import mmap
import os
import struct
import sys
import threading
import time

libc = ctypes.CDLL(None, use_errno=True)
PAGE = 4096
SYS_userfaultfd = 323
uffd = libc.syscall(SYS_userfaultfd, os.O_CLOEXEC)
if uffd < 0:
    raise OSError(ctypes.get_errno(), "userfaultfd")
UFFDIO_API = 0xC018AA3F
UFFDIO_REGISTER = 0xC020AA00
UFFDIO_ZEROPAGE = 0xC020AA04
fcntl.ioctl(uffd, UFFDIO_API, struct.pack("QQQ", 0xAA, 0, 0))
area = mmap.mmap(-1, 4 * PAGE)
area[0:PAGE] = b"x" * PAGE
address = ctypes.addressof(ctypes.c_char.from_buffer(area))
start = (address + PAGE - 1) // PAGE * PAGE
fcntl.ioctl(uffd, UFFDIO_REGISTER, struct.pack("QQQQ", start + PAGE, PAGE, 1, 0))
fd = os.open(sys.argv[1], os.O_CREAT | os.O_RDWR)


def write():
    libc.write(fd, ctypes.c_void_p(start), ctypes.c_size_t(2 * PAGE))


threading.Thread(target=write, daemon=True).start()
time.sleep(0.5)
print("hangs", flush=True)
sys.stdin.readline()
fcntl.ioctl(uffd, UFFDIO_ZEROPAGE, struct.pack("QQQQ", start + PAGE, PAGE, 0, 0))
time.sleep(60)
