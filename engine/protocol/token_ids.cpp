#include "engine/protocol/token_ids.h"

#include <limits>

namespace conclave::engine::protocol {

std::vector<base::TokenId> readTokenIds(const Json& array, const std::string& path, Fields& fields) {
    constexpr int32_t kMost = std::numeric_limits<int32_t>::max();
    std::vector<base::TokenId> tokens;
    tokens.reserve(array.size());
    for (size_t i = 0; i < array.size(); ++i) {
        const Json& item = array[i];
        if (!item.is_number_unsigned() || item.get<uint64_t>() > uint64_t{kMost}) {
            fields.refuseAt(path + "[" + std::to_string(i) + "]", item,
                            "a token id, a whole number from 0 to " + std::to_string(kMost));
            return {};
        }
        tokens.push_back(static_cast<base::TokenId>(item.get<int32_t>()));
    }
    return tokens;
}

Json tokenIdsJson(const std::vector<base::TokenId>& tokens) {
    Json out = Json::array();
    for (const base::TokenId token : tokens)
        out.push_back(base::toInt(token));
    return out;
}

}  // namespace conclave::engine::protocol
