//! `window = {...}`: which stretches of event time rows are aggregated over.

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
        };
        if offset.0.is_zero() { Ok(()) } else { write!(f, " offset {offset}") }
    }
}

/// Windows of event time: `tumbling`, or `sliding` with `slide`.
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
    /// Moves the beginnings, which else are multiples of the size (or slide) since 1970-01-01T00:00:00Z. Default: "0s". Set it for days
    /// that do not begin at midnight UTC.
    #[schemars(with = "Span")]
    offset: Option<Spanned<Span>>,
}

const HINT: &str = "write `{ tumbling = \"1h\" }` or `{ sliding = \"1h\", slide = \"10m\" }`";

impl WindowKeys {
    pub(crate) fn check(self, at: Range<usize>, reading: &mut Reading<'_>) -> Option<WindowShape> {
        let before = reading.problems.len();
        for span in [&self.tumbling, &self.sliding, &self.slide].into_iter().flatten() {
            if !(1_000..i64::MAX / 4).contains(&span.get_ref().micros()) {
                reading.problem(span.span(), "a window's spans must be 1 ms or more, and no geological age", None);
            }
        }
        let offset = self.offset.as_ref().map_or(Span::millis(0), |offset| *offset.get_ref());
        let shape = match (&self.tumbling, &self.sliding, &self.slide) {
            (Some(size), None, None) => WindowShape::Tumbling { size: *size.get_ref(), offset },
            (None, Some(size), Some(slide)) => {
                check_slide(size, slide, reading);
                WindowShape::Sliding { size: *size.get_ref(), slide: *slide.get_ref(), offset }
            }
            (None, Some(_), None) => {
                reading.problem(at, "a sliding window needs `slide`", Some(HINT.into()));
                return None;
            }
            _ => {
                reading.problem(at, "a window is either tumbling, or sliding with a slide", Some(HINT.into()));
                return None;
            }
        };
        let step = self.slide.or(self.tumbling);
        if let (Some(offset), Some(step)) = (&self.offset, step)
            && offset.get_ref() >= step.get_ref()
        {
            let message = format!("`offset` is {}, it must be less than {}", offset.get_ref(), step.get_ref());
            reading.problem(offset.span(), message, Some("windows repeat, so a smaller offset says the same".into()));
        }
        (reading.problems.len() == before).then_some(shape)
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
