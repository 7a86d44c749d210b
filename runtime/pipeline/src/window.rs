//! `window = {...}`: which stretches of time rows are aggregated over, by which clock, and when results come.

use crate::reader::Reading;
use schemars::JsonSchema;
use serde::Deserialize;
use std::fmt;
use std::ops::Range;
use stygian_core::Span;
use toml::Spanned;

/// The most windows a row may belong to.
const MAX_OVERLAP: i64 = 1_000;

/// Windows of one size, each `slide` after the one before; aligned to 1970-01-01T00:00:00Z plus `offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowShape {
    /// Each begins where the one before ends.
    Tumbling {
        /// How long a window is.
        size: Span,
        /// What the beginnings are moved by.
        offset: Span,
    },
    /// They overlap.
    Sliding {
        /// How long a window is.
        size: Span,
        /// From one beginning to the next; divides the size.
        slide: Span,
        /// What the beginnings are moved by.
        offset: Span,
    },
    /// From a row to a gap after the last one, of rows of one key that are less than the gap apart.
    Session {
        /// The time without rows that ends one.
        gap: Span,
    },
}

/// By which clock windows open and close.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WindowTime {
    /// The rows' event time.
    #[default]
    Event,
    /// The time at which rows come by.
    Processing,
}

/// Windows as a pipeline describes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Their size and distance.
    pub shape: WindowShape,
    /// Their clock.
    pub time: WindowTime,
    /// For how long after its end rows still change a window; zero for sessions and in processing time.
    pub allowed_lateness: Span,
    /// How often, in processing time, results come before the end; never for sessions.
    pub early: Option<Span>,
}

impl fmt::Display for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.shape)?;
        if self.time == WindowTime::Processing {
            f.write_str(" of processing time")?;
        }
        if !self.allowed_lateness.0.is_zero() {
            write!(f, ", replaced until {} late", self.allowed_lateness)?;
        }
        self.early.map_or(Ok(()), |early| write!(f, ", early every {early}"))
    }
}

impl fmt::Display for WindowShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offset = match self {
            Self::Tumbling { size, offset } => {
                write!(f, "tumbling {size}")?;
                offset
            }
            Self::Sliding { size, slide, offset } => {
                write!(f, "sliding {size} every {slide}")?;
                offset
            }
            Self::Session { gap } => return write!(f, "session {gap}"),
        };
        if offset.0.is_zero() { Ok(()) } else { write!(f, " offset {offset}") }
    }
}

/// Windows: `tumbling`, or `sliding` with `slide`, or `session`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "window")]
pub(crate) struct WindowKeys {
    /// The size of windows of which each begins where the one before ends.
    #[schemars(with = "Span")]
    tumbling: Option<Spanned<Span>>,
    /// The size of windows that overlap; needs `slide`.
    #[schemars(with = "Span")]
    sliding: Option<Spanned<Span>>,
    /// From the beginning of one sliding window to that of the next; divides the size.
    #[schemars(with = "Span")]
    slide: Option<Spanned<Span>>,
    /// The time without rows that ends a window: rows of one key that are less apart belong together.
    #[schemars(with = "Span")]
    session: Option<Spanned<Span>>,
    /// "event": windows open and close by event time. "processing": by the time at which rows come by; no row is late then, and the same
    /// rows give other results in another run. Default: "event".
    #[schemars(with = "WindowTime")]
    time: Option<Spanned<WindowTime>>,
    /// For how long after its end (in event time, by the watermark) rows still change a window. Each change gives the whole result again,
    /// with a higher `revision`, in place of the one before; the window is kept in memory for so long. Rows that come later go to the
    /// output `late`. Default: "0s", and no `revision`. Not with `session`.
    #[schemars(with = "Span")]
    allowed_lateness: Option<Spanned<Span>>,
    /// How often (in processing time) a window gives out what it knows before its end: the keys that have had rows since, each with a
    /// higher `revision`; all keys at the end. Default: only at the end. Not with `session`.
    #[schemars(with = "Span")]
    early: Option<Spanned<Span>>,
    /// Moves the beginnings, which else are multiples of the size (or slide) since 1970-01-01T00:00:00Z. Default: "0s". Set it for days
    /// that do not begin at midnight UTC.
    #[schemars(with = "Span")]
    offset: Option<Spanned<Span>>,
}

