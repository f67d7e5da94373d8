# SPDX-License-Identifier: GPL-3.0-or-later
imprint_fuzz(text SOURCES text_fuzz.cpp USES imprint::flash_core)
