# SPDX-License-Identifier: GPL-3.0-or-later
imprint_fuzz(catalog SOURCES catalog_fuzz.cpp USES imprint::flash_trust imprint::flash_core)
