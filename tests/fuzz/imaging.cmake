# SPDX-License-Identifier: GPL-3.0-or-later
imprint_fuzz(device_layout SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/device_layout_fuzz.cpp USES imprint::flash_disk)
imprint_fuzz(package_paths SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/package_paths_fuzz.cpp USES imprint::flash_imaging)
