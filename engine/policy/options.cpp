#include "engine/policy/options.h"

#include <algorithm>
#include <filesystem>
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

#include "engine/base/utf8.h"
#include "engine/platform/file.h"
#include "engine/platform/paths.h"
#include "engine/policy/keys.h"

namespace conclave::engine::policy {
namespace {

using base::Code;
using base::Error;

constexpr size_t kFileLimit = size_t{1} << 20;

std::string place(const std::string& file, const toml::source_region& source) {
    return file + ":" + std::to_string(source.begin.line);
}

std::string knownKeys() {
    std::string names;
    for (const Key& key : keys())
        names += (names.empty() ? "" : ", ") + std::string(key.name);
    return names;
}

std::optional<Value> valueOf(const toml::node& node) {
    if (const auto* text = node.as_string()) return Value(text->get());
    if (const auto* number = node.as_integer()) return Value(number->get());
    if (const auto* number = node.as_floating_point()) return Value(number->get());
    const toml::array* list = node.as_array();
    if (list == nullptr) return std::nullopt;
    std::vector<std::string> texts;
    for (const toml::node& item : *list) {
        if (!item.is_string()) return std::nullopt;
        texts.push_back(item.as_string()->get());
    }
    return Value(std::move(texts));
}

/// Applies one table; `prefix` is the dotted name of the tables above it.
base::Result<void> applyTable(const toml::table& table, const std::string& prefix, const std::string& file,
                              Loaded& into) {
    for (const auto& [name, node] : table) {
        const std::string key = prefix + std::string(name.str());
        const std::string where = place(file, node.source());
        const KeyRow* row = findKey(key);
        if (row == nullptr && node.is_table()) {
            CONCLAVE_TRY_VOID(applyTable(*node.as_table(), key + ".", file, into));
            continue;
        }
        if (row == nullptr) {
            into.warnings.push_back(where + ": " + key + " is not known here; known are " + knownKeys());
            continue;
        }
        const std::optional<Value> value = valueOf(node);
        const std::optional<std::string> must =
            value ? row->set(into.options, *value)
                  : row->set(into.options, Value(std::vector<std::string>{}));
        if (must)
            return Error{Code::BadConfig,
                         where,
                         key,
                         {(value ? shown(*value) : "this value") + " is out of range; it must be " + *must}};
        into.origin[key] = where;
    }
    return {};
}

/// What the parser says, without its way of writing a line's end.
std::string plainly(std::string_view description) {
    constexpr std::string_view kEnd = R"('\n')";
    std::string text(description);
    if (const size_t at = text.find(kEnd); at != std::string::npos)
        text.replace(at, kEnd.size(), "the end of the line");
    return text;
}

base::Result<void> applyFile(const std::string& file, Loaded& into) {
    CONCLAVE_TRY(const std::string text, platform::readTextFile(file, kFileLimit));
    if (!base::isValidUtf8(text))
        return Error{Code::BadConfig, file, "text", {"is not valid UTF-8; save the file as UTF-8"}};
    const toml::parse_result parsed = toml::parse(text, file);
    if (!parsed)
        return Error{Code::BadConfig,
                     place(file, parsed.error().source()),
                     "syntax",
                     {plainly(parsed.error().description())}};
    return applyTable(parsed.table(), "", file, into);
}

base::Result<void> applyFlag(const Flag& flag, Loaded& into) {
    const KeyRow* row = findKey(flag.key);
    if (row == nullptr || !row->key.flag)
        return Error{Code::UnknownField, {}, "--" + flag.key, {knownKeys()}};
    std::string value = flag.value;
    if (flag.key == "socket" && !value.empty())  // a flag is relative to where it was typed
        value = std::filesystem::absolute(value).lexically_normal().string();
    if (const std::optional<std::string> must = row->set(into.options, Value(value)))
        return Error{Code::OutOfRange, {}, "--" + flag.key, {'"' + flag.value + '"', *must}};
    into.origin[flag.key] = "--" + flag.key;
    return {};
}

base::Result<std::vector<std::string>> policyFiles(const std::string& folder) {
    std::vector<std::string> files;
    if (platform::pathKind(folder) == platform::PathKind::Missing) return files;
    std::error_code error;
    std::filesystem::directory_iterator at(folder, error);
    for (; !error && at != std::filesystem::directory_iterator(); at.increment(error))
        if (at->path().extension() == ".toml") files.push_back(at->path().string());
    if (error) return Error{Code::FileUnreadable, folder, {}, {error.message()}};
    std::sort(files.begin(), files.end());
    return files;
}

}  // namespace

base::Result<Loaded> load(const Sources& sources) {
    Loaded out;
    const bool there =
        !sources.configFile.empty() && platform::pathKind(sources.configFile) != platform::PathKind::Missing;
    if (there || sources.configNamed) {
        CONCLAVE_TRY_VOID(applyFile(sources.configFile, out));
    }
    for (const Flag& flag : sources.flags)
        CONCLAVE_TRY_VOID(applyFlag(flag, out));
    CONCLAVE_TRY(const std::vector<std::string> files, policyFiles(sources.policyFolder));
    for (const std::string& file : files)
        CONCLAVE_TRY_VOID(applyFile(file, out));
    for (const std::string& folder : out.options.modelFolders)
        if (platform::pathKind(folder) != platform::PathKind::Folder)
            out.warnings.push_back(out.origin["models-dir"] + ": models-dir: " + folder +
                                   " is not a folder that can be opened; no models are looked for there");
    return out;
}

std::string defaultConfigFile() {
    return platform::userPaths().config + "/config.toml";
}

}  // namespace conclave::engine::policy
