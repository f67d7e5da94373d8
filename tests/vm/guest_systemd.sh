#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The guest's first process on the host's root for scripts that say `# Boots: systemd`: writes the unit that runs the
# script, takes away what a system asks for that is there for more than minutes, and becomes systemd.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
# shellcheck disable=SC1091 # written by run_vm.sh
. /run/imprint-vm-job

units=/run/systemd/system
mkdir -p "$units" /usr/lib/modules
mount --bind "$KERNEL/lib/modules" /usr/lib/modules || exit 1
# What the host mounts and how it is called are no business of the guest's.
: >/etc/fstab
rm -f /etc/machine-id
: >/etc/machine-id
# systemd-tmpfiles-setup would walk through all that the host has in /tmp.
for unit in systemd-tmpfiles-setup.service timers.target ldconfig.service systemd-hwdb-update.service systemd-journal-catalog-update.service \
  systemd-update-done.service systemd-firstboot.service systemd-random-seed.service systemd-pstore.service \
  systemd-journal-flush.service getty.target; do
  ln -s /dev/null "$units/$unit"
done
cat >"$units/imprint-vm.service" <<END
[Unit]
Requires=basic.target systemd-udev-settle.service
After=basic.target systemd-udev-settle.service
[Service]
Type=oneshot
TimeoutStartSec=infinity
ExecStart=$TOP/tests/vm/guest_init.sh
Environment=HOME=/root LANG=C.UTF-8
END
exec /lib/systemd/systemd --unit=imprint-vm.service
