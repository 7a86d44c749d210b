//! Alignment: which inputs may go on while a barrier has come from some of them. A pure function of what has come.
//!
//! The rows before a barrier belong to its checkpoint, the rows after it to a later one. So an input that has delivered the barrier is
//! blocked until all others have; an input that has ended counts as having delivered every barrier. Blocking an input never waits for
//! anything but the other inputs of the same subtask, and these are never blocked by this one.

use stygian_core::CheckpointId;

/// The state of the inputs of a subtask with respect to barriers.
#[derive(Clone, Debug)]
pub(crate) struct Alignment {
    inputs: Vec<Input>,
    current: Option<CheckpointId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Input {
    Open,
    Blocked,
    Ended,
}

/// A barrier that came where it cannot: a later one before the present one was complete, or one from an input that is blocked or has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfOrder;

impl Alignment {
    pub(crate) fn new(inputs: usize) -> Self {
        Self { inputs: vec![Input::Open; inputs], current: None }
    }

    /// Whether the input may be read.
    pub(crate) fn may_read(&self, input: usize) -> bool {
        self.inputs[input] == Input::Open
    }

    /// A barrier came; `Some` when it has now come from all inputs.
    pub(crate) fn barrier(&mut self, input: usize, id: CheckpointId) -> Result<Option<CheckpointId>, OutOfOrder> {
        if self.inputs[input] != Input::Open || self.current.is_some_and(|current| current != id) {
            return Err(OutOfOrder);
        }
        self.inputs[input] = Input::Blocked;
        self.current = Some(id);
        Ok(self.complete())
    }

    /// An input has ended; `Some` when that completes the present barrier.
    pub(crate) fn ended(&mut self, input: usize) -> Option<CheckpointId> {
        self.inputs[input] = Input::Ended;
        self.complete()
    }

    /// Whether all inputs have ended.
    pub(crate) fn all_ended(&self) -> bool {
        self.inputs.iter().all(|input| *input == Input::Ended)
    }

    fn complete(&mut self) -> Option<CheckpointId> {
        if self.inputs.contains(&Input::Open) {
            return None;
        }
        let id = self.current.take()?;
        self.inputs.iter_mut().filter(|input| **input == Input::Blocked).for_each(|input| *input = Input::Open);
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn blocks_an_input_until_all_have_delivered() {
        let mut alignment = Alignment::new(2);
        assert_eq!(alignment.barrier(0, CheckpointId(1)), Ok(None));
        assert!(!alignment.may_read(0) && alignment.may_read(1));
        assert_eq!(alignment.barrier(0, CheckpointId(2)), Err(OutOfOrder));
        assert_eq!(alignment.barrier(1, CheckpointId(2)), Err(OutOfOrder));
        assert_eq!(alignment.barrier(1, CheckpointId(1)), Ok(Some(CheckpointId(1))));
        assert!(alignment.may_read(0) && alignment.may_read(1));
    }

    #[test]
    fn an_ended_input_counts_as_aligned() {
        let mut alignment = Alignment::new(2);
        assert_eq!(alignment.barrier(1, CheckpointId(7)), Ok(None));
        assert_eq!(alignment.ended(0), Some(CheckpointId(7)));
        assert!(!alignment.may_read(0) && !alignment.all_ended());
        assert_eq!(alignment.barrier(1, CheckpointId(8)), Ok(Some(CheckpointId(8))));
    }

    /// What an input delivers: numbered rows and barriers in order.
    #[derive(Clone, Copy, Debug)]
    enum Delivered {
        Row,
        Barrier(u64),
    }

    /// A script for an input: how many rows stand before each of the barriers, and whether it ends early.
    fn script(rows: &[usize], barriers: usize) -> Vec<Delivered> {
        let row = |&rows: &usize| (0..rows).map(|_| Delivered::Row);
        (0..barriers).flat_map(|n| rows.get(n).map(row).into_iter().flatten().chain([Delivered::Barrier(n as u64)])).collect()
    }

    proptest! {
        /// However the inputs are interleaved: every barrier completes exactly once, in order, and at that moment each input has
        /// delivered exactly the rows before its own barrier (or has ended).
        #[test]
        fn parts_the_rows_of_checkpoints(
            rows in prop::collection::vec(prop::collection::vec(0_usize..4, 5), 1..5),
            ends in prop::collection::vec(0_usize..=5, 5),
            picks in prop::collection::vec(any::<prop::sample::Index>(), 400),
        ) {
            let barriers = 5;
            let scripts: Vec<Vec<Delivered>> = rows.iter().zip(&ends).map(|(rows, end)| script(rows, *end)).collect();
            let mut alignment = Alignment::new(scripts.len());
            let (mut at, mut ended) = (vec![0; scripts.len()], vec![false; scripts.len()]);
            let (mut seen, mut next_id) = (vec![0_usize; scripts.len()], 0_u64);
            for pick in picks {
                let readable: Vec<usize> = (0..scripts.len()).filter(|input| !ended[*input] && alignment.may_read(*input)).collect();
                if readable.is_empty() { break; }
                let input = readable[pick.index(readable.len())];
                let completed = match scripts[input].get(at[input]) {
                    Some(Delivered::Row) => { seen[input] += 1; None }
                    Some(Delivered::Barrier(id)) => alignment.barrier(input, CheckpointId(*id)).expect("in order"),
                    None => { ended[input] = true; alignment.ended(input) }
                };
                at[input] += 1;
                if let Some(id) = completed {
                    prop_assert_eq!(id.0, next_id);
                    next_id += 1;
                    for other in 0..scripts.len() {
                        let n = usize::try_from(id.0).expect("small");
                        let expected: usize = rows[other].iter().take((n + 1).min(ends[other])).sum();
                        prop_assert_eq!(seen[other], expected, "input {} at barrier {}", other, id);
                    }
                }
            }
            let longest = ends[..scripts.len()].iter().copied().max().unwrap_or(0).min(barriers);
            prop_assert!(next_id <= longest as u64);
            if alignment.all_ended() { prop_assert_eq!(next_id, longest as u64); }
        }
    }
}
