# SPDX-License-Identifier: GPL-3.0-or-later
imprint_fuzz(chain_head SOURCES chain_head_fuzz.cpp USES imprint::db)