const HINT: &str = "write `{ tumbling = \"1h\" }`, `{ sliding = \"1h\", slide = \"10m\" }` or `{ session = \"30m\" }`";

impl WindowKeys {
    pub(crate) fn check(self, at: Range<usize>, reading: &mut Reading<'_>) -> Option<Windows> {
        let before = reading.problems.len();
        for span in [&self.tumbling, &self.sliding, &self.slide, &self.session, &self.early].into_iter().flatten() {
            if !(1_000..i64::MAX / 4).contains(&span.get_ref().micros()) {
                reading.problem(span.span(), "a window's spans must be 1 ms or more, and no geological age", None);
            }
        }
        let offset = self.offset.as_ref().map_or(Span::millis(0), |offset| *offset.get_ref());
        let shape = match (&self.tumbling, &self.sliding, &self.slide, &self.session) {
            (Some(size), None, None, None) => WindowShape::Tumbling { size: *size.get_ref(), offset },
            (None, Some(size), Some(slide), None) => {
                check_slide(size, slide, reading);
                WindowShape::Sliding { size: *size.get_ref(), slide: *slide.get_ref(), offset }
            }
            (None, None, None, Some(gap)) => WindowShape::Session { gap: *gap.get_ref() },
            (None, Some(_), None, None) => {
                reading.problem(at, "a sliding window needs `slide`", Some(HINT.into()));
                return None;
            }
            _ => {
                reading.problem(at, "a window is either tumbling, or sliding with a slide, or a session", Some(HINT.into()));
                return None;
            }
        };
        self.check_timing(reading);
        let allowed_lateness = self.allowed_lateness.as_ref().map_or(Span::millis(0), |late| *late.get_ref());
        let early = self.early.as_ref().map(|early| *early.get_ref());
        let windows = Windows { shape, time: self.time.map(Spanned::into_inner).unwrap_or_default(), allowed_lateness, early };
        let step = self.slide.or(self.tumbling);
        if let (Some(offset), Some(step)) = (&self.offset, step)
            && offset.get_ref() >= step.get_ref()
        {
            let message = format!("`offset` is {}, it must be less than {}", offset.get_ref(), step.get_ref());
            reading.problem(offset.span(), message, Some("windows repeat, so a smaller offset says the same".into()));
        }
        (reading.problems.len() == before).then_some(windows)
    }

    /// What does not go with sessions or with processing time.
    fn check_timing(&self, reading: &mut Reading<'_>) {
        let late = self.allowed_lateness.as_ref().filter(|late| !late.get_ref().0.is_zero());
        if let Some(late) = late.filter(|late| late.get_ref().micros() >= i64::MAX / 20) {
            reading.problem(late.span(), "`allowed_lateness` is a geological age", None);
        }
        if self.session.is_some() {
            let hint = "a session that goes on has other bounds, so its later result could not replace the earlier one";
            let keys = [late.map(|late| ("allowed_lateness", late.span())), self.early.as_ref().map(|early| ("early", early.span()))];
            for (key, at) in keys.into_iter().flatten() {
                reading.problem(at, format!("`{key}` does not go with `session`"), Some(hint.into()));
            }
            if let Some(offset) = &self.offset {
                reading.problem(offset.span(), "`offset` does not go with `session`", Some("a session begins with its first row".into()));
            }
        }
        if self.time.as_ref().is_some_and(|time| *time.get_ref() == WindowTime::Processing)
            && let Some(late) = late
        {
            let hint = "no row is late in processing time: leave it out";
            reading.problem(late.span(), "`allowed_lateness` does not go with `time = \"processing\"`", Some(hint.into()));
        }
    }
}

fn check_slide(size: &Spanned<Span>, slide: &Spanned<Span>, reading: &mut Reading<'_>) {
    let (whole, step) = (size.get_ref().micros(), slide.get_ref().micros());
    if step == 0 || step > whole || whole % step != 0 {
        let message = format!("`slide` is {}, it must divide the size {}", slide.get_ref(), size.get_ref());
        reading.problem(slide.span(), message, None);
    } else if whole / step > MAX_OVERLAP {
        let message = format!("every row would be in {} windows, at most {MAX_OVERLAP} are allowed", whole / step);
        reading.problem(slide.span(), message, Some("raise `slide`".into()));
    }
}
