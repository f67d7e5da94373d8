@echo off
rem SPDX-License-Identifier: GPL-3.0-or-later
rem First program of the Kestrel K1 recovery system.
wpeinit
call %SystemRoot%\System32\kestrel_recovery.cmd
if errorlevel 1 (
  echo Recovery did not finish. The device keeps starting into recovery until it does.
  cmd /k
)
wpeutil reboot
