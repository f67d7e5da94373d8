@echo off
rem SPDX-License-Identifier: GPL-3.0-or-later
rem Run at every start of MainOS: keeps the way into recovery open, whatever an update did to the boot configuration.
set RECOVERY={a5935ff2-32ba-4617-bf36-5ac314b3f9bf}
for %%O in ({01de5a27-8705-40db-bad6-96fa5187d4a6}) do (
  bcdedit /set %%O recoverysequence %RECOVERY% || goto :failed
  bcdedit /set %%O recoveryenabled yes || goto :failed
  bcdedit /set %%O bootstatuspolicy IgnoreShutdownFailures || goto :failed
)
exit /b 0

:failed
echo Recovery settings could not be written.
exit /b 1
