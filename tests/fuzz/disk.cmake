# SPDX-License-Identifier: GPL-3.0-or-later
imprint_fuzz(gpt SOURCES gpt_fuzz.cpp USES imprint::flash_disk)
imprint_fuzz(mbr SOURCES mbr_fuzz.cpp USES imprint::flash_disk)
imprint_fuzz(fat SOURCES fat_fuzz.cpp USES imprint::flash_disk)
imprint_fuzz(ntfs SOURCES ntfs_fuzz.cpp USES imprint::flash_disk)
