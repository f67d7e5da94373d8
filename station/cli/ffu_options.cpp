// SPDX-License-Identifier: GPL-3.0-or-later
// One function for each command of `imprint ffu`, from its words to its function in commands.hpp.
#include "station/cli/ffu_options.hpp"

#include <CLI/CLI.hpp>
#include <bit>
#include <memory>

#include "station/cli/commands.hpp"

namespace imprint::station::cli {
namespace {

CLI::Validator one_of_the_compressions() { return CLI::IsMember({"none", "xpress", "xpress-huffman", "lznt1"}); }

template <class Options>
void finish(CLI::App* command, const std::shared_ptr<Options>& options, Chosen& chosen,
            ExitStatus (*run)(const Options&)) {
  command->add_flag("--json", options->json, "One JSON object");
  command->callback([&chosen, options, run] { chosen = [options, run] { return run(*options); }; });
}

void add_info(CLI::App& ffu, Chosen& chosen) {
  auto options = std::make_shared<FfuInfoOptions>();
  CLI::App* command = ffu.add_subcommand("info", "What an image is: form, platform, disk, partitions, signer, sizes");
  command->add_option("FILE", options->file, "The FFU")->required();
  finish(command, options, chosen, ffu_info);
}

void add_verify(CLI::App& ffu, Chosen& chosen) {
  auto options = std::make_shared<FfuVerifyOptions>();
  CLI::App* command = ffu.add_subcommand("verify", "Signature, catalog, hash table, and every byte against it");
  command->add_option("FILE", options->file, "The FFU")->required();
  command->add_option("--policy", options->policy, "retail, test or none")
      ->check(CLI::IsMember({"retail", "test", "none"}))
      ->capture_default_str();
  command->add_option("--trust", options->trust, "Trust directory")->capture_default_str();
  finish(command, options, chosen, ffu_verify);
}

void add_extract(CLI::App& ffu, Chosen& chosen) {
  auto options = std::make_shared<FfuExtractOptions>();
  CLI::App* command = ffu.add_subcommand("extract", "Write the disk that an image describes to a sparse file");
  command->add_option("FILE", options->file, "The FFU")->required();
  command->add_option("OUT", options->out, "The disk image to write")->required();
  command->add_option("--store", options->store, "Store, counted from 0")->capture_default_str();
  command->add_option("--size", options->size, "Size of the disk in bytes; MinSectorCount of the store unless given");
  finish(command, options, chosen, ffu_extract);
}

void add_create(CLI::App& ffu, Chosen& chosen) {
  auto options = std::make_shared<FfuCreateOptions>();
  CLI::App* command = ffu.add_subcommand("create", "Make an image of a disk; the disk is only read");
  command->add_option("DISK", options->disk, "A raw disk image or a block device")->required();
  command->add_option("OUT", options->out, "The FFU to write")->required();
  command->add_option("--platform", options->platform_ids, "Platform ids of the devices that the image is for")
      ->required();
  command->add_option("--form", options->form, "v1, or v2: device paths, and several disks in one image")
      ->check(CLI::IsMember({"v1", "v2"}))
      ->capture_default_str();
  command->add_option("--store", options->stores, "V2: another disk, which becomes the next store; once for each")
      ->allow_extra_args(false);
  command
      ->add_option("--device-path", options->device_paths,
                   "V2: where the disk sits in the device, for DISK and then for each --store")
      ->allow_extra_args(false);
  command->add_option("--target", options->targets,
                      "A device model that the image is for, as KEY=TEXT of manufacturer, family, product, version, "
                      "sku, board-manufacturer and board; once for each model");
  command->add_option("--compress", options->compress, "none, xpress, xpress-huffman or lznt1")
      ->check(one_of_the_compressions())
      ->capture_default_str();
  command->add_option("--block-size", options->block_size, "Bytes of a block of the payload, 4096 to 1048576")
      ->check([](const std::string& text) -> std::string {
        std::uint32_t bytes = 0;
        const bool is_number = CLI::detail::lexical_cast(text, bytes);
        if (is_number && std::has_single_bit(bytes) && bytes >= 4096 && bytes <= 1048576) return {};
        return "not a power of two from 4096 to 1048576";
      })
      ->capture_default_str();
  command->add_option("--sector-size", options->sector_size, "512 or 4096; found from the partition table unless given")
      ->check(CLI::IsMember({512, 4096}));
  finish(command, options, chosen, ffu_create);
}

void add_convert(CLI::App& ffu, Chosen& chosen) {
  auto options = std::make_shared<FfuConvertOptions>();
  CLI::App* command =
      ffu.add_subcommand("convert", "The same image in another form; the new one has to be signed again");
  command->add_option("IN", options->in, "The FFU to read")->required();
  command->add_option("OUT", options->out, "The FFU to write")->required();
  command->add_option("--compress", options->compress, "none, xpress, xpress-huffman or lznt1")
      ->check(one_of_the_compressions())
      ->capture_default_str();
  command->add_flag("--reorder", options->reorder,
                    "Writes in the order of the disk, without those that are overwritten");
  finish(command, options, chosen, ffu_convert);
}

void add_diff(CLI::App& ffu, Chosen& chosen) {
  auto options = std::make_shared<FfuDiffOptions>();
  CLI::App* command = ffu.add_subcommand("diff", "Partitions and blocks that differ between two images");
  command->add_option("A", options->a, "An FFU")->required();
  command->add_option("B", options->b, "Another FFU")->required();
  finish(command, options, chosen, ffu_diff);
}

void add_catalog(CLI::App& ffu, Chosen& chosen) {
  auto options = std::make_shared<FfuCatalogOptions>();
  CLI::App* command = ffu.add_subcommand("catalog", "The catalog alone, for an outside signer");
  command->add_option("FILE", options->file, "The FFU")->required();
  command->add_option("OUT", options->out, "The catalog to write")->required();
  command->add_option("--timestamp-request", options->timestamp_request,
                      "Also write an RFC 3161 request for the catalog's signature to this file");
  finish(command, options, chosen, ffu_catalog);
}

void add_sign(CLI::App& ffu, Chosen& chosen) {
  auto options = std::make_shared<FfuSignOptions>();
  CLI::App* command = ffu.add_subcommand(
      "sign", "Sign an image in place: by key and certificate, PKCS#12 file, or a catalog that was signed elsewhere");
  command->add_option("FILE", options->file, "The FFU; everything in it is verified first")->required();
  command->add_option("--cert", options->certificate, "The signer's certificate, PEM, issuers after it");
  command->add_option("--key", options->key, "Its key: a PEM file, or a pkcs11 URI");
  command->add_option("--p12", options->pkcs12, "Key and certificate in a PKCS#12 file");
  command->add_option("--catalog", options->catalog, "The image's catalog, signed elsewhere");
  command->add_option("--timestamp", options->timestamp,
                      "The answer of a timestamp authority, for the signature that is there or that of --catalog");
  command->add_option(
      "--passphrase-file", options->passphrase_file,
      "A file of yours alone whose first line is the passphrase or PIN; asked for at the terminal unless "
      "given");
  command
      ->add_option("--digest", options->digest,
                   "Digest of the hash table, sha1 or sha256; the one that the image's catalog has unless given")
      ->check(CLI::IsMember({"sha1", "sha256"}));
  finish(command, options, chosen, ffu_sign);
}

}  // namespace

void add_ffu(CLI::App& app, Chosen& chosen) {
  CLI::App* ffu =
      app.add_subcommand("ffu", "Full flash update images: look at, verify, extract, create, convert, sign");
  ffu->require_subcommand(1);
  add_info(*ffu, chosen);
  add_verify(*ffu, chosen);
  add_extract(*ffu, chosen);
  add_create(*ffu, chosen);
  add_convert(*ffu, chosen);
  add_diff(*ffu, chosen);
  add_catalog(*ffu, chosen);
  add_sign(*ffu, chosen);
}

}  // namespace imprint::station::cli
