#include "engine/text/bpe.h"

#include <algorithm>
#include <functional>
#include <unordered_set>

#include "engine/base/utf8.h"

namespace conclave::engine::text {
namespace {

using formats::TokenizerModel;
using formats::TokenizerSpec;
using formats::TokenKind;

constexpr uint32_t kNone = 0xFFFFFFFF;
// Up to this many symbols a scan for the best pair beats any queue.
constexpr size_t kShort = 48;
constexpr size_t kScoredBytes = 1024;

bool mayBeJoined(const TokenizerSpec& spec, size_t id) {
    const TokenKind kind = spec.kinds[id];
    return !spec.tokens[id].empty() && kind != TokenKind::Control && kind != TokenKind::Unknown &&
           kind != TokenKind::Byte;
}

}  // namespace

// --- pairs ---

void Bpe::PairTable::reserve(size_t pairs) {
    size_t slots = 16;
    shift_ = 60;
    while (slots < pairs * 2) {
        slots *= 2;
        --shift_;
    }
    slots_.assign(slots, {0, kNone});
}

size_t Bpe::PairTable::first(uint64_t key) const {
    return static_cast<size_t>((key * 0x9E3779B97F4A7C15U) >> shift_);
}

void Bpe::PairTable::add(uint32_t left, uint32_t right, uint32_t merge) {
    const uint64_t key = (uint64_t{left} << 32) | right;
    size_t at = first(key);
    while (slots_[at].merge != kNone && slots_[at].key != key)
        at = (at + 1) & (slots_.size() - 1);
    if (slots_[at].merge == kNone) slots_[at] = {key, merge};
}

uint32_t Bpe::PairTable::find(uint32_t left, uint32_t right) const {
    const uint64_t key = (uint64_t{left} << 32) | right;
    const Slot* slots = slots_.data();
    size_t at = first(key);
    while (slots[at].merge != kNone && slots[at].key != key)
        at = (at + 1) & (slots_.size() - 1);
    return slots[at].merge;
}

bool Bpe::CharacterTable::add(char32_t c, uint32_t symbol) {
    if (c >= 0x10000) return high_.emplace(c, symbol).second;
    if (low_.empty()) low_.assign(0x10000, kNone);
    if (low_[c] != kNone) return false;
    low_[c] = symbol;
    return true;
}

uint32_t Bpe::CharacterTable::find(char32_t c) const {
    if (c < low_.size()) return low_[c];
    const auto known = high_.find(c);
    return known == high_.end() ? kNone : known->second;
}

// --- making ---

base::Result<Bpe> Bpe::make(const TokenizerSpec& spec) {
    Bpe made;
    made.byteLevel_ = spec.model == TokenizerModel::ByteLevelBpe;
    made.byteFallback_ = spec.byteFallback;
    made.fuseUnknown_ = spec.fuseUnknown;
    made.vocabularySize_ = static_cast<uint32_t>(spec.tokens.size());
    made.unknown_ = spec.unknown ? static_cast<uint32_t>(base::toInt(*spec.unknown)) : kNone;
    made.readSymbols(spec);
    if (spec.model == TokenizerModel::ScoreBpe)
        CONCLAVE_TRY_VOID(made.readScores(spec));
    else
        made.readRanks(spec);
    made.readTouching(spec);
    if (spec.ignoreMerges) made.readWholePieces(spec);
    return made;
}

void Bpe::readSymbols(const TokenizerSpec& spec) {
    byteSymbols_.fill(kNone);
    for (uint32_t id = 0; id < vocabularySize_; ++id) {
        const std::string& text = spec.tokens[id];
        if (!byteLevel_) {
            const bool plain = spec.kinds[id] != TokenKind::Control && spec.kinds[id] != TokenKind::Unknown;
            const auto byte = formats::byteOfToken(text);
            if (byte && plain) byteSymbols_[*byte] = id;
        }
        if (!mayBeJoined(spec, id)) continue;
        size_t at = 0;
        const char32_t first = base::nextCodePoint(text, at);
        if (at != text.size()) continue;
        if (!byteLevel_)
            characters_.add(first, id);
        else if (const auto byte = formats::alphabetToByte(first))
            byteSymbols_[*byte] = id;
    }
}

void Bpe::readRanks(const TokenizerSpec& spec) {
    std::unordered_map<std::string_view, uint32_t> ids;
    ids.reserve(spec.tokens.size());
    for (uint32_t id = 0; id < vocabularySize_; ++id)
        if (!spec.tokens[id].empty()) ids.emplace(spec.tokens[id], id);
    pairs_.reserve(spec.merges.size());
    std::string joined;
    for (uint32_t rank = 0; rank < spec.merges.size(); ++rank) {
        const auto& [left, right] = spec.merges[rank];
        joined.assign(left).append(right);
        const uint32_t result = ids.at(joined);
        results_.push_back(result);
        const TokenKind kind = spec.kinds[result];
        if (kind == TokenKind::Control || kind == TokenKind::Unknown) continue;
        pairs_.add(ids.at(left), ids.at(right), rank);
    }
}

/// Every way to put a token together from two symbols; the merge's number is the token's id.
base::Result<void> Bpe::readScores(const TokenizerSpec& spec) {
    std::unordered_map<std::string_view, uint32_t> symbols;
    size_t pairs = 0;
    for (uint32_t id = 0; id < vocabularySize_; ++id) {
        if (!mayBeJoined(spec, id)) continue;
        const std::string& text = spec.tokens[id];
        symbols.emplace(text, id);
        if (text.size() <= kScoredBytes)
            pairs += text.size() - 1;
        else if (spec.kinds[id] == TokenKind::Normal)
            return base::Error{base::Code::LimitExceeded,
                               spec.file,
                               "tokenizer.ggml.tokens[" + std::to_string(id) + "]",
                               {std::to_string(text.size()) + " bytes", std::to_string(kScoredBytes)}};
    }
    std::vector<std::string> pseudo;
    for (uint32_t id = 0; id < vocabularySize_; ++id) {
        if (!mayBeJoined(spec, id)) continue;
        for (size_t at = 0; at < spec.tokens[id].size();) {
            const char32_t c = base::nextCodePoint(spec.tokens[id], at);
            if (!characters_.add(c, vocabularySize_ + static_cast<uint32_t>(pseudo.size()))) continue;
            pseudo.emplace_back();
            base::appendUtf8(pseudo.back(), c);
        }
    }
    pseudoSymbols_ = std::move(pseudo);
    for (uint32_t i = 0; i < pseudoSymbols_.size(); ++i)
        symbols.emplace(pseudoSymbols_[i], vocabularySize_ + i);

    pairs_.reserve(pairs);
    for (uint32_t id = 0; id < vocabularySize_; ++id) {
        const std::string_view text = spec.tokens[id];
        if (!mayBeJoined(spec, id) || text.size() > kScoredBytes) continue;
        for (size_t at = 0; base::nextCodePoint(text, at), at < text.size();) {
            const auto left = symbols.find(text.substr(0, at));
            if (left == symbols.end()) continue;
            const auto right = symbols.find(text.substr(at));
            if (right != symbols.end()) pairs_.add(left->second, right->second, id);
        }
    }

    std::vector<float> best(spec.scores);
    std::sort(best.begin(), best.end(), std::greater<>());
    best.erase(std::unique(best.begin(), best.end()), best.end());
    for (uint32_t id = 0; id < vocabularySize_; ++id) {
        results_.push_back(id);
        const auto place = std::lower_bound(best.begin(), best.end(), spec.scores[id], std::greater<>());
        priorities_.push_back(static_cast<uint32_t>(place - best.begin()));
    }
    return {};
}

/// Which symbols stand side by side in some token that joining can give.
void Bpe::readTouching(const TokenizerSpec& spec) {
    // A merge of byte tokens gives a token whose text does not show what it was made of.
    for (const auto& [left, right] : spec.merges)
        if (!byteLevel_ && (formats::byteOfToken(left) || formats::byteOfToken(right))) return;
    cuts_ = true;
    std::unordered_set<uint64_t> pairs;
    std::vector<uint32_t> symbols;
    for (const uint32_t id : results_) {
        if (!mayBeJoined(spec, id)) continue;
        symbols.clear();
        for (size_t at = 0; at < spec.tokens[id].size();) {
            const char32_t c = base::nextCodePoint(spec.tokens[id], at);
            const auto byte = byteLevel_ ? formats::alphabetToByte(c) : std::nullopt;
            symbols.push_back(byte ? byteSymbols_[*byte] : characters_.find(c));
        }
        for (size_t i = 1; i < symbols.size(); ++i)
            pairs.insert((uint64_t{symbols[i - 1]} << 32) | symbols[i]);
    }
    touching_.reserve(pairs.size());
    for (const uint64_t pair : pairs)
        touching_.add(static_cast<uint32_t>(pair >> 32), static_cast<uint32_t>(pair), 0);
    if (!byteLevel_ || std::count(byteSymbols_.begin(), byteSymbols_.end(), kNone) != 0) return;
    touchingBytes_.resize(size_t{256} * 256);
    for (size_t pair = 0; pair < touchingBytes_.size(); ++pair)
        touchingBytes_[pair] = touching_.find(byteSymbols_[pair / 256], byteSymbols_[pair % 256]) != kNone;
}

void Bpe::readWholePieces(const TokenizerSpec& spec) {
    for (uint32_t id = 0; id < vocabularySize_; ++id) {
        // Added tokens are matched before; here only the model's own vocabulary counts.
        if (!mayBeJoined(spec, id) || spec.kinds[id] == TokenKind::UserDefined) continue;
        if (!byteLevel_) {
            wholePieces_.emplace(spec.tokens[id], id);
            continue;
        }
        std::string bytes;
        bool inAlphabet = true;
        for (size_t at = 0; inAlphabet && at < spec.tokens[id].size();) {
            const auto byte = formats::alphabetToByte(base::nextCodePoint(spec.tokens[id], at));
            inAlphabet = byte.has_value();
            if (byte) bytes += static_cast<char>(*byte);
        }
        if (inAlphabet) wholePieces_.emplace(std::move(bytes), id);
    }
}

// --- joining ---

/// The pairs that can be joined, best priority first, of equals the leftmost. There are few different
/// priorities and many places for each in text that repeats, so that places wait in a list for each priority:
/// those that arrive in ascending order in a row, the few others in a heap beside it.
class Bpe::Queue {
  public:
    void push(uint32_t priority, uint32_t place) {
        Waiting& list = of(priority);
        if (list.row.empty() || place >= list.row.back()) {
            list.row.push_back(place);
        } else {
            list.others.push_back(place);
            std::push_heap(list.others.begin(), list.others.end(), std::greater<>());
        }
        if (list.queued) return;
        list.queued = true;
        order_.push_back({priority, &list});
        std::push_heap(order_.begin(), order_.end(), kLater);
    }

