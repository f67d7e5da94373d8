# SPDX-License-Identifier: GPL-3.0-or-later
imprint_fuzz(bcd_store SOURCES bcd_store_fuzz.cpp USES imprint::flash_bcd)
imprint_fuzz(bcd_device SOURCES bcd_device_fuzz.cpp USES imprint::flash_bcd)
imprint_fuzz(bcd_xml SOURCES bcd_xml_fuzz.cpp USES imprint::flash_bcd)
