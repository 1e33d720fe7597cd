#include "engine/formats/tensor_directory.h"

#include "engine/formats/printable.h"

namespace conclave::engine::formats {

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

base::Result<void> TensorDirectory::add(TensorInfo tensor) {
    if (!byName_.emplace(tensor.name, tensors_.size()).second)
        return base::Error{base::Code::DuplicateName, tensor.file, "tensor " + printable(tensor.name), {}};
    tensors_.push_back(std::move(tensor));
    return {};
}

}  // namespace conclave::engine::formats