    bool pop(uint32_t& priority, uint32_t& place) {
        if (order_.empty()) return false;
        auto [first, list] = order_.front();
        priority = first;
        const bool rowLeft = list->head < list->row.size();
        if (!list->others.empty() && (!rowLeft || list->others.front() < list->row[list->head])) {
            std::pop_heap(list->others.begin(), list->others.end(), std::greater<>());
            place = list->others.back();
            list->others.pop_back();
        } else {
            place = list->row[list->head++];
        }
        if (list->head == list->row.size()) {
            list->row.clear();
            list->head = 0;
            if (list->others.empty()) {
                list->queued = false;
                std::pop_heap(order_.begin(), order_.end(), kLater);
                order_.pop_back();
            }
        }
        return true;
    }

    /// A place that will come a few pops later, if the order is known already.
    const uint32_t* soon() const {
        if (order_.empty()) return nullptr;
        const Waiting& list = *order_.front().list;
        return list.head + kAhead < list.row.size() ? &list.row[list.head + kAhead] : nullptr;
    }

  private:
    static constexpr size_t kAhead = 8;
    struct Waiting {
        std::vector<uint32_t> row, others;
        size_t head = 0;  // of row
        bool queued = false;
    };
    struct Entry {
        uint32_t priority;
        Waiting* list;
    };
    static constexpr auto kLater = [](const Entry& a, const Entry& b) { return a.priority > b.priority; };

