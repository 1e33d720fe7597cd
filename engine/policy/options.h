#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace conclave::engine::policy {

enum class Activations : uint8_t { Auto, F32, BF16, Int8, Int8x2 };
enum class Kv : uint8_t { F32, F16 };

/// What an engine is told to be: one field for each key of config.toml, which is also the name of the flag.
struct Options {
    uint32_t threads = 0;                         ///< threads; 0 = physical cores this process may use
    std::string kernels;                          ///< kernels; empty = the best row of this processor
    Activations activations = Activations::Auto;  ///< activations: auto f32 bf16 int8 int8x2
    Kv kv = Kv::F16;                              ///< kv: f32 f16
    uint64_t kvMemory = 0;                        ///< kv-memory, bytes; 0 = the engine chooses
    uint64_t adapterMemory = 0;                   ///< adapter-memory, bytes; 0 = the engine chooses
    uint32_t context = 0;                         ///< context, tokens; 0 = the model's own
    float expertCap = 0;                          ///< expert-cap; 0 = none, else at least 1
    std::string socket;                           ///< socket; empty = the user's own
    std::vector<std::string> modelFolders;        ///< models-dir: searched before the standard ones
    std::string chatModel;                        ///< models.chat
    std::string completionModel;                  ///< models.completion
    uint32_t connections = 0;                     ///< limits.connections; 0 = the server's own, as below
    uint64_t bodyBytes = 0;                       ///< limits.body
    uint32_t idleSeconds = 0;                     ///< limits.idle: between requests of a connection
};

/// One key, for help texts and `explain`.
struct Key {
    std::string_view name;   ///< "kv-memory"; a dot names a table ("models.chat")
    std::string_view value;  ///< "BYTES"
    std::string_view help;
    bool flag = false;  ///< also a flag of conclaved and serve
};
std::span<const Key> keys();

/// A flag as it was given: {"threads", "4"}.
struct Flag {
    std::string key, value;
};

/// Where options come from; later ones win: defaults, config.toml, flags, the administrator's policy files by
/// name.
struct Sources {
    std::string configFile;    ///< may be missing unless `configNamed`
    bool configNamed = false;  ///< --config was given, so the file must exist
    std::vector<Flag> flags;
    std::string policyFolder = "/etc/conclave/policy.d";  ///< *.toml; may be missing
};

struct Loaded {
    Options options;
    std::vector<std::string> warnings;  ///< sentences: unknown keys, folders that are not there
    std::map<std::string, std::string>
        origin;  ///< key -> "config.toml:3", "--threads", "policy.d/10-site.toml:1"
};

/// Reads and merges. Errors: BadConfig with file, line and key; OutOfRange for a flag; FileUnreadable. A
/// policy file that cannot be read is an error too: an administrator's lock that does not hold must not be
/// passed over.
base::Result<Loaded> load(const Sources& sources);

/// config.toml of this user.
std::string defaultConfigFile();

/// "512MiB", "2 GiB", "1.5G", "1048576" to bytes. Units are powers of 1024.
base::Result<uint64_t> parseBytes(std::string_view text, const std::string& field);

}  // namespace conclave::engine::policy
