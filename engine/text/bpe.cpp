#include "engine/text/bpe.h"

#include <algorithm>
#include <functional>

#include "engine/base/utf8.h"

namespace conclave::engine::text {
namespace {

using formats::TextIndex;
using formats::TokenizerModel;
using formats::TokenizerSpec;
using formats::TokenKind;

constexpr uint32_t kNone = PairTable::kNone;
static_assert(kNone == TextIndex::kNone);
// Up to this many symbols a scan for the best pair beats any queue.
constexpr size_t kShort = 48;
constexpr size_t kScoredBytes = 1024;

bool mayBeJoined(const TokenizerSpec& spec, size_t id) {
    const TokenKind kind = spec.kinds[id];
    return !spec.tokens[id].empty() && kind != TokenKind::Control && kind != TokenKind::Unknown &&
           kind != TokenKind::Byte;
}

/// Place of two bytes side by side in a table of all pairs.
size_t pairOf(char left, char right) {
    return size_t{static_cast<unsigned char>(left)} * 256 + static_cast<unsigned char>(right);
}

uint32_t symbolOf(base::TokenId id) {
    return static_cast<uint32_t>(base::toInt(id));
}

}  // namespace

// --- characters ---

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
    made.unknown_ = spec.unknown ? symbolOf(*spec.unknown) : kNone;
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
        const std::string_view text = spec.tokens[id];
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
    pairs_.reserve(spec.merges.size());
    results_.reserve(spec.merges.size());
    for (uint32_t rank = 0; rank < spec.merges.size(); ++rank) {
        const formats::Merge& merge = spec.merges[rank];
        results_.push_back(symbolOf(merge.joined));
        const TokenKind kind = spec.kinds[results_.back()];
        if (kind == TokenKind::Control || kind == TokenKind::Unknown) continue;
        pairs_.add(symbolOf(merge.left), symbolOf(merge.right), rank);
    }
}

/// Every way to put a token together from two symbols; the merge's number is the token's id.
base::Result<void> Bpe::readScores(const TokenizerSpec& spec) {
    TextIndex tokens(spec.tokens.size());
    for (uint32_t id = 0; id < vocabularySize_; ++id) {
        if (!mayBeJoined(spec, id)) continue;
        tokens.add(spec.tokens, id);
        const size_t bytes = spec.tokens[id].size();
        if (bytes > kScoredBytes && spec.kinds[id] == TokenKind::Normal)
            return base::Error{base::Code::LimitExceeded,
                               spec.file,
                               "tokenizer.ggml.tokens[" + std::to_string(id) + "]",
                               {std::to_string(bytes) + " bytes", std::to_string(kScoredBytes)}};
    }
    for (uint32_t id = 0; id < vocabularySize_; ++id) {
        if (!mayBeJoined(spec, id)) continue;
        const std::string_view text = spec.tokens[id];
        for (size_t at = 0, from = 0; at < text.size(); from = at) {
            const char32_t c = base::nextCodePoint(text, at);
            const auto pseudo = vocabularySize_ + static_cast<uint32_t>(pseudoSymbols_.size());
            if (characters_.add(c, pseudo)) pseudoSymbols_.emplace_back(text.substr(from, at - from));
        }
    }

    const auto find = [&](std::string_view text) {
        size_t at = 0;
        const char32_t first = base::nextCodePoint(text, at);
        return at == text.size() ? characters_.find(first) : tokens.find(spec.tokens, text);
    };
    for (uint32_t id = 0; id < vocabularySize_; ++id) {
        const std::string_view text = spec.tokens[id];
        if (!mayBeJoined(spec, id) || text.size() > kScoredBytes) continue;
        for (size_t at = 0; base::nextCodePoint(text, at), at < text.size();) {
            const uint32_t left = find(text.substr(0, at));
            if (left == kNone) continue;
            const uint32_t right = find(text.substr(at));
            if (right != kNone) pairs_.add(left, right, id);
        }
    }

    std::vector<float> best(spec.scores);
    std::sort(best.begin(), best.end(), std::greater<>());
    best.erase(std::unique(best.begin(), best.end()), best.end());
    results_.reserve(vocabularySize_);
    priorities_.reserve(vocabularySize_);
    for (uint32_t id = 0; id < vocabularySize_; ++id) {
        results_.push_back(id);
        const auto place = std::lower_bound(best.begin(), best.end(), spec.scores[id], std::greater<>());
        priorities_.push_back(static_cast<uint32_t>(place - best.begin()));
    }
    return {};
}