    Waiting& of(uint32_t priority) {
        auto& [known, list] = recent_[priority % recent_.size()];
        if (list && known == priority) return *list;
        known = priority;
        list = &lists_[priority];
        return *list;
    }

    std::unordered_map<uint32_t, Waiting> lists_;
    std::vector<Entry> order_;
    std::array<std::pair<uint32_t, Waiting*>, 1024> recent_{};
};

void Bpe::joinShort(Scratch& scratch) const {
    std::vector<uint32_t>& symbols = scratch.symbols;
    std::vector<uint32_t>& merges = scratch.merges;
    const auto mergeAt = [&](size_t i) {
        return i + 1 < symbols.size() ? pairs_.find(symbols[i], symbols[i + 1]) : kNone;
    };
    merges.resize(symbols.size());
    for (size_t i = 0; i < symbols.size(); ++i)
        merges[i] = mergeAt(i);
    for (;;) {
        size_t best = symbols.size();
        uint32_t priority = kNone;
        for (size_t i = 0; i < merges.size(); ++i) {
            if (merges[i] == kNone || priorityOf(merges[i]) >= priority) continue;
            priority = priorityOf(merges[i]);
            best = i;
        }
        if (best == symbols.size()) return;
        symbols[best] = results_[merges[best]];
        symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(best) + 1);
        merges.erase(merges.begin() + static_cast<ptrdiff_t>(best) + 1);
        merges[best] = mergeAt(best);
        if (best > 0) merges[best - 1] = mergeAt(best - 1);
    }
}

