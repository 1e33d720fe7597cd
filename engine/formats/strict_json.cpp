#include <vector>

#include "engine/base/utf8.h"
#include "engine/formats/hf_folder.h"
#include "engine/formats/json_error.h"
#include "engine/formats/printable.h"

namespace conclave::engine::formats {
namespace {

using base::Code;
using base::Error;
using nlohmann::json;

/// Builds a document from the parser's events and stops at the first thing that strict JSON forbids. The
/// parser itself keeps its nesting on the heap, so that depth is bounded by us and not by the stack.
class StrictBuilder final : public nlohmann::json_sax<json> {
  public:
    StrictBuilder(const std::string& file, size_t maxDepth) : file_(file), maxDepth_(maxDepth) {}

    bool null() override { return put(nullptr); }
    bool boolean(bool value) override { return put(value); }
    bool number_integer(number_integer_t value) override { return put(value); }
    bool number_unsigned(number_unsigned_t value) override { return put(value); }
    bool number_float(number_float_t value, const string_t&) override { return put(value); }
    bool string(string_t& value) override { return put(std::move(value)); }
    bool binary(binary_t&) override { return fail({Code::InvalidJson, file_, "", {"binary data"}}); }
    bool start_object(size_t) override { return open(json::object()); }
    bool start_array(size_t) override { return open(json::array()); }
    bool end_object() override { return close(); }
    bool end_array() override { return close(); }

    bool key(string_t& name) override {
        if (open_.back()->contains(name))
            return fail({Code::DuplicateName, file_, "key " + printable(name), {}});
        slot_ = &(*open_.back())[name];
        return true;
    }

    bool parse_error(size_t, const std::string&, const nlohmann::detail::exception& error) override {
        return fail(jsonError(file_, error));
    }

    base::Result<json> finish() {
        if (error_.has_value()) return *std::move(error_);
        return std::move(root_);
    }

  private:
    bool fail(Error error) {
        error_ = std::move(error);
        return false;
    }

    /// Where the next value goes: the document, the end of the open array, or the key just read.
    json* place() {
        if (open_.empty()) return &root_;
        if (open_.back()->is_array()) return &open_.back()->emplace_back();
        return slot_;
    }

    bool put(json value) {
        *place() = std::move(value);
        return true;
    }

    bool open(json container) {
        if (open_.size() >= maxDepth_) {
            const std::string limit = std::to_string(maxDepth_);
            return fail(
                {Code::LimitExceeded, file_, "depth of JSON", {std::to_string(maxDepth_ + 1), limit}});
        }
        json* at = place();
        *at = std::move(container);
        open_.push_back(at);
        return true;
    }

    bool close() {
        open_.pop_back();
        return true;
    }

    const std::string& file_;
    size_t maxDepth_;
    json root_;
    // Pointers into root_: an open container's parent gets no further element while it is open.
    std::vector<json*> open_;
    json* slot_ = nullptr;
    std::optional<Error> error_;
};

}  // namespace

Error jsonError(const std::string& file, const nlohmann::detail::exception& error) {
    std::string_view text = error.what();
    // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error …"
    if (const size_t end = text.find("] "); text.substr(0, 1) == "[" && end != std::string_view::npos)
        text.remove_prefix(end + 2);
    for (const std::string_view prefix : {"parse error at ", "parse error: "})
        if (text.substr(0, prefix.size()) == prefix) text.remove_prefix(prefix.size());
    return {Code::InvalidJson, file, "", {printable(text, 200)}};
}

base::Result<void> checkJsonText(std::string_view text, const std::string& file) {
    if (const size_t valid = base::validUtf8Prefix(text); valid != text.size())
        return Error{Code::InvalidUtf8, file, "JSON", {std::to_string(valid)}};
    if (text.substr(0, 3) == "\xEF\xBB\xBF")
        return Error{Code::InvalidJson, file, "", {"it begins with a byte order mark"}};
    return {};
}

base::Result<json> parseStrictJson(std::string_view text, const std::string& file, size_t maxDepth) {
    CONCLAVE_TRY_VOID(checkJsonText(text, file));
    StrictBuilder builder(file, maxDepth);
    json::sax_parse(text.begin(), text.end(), &builder);
    return builder.finish();
}

}  // namespace conclave::engine::formats
