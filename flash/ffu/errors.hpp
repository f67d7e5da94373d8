// SPDX-License-Identifier: GPL-3.0-or-later
// What can be wrong with an FFU file, each with its own id; the context carries the offset.
#pragma once

#include <array>
#include <string>

#include "flash/core/result.hpp"

namespace imprint::ffu {

inline constexpr auto kErrorRows = std::to_array<core::ErrorRow>({
    {"ffu.not-an-ffu", "This is not a full flash update image", "Check that the right file was chosen.",
     core::FaultClass::image},
    {"ffu.security-header", "The security header is damaged", "Get the image again from its source.",
     core::FaultClass::image},
    {"ffu.chunk-size", "The chunk size is not one that the format allows",
     "Get the image again; chunk sizes are powers of two from 4 KiB to 16 MiB.", core::FaultClass::image},
    {"ffu.hash-algorithm", "The image is hashed with an algorithm other than SHA-256",
     "Build the image with SHA-256 (0x800C), the only algorithm that devices accept.", core::FaultClass::image},
    {"ffu.catalog-size", "The catalog's size cannot be right", "Get the image again from its source.",
     core::FaultClass::image},
    {"ffu.hash-table-size", "The hash table's size cannot be right", "Get the image again from its source.",
     core::FaultClass::image},
    {"ffu.hash-count", "The hash table does not cover the file",
     "The file is cut off or padded; get it again from its source.", core::FaultClass::image},
    {"ffu.header-too-large", "The headers claim to be larger than any real image's",
     "Get the image again from its source.", core::FaultClass::image},
    {"ffu.image-header", "The image header is damaged", "Get the image again from its source.",
     core::FaultClass::image},
    {"ffu.manifest", "The manifest is damaged", "Build the image again; the manifest names the line.",
     core::FaultClass::image},
    {"ffu.device-targeting", "The device targeting list is damaged", "Get the image again from its source.",
     core::FaultClass::image},
    {"ffu.version-unsupported", "The store header's version is not one that this station knows",
     "Build the image as FFU version 1 or 2.", core::FaultClass::image},
    {"ffu.compression-algorithm", "The image names a compression that the format does not know",
     "Get the image again from its source, or capture it with another compression.", core::FaultClass::image},
    {"ffu.data-size", "A compressed block's size cannot be right", "Get the image again from its source.",
     core::FaultClass::image},
    {"ffu.compressed-run", "A write of a compressed image covers another number of blocks than one",
     "Build the image with one block for each descriptor; the format does not say how others are hashed.",
     core::FaultClass::image},
    {"ffu.update-type", "The image is neither a full nor a partial update", "Get the image again from its source.",
     core::FaultClass::image},
    {"ffu.validation-failed", "The disk does not hold what the partial update is made for",
     "Flash a full image, or the update that fits what is on the disk.", core::FaultClass::unit},
    {"ffu.platform-ids", "The list of platform ids is damaged or empty",
     "Build the image with the board's platform id.", core::FaultClass::image},
    {"ffu.block-size", "The block size is not one that the format allows",
     "Block sizes are powers of two from 4 KiB to 1 MiB; build the image again.", core::FaultClass::image},
    {"ffu.validation-entries", "The validation entries are damaged", "Get the image again from its source.",
     core::FaultClass::image},
    {"ffu.write-descriptors", "The write descriptors are damaged", "Get the image again from its source.",
     core::FaultClass::image},
    {"ffu.access-method", "A write descriptor counts blocks in an unknown way", "Get the image again from its source.",
     core::FaultClass::image},
    {"ffu.end-run-ambiguous",
     "A run of several blocks is counted from the disk's end, which the format does not define",
     "Build the image with one block for each descriptor at the end of the disk.", core::FaultClass::image},
    {"ffu.run-overlap", "A run of several blocks is written over itself, which the format does not define",
     "Build the image with one block for each descriptor where places overlap.", core::FaultClass::image},
    {"ffu.device-path", "A store's device path is damaged", "Get the image again from its source.",
     core::FaultClass::image},
    {"ffu.padding-not-zero", "There are bytes between the hash table and the image header",
     "Get the image again from its source; nothing vouches for these bytes.", core::FaultClass::image},
    {"ffu.location-out-of-disk", "The image writes outside of the disk",
     "Use a larger disk, or build the image for this one.", core::FaultClass::image},
    {"ffu.store-count", "The numbers of stores do not agree", "Get the image again from its source.",
     core::FaultClass::image},
    {"ffu.store-missing", "The image has no such store", "Stores are counted from 0; imprint ffu info lists them.",
     core::FaultClass::operator_},
    {"ffu.payload-size", "The payload's size does not agree with the headers", "Get the image again from its source.",
     core::FaultClass::image},
    {"ffu.padding-ambiguous", "The payload could begin in more than one place",
     "Build the image again with blocks of the size of a chunk.", core::FaultClass::image},
    {"ffu.trailing-bytes", "There are bytes after the payload", "Get the image again; nothing may follow the payload.",
     core::FaultClass::image},
    {"ffu.disk-size-unknown", "The image does not say how large its disk is", "Give the disk's size with --size.",
     core::FaultClass::operator_},
    {"ffu.catalog-unstable", "The catalog kept changing its size while it was made",
     "Sign the image with another signer.", core::FaultClass::image},
    {"ffu.unwritable", "The image that was asked for cannot be expressed as an FFU", "See the detail for the limit.",
     core::FaultClass::image},
    {"image.hash-mismatch", "A part of the image is not what was signed",
     "Get the image again; do not flash this file.", core::FaultClass::image},
    {"image.read-failed", "A part of the image cannot be read",
     "Check the disk that holds the image, then copy the image anew.", core::FaultClass::station},
    {"ffu.decompression", "A compressed block of the image is damaged", "Get the image again from its source.",
     core::FaultClass::image},
});

using ErrorId = core::RowRef<kErrorRows>;
[[nodiscard]] inline core::Failure fail(ErrorId id, std::string detail = {}) {
  return core::Failure(core::Error(id.row(), std::move(detail)));
}

}  // namespace imprint::ffu
