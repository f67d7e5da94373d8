# SPDX-License-Identifier: GPL-3.0-or-later
imprint_fuzz(ffu SOURCES ffu_fuzz.cpp ffu_repair.cpp USES imprint::flash_ffu)
imprint_fuzz(manifest SOURCES manifest_fuzz.cpp USES imprint::flash_ffu)
imprint_fuzz(lznt1 SOURCES lznt1_fuzz.cpp USES imprint::flash_ffu)
imprint_fuzz(xpress SOURCES xpress_fuzz.cpp USES imprint::flash_ffu)
imprint_fuzz(xpress_huffman SOURCES xpress_huffman_fuzz.cpp USES imprint::flash_ffu)

# make_ffu_seeds FOLDER: what these begin with, in FOLDER/ffu, FOLDER/manifest and so on.
add_executable(make_ffu_seeds ffu_seeds.cpp)
target_link_libraries(make_ffu_seeds PRIVATE imprint_options imprint::flash_ffu)
set_target_properties(make_ffu_seeds PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
