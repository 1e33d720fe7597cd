#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/result.h"

namespace conclave::engine::formats {

/// Many short texts, one after another in one piece of memory and found by their number: a vocabulary takes a
/// fifth of what as many std::strings do, and neighbours lie in the same cache line. Together they are
/// shorter than 4 GiB, which our readers' limits keep far away. A view is good until the list changes.
class TextList {
  public:
    using value_type = std::string_view;
    class Iterator;
    using const_iterator = Iterator;
    using iterator = Iterator;

    TextList() = default;
    TextList(std::initializer_list<std::string_view> texts) {
        for (const std::string_view text : texts)
            push_back(text);
    }
    /// Implicit: a list that was put together from strings is a list like any other.
    TextList(const std::vector<std::string>& texts) {
        for (const std::string& text : texts)
            push_back(text);
    }

    void reserve(size_t texts, size_t bytes) {
        ends_.reserve(texts);
        bytes_.reserve(bytes);
    }
    void push_back(std::string_view text) {
        CONCLAVE_CHECK(text.size() <= std::numeric_limits<uint32_t>::max() - bytes_.size());
        bytes_.append(text);
        ends_.push_back(static_cast<uint32_t>(bytes_.size()));
    }

    size_t size() const { return ends_.size(); }
    bool empty() const { return ends_.empty(); }
    /// Of all texts together.
    size_t bytes() const { return bytes_.size(); }
    std::string_view operator[](size_t i) const {
        const size_t begin = i == 0 ? 0 : ends_[i - 1];
        return {bytes_.data() + begin, ends_[i] - begin};
    }
    Iterator begin() const;
    Iterator end() const;

    friend bool operator==(const TextList& a, const TextList& b) {
        return a.ends_ == b.ends_ && a.bytes_ == b.bytes_;
    }

  private:
    std::string bytes_;
    std::vector<uint32_t> ends_;
};

/// Goes over the texts in order.
class TextList::Iterator {
  public:
    using iterator_category = std::input_iterator_tag;
    using value_type = std::string_view;
    using difference_type = std::ptrdiff_t;
    using pointer = const std::string_view*;
    using reference = std::string_view;

    Iterator(const TextList& list, size_t at) : list_(&list), at_(at) {}
    std::string_view operator*() const { return (*list_)[at_]; }
    Iterator& operator++() {
        ++at_;
        return *this;
    }
    Iterator operator++(int) {
        const Iterator before = *this;
        ++at_;
        return before;
    }
    friend bool operator==(const Iterator&, const Iterator&) = default;

  private:
    const TextList* list_;
    size_t at_;
};

inline TextList::Iterator TextList::begin() const {
    return {*this, 0};
}

inline TextList::Iterator TextList::end() const {
    return {*this, size()};
}

}  // namespace conclave::engine::formats