void Bpe::joinLong(Scratch& scratch) const {
    // What belongs to one place lies together: text that does not repeat is visited in no order.
    struct Node {
        uint32_t symbol, next, previous, merge;
    };
    const auto size = static_cast<uint32_t>(scratch.symbols.size());
    std::vector<Node> nodes(size);
    Queue queue;
    const auto consider = [&](uint32_t at) {
        Node& node = nodes[at];
        node.merge = node.next < size ? pairs_.find(node.symbol, nodes[node.next].symbol) : kNone;
        if (node.merge != kNone) queue.push(priorityOf(node.merge), at);
    };
    for (uint32_t i = 0; i < size; ++i)
        nodes[i] = {scratch.symbols[i], i + 1, i - 1, kNone};  // before the first: kNone
    for (uint32_t i = 0; i < size; ++i)
        consider(i);
    uint32_t priority = 0, at = 0;
    while (queue.pop(priority, at)) {
        if (const uint32_t* soon = queue.soon()) __builtin_prefetch(&nodes[*soon]);
        Node& node = nodes[at];
        // Where a neighbour was joined since, the pair that waited here is no more.
        if (node.merge == kNone || priorityOf(node.merge) != priority) continue;
        node.symbol = results_[node.merge];
        Node& gone = nodes[node.next];
        gone.merge = kNone;
        node.next = gone.next;
        if (node.next < size) nodes[node.next].previous = at;
        consider(at);
        if (node.previous != kNone) consider(node.previous);
    }
    scratch.symbols.clear();
    for (uint32_t i = 0; i < size; i = nodes[i].next)
        scratch.symbols.push_back(nodes[i].symbol);
}

