#include "engine/formats/gguf_layout.h"

#include <set>
#include <type_traits>

#include "engine/formats/gguf_types.h"
#include "engine/formats/tensor_bytes.h"

namespace conclave::engine::formats {
namespace {

/// The bytes before the tensors' data.
class HeaderBytes {
  public:
    template <class T> void number(T value) {
        const auto* bytes = reinterpret_cast<const std::byte*>(&value);
        bytes_.insert(bytes_.end(), bytes, bytes + sizeof value);
    }

    void text(std::string_view value) {
        number(uint64_t{value.size()});
        const auto* bytes = reinterpret_cast<const std::byte*>(value.data());
        bytes_.insert(bytes_.end(), bytes, bytes + value.size());
    }

    template <class T> void plain(const T& value) {
        if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, std::string_view>)
            text(value);
        else if constexpr (std::is_same_v<T, bool>)
            number(static_cast<uint8_t>(value));
        else
            number(value);
    }

    void value(const GgufValue& value) {
        if (const auto* scalar = std::get_if<GgufScalar>(&value)) {
            number(ggufTypeOf(scalar->index()));
            std::visit([&](const auto& held) { plain(held); }, *scalar);
            return;
        }
        const auto& array = std::get<GgufArray>(value);
        number(kGgufArray);
        number(ggufTypeOf(array.index()));
        std::visit(
            [&](const auto& held) {
                number(uint64_t{held.size()});
                for (size_t i = 0; i < held.size(); ++i)
                    plain(static_cast<typename std::decay_t<decltype(held)>::value_type>(held[i]));
            },
            array);
    }

    std::vector<std::byte>& bytes() { return bytes_; }

  private:
    std::vector<std::byte> bytes_;
};

uint64_t padded(uint64_t bytes) {
    return (bytes + kGgufDefaultAlignment - 1) / kGgufDefaultAlignment * kGgufDefaultAlignment;
}

}  // namespace

GgufLayout layOutGguf(const GgufMetadata& metadata, std::span<const GgufWriteTensor> tensors) {
    GgufLayout layout;
    HeaderBytes header;
    for (const char c : {'G', 'G', 'U', 'F'})
        header.number(c);
    header.number(uint32_t{3});
    header.number(uint64_t{tensors.size()});
    header.number(uint64_t{metadata.size()});
    std::set<std::string> names;
    for (const auto& [key, value] : metadata) {
        CONCLAVE_CHECK(key != "general.alignment" && names.insert(key).second);
        header.text(key);
        header.value(value);
    }
    names.clear();
    uint64_t total = 0;
    for (const GgufWriteTensor& tensor : tensors) {
        CONCLAVE_CHECK(names.insert(tensor.name).second && !tensor.shape.empty() &&
                       tensorBytes(tensor.format, tensor.shape) > 0);
        CONCLAVE_CHECK(quant::info(tensor.format).ggmlType >= 0);
        header.text(tensor.name);
        header.number(static_cast<uint32_t>(tensor.shape.size()));
        for (size_t i = tensor.shape.size(); i-- > 0;)
            header.number(tensor.shape[i]);
        header.number(static_cast<uint32_t>(quant::info(tensor.format).ggmlType));
        header.number(total);
        layout.starts.push_back(total);
        layout.sizes.push_back(tensorBytes(tensor.format, tensor.shape));
        total += padded(tensorBytes(tensor.format, tensor.shape));
    }
    layout.header = std::move(header.bytes());
    layout.header.resize(padded(layout.header.size()));
    for (uint64_t& start : layout.starts)
        start += layout.header.size();
    layout.bytes = layout.header.size() + total;
    return layout;
}

}  // namespace conclave::engine::formats
