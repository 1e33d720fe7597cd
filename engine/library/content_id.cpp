#include "engine/library/content_id.h"

#include <openssl/evp.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>

#include "engine/formats/hf_folder.h"
#include "engine/platform/file.h"
#include "engine/platform/paths.h"

namespace conclave::engine::library {
namespace {

using base::Code;
using base::Error;
using base::Result;

class Sha256 {
  public:
    Sha256() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
        CONCLAVE_CHECK(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
    }
    void add(const void* data, size_t bytes) {
        CONCLAVE_CHECK(EVP_DigestUpdate(context_.get(), data, bytes) == 1);
    }
    void add(const std::string& text) { add(text.data(), text.size()); }
    std::string hex() {
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned size = 0;
        CONCLAVE_CHECK(EVP_DigestFinal_ex(context_.get(), digest, &size) == 1);
        constexpr const char* kDigits = "0123456789abcdef";
        std::string out;
        for (unsigned i = 0; i < size; ++i) {
            out += kDigits[digest[i] >> 4];
            out += kDigits[digest[i] & 15];
        }
        return out;
    }

  private:
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

struct FileIdentity {
    std::string path, name;
    uint64_t size = 0;
    std::string key;  ///< device:inode:size:modification time in nanoseconds
    bool settled = false;
};

Result<FileIdentity> identify(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0)
        return Error{
            errno == ENOENT ? Code::FileNotFound : Code::FileUnreadable, path, {}, {std::strerror(errno)}};
    if (!S_ISREG(status.st_mode)) return Error{Code::FileNotRegular, path, {}, {"a special file"}};
    const std::chrono::nanoseconds changed =
        std::chrono::seconds(status.st_mtim.tv_sec) + std::chrono::nanoseconds(status.st_mtim.tv_nsec);
    FileIdentity out;
    out.path = path;
    out.name = path.substr(path.rfind('/') + 1);
    out.size = static_cast<uint64_t>(status.st_size);
    out.key = std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino) + ":" +
              std::to_string(status.st_size) + ":" + std::to_string(changed.count());
    out.settled = std::chrono::system_clock::now().time_since_epoch() - changed > std::chrono::seconds(2);
    return out;
}

Result<std::string> hashFile(const std::string& path, const std::function<void(uint64_t)>& read) {
    std::ifstream in(path, std::ios::binary);
    if (!in) return Error{Code::FileUnreadable, path, {}, {std::strerror(errno)}};
    Sha256 hash;
    std::vector<char> block(size_t{1} << 20);
    while (in.read(block.data(), static_cast<std::streamsize>(block.size())) || in.gcount() > 0) {
        hash.add(block.data(), static_cast<size_t>(in.gcount()));
        read(static_cast<uint64_t>(in.gcount()));
    }
    if (in.bad()) return Error{Code::FileUnreadable, path, {}, {std::strerror(errno)}};
    return hash.hex();
}

std::string hashOfLines(std::vector<std::string> lines) {
    std::sort(lines.begin(), lines.end());
    Sha256 hash;
    for (const std::string& line : lines)
        hash.add(line);
    return hash.hex();
}

struct Identities {
    std::string hash;
    bool settled = true;  ///< every one of them
};

Result<Identities> identitiesOf(const std::vector<std::string>& files) {
    Identities out;
    std::vector<std::string> lines;
    for (const std::string& file : files) {
        CONCLAVE_TRY(const FileIdentity identity, identify(file));
        lines.push_back(identity.key + " " + identity.name + "\n");
        out.settled &= identity.settled;
    }
    out.hash = hashOfLines(std::move(lines));
    return out;
}

/// The remembered hashes; an empty object where there are none or the file is damaged.
nlohmann::json readCache(const std::string& path) {
    const auto text = platform::readTextFile(path);
    if (!text.ok()) return nlohmann::json::object();
    auto parsed = formats::parseStrictJson(*text, path);
    return parsed.ok() && parsed->is_object() ? *parsed : nlohmann::json::object();
}

}  // namespace

Result<ContentHash> hashContent(const std::vector<std::string>& files, const std::string& cacheFolder,
                                const std::function<void(uint64_t done, uint64_t total)>& progress) {
    std::vector<FileIdentity> identities;
    uint64_t total = 0, done = 0;
    for (const std::string& file : files) {
        CONCLAVE_TRY(FileIdentity identity, identify(file));
        total += identity.size;
        identities.push_back(std::move(identity));
    }
    const std::string cachePath = cacheFolder + "/file-hashes.json";
    const bool remembers = !cacheFolder.empty();
    nlohmann::json cache = remembers ? readCache(cachePath) : nlohmann::json::object();
    bool learned = false;
    std::vector<std::string> lines;
    for (const FileIdentity& file : identities) {
        const auto known = cache.find(file.key);
        std::string sha256;
        if (file.settled && known != cache.end() && known->is_string()) {
            sha256 = known->get<std::string>();
            done += file.size;
        } else {
            CONCLAVE_TRY(sha256, hashFile(file.path, [&](uint64_t bytes) {
                             done += bytes;
                             if (progress) progress(std::min(done, total), total);
                         }));
            if (file.settled && remembers) {
                cache[file.key] = sha256;
                learned = true;
            }
        }
        lines.push_back(sha256 + " " + std::to_string(file.size) + " " + file.name + "\n");
    }
    ContentHash out{hashOfLines(std::move(lines)), {}};
    if (learned) {
        constexpr size_t kMostEntries = 20'000;  // of files that may be long gone
        if (cache.size() > kMostEntries) cache = nlohmann::json::object();
        auto written = platform::makeFolders(cacheFolder);
        if (written.ok()) written = platform::writeFileAtomically(cachePath, cache.dump(1), 0600);
        if (!written.ok()) out.cacheProblem = base::render(written.error());
    }
    return out;
}

Result<std::string> hashOfIdentities(const std::vector<std::string>& files) {
    CONCLAVE_TRY(const Identities identities, identitiesOf(files));
    return identities.hash;
}

Result<std::string> settledIdentity(const std::vector<std::string>& files) {
    CONCLAVE_TRY(const Identities identities, identitiesOf(files));
    return identities.settled ? identities.hash : std::string();
}

std::string hashOfText(const std::string& text) {
    Sha256 hash;
    hash.add(text);
    return hash.hex();
}

}  // namespace conclave::engine::library
