#include "engine/offline/text_source.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "engine/base/utf8.h"
#include "engine/platform/file.h"

namespace conclave::engine::offline {
namespace {

namespace fs = std::filesystem;
using base::Code;
using base::Error;
using base::Result;

constexpr size_t kMostOfFile = size_t{16} << 20, kMostOfFolder = size_t{256} << 20;

/// Paths of the regular files below a folder, in order.
Result<std::vector<std::string>> filesBelow(const std::string& folder) {
    std::vector<std::string> out;
    std::error_code failed;
    fs::recursive_directory_iterator it(folder, fs::directory_options::skip_permission_denied, failed);
    for (const fs::recursive_directory_iterator end; !failed && it != end; it.increment(failed)) {
        std::error_code ignored;  // what cannot be looked at is no file
        if (it->path().filename().string().starts_with('.'))
            it.disable_recursion_pending();
        else if (it->symlink_status(ignored).type() == fs::file_type::regular)
            out.push_back(it->path().string());
    }
    if (failed) return Error{Code::FileUnreadable, folder, {}, {failed.message()}};
    std::ranges::sort(out);
    return out;
}

bool isText(const std::string& content) {
    return !content.empty() && content.find('\0') == std::string::npos && base::isValidUtf8(content);
}

}  // namespace

Result<TextSource> textSource(std::string name, std::string text) {
    if (text.empty()) return Error{Code::BadArgument, {}, std::move(name), {"holds no text"}};
    if (const size_t valid = base::validUtf8Prefix(text); valid < text.size())
        return Error{Code::InvalidUtf8, std::move(name), "text", {std::to_string(valid)}};
    return TextSource{std::move(name), {std::move(text)}, 0};
}

Result<TextSource> readTexts(const std::string& path) {
    if (platform::pathKind(path) != platform::PathKind::Folder) {
        CONCLAVE_TRY(std::string text, platform::readTextFile(path, kMostOfFolder));
        return textSource(path, std::move(text));
    }
    CONCLAVE_TRY(const std::vector<std::string> files, filesBelow(path));
    TextSource out{path, {}, 0};
    size_t bytes = 0;
    for (const std::string& file : files) {
        auto text = platform::readTextFile(file, kMostOfFile);
        if (!text.ok() || !isText(*text)) {
            ++out.skipped;
            continue;
        }
        bytes += text->size();
        if (bytes > kMostOfFolder)
            return Error{Code::BadArgument, {}, path, {"holds more than 256 MiB of text; give a part of it"}};
        out.texts.push_back(std::move(*text));
    }
    if (out.texts.empty()) return Error{Code::BadArgument, {}, path, {"holds no file of text (UTF-8)"}};
    return out;
}

}  // namespace conclave::engine::offline
