#!/bin/bash
# zoo.sh DIRECTORY ext4|xfs : one of everything that a Linux file system holds, small.
set -euo pipefail
mkdir -p "$1"; cd "$1"
printf 'plain\n' >plain; chmod 640 plain; chown 1234:4321 plain; touch -d '2001-02-03 04:05:06.123456789 UTC' plain
: >empty; mkdir empty-directory
printf 'old\n' >before-1970; touch -d '1965-05-05 05:05:05.5 UTC' before-1970
cp /bin/true setuid; chmod 4755 setuid; cp /bin/true setgid; chmod 2755 setgid; mkdir -m 3777 sticky
cp /bin/true with-capability; setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 with-capability
printf 'acl\n' >with-acl; setfacl -m u:1001:rw,g:1002:r,m::rw with-acl
mkdir default-acl; setfacl -m d:u:1001:rwx,d:g:1002:rx default-acl
printf 'x\n' >with-xattrs; setfattr -n user.note -v 'some text' with-xattrs; setfattr -n user.empty with-xattrs; setfattr -n trusted.landfall -v 0x00ff10 with-xattrs
setfattr -n user.large -v "0x$(head -c 1500 /dev/zero | tr '\0' 'a' | od -An -tx1 -v | tr -d ' \n')" with-xattrs
printf 'linked\n' >link-a; mkdir links; ln link-a links/link-b; ln link-a link-c
ln -s plain symlink; ln -s /nowhere/at/all dangling; ln -s "$(printf 'long-%.0s' $(seq 190))" long-symlink; chown -h 77:88 symlink; touch -h -d '2010-10-10 10:10:10.000000001 UTC' dangling
ln symlink symlink-hard-link
mkfifo -m 622 fifo; mknod character c 5 1; mknod -m 660 block b 8 17; chown 0:6 block
python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")'
truncate -s 64M all-hole
truncate -s 16M holes; printf 'begin' | dd of=holes conv=notrunc status=none; printf 'middle' | dd of=holes bs=1 seek=$((8 << 20)) conv=notrunc status=none
printf 'late' | dd of=late-data bs=1 seek=$((32 << 20)) status=none
# unwritten extents: allocated, read as zeros
fallocate -l 1M allocated-unwritten
printf 'n\n' >$'new\nline'; printf 'n\n' >$'not-utf8-\xff\xfe\x80'; printf 'n\n' >' leading blank'; printf 'n\n' >'-rf'; printf 'n\n' >'back\slash'; printf 'n\n' >'quote"and'"'"'tick'
printf 'n\n' >"$(printf 'n%.0s' $(seq 255))"; printf 'n\n' >'größe-文件'; printf 'n\n' >$'tab\tand\x01control'
deep=.; for i in $(seq 40); do deep=$deep/depth-$i; done; mkdir -p "$deep"; printf 'deep\n' >"$deep/bottom"
mkdir many; for i in $(seq 600); do printf '%s\n' "$i" >"many/file-$i"; done
chattr +d plain; chattr +A empty
printf 'log\n' >append-only; chattr +a append-only
printf 'fixed\n' >immutable; chattr +i immutable
touch -d '2020-02-20 20:20:20.202020202 UTC' many links sticky
