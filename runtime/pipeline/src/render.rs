//! Problems as people read them: file, line, column, the faulty text underlined, and what to do.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::ops::Range;
use stygian_api::{Problem, Problems};
use stygian_core::escape;

/// The longest message that is shown, in characters.
const MAX_MESSAGE: usize = 1_000;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The pipeline cannot run.
    Error,
    /// It can, but probably not as it was meant.
    Warning,
}

/// The problems of the file `file` with the content `text`; `color` with terminal colours. Ends with a line break.
pub fn render(problems: &Problems, text: &str, file: &str, color: bool) -> String {
    render_all(&problems.0, Severity::Error, text, file, color)
}

/// The same for what is not wrong but suspicious; empty if there is nothing.
pub fn render_warnings(warnings: &[Problem], text: &str, file: &str, color: bool) -> String {
    render_all(warnings, Severity::Warning, text, file, color)
}

fn render_all(problems: &[Problem], severity: Severity, text: &str, file: &str, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(DecorStyle::Ascii).term_width(120);
    problems.iter().map(|problem| render_one(problem, severity, text, file, &renderer) + "\n").collect::<Vec<_>>().join("\n")
}

fn render_one(problem: &Problem, severity: Severity, text: &str, file: &str, renderer: &Renderer) -> String {
    let level = match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(escape(&problem.message, MAX_MESSAGE));
    let place = problem.at.as_ref().map(|at| first_line(at, text));
    let mut group = match place {
        Some(at) => {
            let (line, window) = around(&at, text);
            let span = at.start - window.start..at.end - window.start;
            let snippet = Snippet::source(printable(&text[window])).path(file).line_start(line);
            title.element(snippet.annotation(AnnotationKind::Primary.span(span)))
        }
        None => title.element(annotate_snippets::Origin::path(file)),
    };
    if let Some(hint) = &problem.hint {
        group = group.element(Level::HELP.message(escape(hint, MAX_MESSAGE)));
    }
    let report: [Group<'_>; 1] = [group];
    renderer.render(&report)
}

/// The part of a range on its first line, within the text and on character boundaries.
fn first_line(at: &Range<usize>, text: &str) -> Range<usize> {
    let start = text.floor_char_boundary(at.start.min(text.len()));
    let end = text.floor_char_boundary(at.end.clamp(start, text.len()));
    let line = text[start..end].find('\n').map_or(end, |length| start + length);
    start..line
}

/// The line without the control characters that the renderer lets through (some terminals take U+009B for the start of an escape),
/// each replaced by one of as many bytes.
fn printable(line: &str) -> String {
    let replace = |c: char| match c {
        '\u{80}'..='\u{9f}' => '\u{bf}',
        '\u{2028}' | '\u{2029}' => '\u{fffd}',
        other => other,
    };
    line.chars().map(replace).collect()
}

/// The number of the line a range starts on, and the line: all that is shown, so that long files cost nothing.
fn around(at: &Range<usize>, text: &str) -> (usize, Range<usize>) {
    let start = text[..at.start].rfind('\n').map_or(0, |n| n + 1);
    let end = text[at.end..].find('\n').map_or(text.len(), |n| at.end + n);
    let line = text[..start].bytes().filter(|byte| *byte == b'\n').count() + 1;
    (line, start..end)
}
