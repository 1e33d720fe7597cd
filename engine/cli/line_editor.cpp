#include "engine/cli/line_editor.h"

#include <cerrno>
#include <cstdio>
#include <histedit.h>

#include "engine/cli/interrupt.h"

namespace conclave::engine::cli {
namespace {
constexpr int kHistoryLines = 1000;
}

struct LineEditor::State {
    EditLine* editor = nullptr;
    History* history = nullptr;
    std::string file;
    std::string prompt;

    static char* promptOf(EditLine* editor) {
        void* data = nullptr;
        el_get(editor, EL_CLIENTDATA, &data);
        return static_cast<State*>(data)->prompt.data();
    }
};

LineEditor::LineEditor(std::string historyFile) : state_(std::make_unique<State>()) {
    state_->file = std::move(historyFile);
    state_->editor = el_init("conclave", stdin, stdout, stderr);
    state_->history = history_init();
    HistEvent event;
    history(state_->history, &event, H_SETSIZE, kHistoryLines);
    if (!state_->file.empty()) history(state_->history, &event, H_LOAD, state_->file.c_str());
    el_set(state_->editor, EL_CLIENTDATA, state_.get());
    el_set(state_->editor, EL_PROMPT, &State::promptOf);
    el_set(state_->editor, EL_EDITOR, "emacs");
    el_set(state_->editor, EL_HIST, history, state_->history);
    el_source(state_->editor, nullptr);  // the user's own ~/.editrc
}

LineEditor::~LineEditor() {
    el_end(state_->editor);
    history_end(state_->history);
}

LineEditor::Outcome LineEditor::read(const std::string& prompt, std::string& line) {
    state_->prompt = prompt;
    const InterruptGuard guard;
    int length = 0;
    const char* text = el_gets(state_->editor, &length);
    if (guard.interrupted()) {
        el_reset(state_->editor);
        std::fputs("\n", stdout);
        return Outcome::Interrupted;
    }
    if (!text || length <= 0) return Outcome::End;
    line.assign(text, static_cast<size_t>(length));
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r'))
        line.pop_back();
    return Outcome::Line;
}

void LineEditor::remember(const std::string& message) {
    HistEvent event;
    history(state_->history, &event, H_ENTER, message.c_str());
    if (!state_->file.empty()) history(state_->history, &event, H_SAVE, state_->file.c_str());
}

}  // namespace conclave::engine::cli
