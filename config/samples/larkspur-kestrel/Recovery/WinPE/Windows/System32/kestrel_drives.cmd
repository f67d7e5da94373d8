@echo off
rem SPDX-License-Identifier: GPL-3.0-or-later
rem Letters of the four partitions, by their order on the disk.
diskpart /s %SystemRoot%\System32\kestrel_diskpart.txt || exit /b 1
set EFIESP=D:
set MAINOS=C:
set MMOS=F:
set DATA=G:
