# SPDX-License-Identifier: GPL-3.0-or-later
imprint_fuzz(ffu SOURCES ffu_fuzz.cpp USES imprint::flash_ffu)
imprint_fuzz(lznt1 SOURCES lznt1_fuzz.cpp USES imprint::flash_ffu)
imprint_fuzz(xpress SOURCES xpress_fuzz.cpp USES imprint::flash_ffu)
imprint_fuzz(xpress_huffman SOURCES xpress_huffman_fuzz.cpp USES imprint::flash_ffu)
