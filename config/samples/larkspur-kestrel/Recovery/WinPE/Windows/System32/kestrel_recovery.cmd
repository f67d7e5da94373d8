@echo off
rem SPDX-License-Identifier: GPL-3.0-or-later
rem Puts the captured volumes back. EFIESP comes first and MainOS last: until MainOS is whole again, every start must lead
rem back here, so the boot sequence is renewed as soon as EFIESP has been written.
call %SystemRoot%\System32\kestrel_drives.cmd || exit /b 1
for %%W in (efiesp mainos data) do (
  if not exist %MMOS%\%%W.wim (
    echo %%W.wim is not on the recovery partition.
    exit /b 1
  )
)
dism /apply-image /imagefile:%MMOS%\efiesp.wim /index:1 /applydir:%EFIESP%\ || exit /b 1
bcdedit /store %EFIESP%\EFI\Microsoft\Boot\BCD /set {bootmgr} bootsequence {a5935ff2-32ba-4617-bf36-5ac314b3f9bf} || exit /b 1
format %DATA% /fs:ntfs /q /y /v:Data || exit /b 1
dism /apply-image /imagefile:%MMOS%\data.wim /index:1 /applydir:%DATA%\ || exit /b 1
format %MAINOS% /fs:ntfs /q /y /v:MainOS || exit /b 1
dism /apply-image /imagefile:%MMOS%\mainos.wim /index:1 /applydir:%MAINOS%\ || exit /b 1
bcdedit /store %EFIESP%\EFI\Microsoft\Boot\BCD /set {bootmgr} bootsequence {01de5a27-8705-40db-bad6-96fa5187d4a6}
