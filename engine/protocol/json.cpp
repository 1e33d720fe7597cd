#include "engine/protocol/json.h"

#include <set>
#include <vector>

#include "engine/base/utf8.h"

namespace conclave::engine::protocol {
namespace {

using base::Code;
using base::Error;

/// Builds the document and stops at the first thing that is not allowed. nlohmann's own builder would keep
/// the last of two equal keys in silence.
class Builder : public nlohmann::json_sax<Json> {
  public:
    explicit Builder(JsonLimits limits) : limits_(limits) {}

    bool null() override { return add(Json(nullptr)); }
    bool boolean(bool value) override { return add(Json(value)); }
    bool number_integer(number_integer_t value) override { return add(Json(value)); }
    bool number_unsigned(number_unsigned_t value) override { return add(Json(value)); }
    bool number_float(number_float_t value, const string_t&) override { return add(Json(value)); }
    bool string(string_t& value) override { return add(Json(std::move(value))); }
    bool binary(binary_t&) override { return fail({Code::InvalidJson, {}, {}, {"binary value"}}); }

    bool start_object(size_t) override { return open(Json::object()); }
    bool start_array(size_t) override { return open(Json::array()); }
    bool end_object() override { return close(); }
    bool end_array() override { return close(); }

    bool key(string_t& name) override {
        if (!keys_.back().insert(name).second) return fail({Code::DuplicateName, {}, name, {}});
        key_ = std::move(name);
        return true;
    }

    bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception& what) override {
        std::string reason = what.what();
        const size_t from = reason.find("parse error at ");  // drop the library's own error number
        if (from != std::string::npos)
            reason.erase(0, from);
        else
            reason = "byte " + std::to_string(position) + ": " + reason;
        return fail({Code::InvalidJson, {}, {}, {base::replaceInvalidUtf8(reason)}});
    }

    std::optional<Error> error;
    Json root;

  private:
    bool fail(Error failure) {
        error = std::move(failure);
        return false;
    }

    /// Puts a value where it belongs and gives its place. Objects are filled through the vector below them,
    /// because ordered_map looks a key up in linear time.
    Json* place(Json&& value) {
        if (++values_ > limits_.values) {
            fail({Code::LimitExceeded, {}, "JSON", {"number of values", std::to_string(limits_.values)}});
            return nullptr;
        }
        if (open_.empty()) {
            root = std::move(value);
            return &root;
        }
        Json& parent = *open_.back();
        if (parent.is_array()) {
            auto& items = parent.get_ref<Json::array_t&>();
            items.push_back(std::move(value));
            return &items.back();
        }
        auto& members = parent.get_ref<Json::object_t&>();
        auto& vector = static_cast<Json::object_t::Container&>(members);
        vector.emplace_back(std::move(key_), std::move(value));
        return &vector.back().second;
    }

    bool add(Json&& value) { return place(std::move(value)) != nullptr; }

    bool open(Json&& value) {
        if (open_.size() >= limits_.depth)
            return fail({Code::LimitExceeded, {}, "JSON", {"nesting", std::to_string(limits_.depth)}});
        Json* at = place(std::move(value));
        if (at == nullptr) return false;
        open_.push_back(at);
        keys_.emplace_back();
        return true;
    }

    bool close() {
        open_.pop_back();
        keys_.pop_back();
        return true;
    }

    JsonLimits limits_;
    size_t values_ = 0;
    std::string key_;
    std::vector<Json*> open_;
    std::vector<std::set<std::string, std::less<>>> keys_;
};

}  // namespace

base::Result<Json> parseJson(std::string_view text, JsonLimits limits) {
    const size_t valid = base::validUtf8Prefix(text);
    if (valid != text.size()) return Error{Code::InvalidUtf8, {}, "JSON", {std::to_string(valid)}};
    Builder builder(limits);
    const bool whole = Json::sax_parse(text.begin(), text.end(), &builder);
    if (builder.error) return std::move(*builder.error);
    if (!whole) return Error{Code::InvalidJson, {}, {}, {"it ends too early"}};
    return std::move(builder.root);
}

std::string dump(const Json& value) {
    return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace conclave::engine::protocol
