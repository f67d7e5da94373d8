# SPDX-License-Identifier: GPL-3.0-or-later
imprint_fuzz(simple_io_id SOURCES simple_io_id_fuzz.cpp USES imprint::devices_protocol)
imprint_fuzz(virtual_device SOURCES virtual_device_fuzz.cpp ffu_repair.cpp
  USES imprint::devices_virtual imprint::flash_engine imprint_test_fixtures)
imprint_fuzz(usbip SOURCES usbip_fuzz.cpp USES imprint::devices_virtual)
imprint_fuzz(ufp SOURCES ufp_fuzz.cpp ffu_repair.cpp
  USES imprint::devices_virtual imprint::flash_engine imprint_test_fixtures)
imprint_fuzz(pcapng SOURCES pcapng_fuzz.cpp USES imprint::devices_capture)
