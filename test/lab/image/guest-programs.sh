#!/bin/bash
# guest-programs.sh ROOT : what makes a root tree one of the lab's guests: patience, and a shell on the second serial port, over which the lab works in it (guest-shell.ts is its other end).
# "+ TEXT" adds base64 to the script, "! ID" runs it and answers "= ID EXIT-CODE OUTPUT", the output compressed and in base64.
set -euo pipefail
cat >"$1/usr/local/sbin/lab-shell" <<'F'
#!/bin/sh
stty raw -echo
text=
echo ready
while read -r word rest; do
  case $word in
    '?') text=; echo ready ;;
    +) text=$text$rest; echo + ;;
    !) printf %s "$text" | base64 -d >/run/lab-script
      text=
      sh /run/lab-script >/run/lab-output 2>&1 </dev/null
      code=$?
      echo "= $rest $code $(gzip -1c /run/lab-output | base64 -w 0)" ;;
  esac
done
F
chmod 755 "$1/usr/local/sbin/lab-shell"
cat >"$1/etc/systemd/system/lab-shell.service" <<'F'
[Unit]
Description=The lab's shell

[Service]
ExecStart=/usr/local/sbin/lab-shell
StandardInput=tty
StandardOutput=tty
StandardError=journal
TTYPath=/dev/ttyS1
Environment=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
KillMode=process
Restart=always

[Install]
WantedBy=multi-user.target
F
# emulation on a busy machine is slow
mkdir -p "$1/etc/systemd/system.conf.d"
printf '[Manager]\nDefaultTimeoutStartSec=900s\nDefaultDeviceTimeoutSec=900s\n' >"$1/etc/systemd/system.conf.d/lab.conf"
mkdir -p "$1/etc/systemd/system/multi-user.target.wants"
ln -s /etc/systemd/system/lab-shell.service "$1/etc/systemd/system/multi-user.target.wants/lab-shell.service"
