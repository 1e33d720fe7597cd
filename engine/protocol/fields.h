#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "engine/protocol/json.h"

namespace conclave::engine::protocol {

/// The one reader of a request's fields. Each getter checks type and range and remembers the first thing that
/// is wrong; absent and null give nothing. Fields that nobody asks for are ignored, as clients of the OpenAI
/// schema expect; objects that are the engine's own refuse them. Ask error() once at the end. Every refusal
/// names the field, the value and what it must be. Not thread-safe.
class Fields {
  public:
    /// `object` must outlive this. `path` stands before the field names ("stream_options.").
    explicit Fields(const Json& object, std::string path = "");

    /// The field's value; null where it is absent or JSON null.
    const Json* find(std::string_view name) const;
    bool has(std::string_view name) const { return find(name) != nullptr; }

    std::optional<double> number(std::string_view name, double least, double most);
    /// A number without a fractional part; `says` replaces "a whole number from L to M" where there is more
    /// to say.
    std::optional<int64_t> integer(std::string_view name, int64_t least, int64_t most,
                                   std::string_view says = {});
    std::optional<bool> boolean(std::string_view name);
    enum class Empty : uint8_t { Allowed, Refused };
    std::optional<std::string> text(std::string_view name, Empty empty = Empty::Allowed);
    const Json* object(std::string_view name);
    const Json* array(std::string_view name);

    /// Remembers that `name` must be `must`; the value shown is the field's.
    void refuse(std::string_view name, std::string must);
    /// The same for a value that lies deeper, named by its whole path.
    void refuseAt(std::string path, const Json& value, std::string must);
    /// Remembers that `name` is needed and missing; `must` says what it is.
    void require(std::string_view name, const std::string& must);
    /// Refuses a field that is none of `known` (UnknownField).
    void refuseOthers(std::span<const std::string_view> known);
    void fail(base::Error error);

    const std::optional<base::Error>& error() const { return error_; }
    std::string pathOf(std::string_view name) const { return path_ + std::string(name); }

  private:
    const Json& object_;
    std::string path_;
    std::optional<base::Error> error_;
};

/// A value as it stands in a message: its JSON, cut after some sixty characters.
std::string shown(const Json& value);

/// Parses a request body, which must be a JSON object.
base::Result<Json> parseBody(std::string_view body);

}  // namespace conclave::engine::protocol
