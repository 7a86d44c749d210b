//! Sections that are of something else, or damaged.
