#include "engine/formats/printable.h"

#include "engine/base/utf8.h"

namespace conclave::engine::formats {

std::string printable(std::string_view name, size_t most) {
    const bool cut = name.size() > most;
    if (cut) {
        name = name.substr(0, most);
        name = name.substr(0, base::completeUtf8Prefix(name));
    }
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string out;
    for (const char c : base::replaceInvalidUtf8(name)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte != 0x7f) {
            out += c;
            continue;
        }
        out += "\\x";
        out += kDigits[byte >> 4];
        out += kDigits[byte & 15];
    }
    return cut ? out + "…" : out;
}

}  // namespace conclave::engine::formats
