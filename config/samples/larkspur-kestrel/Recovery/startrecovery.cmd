@echo off
rem SPDX-License-Identifier: GPL-3.0-or-later
rem Asks for the recovery system at the next start, once, and restarts.
bcdedit /set {bootmgr} bootsequence {a5935ff2-32ba-4617-bf36-5ac314b3f9bf}
if errorlevel 1 (
  echo The recovery system could not be chosen; nothing was changed.
  exit /b 1
)
shutdown /r /t 0
