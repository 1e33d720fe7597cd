#include "engine/formats/tensor_directory.h"

#include <sys/mman.h>
#include <unistd.h>

#include "engine/formats/printable.h"

namespace conclave::engine::formats {

std::string shapeText(const std::vector<uint64_t>& shape) {
    std::string out = "[";
    for (const uint64_t d : shape)
        out += (out.size() > 1 ? ", " : "") + std::to_string(d);
    return out + "]";
}

const TensorInfo* TensorDirectory::find(std::string_view name) const {
    const auto found = byName_.find(name);
    return found == byName_.end() ? nullptr : &tensors_[found->second];
}

bool TensorDirectory::unchanged() const {
    for (const platform::MappedFile& file : files_)
        if (!file.unchanged()) return false;
    return true;
}

uint64_t TensorDirectory::totalBytes() const {
    uint64_t sum = 0;
    for (const TensorInfo& tensor : tensors_)
        sum += tensor.bytes.size();
    return sum;
}

void TensorDirectory::need(std::span<const std::byte> bytes) const {
    if (computed_ && computed_->holds(bytes)) computed_->need(bytes);
}

void TensorDirectory::giveBack(std::span<const std::byte> bytes) const {
    if (computed_ && computed_->holds(bytes)) return computed_->giveBack(bytes);
    const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
    for (const platform::MappedFile& file : files_) {
        const std::span<const std::byte> all = file.bytes();
        if (bytes.data() < all.data() || bytes.data() + bytes.size() > all.data() + all.size()) continue;
        const auto begin = reinterpret_cast<uintptr_t>(bytes.data()) / page * page;
        const auto end = reinterpret_cast<uintptr_t>(bytes.data() + bytes.size());
        // A wish: where it is refused, only memory is lost.
        ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
    }
}

base::Result<void> TensorDirectory::add(TensorInfo tensor) {
    if (!byName_.emplace(tensor.name, tensors_.size()).second)
        return base::Error{base::Code::DuplicateName, tensor.file, "tensor " + printable(tensor.name), {}};
    tensors_.push_back(std::move(tensor));
    return {};
}

}  // namespace conclave::engine::formats
