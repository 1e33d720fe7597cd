#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "engine/base/result.h"

namespace conclave::engine::formats {

/// Reads the fields of one JSON object with their range. null counts as missing, as in transformers. Errors
/// name the file and the field: MissingKey, WrongType, ValueOutOfRange.
class JsonFields {
  public:
    /// `prefix` goes before the field's name in messages ("rope_scaling."). The object must outlive this.
    JsonFields(const nlohmann::json& object, std::string file, std::string prefix = "")
        : object_(object), file_(std::move(file)), prefix_(std::move(prefix)) {}

    const std::string& file() const { return file_; }
    bool has(const char* key) const;
    /// True where the key stands in the object, null or not.
    bool mentions(const char* key) const { return object_.contains(key); }

    /// 1 … most.
    base::Result<uint32_t> count(const char* key, uint32_t most) const;
    /// 0 … most.
    base::Result<uint32_t> count(const char* key, uint32_t most, uint32_t otherwise) const;
    base::Result<double> number(const char* key) const;
    base::Result<double> number(const char* key, double otherwise) const;
    base::Result<bool> flag(const char* key, bool otherwise) const;
    base::Result<std::string> text(const char* key) const;
    base::Result<std::string> text(const char* key, std::string otherwise) const;
    /// The object or array behind `key`, which must be there.
    base::Result<const nlohmann::json*> object(const char* key) const;
    base::Result<const nlohmann::json*> array(const char* key) const;

    base::Error wrongType(const char* key, const char* needed) const;
    base::Error missing(const char* key) const;
    base::Error unsupported(const char* key, const std::string& what, const std::string& help) const;

  private:
    const nlohmann::json* find(const char* key) const;
    std::string name(const char* key) const { return prefix_ + key; }

    const nlohmann::json& object_;
    std::string file_, prefix_;
};

}  // namespace conclave::engine::formats