/// Which symbols stand side by side in some token that joining can give.
void Bpe::readTouching(const TokenizerSpec& spec) {
    std::vector<bool> joined(vocabularySize_);
    for (const uint32_t id : results_)
        joined[id] = mayBeJoined(spec, id);
    if (byteLevel_)
        readTouchingBytes(spec, joined);
    else
        readTouchingCharacters(spec, joined);
}

/// A character that is no symbol stands beside nothing: it is never among those that are joined.
void Bpe::addTouching(uint32_t left, uint32_t right) {
    if (left != kNone && right != kNone) touching_.add(left, right, 0);
}

void Bpe::readTouchingBytes(const TokenizerSpec& spec, const std::vector<bool>& joined) {
    cuts_ = true;
    touchingBytes_.resize(size_t{256} * 256);
    std::string bytes;
    for (uint32_t id = 0; id < vocabularySize_; ++id) {
        bytes.clear();
        // Joining bytes gives no token with a character outside the alphabet.
        if (!joined[id] || !formats::appendAlphabetBytes(spec.tokens[id], bytes)) continue;
        for (size_t i = 1; i < bytes.size(); ++i)
            touchingBytes_[pairOf(bytes[i - 1], bytes[i])] = true;
    }
    if (std::count(byteSymbols_.begin(), byteSymbols_.end(), kNone) == 0) return;
    // The unknown token stands for some bytes, so that symbols are what has to be looked at.
    for (size_t pair = 0; pair < touchingBytes_.size(); ++pair)
        if (touchingBytes_[pair]) addTouching(byteSymbols_[pair / 256], byteSymbols_[pair % 256]);
    touchingBytes_.clear();
}

void Bpe::readTouchingCharacters(const TokenizerSpec& spec, const std::vector<bool>& joined) {
    // A merge of byte tokens gives a token whose text does not show what it was made of.
    const auto isByte = [&](base::TokenId id) { return formats::byteOfToken(spec.tokens[symbolOf(id)]); };
    for (const formats::Merge& merge : spec.merges)
        if (isByte(merge.left) || isByte(merge.right)) return;
    cuts_ = true;
    for (uint32_t id = 0; id < vocabularySize_; ++id) {
        if (!joined[id]) continue;
        const std::string_view text = spec.tokens[id];
        size_t at = 0;
        uint32_t left = characters_.find(base::nextCodePoint(text, at));
        while (at < text.size()) {
            const uint32_t right = characters_.find(base::nextCodePoint(text, at));
            addTouching(left, right);
            left = right;
        }
    }
}

void Bpe::readWholePieces(const TokenizerSpec& spec) {
    wholeIndex_ = TextIndex(vocabularySize_);
    wholePieces_.reserve(vocabularySize_, spec.tokens.bytes());
    std::string bytes;
    for (uint32_t id = 0; id < vocabularySize_; ++id) {
        bytes.clear();
        // Added tokens are matched before; here only the model's own vocabulary counts.
        const bool counts = mayBeJoined(spec, id) && spec.kinds[id] != TokenKind::UserDefined;
        if (counts && !byteLevel_)
            bytes = spec.tokens[id];
        else if (counts)
            formats::appendAlphabetBytes(spec.tokens[id], bytes);
        wholePieces_.push_back(bytes);
        if (!bytes.empty()) wholeIndex_.add(wholePieces_, id);
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
        while (end < piece.size() && touchingBytes_[pairOf(piece[end - 1], piece[end])])
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
    if (!wholeIndex_.empty()) {
        const uint32_t whole = wholeIndex_.find(wholePieces_, piece);
        if (whole != kNone) {
            out.push_back(base::TokenId{static_cast<int32_t>(whole)});
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
