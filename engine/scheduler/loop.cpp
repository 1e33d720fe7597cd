#include "engine/scheduler/loop.h"

#include <algorithm>
#include <utility>

#include "engine/sampling/choose.h"

namespace conclave::engine::scheduler {
namespace {

/// Pages a sequence should find before it is admitted: for what is to be computed and one more to grow into.
uint32_t pagesToStart(const Sequence& sequence) {
    const size_t most = sequence.request.prompt.size() + sequence.answer.limit();
    return pagesFor(std::min(sequence.tokens.size() + kPagePositions, most));
}

/// Where the next token of a sequence is chosen: of its tokens alone, so that it is the same after
/// pre-emption.
sampling::Place placeOf(const Sequence& sequence) {
    const GenerationRequest& request = sequence.request;
    const bool mayEnd = request.ignoreEnd || sequence.answer.generated() >= request.minTokens;
    return {.past = {sequence.tokens, request.prompt.size()},
            .seed = sequence.seed,
            .choice = request.choice,
            .masked = mayEnd ? std::span<const base::TokenId>() : request.model->endTokens};
}

}  // namespace

Loop::Loop(const SchedulerOptions& options, size_t threads, Inbox& inbox, Books books)
    : options_(options), inbox_(inbox), metrics_(books.metrics), experts_(books.experts), team_(threads),
      pool_(options.kvBytes), cache_(pool_) {}

void Loop::run() {
    while (true) {
        for (Event& event : inbox_.take(sequences_.empty())) {
            if (std::holds_alternative<Shutdown>(event)) {
                while (!sequences_.empty())
                    finish(*sequences_.back(), FinishReason::Cancelled);
                return;
            }
            if (auto* submit = std::get_if<Submit>(&event))
                take(std::move(*submit));
            else
                take(std::get<Cancel>(event));
        }
        if (sequences_.empty()) continue;
        admit();
        publish();
        step();
    }
}

void Loop::take(Submit submit) {
    pool_.growTo(submit.kvBytes);
    ModelMetrics& metrics = metrics_.of(submit.request.model->name);
    auto sequence =
        std::make_unique<Sequence>(submit.id, std::move(submit.request), submit.seed, submit.limit, metrics);
    sequence->lastToken = submit.at;
    const auto place =
        std::ranges::find_if(sequences_, [&](const auto& other) { return goesBefore(*sequence, *other); });
    sequences_.insert(place, std::move(sequence));
}

void Loop::take(const Cancel& cancel) {
    const auto found =
        std::ranges::find_if(sequences_, [&](const auto& other) { return other->id == cancel.id; });
    if (found != sequences_.end()) finish(**found, FinishReason::Cancelled);
}

// --- Admission and pages ---

std::vector<Sequence*> Loop::running() const {
    std::vector<Sequence*> out;
    for (const auto& sequence : sequences_)
        if (sequence->running) out.push_back(sequence.get());
    return out;
}

Sequence* Loop::lastAfter(const Sequence& than) const {
    for (auto it = sequences_.rbegin(); it != sequences_.rend() && it->get() != &than; ++it)
        if ((*it)->running) return it->get();
    return nullptr;
}

/// What the admitted sequences will still take of the room for the tokens they have.
uint64_t Loop::promisedBytes() const {
    uint64_t bytes = 0;
    for (const auto& sequence : sequences_)
        if (sequence->running)
            bytes += (pagesToStart(*sequence) -
                      std::min<uint64_t>(pagesToStart(*sequence), sequence->pages.size())) *
                     sequence->pageBytes();
    return bytes;
}

/// The pages of the longest stored prefix of a sequence. Its last token is never among them: it is always
/// computed, since its logits are what goes on.
std::vector<PrefixCache::Found> Loop::storedPrefix(const Sequence& sequence) {
    std::vector<PrefixCache::Found> out;
    if (!caches(sequence)) return out;
    PrefixCache::Node node = PrefixCache::Node::None;
    const size_t whole = (sequence.tokens.size() - 1) / kPagePositions;
    for (size_t page = 0; page < whole; ++page) {
        const auto found =
            cache_.find(placeOfPage(sequence, page, node),
                        std::span(sequence.tokens).subspan(page * kPagePositions, kPagePositions));
        if (!found) break;
        out.push_back(*found);
        node = found->node;
    }
    return out;
}

/// What page number `page` of a sequence goes on from, where `before` is the page before it. Router options
/// work from the first position on; pages that end before its adapters begin to work are those of the base.
PrefixCache::Place Loop::placeOfPage(const Sequence& sequence, size_t page, PrefixCache::Node before) {
    const SequenceAdapters& adapters = sequence.adapters;
    if (page == 0) {
        const library::LoadedModel& model = *sequence.request.model;
        before = cache_.root({sequence.request.owner, model.model->numericsId, model.contentId});
    }
    std::string key = page == 0 ? sequence.routerKey : "";
    if (adapters.key.empty() || page != adapters.from / kPagePositions)
        return key.empty() ? PrefixCache::Place(before) : PrefixCache::Place(before, std::move(key), 0);
    if (!key.empty()) key += '\n';
    return {before, key + adapters.key, adapters.from};
}

/// Whether `sequence` may start now; sequences of lower priority give way to it.
bool Loop::makeRoomFor(const Sequence& sequence) {
    while (true) {
        const std::vector<Sequence*> others = running();
        uint64_t pages = pagesToStart(sequence);
        for (const PrefixCache::Found& found : storedPrefix(sequence))
            pages -= pool_.onlyCached(found.page) ? 0 : 1;  // shared with one that runs
        const uint64_t wanted = promisedBytes() + pages * sequence.pageBytes();
        if (others.empty() || (others.size() < options_.maxSequences && wanted <= pool_.room())) return true;
        Sequence* last = lastAfter(sequence);
        if (last == nullptr || last->request.priority == sequence.request.priority) return false;
        preempt(*last);
    }
}

/// Whether another sequence is still computing the pages that this one is to go on from.
bool Loop::waitsForAPrompt(const Sequence& sequence) const {
    return caches(sequence) && sequence.request.after &&
           std::ranges::any_of(sequences_, [&](const auto& other) {
               return other->id == *sequence.request.after && other->answer.generated() == 0;
           });
}

void Loop::admit() {
    for (const auto& sequence : sequences_) {
        if (sequence->running || waitsForAPrompt(*sequence)) continue;
        if (!makeRoomFor(*sequence))
            return;  // nobody overtakes: what waits behind would keep taking the room that this one needs
        resume(*sequence);
    }
}

/// Starts a sequence, or starts it again, from the longest prefix that is still stored.
void Loop::resume(Sequence& sequence) {
    sequence.running = true;
    sequence.admittedStep = stats_.steps;
    for (const PrefixCache::Found& found : storedPrefix(sequence)) {
        pool_.retain(found.page);
        sequence.pages.push_back(found.page);
        sequence.pageData.push_back(pool_.data(found.page));
        sequence.nodes.push_back(found.node);
    }
    cache_.touch(sequence.nodes);
    sequence.computed = static_cast<uint32_t>(sequence.pages.size()) * kPagePositions;
    if (std::exchange(sequence.wasAdmitted, true)) return;
    sequence.cachedTokens = sequence.computed;
    sequence.metrics.promptTokens += sequence.request.prompt.size();
    sequence.metrics.cachedTokens += sequence.cachedTokens;
    if (caches(sequence)) ++stats_.lookups;
    if (sequence.cachedTokens > 0) ++stats_.hits;
}

void Loop::dropPages(Sequence& sequence) {
    cache_.touch(sequence.nodes);
    for (PageId page : sequence.pages)
        pool_.release(page);
    sequence.pages.clear();
    sequence.pageData.clear();
    sequence.nodes.clear();
    sequence.computed = 0;
}

/// Takes a sequence's pages; it waits and computes the same bits again later, as far as the cache has not
/// kept them.
void Loop::preempt(Sequence& sequence) {
    dropPages(sequence);
    sequence.running = false;
    ++stats_.preemptions;
}

/// Gives `sequence` as many pages in all, at the cost of cached pages, then of whoever comes after it. False
/// where those before it hold the rest.
bool Loop::reserve(Sequence& sequence, uint32_t pages) {
    while (sequence.pages.size() < pages) {
        if (const auto page = pool_.take(sequence.pageBytes())) {
            sequence.pages.push_back(*page);
            sequence.pageData.push_back(pool_.data(*page));
        } else if (!cache_.evictOldest()) {
            Sequence* last = lastAfter(sequence);
            if (last == nullptr) return false;
            preempt(*last);
        }
    }
    return true;
}

/// Makes what a step has computed findable. Called once the numbers are known to be valid, for whole pages
/// only.
void Loop::cachePages(Sequence& sequence) {
    if (!caches(sequence)) return;
    const size_t whole = sequence.computed / kPagePositions;
    while (sequence.nodes.size() < whole) {
        const size_t page = sequence.nodes.size();
        const PrefixCache::Place place =
            placeOfPage(sequence, page, page == 0 ? PrefixCache::Node::None : sequence.nodes.back());
        const auto tokens = std::span(sequence.tokens).subspan(page * kPagePositions, kPagePositions);
        const auto found = cache_.insert(place, tokens, sequence.pages[page]);
        if (!found) return;
        if (found->page !=
            sequence.pages[page]) {  // another sequence was quicker with the same bits: share its page
            pool_.retain(found->page);
            pool_.release(sequence.pages[page]);
            sequence.pages[page] = found->page;
            sequence.pageData[page] = pool_.data(found->page);
        }
        sequence.nodes.push_back(found->node);
    }
}

// --- Steps ---

/// The parts of a step of these sequences (all of one model) that have pages for it.
std::vector<BatchPart> Loop::prepare(const std::vector<Sequence*>& sequences) {
    std::vector<BatchPart> parts =
        planBatch(sequences, {sequences.front()->model().maxRows, options_.chunk, stats_.steps});
    for (BatchPart& part : parts) {
        Sequence& sequence = *part.sequence;
        if (!sequence.running) continue;  // lost its pages to one before it
        if (!reserve(sequence, pagesFor(sequence.computed + part.rows)))
            part.rows = std::min(part.rows, static_cast<uint32_t>(sequence.pages.size()) * kPagePositions -
                                                sequence.computed);
    }
    std::erase_if(parts, [](const BatchPart& part) { return !part.sequence->running || part.rows == 0; });
    return parts;
}

/// One step of one model.
void Loop::step() {
    for (const std::vector<Sequence*>& sequences : modelsInOrder(running(), stats_.steps)) {
        std::vector<Sequence*> still = sequences;
        std::erase_if(still, [](const Sequence* sequence) { return !sequence->running; });
        if (still.empty()) continue;
        if (const std::vector<BatchPart> parts = prepare(still); !parts.empty()) return execute(parts);
    }
    // Those whose turn it was found no pages. The first of all can take every page there is: only the system
    // can refuse it.
    Sequence* first = running().front();
    if (const std::vector<BatchPart> parts = prepare({first}); !parts.empty()) return execute(parts);
    CONCLAVE_CHECK(pool_.lastFailure().has_value());
    finish(*first, FinishReason::Failed, pool_.lastFailure());
}

void Loop::execute(const std::vector<BatchPart>& parts) {
    model::Step step;
    StepRun run{.sequences = {}, .best = parts.front().sequence->request.priority, .yields = true};
    std::vector<Sequence*> asking;
    for (const BatchPart& part : parts) {
        Sequence& sequence = *part.sequence;
        const bool reachesEnd = part.rows == sequence.todo();
        model::Slice slice;
        slice.tokens = std::span(sequence.tokens).subspan(sequence.computed, part.rows);
        slice.start = sequence.computed;
        slice.pages = sequence.pageData;
        slice.logits = reachesEnd ? model::Slice::Logits::Last : model::Slice::Logits::None;
        slice.adapters = sequence.adapters.uses;
        slice.adaptedFrom = sequence.adapters.from;
        slice.router = &sequence.request.router;
        slice.counts = sequence.experts.ofStep();
        step.slices.push_back(slice);
        run.sequences.push_back(sequence.id);
        if (sequence.interrupted >= kMostInterruptions) run.yields = false;
        if (reachesEnd) asking.push_back(&sequence);
    }
    const library::LoadedModel& model = *parts.front().sequence->request.model;
    const std::shared_ptr<const model::Model> running =
        model.model;  // the last sequence may end in this step
    model::StepTimes times;
    step.stop = &inbox_.stop();
    step.expertCap = running->expertCap;
    step.times = &times;
    inbox_.beginStep(std::move(run));
    const auto began = std::chrono::steady_clock::now();
    const model::StepOutcome outcome = running->forward(step, team_);
    inbox_.endStep();
    ++stats_.steps;
    if (outcome == model::StepOutcome::Stopped) {
        // Cancelled, or interrupted: what it wrote is past `computed` and will be written again, the same.
        ++stats_.stoppedSteps;
        for (const BatchPart& part : parts) {
            part.sequence->interrupted = std::min(part.sequence->interrupted + 1, kMostInterruptions);
            part.sequence->experts.drop();
        }
        return;
    }
    metrics_.countingNanoseconds += times.counting;
    countExperts(parts, began);
    metrics_.step.add(std::chrono::steady_clock::now() - began);
    for (const BatchPart& part : parts) {
        if (part.sequence->interrupted > 0) --part.sequence->interrupted;
        part.sequence->computed += part.rows;
        part.sequence->lastStep = stats_.steps;
        stats_.rows += part.rows;
    }
    chooseTokens(asking, step);
}

/// Keeps what the step has counted, and logs what has been kept for long enough.
void Loop::countExperts(const std::vector<BatchPart>& parts, std::chrono::steady_clock::time_point began) {
    constexpr std::chrono::seconds kRecord{1};
    const auto ended = std::chrono::steady_clock::now();
    for (const BatchPart& part : parts)
        part.sequence->experts.keep(part.rows, began, ended);
    for (const auto& sequence : sequences_)
        if (const auto since = sequence->experts.heldSince(); since && ended - *since >= kRecord)
            logExperts(*sequence);
    metrics_.countingNanoseconds +=
        static_cast<uint64_t>(std::chrono::nanoseconds(std::chrono::steady_clock::now() - ended).count());
}

void Loop::logExperts(Sequence& sequence) {
    if (auto record = sequence.experts.take()) experts_.add(*sequence.request.model, std::move(record));
}

/// A token more.
void Loop::count(Sequence& sequence, std::chrono::steady_clock::time_point now) {
    ++stats_.generatedTokens;
    ++sequence.metrics.generatedTokens;
    const bool isFirst = sequence.answer.generated() == 0;
    (isFirst ? sequence.metrics.firstToken : sequence.metrics.betweenTokens).add(now - sequence.lastToken);
    sequence.lastToken = now;
}

void Loop::chooseTokens(const std::vector<Sequence*>& sequences, const model::Step& step) {
    if (sequences.empty()) return;
    const size_t vocabulary = sequences.front()->model().config.vocabulary;
    CONCLAVE_CHECK(step.logits.size() == sequences.size() * vocabulary);
    std::vector<std::optional<base::Result<sampling::Choice>>> chosen(sequences.size());
    const auto choose = [&](size_t i) {
        const Sequence& sequence = *sequences[i];
        chosen[i] = sampling::choose(std::span(step.logits).subspan(i * vocabulary, vocabulary),
                                     sequence.request.sampling, placeOf(sequence));
    };
    if (sequences.size() == 1)
        choose(0);
    else
        team_.run([&](size_t worker, size_t workers) {
            const platform::Range mine = platform::share(sequences.size(), worker, workers);
            for (size_t i = mine.begin; i < mine.end; ++i)
                choose(i);
        });
    const auto now = std::chrono::steady_clock::now();
    for (size_t i = 0; i < sequences.size(); ++i) {
        Sequence& sequence = *sequences[i];
        if (!chosen[i]->ok()) {
            finish(sequence, FinishReason::Failed, chosen[i]->error());
            continue;
        }
        cachePages(sequence);
        if (sequence.answer.limit() == 0) {  // only the prompt was to be computed
            finish(sequence, FinishReason::Length);
            continue;
        }
        sequence.tokens.push_back((*chosen[i])->token);
        count(sequence, now);
        if (const auto reason = sequence.answer.accept(std::move(*chosen[i]).value()))
            finish(sequence, *reason);
    }
}

void Loop::finish(Sequence& sequence, FinishReason reason, std::optional<base::Error> error) {
    dropPages(sequence);
    logExperts(sequence);
    const auto place =
        std::ranges::find_if(sequences_, [&](const auto& other) { return other.get() == &sequence; });
    CONCLAVE_CHECK(place != sequences_.end());
    const std::unique_ptr<Sequence> kept = std::move(*place);
    sequences_.erase(place);
    publish();  // whoever asks after Finished does not find it any more
    const SequenceEvent event = kept->answer.finish(reason, kept->cachedTokens, std::move(error));
    ++kept->metrics.finished[static_cast<size_t>(event.reason)];
    kept->request.onEvent(event);
}

void Loop::publish() {
    std::vector<SequenceInfo> infos;
    for (const auto& sequence : sequences_) {
        SequenceInfo info;
        info.id = sequence->id;
        info.owner = sequence->request.owner;
        info.priority = sequence->request.priority;
        info.model = sequence->request.model->name;
        info.state = !sequence->running    ? SequenceInfo::State::Waiting
                     : sequence->decodes() ? SequenceInfo::State::Decode
                                           : SequenceInfo::State::Prefill;
        info.promptTokens = static_cast<uint32_t>(sequence->request.prompt.size());
        info.doneTokens = sequence->computed;
        info.generatedTokens = sequence->answer.generated();
        infos.push_back(std::move(info));
    }
    stats_.cachedPages = cache_.pages();
    stats_.evictions = cache_.evictions();
    stats_.kvBytesInUse = pool_.inUse();
    stats_.kvBytes = pool_.budget();
    inbox_.publish(std::move(infos), stats_);
}

}  // namespace conclave::engine::scheduler
