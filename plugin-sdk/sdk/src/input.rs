//! The rows of a call, and whether their layout has to be checked.
//!
//! Inside of a component rows come from the host, which owns the component's memory anyhow and has the layout from Arrow: checking it once more
//! would cost as much as most filters do. Everywhere else rows may come from anyone and are checked when they are bound.
#![allow(unsafe_code)] // one constructor, which only `guest` uses

use crate::contract::Batch;

/// The rows of a call.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    batch: &'a Batch,
    trusted: bool,
}

impl<'a> Input<'a> {
    /// Rows from anywhere.
    pub fn checked(batch: &'a Batch) -> Self {
        Self { batch, trusted: false }
    }

    /// Rows from the host.
    ///
    /// # Safety
    /// The columns are laid out as the contract says: offsets ascend within the bytes, and every text that is not null is UTF-8 by itself.
    pub unsafe fn from_host(batch: &'a Batch) -> Self {
        Self { batch, trusted: true }
    }

    /// The rows.
    pub fn batch(self) -> &'a Batch {
        self.batch
    }

    /// How many there are.
    pub fn rows(self) -> u32 {
        self.batch.rows
    }

    pub(crate) fn extent(self) -> Extent {
        Extent { rows: self.batch.rows as usize, trusted: self.trusted }
    }
}

/// How many rows a column must have, and whether its layout is known to be right. Only this crate gets at it, through an [`Input`].
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    pub(crate) rows: usize,
    pub(crate) trusted: bool,
}
