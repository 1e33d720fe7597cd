#include "engine/text/detokenizer.h"

#include "engine/base/utf8.h"

namespace conclave::engine::text {

std::string Detokenizer::push(std::string_view bytes) {
    held_ += bytes;
    const size_t whole = base::completeUtf8Prefix(held_);
    std::string out = base::replaceInvalidUtf8(std::string_view(held_).substr(0, whole));
    held_.erase(0, whole);
    return out;
}

std::string Detokenizer::finish() {
    std::string out = base::replaceInvalidUtf8(held_);
    held_.clear();
    return out;
}

}  // namespace conclave::engine::text