/// A character that is no symbol: its bytes' tokens where all are there, else the unknown token, else nothing
/// (which checkTokenizer allows only where it cannot happen).
void Bpe::fallBack(std::string_view character, std::vector<uint32_t>& symbols) const {
    const bool bytes =
        byteFallback_ && !byteLevel_ && std::all_of(character.begin(), character.end(), [&](char c) {
            return byteSymbols_[static_cast<unsigned char>(c)] != kNone;
        });
    if (bytes) {
        for (const char c : character)
            symbols.push_back(byteSymbols_[static_cast<unsigned char>(c)]);
        return;
    }
    CONCLAVE_CHECK(unknown_ != kNone);
    if (!fuseUnknown_ || symbols.empty() || symbols.back() != unknown_) symbols.push_back(unknown_);
}

void Bpe::toSymbols(std::string_view piece, std::vector<uint32_t>& symbols) const {
    symbols.clear();
    if (byteLevel_) {
        for (const char c : piece) {
            const uint32_t symbol = byteSymbols_[static_cast<unsigned char>(c)];
            if (symbol != kNone)
                symbols.push_back(symbol);
            else
                fallBack({}, symbols);
        }
        return;
    }
    for (size_t at = 0; at < piece.size();) {
        const size_t from = at;
        const uint32_t symbol = characters_.find(base::nextCodePoint(piece, at));
        if (symbol != kNone)
            symbols.push_back(symbol);
        else
            fallBack(piece.substr(from, at - from), symbols);
    }
}

/// Between two symbols that stand side by side in no token nothing can be joined: the stretches between such
/// places are short in most text, even where the vocabulary has no pre-tokenizer.
size_t Bpe::endOfStretch(std::string_view piece, const std::vector<uint32_t>& symbols, size_t begin) const {
    if (!cuts_) return symbols.size();
    size_t end = begin + 1;
    if (!touchingBytes_.empty()) {  // then symbols and bytes stand one for one
        const auto byte = [&](size_t at) { return size_t{static_cast<unsigned char>(piece[at])}; };
        while (end < piece.size() && touchingBytes_[byte(end - 1) * 256 + byte(end)])
            ++end;
        return end;
    }
    while (end < symbols.size() && touching_.find(symbols[end - 1], symbols[end]) != kNone)
        ++end;
    return end;
}

void Bpe::encode(std::string_view piece, Scratch& scratch, std::vector<base::TokenId>& out) const {
    if (byteLevel_ && piece.size() == 1 && byteSymbols_[static_cast<unsigned char>(piece[0])] != kNone) {
        out.push_back(
            base::TokenId{static_cast<int32_t>(byteSymbols_[static_cast<unsigned char>(piece[0])])});
        return;
    }
    if (!wholePieces_.empty()) {
        const auto whole = wholePieces_.find(std::string(piece));
        if (whole != wholePieces_.end()) {
            out.push_back(base::TokenId{static_cast<int32_t>(whole->second)});
            return;
        }
    }
    toSymbols(piece, scratch.piece);
    const std::vector<uint32_t>& all = scratch.piece;
    for (size_t begin = 0, end = 0; begin < all.size(); begin = end) {
        end = endOfStretch(piece, all, begin);
        if (end - begin == 1) {
            append(all[begin], out);
            continue;
        }
        scratch.symbols.assign(all.begin() + static_cast<ptrdiff_t>(begin),
                               all.begin() + static_cast<ptrdiff_t>(end));
        if (scratch.symbols.size() <= kShort)
            joinShort(scratch);
        else
            joinLong(scratch);
        for (const uint32_t symbol : scratch.symbols)
            append(symbol, out);
    }
}

void Bpe::append(uint32_t symbol, std::vector<base::TokenId>& out) const {
    if (symbol < vocabularySize_) {
        out.push_back(base::TokenId{static_cast<int32_t>(symbol)});
        return;
    }
    std::vector<uint32_t> tokens;
    fallBack(pseudoSymbols_[symbol - vocabularySize_], tokens);
    for (const uint32_t token : tokens)
        out.push_back(base::TokenId{static_cast<int32_t>(token)});
}

}  // namespace conclave::engine::text
