# SPDX-License-Identifier: GPL-3.0-or-later
imprint_fuzz(ffu SOURCES ffu_fuzz.cpp USES imprint::flash_ffu)
